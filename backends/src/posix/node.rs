//! Objects that are open inside, and how many may be.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dittofs_framework::fs::NodeHandle;
use dittofs_framework::proto::FileType;
use foldhash::HashMap;
use parking_lot::Mutex;

use super::flush::Flush;
use super::stamp::{Clock, Stamp};

/// Most stamps that are kept of nodes that are not open.
const MAX_STAMPS: usize = 16 * 1024;

/// A descriptor that counts against the limit while it is open.
pub(super) struct Fd {
    fd: OwnedFd,
    open: Arc<AtomicUsize>,
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Descriptors for what is in a file or directory.
#[derive(Default)]
pub(super) struct DataFds {
    pub(super) reading: Option<Arc<Fd>>,
    pub(super) writing: Option<Arc<Fd>>,
}

/// An object of the exported tree.
pub(super) struct Node {
    pub(super) handle: NodeHandle,
    pub(super) file_type: FileType,
    /// Names the object and cannot read or write it (`O_PATH`).
    pub(super) fd: Fd,
    pub(super) data: Mutex<DataFds>,
    pub(super) stamp: Mutex<Stamp>,
    pub(super) clock: Clock,
    /// Locked by whoever takes entries out of a directory or looks at what it has just put in.
    pub(super) entries: Mutex<()>,
    pub(super) flush: Flush,
    /// How many opens stand.
    holds: AtomicUsize,
    used: AtomicBool,
}

impl Node {
    /// Whether somebody has it open: then it lives on without a name.
    pub(super) fn is_held(&self) -> bool {
        self.holds.load(Ordering::Acquire) > 0
    }

    /// Counts one open less; says whether it was the last.
    pub(super) fn release(&self) -> bool {
        self.holds.fetch_sub(1, Ordering::AcqRel) == 1
    }

    pub(super) fn is_directory(&self) -> bool {
        self.file_type == FileType::Dir
    }
}

/// The objects that are open inside. The others are opened by their handles when they are asked for.
pub(super) struct NodeTable {
    most: usize,
    clock: Clock,
    open: Arc<AtomicUsize>,
    nodes: Mutex<Nodes>,
}

#[derive(Default)]
struct Nodes {
    by_handle: HashMap<NodeHandle, Arc<Node>>,
    /// In the order in which they came, or were found in use: the next to go is in front.
    clock: VecDeque<NodeHandle>,
    /// Of nodes that are not open any more, and whose change attribute the kernel alone cannot tell.
    stamps: HashMap<NodeHandle, Stamp>,
    stamps_by_age: VecDeque<NodeHandle>,
}

impl Nodes {
    fn keep_stamp(&mut self, node: &Node) {
        let stamp = *node.stamp.lock();
        if !stamp.says_more() {
            return;
        }
        if self.stamps.insert(node.handle, stamp).is_none() {
            self.stamps_by_age.push_back(node.handle);
        }
        if self.stamps_by_age.len() > MAX_STAMPS
            && let Some(oldest) = self.stamps_by_age.pop_front()
        {
            self.stamps.remove(&oldest);
        }
    }
}

impl NodeTable {
    pub(super) fn new(most: usize, clock: Clock) -> Self {
        Self { most, clock, open: Arc::default(), nodes: Mutex::default() }
    }

    /// A descriptor that is to count.
    pub(super) fn count(&self, fd: OwnedFd) -> Fd {
        self.open.fetch_add(1, Ordering::Relaxed);
        Fd { fd, open: Arc::clone(&self.open) }
    }

    pub(super) fn get(&self, handle: &NodeHandle) -> Option<Arc<Node>> {
        let nodes = self.nodes.lock();
        let node = nodes.by_handle.get(handle)?;
        node.used.store(true, Ordering::Relaxed);
        Some(Arc::clone(node))
    }

    /// The node of this handle: the one that is there, or one made of `fd`.
    pub(super) fn insert(&self, handle: NodeHandle, fd: OwnedFd, file_type: FileType) -> Arc<Node> {
        let fd = self.count(fd);
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.by_handle.get(&handle) {
            node.used.store(true, Ordering::Relaxed);
            let node = Arc::clone(node);
            drop(nodes);
            return node;
        }
        let node = Arc::new(Node {
            handle,
            file_type,
            fd,
            data: Mutex::default(),
            stamp: Mutex::new(nodes.stamps.get(&handle).copied().unwrap_or_default()),
            clock: self.clock,
            entries: Mutex::default(),
            flush: Flush::default(),
            holds: AtomicUsize::new(0),
            used: AtomicBool::new(true),
        });
        nodes.by_handle.insert(handle, Arc::clone(&node));
        nodes.clock.push_back(handle);
        let gone = self.shrink(&mut nodes);
        drop(nodes);
        drop(gone);
        node
    }

    /// [`get`](Self::get), without counting as use.
    pub(super) fn peek(&self, handle: &NodeHandle) -> Option<Arc<Node>> {
        self.nodes.lock().by_handle.get(handle).cloned()
    }

    /// What is remembered of the change attribute of an object that is not open.
    pub(super) fn kept_stamp(&self, handle: &NodeHandle) -> Option<Stamp> {
        self.nodes.lock().stamps.get(handle).copied()
    }

    /// Counts one more open of a node, which stays in the table until [`Node::release`].
    pub(super) fn hold(&self, node: &Arc<Node>) {
        let mut nodes = self.nodes.lock();
        node.holds.fetch_add(1, Ordering::AcqRel);
        // It may have gone from the table since it was found there.
        if nodes.by_handle.insert(node.handle, Arc::clone(node)).is_none() {
            nodes.clock.push_back(node.handle);
        }
    }

    /// Closes an object that is gone, unless somebody has it open.
    pub(super) fn forget(&self, handle: &NodeHandle) {
        let mut nodes = self.nodes.lock();
        let held = nodes.by_handle.get(handle).is_none_or(|node| node.is_held());
        let gone = if held { None } else { nodes.by_handle.remove(handle) };
        drop(nodes);
        drop(gone);
    }

    /// Closes what was not used since the last call: whoever removes a file behind the server's back gets its space back.
    pub(super) fn close_unused(&self) {
        let mut nodes = self.nodes.lock();
        let Nodes { by_handle, .. } = &mut *nodes;
        let gone: Vec<_> = by_handle
            .extract_if(|_, node| {
                !node.is_held() && Arc::strong_count(node) == 1 && !node.used.swap(false, Ordering::Relaxed)
            })
            .collect();
        for (_, node) in &gone {
            nodes.keep_stamp(node);
        }
        let Nodes { by_handle, clock, .. } = &mut *nodes;
        clock.retain(|handle| by_handle.contains_key(handle));
        drop(nodes);
        drop(gone);
    }

    /// Takes out nodes that were not used since it last came by, as long as too much is open. They are to be dropped without the lock.
    fn shrink(&self, nodes: &mut Nodes) -> Vec<Arc<Node>> {
        let mut gone = Vec::new();
        let mut freed = 0;
        for _ in 0..nodes.clock.len() {
            if self.open.load(Ordering::Relaxed).saturating_sub(freed) <= self.most {
                break;
            }
            let Some(handle) = nodes.clock.pop_front() else { break };
            let Some(node) = nodes.by_handle.get(&handle) else { continue };
            if node.is_held() || node.used.swap(false, Ordering::Relaxed) || Arc::strong_count(node) > 1 {
                nodes.clock.push_back(handle);
            } else if let Some(node) = nodes.by_handle.remove(&handle) {
                nodes.keep_stamp(&node);
                let data = node.data.lock();
                freed += 1 + usize::from(data.reading.is_some()) + usize::from(data.writing.is_some());
                drop(data);
                gone.push(node);
            }
        }
        gone
    }

    /// How many descriptors are open.
    #[cfg(test)]
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}
