//! Checks and repairs of volumes that were damaged on purpose.

mod damage;
mod random;
mod world;
