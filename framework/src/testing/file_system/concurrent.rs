//! Many calls at once: nothing is lost, nothing waits for ever, and all fits together afterwards.
//!
//! RFC 8881 leaves concurrency within a file system to the server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinHandle;

use super::World;
use super::world::{ALL, Caller, NO_VERIFIER, done, mode};
use crate::attr::Bitmap;
use crate::fs::{CreateMode, FsError, NodeHandle, ShareAccess};
use crate::testing::random::Random;

const TASKS: u64 = 4;

/// Runs `task` for several at once.
async fn at_once<F: Future<Output = ()> + Send + 'static>(task: impl Fn(u64) -> F) {
    join((1..=TASKS).map(|number| tokio::spawn(task(number))).collect()).await;
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("a task");
    }
}

/// A call that may fail, for what others do meanwhile.
fn attempt<T>(_: T) {}

async fn wander(me: Caller, dirs: Vec<NodeHandle>, seed: u64, rounds: u64) {
    let (mut random, top) = (Random::new(seed), me.root());
    let mut held = Vec::new();
    for _ in 0..rounds {
        let from = dirs[random.index(dirs.len())];
        let to = if random.below(7) == 0 { top } else { dirs[random.index(dirs.len())] };
        let (name, other) = (format!("n{}", random.below(4)), format!("n{}", random.below(4)));
        let branch = format!("d{}", random.below(6));
        match random.below(9) {
            0 => attempt(me.mkdir(&from, &name, 0o777).await),
            1 => attempt(me.remove(&from, &name).await),
            2 => attempt(me.rename((&from, &name), (&to, &other)).await),
            3 => attempt(me.rename((&top, &branch), (&to, &name)).await),
            4 => attempt(me.rename((&from, &name), (&top, &branch)).await),
            5 => {
                let how = CreateMode::Unchecked(mode(0o644));
                if let Ok(opened) = me.open(&from, &name, &how, ShareAccess::BOTH).await {
                    me.write(&opened.found.node, 0, b"data").await.expect("it is open");
                    held.push(opened);
                    held.truncate(8);
                }
            }
            6 => {
                if let Ok(node) = me.lookup(&from, &name).await {
                    attempt(me.link(&node, &to, &other).await);
                }
            }
            7 => attempt(me.list(&from, ALL, 99).await),
            _ => attempt(me.lookup(&from, &name).await),
        }
    }
}

pub async fn directories_move_about_and_stay_a_tree(world: &mut World) {
    let (me, rounds) = (world.me(), world.rounds());
    let mut dirs = Vec::new();
    for number in 0..6 {
        dirs.push(me.dir(&format!("d{number}")).await);
    }
    at_once(|seed| wander(me.clone(), dirs.clone(), seed, rounds)).await;
}

pub async fn a_name_that_is_replaced_is_always_there(world: &mut World) {
    let (me, rounds) = (world.me(), world.rounds());
    let (top, is_done) = (me.root(), Arc::new(AtomicBool::new(false)));
    me.new_file("name").await;
    let (writer, end) = (me.clone(), Arc::clone(&is_done));
    let replacing = tokio::spawn(async move {
        for _ in 0..rounds {
            writer.new_file("new").await;
            writer.rename((&top, "new"), (&top, "name")).await.expect("replaced");
        }
        end.store(true, Ordering::Release);
    });
    let reading = tokio::spawn(async move {
        while !is_done.load(Ordering::Acquire) {
            me.lookup(&top, "name").await.expect("the name is there");
            let how = CreateMode::Unchecked(mode(0o644));
            let opened = me.open(&top, "name", &how, ShareAccess::READ).await.expect("it is there");
            me.attributes(&opened.found.node).await.expect("it is held");
            tokio::task::yield_now().await;
        }
    });
    join(vec![replacing, reading]).await;
    assert_eq!(world.me().names(&top).await, ["name"]);
}

pub async fn one_of_many_creates_it(world: &mut World) {
    let me = world.me();
    for round in 0..world.rounds().min(100) {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let me = me.clone();
                tokio::spawn(async move { me.file(&me.root(), round.to_string(), 0o644).await })
            })
            .collect();
        let mut made = 0;
        for task in tasks {
            match task.await.expect("a task") {
                Ok(_) => made += 1,
                Err(error) => assert_eq!(error, FsError::Exist),
            }
        }
        assert_eq!(made, 1, "in round {round}");
    }
}

pub async fn one_of_many_removes_it(world: &mut World) {
    let me = world.me();
    for round in 0..world.rounds().min(100) {
        let name = round.to_string();
        me.new_file(&name).await;
        let tasks: Vec<_> = (0..TASKS)
            .map(|number| {
                let (me, name) = (me.clone(), name.clone());
                tokio::spawn(async move {
                    let top = me.root();
                    if number % 2 == 0 {
                        done(me.remove(&top, &name).await)
                    } else {
                        done(me.rename((&top, &name), (&top, &format!("{name} to {number}"))).await)
                    }
                })
            })
            .collect();
        let mut taken = 0;
        for task in tasks {
            match task.await.expect("a task") {
                Ok(()) => taken += 1,
                Err(error) => assert_eq!(error, FsError::NotFound),
            }
        }
        assert_eq!(taken, 1, "in round {round}");
    }
}

async fn come_and_go(me: Caller, dir: NodeHandle, task: u64, rounds: u64) {
    for round in 0..rounds {
        let (name, other) = (format!("{task} {round}"), format!("{task} {round} renamed"));
        let file = me.file(&dir, &name, 0o644).await.expect("a file");
        me.write(&file, 0, name.as_bytes()).await.expect("a write");
        me.rename((&dir, &name), (&dir, &other)).await.expect("renamed");
        assert_eq!(me.lookup(&dir, &other).await, Ok(file));
        if round % 3 > 0 {
            me.remove(&dir, &other).await.expect("removed");
            assert_eq!(done(me.attributes(&file).await), Err(FsError::Stale));
        }
    }
}

pub async fn files_come_and_go_in_one_directory(world: &mut World) {
    let (me, rounds) = (world.me(), world.rounds() / 2);
    let dir = me.dir("d").await;
    at_once(|task| come_and_go(me.clone(), dir, task, rounds)).await;
    let left = (1..=TASKS)
        .flat_map(|task| (0..rounds).step_by(3).map(move |round| format!("{task} {round} renamed")));
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(me.names(&dir).await, left);
}

pub async fn two_cannot_move_below_each_other(world: &mut World) {
    let me = world.me();
    let top = me.root();
    for round in 0..world.rounds().min(100) {
        let (a, b) = (me.dir("a").await, me.dir("b").await);
        let (one, other) = (me.clone(), me.clone());
        let first = tokio::spawn(async move { done(one.rename((&top, "a"), (&b, "a")).await) });
        let second = tokio::spawn(async move { done(other.rename((&top, "b"), (&a, "b")).await) });
        let results = [first.await.expect("a task"), second.await.expect("a task")];
        let moved = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(moved, 1, "{results:?} in round {round}");
        let (upper, inner, name) = if results[0].is_ok() { (b, "a", "b") } else { (a, "b", "a") };
        me.remove(&upper, inner).await.expect("it moved here");
        me.remove(&top, name).await.expect("it stayed");
    }
}

/// Of a piece that one task writes.
const LEN: u64 = 1000;

pub async fn writes_of_many_all_stay(world: &mut World) {
    let (me, rounds) = (world.me(), world.rounds());
    let file = me.new_file("f").await;
    at_once(|task| {
        let me = me.clone();
        async move {
            for round in 0..rounds {
                let data = vec![task.to_le_bytes()[0]; usize::try_from(LEN).expect("small")];
                me.write(&file, (round * TASKS + task - 1) * LEN, &data).await.expect("a write");
            }
        }
    })
    .await;
    assert_eq!(me.attributes(&file).await.expect("a file").size, rounds * TASKS * LEN);
    for piece in 0..rounds * TASKS {
        let data = me.read(&file, piece * LEN, u32::try_from(LEN).expect("small")).await.expect("a read");
        let expected = (piece % TASKS + 1).to_le_bytes()[0];
        assert!(data.len() as u64 == LEN && data.iter().all(|byte| *byte == expected), "piece {piece}");
    }
}

pub async fn listings_beside_changes_miss_nothing(world: &mut World) {
    let (me, rounds) = (world.me(), world.rounds());
    let dir = me.dir("d").await;
    let mut stays = BTreeSet::new();
    for number in 0..50 {
        let name = format!("stays {number}");
        me.mkdir(&dir, &name, 0o755).await.expect("a directory");
        stays.insert(name);
    }
    let is_done = Arc::new(AtomicBool::new(false));
    let (writer, end) = (me.clone(), Arc::clone(&is_done));
    let changing = tokio::spawn(async move {
        for round in 0..rounds {
            let name = format!("comes {}", round % 10);
            writer.mkdir(&dir, &name, 0o755).await.expect("a directory");
            writer.rename((&dir, &name), (&dir, "goes")).await.expect("renamed");
            writer.remove(&dir, "goes").await.expect("removed");
        }
        end.store(true, Ordering::Release);
    });
    let mut is_last = false;
    while !is_last {
        is_last = is_done.load(Ordering::Acquire) || changing.is_finished();
        let (mut seen, mut from) = (Vec::new(), (0, NO_VERIFIER));
        loop {
            let (entries, end) = me.page(&dir, from, Bitmap::EMPTY, 7).await.expect("a listing");
            from = (entries.last().map_or(from.0, |entry| entry.cookie), end.cookieverf);
            seen.extend(
                entries.iter().map(super::world::Listed::text).filter(|name| name.starts_with("stays")),
            );
            if end.eof {
                break;
            }
        }
        assert_eq!(seen.len(), stays.len(), "each comes once");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), stays);
        tokio::task::yield_now().await;
    }
    changing.await.expect("a task");
}

pub async fn opens_beside_removals(world: &mut World) {
    let (me, rounds) = (world.me(), world.rounds());
    let top = me.root();
    let how = CreateMode::Unchecked(mode(0o644));
    let remover = me.clone();
    let removing = tokio::spawn(async move {
        for _ in 0..rounds {
            attempt(remover.remove(&top, "f").await);
            tokio::task::yield_now().await;
        }
    });
    let opening = |_| {
        let (me, how) = (me.clone(), how.clone());
        async move {
            for _ in 0..rounds {
                let opened = me.open(&top, "f", &how, ShareAccess::BOTH).await.expect("an open");
                let node = opened.found.node;
                me.write(&node, 0, b"mine").await.expect("it is open");
                assert_eq!(me.read(&node, 0, 9).await, Ok("mine".into()));
                let again = me.hold(&node, ShareAccess::READ).await.expect("it is open");
                drop(opened);
                assert_eq!(me.read(&node, 0, 9).await, Ok("mine".into()));
                drop(again);
            }
        }
    };
    at_once(opening).await;
    removing.await.expect("a task");
}
