//! The simulation: a whole world of server, clients and network that runs from a seed, with a naive model beside it.
//!
//! One seed is one world, always the same. What it does is described in `docs/internals/simulation.md`.

mod belief;
mod callbacks;
mod client;
mod model;
mod network;
mod policy;
mod range;
mod request;
mod safety;
mod server;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use dittofs_framework::testing::CompoundReply;

use world::World;

/// How a world is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many steps it takes.
    pub steps: usize,
    /// Whether every event is printed.
    pub prints: Prints,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps: 800, prints: Prints::Nothing }
    }
}

/// What a world prints on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// Nothing.
    Nothing,
    /// Every event.
    Events,
}

/// What happened in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    prints: Prints,
    /// Requests that the server answered.
    pub requests: u64,
    /// Operations that it carried out and that succeeded.
    pub successes: u64,
    /// Over all statuses in their order: the same in the same world.
    pub digest: u64,
}

impl Trace {
    fn line(&self, text: impl FnOnce() -> String) {
        if self.prints == Prints::Events {
            println!("{}", text());
        }
    }

    fn outcome(&mut self, reply: &CompoundReply) {
        self.requests += 1;
        for result in &*reply.results {
            self.successes += u64::from(result.status.is_ok());
            let outcome = u64::from(result.opnum.code()) << 32 | u64::from(result.status.code());
            self.digest = (self.digest ^ outcome).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Runs one world to its end.
///
/// # Errors
/// If the server does not do what it must: what was wrong.
pub fn run(seed: u64, options: &Options) -> Result<Trace, String> {
    let trace = Trace { prints: options.prints, requests: 0, successes: 0, digest: 0xcbf2_9ce4_8422_2325 };
    let world = || World::new(seed, trace).run(options);
    catch_unwind(AssertUnwindSafe(world)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
    })
}
