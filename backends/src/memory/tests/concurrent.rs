//! Many threads at once: nothing is lost, nothing deadlocks, and the invariants hold afterwards.
//!
//! Origin: own scenarios.
//! RFC: none; RFC 8881 leaves concurrency within a file system to the server.

use std::sync::atomic::{AtomicBool, Ordering};

use dittofs_framework::attr::Bitmap;
use dittofs_framework::fs::{CreateMode, FsError, ShareAccess};

use super::fixture::{World, mode, root};

const THREADS: u64 = 4;
const ROUNDS: u64 = 3_000;

/// A small generator of numbers, seeded per thread.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize % sides
    }
}

/// A call that may fail, for what others do meanwhile.
fn attempt<T>(_: T) {}

#[test]
fn directories_move_about_and_stay_a_tree() {
    let world = World::new();
    let top = world.root();
    let dirs: Vec<_> = (0..6).map(|n| world.mkdir(&root(), &top, &format!("d{n}"), 0o777).unwrap()).collect();
    std::thread::scope(|scope| {
        for thread in 1..=THREADS {
            let (world, dirs) = (&world, &dirs);
            scope.spawn(move || {
                let mut dice = Dice(thread * 0x9E37_79B9);
                let mut held = Vec::new();
                for _ in 0..ROUNDS {
                    let from = dirs.get(dice.roll(dirs.len())).copied().unwrap_or(top);
                    let to = if dice.roll(7) == 0 { top } else { dirs[dice.roll(dirs.len())] };
                    let (name, other) = (format!("n{}", dice.roll(4)), format!("n{}", dice.roll(4)));
                    match dice.roll(9) {
                        0 => attempt(world.mkdir(&root(), &from, &name, 0o777)),
                        1 => attempt(world.remove(&root(), &from, &name)),
                        2 => attempt(world.rename(&root(), (&from, &name), (&to, &other))),
                        3 => attempt(world.rename(
                            &root(),
                            (&top, &format!("d{}", dice.roll(6))),
                            (&to, &name),
                        )),
                        4 => attempt(world.rename(
                            &root(),
                            (&from, &name),
                            (&top, &format!("d{}", dice.roll(6))),
                        )),
                        5 => {
                            let how = CreateMode::Unchecked(mode(0o644));
                            if let Ok(opened) = world.open(&root(), &from, &name, &how, ShareAccess::BOTH) {
                                world.write(&opened.found.node, 0, b"data").unwrap();
                                held.push(opened);
                                held.truncate(8);
                            }
                        }
                        6 => {
                            if let Ok(node) = world.lookup(&root(), &from, &name) {
                                attempt(world.link(&root(), &node, &to, &other));
                            }
                        }
                        7 => attempt(world.list(&root(), &from, (0, [0; 8]), Bitmap::of(&[4]), 99)),
                        _ => attempt(world.lookup(&root(), &from, &name)),
                    }
                }
            });
        }
    });
    world.fs.check_invariants();
}

#[test]
fn a_name_that_is_replaced_is_always_there() {
    let world = World::new();
    let top = world.root();
    let done = AtomicBool::new(false);
    world.file(&root(), &top, "name", 0o644).unwrap();
    std::thread::scope(|scope| {
        let (world, done) = (&world, &done);
        scope.spawn(move || {
            for _ in 0..ROUNDS {
                world.file(&root(), &top, "new", 0o644).unwrap();
                world.rename(&root(), (&top, "new"), (&top, "name")).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(move || {
            while !done.load(Ordering::Acquire) {
                world.lookup(&root(), &top, "name").unwrap();
                let how = CreateMode::Unchecked(mode(0o644));
                let opened = world.open(&root(), &top, "name", &how, ShareAccess::READ).unwrap();
                world.attributes(&opened.found.node).expect("it is held");
            }
        });
    });
    world.fs.check_invariants();
}

#[test]
fn one_of_many_creates_it() {
    let world = World::new();
    let top = world.root();
    for round in 0..200 {
        let name = round.to_string();
        let made: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| match world.file(&root(), &top, &name, 0o644) {
                        Ok(_) => 1,
                        Err(FsError::Exist) => 0,
                        Err(other) => panic!("{other}"),
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(made, 1);
    }
    world.fs.check_invariants();
}
