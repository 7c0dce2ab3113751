//! File attributes: one table row per FATTR4 attribute, and the bitmaps that name sets of them.

mod bitmap;

pub use bitmap::Bitmap;
