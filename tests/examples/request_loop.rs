//! Runs one workload of the request path a number of times, for `tests/instructions` to count: request_loop INDEX TIMES

#![allow(clippy::expect_used)] // a tool of the tests

use dittofs_tests::path::{Loop, Workload};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let &[index, times] = numbers.as_slice() else {
        return Workload::ALL.iter().for_each(|workload| println!("{workload}"));
    };
    let workload = *Workload::ALL.get(index).expect("an index from the list");
    let mut requests = Loop::new(workload);
    for _ in 0..times {
        let request = requests.next_request();
        drop(requests.call(request));
    }
}
