use std::collections::HashMap;

use super::world::{ALL, Caller};
use crate::fs::NodeHandle;
use crate::proto::FileType;

/// More names are not looked up one by one.
const LOOKUPS: usize = 1_000;

/// What was found of an object.
struct Seen {
    node: NodeHandle,
    nlink: u32,
    names: u32,
}

/// Walks through all directories and stops at what does not fit together: names that are listed are found, files have as many links
/// as names, directories are in one place and know where, no two objects have the same number.
pub(super) async fn check(me: &Caller) {
    let mut files: HashMap<u64, Seen> = HashMap::new();
    let root = me.root();
    let mut directories = HashMap::from([(me.attributes(&root).await.expect("the root").fileid, root)]);
    let mut open = vec![root];
    while let Some(dir) = open.pop() {
        let entries = me.list(&dir, ALL, 500).await.expect("a listing");
        let mut subdirectories = 0;
        for (index, entry) in entries.iter().enumerate() {
            let fileid = entry.attributes.fileid;
            if index < LOOKUPS {
                let found = me.lookup(&dir, &entry.name).await;
                assert_eq!(found, Ok(entry.node), "{} is listed", entry.text());
            }
            if entry.attributes.file_type == FileType::Dir {
                subdirectories += 1;
                assert_eq!(directories.insert(fileid, entry.node), None, "{} is in two places", entry.text());
                assert_eq!(me.parent(&entry.node).await, Ok(dir), "{}", entry.text());
                open.push(entry.node);
            } else {
                let nlink = entry.attributes.nlink;
                let seen = files.entry(fileid).or_insert(Seen { node: entry.node, nlink, names: 0 });
                seen.names += 1;
                assert_eq!((seen.node, seen.nlink), (entry.node, nlink), "{}", entry.text());
            }
        }
        // Some file systems do not count subdirectories, and say 1.
        let nlink = me.attributes(&dir).await.expect("a directory").nlink;
        assert!(nlink == 2 + subdirectories || nlink == 1, "{nlink} links of {subdirectories} directories");
    }
    for (fileid, seen) in files {
        assert!(!directories.contains_key(&fileid), "{fileid} is a directory, too");
        assert_eq!(seen.names, seen.nlink, "names and links of {fileid}");
    }
}
