//! The rules of POSIX, as Linux has them, as functions of what is known of an object: no storage, no locks.

pub(crate) mod attributes;
pub(crate) mod limits;
pub(crate) mod new_object;
pub(crate) mod permission;
pub(crate) mod rename;
#[cfg(test)]
mod tests;
pub(crate) mod xattr;
