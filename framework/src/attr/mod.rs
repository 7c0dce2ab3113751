//! File attributes: one table row per FATTR4 attribute, and the bitmaps that name sets of them.

mod bitmap;
mod decode;
mod encode;
mod ids;
mod numbers;
mod table;

pub use bitmap::Bitmap;
pub use decode::{SETTABLE, attributes_changed, attrset, decode_setattr, decode_settable};
pub use encode::{AttrServer, AttrSource, DELEGATED_TIMES, NEEDS_USAGE, WRITE_ONLY, encode_fattr4};
pub use ids::{IdMapper, IdName, NumericIds};
pub use numbers::*;
pub use table::{AttrKind, AttrRow, ROWS, known_in, row};
