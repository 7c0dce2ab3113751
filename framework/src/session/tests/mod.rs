mod back;
mod create;
mod exchange;
mod lifecycle;
mod model;
#[cfg(feature = "loom")]
mod orders;
mod sequence;
mod steering;
mod threads;
mod world;
