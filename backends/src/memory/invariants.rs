//! What must hold whenever no call is under way.

use std::collections::HashMap;

use super::MemoryFileSystem;
use super::directory::entry_charge;
use super::inode::{Body, InodeId, Life};

/// What the directories say of an object.
#[derive(Default)]
struct Seen {
    names: u32,
    subdirectories: u32,
    parent: Option<InodeId>,
}

impl MemoryFileSystem {
    /// Panics unless link counts, parents and the accounting of space agree with the directories.
    pub(super) fn check_invariants(&self) {
        let volume = &self.volume;
        let all = volume.table.all();
        let mut seen: HashMap<InodeId, Seen> = HashMap::new();
        let mut charge = 0;
        for inode in &all {
            let state = inode.read();
            assert_eq!(state.life, Life::Alive, "{:?} is gone and in the table", inode.id);
            charge += state.charge();
            assert!(state.xattrs.as_ref().is_none_or(|xattrs| xattrs.is_consistent()));
            match &state.body {
                Body::File(content) => assert!(content.is_consistent(), "content of {:?}", inode.id),
                Body::Directory(directory) => {
                    assert!(directory.entries.is_consistent(), "entries of {:?}", inode.id);
                    for (_, name, child) in directory.entries.after(0) {
                        charge += entry_charge(name);
                        let child_seen = seen.entry(child.id).or_default();
                        child_seen.names += 1;
                        child_seen.parent = Some(inode.id);
                        if child.is_directory() {
                            seen.entry(inode.id).or_default().subdirectories += 1;
                        }
                    }
                }
                Body::Symlink(_) | Body::Device(_) | Body::Rendezvous => {}
            }
        }
        assert_eq!(charge, volume.space.used(), "charged, and counted as used");
        assert_eq!(all.len() as u64, volume.space.files(), "objects");
        for inode in &all {
            let state = inode.read();
            let seen = seen.remove(&inode.id).unwrap_or_default();
            if let Body::Directory(directory) = &state.body {
                assert_eq!(state.nlink, 2 + seen.subdirectories, "links of directory {:?}", inode.id);
                assert_eq!(
                    directory.parent,
                    seen.parent.unwrap_or(volume.root.id),
                    "parent of {:?}",
                    inode.id
                );
                assert_eq!(
                    seen.names,
                    u32::from(inode.id != volume.root.id),
                    "names of directory {:?}",
                    inode.id
                );
            } else {
                assert_eq!(state.nlink, seen.names, "links of {:?}", inode.id);
                assert!(state.nlink > 0 || state.opens > 0, "{:?} has neither name nor open", inode.id);
            }
        }
        assert!(seen.is_empty(), "names of objects that are not in the table");
    }
}
