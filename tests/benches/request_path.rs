//! The request path without the socket: an encoded compound in, an encoded reply out, with the memory file system, on one core.
//!
//! `cargo bench -p dittofs-tests` prints the time of one compound, and how many allocations of how many bytes it made.
//! `tests/instructions` counts its instructions.

use std::cell::RefCell;

use dittofs_tests::path::{Loop, Workload};
use divan::{AllocProfiler, Bencher};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: AllocProfiler<MiMalloc> = AllocProfiler::new(MiMalloc);

fn main() {
    divan::main();
}

#[divan::bench(args = Workload::ALL)]
fn compound(bencher: Bencher<'_, '_>, workload: Workload) {
    let requests = RefCell::new(Loop::new(workload));
    bencher
        .with_inputs(|| requests.borrow_mut().next_request())
        .bench_local_values(|request| requests.borrow_mut().call(request));
}
