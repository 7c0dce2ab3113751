//! What depends on who asks: for file systems that tell their callers apart.

mod attributes;
mod create;
mod entries;
mod permission;

pub use attributes::*;
pub use create::*;
pub use entries::*;
pub use permission::*;

use super::world::{Caller, World, mode, size};

const OWNER: u32 = 10;
const OTHER: u32 = 11;
const GROUP: u32 = 20;
