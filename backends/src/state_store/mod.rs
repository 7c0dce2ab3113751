//! State stores: which clients may reclaim after a restart of the server.
//!
//! | store | outlives | for |
//! |---|---|---|
//! | [`MemoryStateStore`] | an instance of the service | tests, and servers whose files do not outlive the process either |
//! | [`JournalStateStore`] | the process and the machine's crash | servers with durable files |

mod journal;
mod memory;

use std::time::{SystemTime, UNIX_EPOCH};

pub use journal::{JournalOptions, JournalStateStore};
pub use memory::MemoryStateStore;

/// The least boot epoch: seconds since 1970. A store that was lost does not bring back an epoch that clients still hold client
/// IDs and stateids of.
fn epoch_floor(now: SystemTime) -> u32 {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
