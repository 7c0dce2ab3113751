//! What is there against what must be.

use std::collections::{BTreeMap, HashMap};

use dittofs_framework::proto::FileType;

use super::fault::Fault;
use super::model::{HOME, Kind, Node, NodeId, SHARED, World};
use super::scan::{Body, Entries, Found};
use super::wire::Attributes;

/// All that a worker finds of what is its own.
pub(super) struct Sight {
    pub(super) home: Entries,
    pub(super) shared: Entries,
    /// Open files without a name, by their handles; `None` if the handle is stale.
    pub(super) unlinked: BTreeMap<NodeId, Option<Found>>,
    /// The directories' own attributes.
    pub(super) roots: BTreeMap<NodeId, Attributes>,
}

/// What each change attribute of an object has stood for.
#[derive(Debug, Default)]
pub(super) struct Changes(HashMap<(u64, u64), (u64, u64)>);

impl Changes {
    /// Takes note of a change attribute: one that stood for something else is a fault.
    pub(super) fn note(&mut self, node: &Node, attributes: &Attributes) -> Result<(), Fault> {
        let stands_for = node.versions();
        let before = self.0.insert((attributes.fileid, attributes.change), stands_for);
        match before {
            Some(before) if before != stands_for => Err(Fault::wrong(format!(
                "the change attribute {:#x} of fileid {} stands for another state than before: {before:?}, {stands_for:?}",
                attributes.change, attributes.fileid
            ))),
            _ => Ok(()),
        }
    }
}

/// An object of the model and what was found in its place.
pub(super) type Match<'a> = (NodeId, &'a Found);

/// Compares a world with what was found: the pairs that belong together, or what is wrong.
pub(super) fn compare<'a>(world: &World, sight: &'a Sight) -> Result<Vec<Match<'a>>, Vec<Fault>> {
    let mut comparison = Comparison { world, matches: Vec::new(), faults: Vec::new() };
    comparison.entries(HOME, &sight.home);
    comparison.entries(SHARED, &sight.shared);
    for (id, found) in &sight.unlinked {
        // Only what this world has without a name; the others are seen by their names.
        let is_unlinked = world.nodes.contains_key(id) && world.links(*id) == 0;
        match found {
            _ if !is_unlinked => {}
            Some(found) => comparison.object("an open file without a name", *id, found),
            None => comparison.faults.push(Fault::lost("an open file without a name: its handle is stale")),
        }
    }
    if let Some(attributes) = sight.roots.get(&HOME) {
        comparison.attributes("the worker's directory", HOME, attributes);
    }
    if comparison.faults.is_empty() { Ok(comparison.matches) } else { Err(comparison.faults) }
}

struct Comparison<'w, 'a> {
    world: &'w World,
    matches: Vec<Match<'a>>,
    faults: Vec<Fault>,
}

impl<'a> Comparison<'_, 'a> {
    fn entries(&mut self, dir: NodeId, found: &'a Entries) {
        for (name, id) in self.world.entries(dir) {
            match found.get(name) {
                Some(found) => self.object(name, id, found),
                None => self.faults.push(Fault::lost(format!("{name} is not there: node {id}"))),
            }
        }
        for (name, found) in found {
            if !self.world.entries(dir).any(|(known, _)| known == name) {
                let what = format!("{name} is there: {:?}", found.attributes);
                self.faults.push(Fault::returned(what));
            }
        }
    }

    fn object(&mut self, name: &str, id: NodeId, found: &'a Found) {
        let node = self.world.node(id);
        self.attributes(name, id, &found.attributes);
        match (&node.kind, &found.body) {
            (Kind::Dir, Body::Dir(entries)) => self.entries(id, entries),
            (Kind::Symlink(target), Body::Symlink(found)) if target != found => {
                self.faults.push(Fault::wrong(format!("{name} leads to {found}, not to {target}")));
            }
            (Kind::File(contents), Body::File(found)) => {
                if let Err(what) = contents.check(found) {
                    self.faults.push(Fault::lost(format!("contents of {name}, node {id}: {what}")));
                }
            }
            // A type that is another is told with the attributes.
            _ => {}
        }
        if matches!(node.kind, Kind::File(_)) {
            self.xattrs(name, &node.xattrs, &found.xattrs);
        }
        self.matches.push((id, found));
    }

    fn attributes(&mut self, name: &str, id: NodeId, found: &Attributes) {
        let wrong = |what| Fault::wrong(format!("{name}, node {id}: {what}"));
        let differences = differences(self.world, id, found);
        self.faults.extend(differences.into_iter().map(wrong));
    }

    fn xattrs(&mut self, name: &str, kept: &BTreeMap<String, Vec<u8>>, found: &BTreeMap<String, Vec<u8>>) {
        for (key, value) in kept {
            if found.get(key) != Some(value) {
                self.faults.push(Fault::lost(format!("extended attribute {key} of {name}")));
            }
        }
        for key in found.keys().filter(|key| !kept.contains_key(*key)) {
            self.faults.push(Fault::returned(format!("extended attribute {key} of {name}")));
        }
    }
}

/// Where attributes are not as the model says. Sizes belong to the contents.
pub(super) fn differences(world: &World, id: NodeId, found: &Attributes) -> Vec<String> {
    let node = world.node(id);
    let mut faults = Vec::new();
    let file_type = match node.kind {
        Kind::File(_) => FileType::Reg,
        Kind::Dir => FileType::Dir,
        Kind::Symlink(_) => FileType::Lnk,
    };
    if found.file_type != file_type {
        faults.push(format!("{:?} instead of {file_type:?}", found.file_type));
    }
    if node.fileid.is_some_and(|fileid| fileid != found.fileid) {
        faults.push(format!("fileid {} instead of {:?}", found.fileid, node.fileid));
    }
    if node.fh.as_ref().is_some_and(|fh| *fh != found.fh) {
        faults.push(format!("filehandle {:?} instead of {:?}", found.fh, node.fh));
    }
    if node.mode.is_some_and(|mode| mode != found.mode) {
        faults.push(format!("mode {:o} instead of {:o}", found.mode, node.mode.unwrap_or(0)));
    }
    if node.mtime.is_some_and(|mtime| mtime != found.mtime) {
        faults.push(format!("time_modify {:?} instead of {:?}", found.mtime, node.mtime));
    }
    let links = world.links(id);
    if id != SHARED && usize::try_from(found.links) != Ok(links) {
        faults.push(format!("{} links instead of {links}", found.links));
    }
    faults
}
