use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::pseudo::PseudoFileSystem;
use super::{Export, ExportId, ExportNode};
use crate::fs::{FileSystem, NodeHandle};

/// Why exports cannot be joined into one tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// The path is not absolute, or has an empty, `.` or `..` component.
    #[error(
        "{0:?} is not a path that can be exported: it must be absolute, without empty, '.' or '..' components"
    )]
    BadPath(String),
    /// Two exports have the same path, or one lies inside of the other.
    #[error("the exports {0:?} and {1:?} overlap")]
    Overlap(String, String),
    /// Two exports have the same fsid, the pseudo file system's 0.0 included: clients would take their objects for those
    /// of one file system.
    #[error("the exports {0:?} and {1:?} have the same fsid")]
    SameFsid(String, String),
    /// Two exports have the same number, or one has the pseudo file system's.
    #[error("the export number {} is taken", .0.0)]
    DuplicateId(ExportId),
}

/// Collects exports.
#[derive(Default)]
pub struct NamespaceBuilder {
    exports: Vec<Export>,
}

impl NamespaceBuilder {
    /// Adds a file system under a path. `/` alone makes it the root, without a pseudo file system above it.
    pub fn export(mut self, id: ExportId, path: &str, fs: Arc<dyn FileSystem>) -> Self {
        self.exports.push(Export::new(id, path.to_owned(), fs));
        self
    }

    /// Joins them.
    pub fn build(self) -> Result<Namespace, NamespaceError> {
        let mut pseudo = PseudoFileSystem::new();
        let mut exports = BTreeMap::new();
        let mut junctions = BTreeMap::new();
        let mut fsids = HashMap::from([(pseudo.info().fsid, "/".to_owned())]);
        let mut paths: Vec<(Vec<String>, String)> = Vec::new();
        for export in self.exports {
            let components = components(&export.path)?;
            if let Some((_, other)) =
                paths.iter().find(|(p, _)| p.starts_with(&components) || components.starts_with(p))
            {
                return Err(NamespaceError::Overlap(other.clone(), export.path));
            }
            if export.id == ExportId::PSEUDO || exports.contains_key(&export.id) {
                return Err(NamespaceError::DuplicateId(export.id));
            }
            let fsid = export.fs.info().fsid;
            if let Some(other) = fsids.insert(fsid, export.path.clone()) {
                return Err(NamespaceError::SameFsid(other, export.path));
            }
            junctions.insert(pseudo.make_path(&components), export.id);
            paths.push((components, export.path.clone()));
            exports.insert(export.id, Arc::new(export));
        }
        let pseudo = Arc::new(Export::new(ExportId::PSEUDO, "/".to_owned(), Arc::new(pseudo)));
        exports.insert(ExportId::PSEUDO, pseudo.clone());
        Ok(Namespace { exports, junctions, pseudo })
    }
}

fn components(path: &str) -> Result<Vec<String>, NamespaceError> {
    let bad = || NamespaceError::BadPath(path.to_owned());
    let relative = path.strip_prefix('/').ok_or_else(bad)?;
    if relative.is_empty() {
        return Ok(Vec::new());
    }
    let is_bad = |name: &str| matches!(name, "" | "." | "..") || name.len() > 255 || name.contains('\0');
    relative.split('/').map(|name| if is_bad(name) { Err(bad()) } else { Ok(name.to_owned()) }).collect()
}

/// The server's tree: the pseudo file system from the root, and the exports where it has a junction.
#[derive(Debug)]
pub struct Namespace {
    exports: BTreeMap<ExportId, Arc<Export>>,
    /// Node of the pseudo file system to the export that covers it.
    junctions: BTreeMap<u64, ExportId>,
    pseudo: Arc<Export>,
}

impl Namespace {
    /// Starts an empty tree.
    pub fn builder() -> NamespaceBuilder {
        NamespaceBuilder::default()
    }

    /// The export with this number.
    #[inline]
    pub fn export(&self, id: ExportId) -> Option<&Arc<Export>> {
        self.exports.get(&id)
    }

    /// The exports, the pseudo file system included.
    pub fn exports(&self) -> impl Iterator<Item = &Arc<Export>> {
        self.exports.values()
    }

    /// What PUTROOTFH puts.
    pub fn root(&self) -> ExportNode {
        self.enter(ExportNode { export: self.pseudo.clone(), node: self.pseudo.fs.root() })
    }

    /// The root of the export that covers `at`, or `at` itself where there is none: applied to every result of LOOKUP.
    pub fn enter(&self, at: ExportNode) -> ExportNode {
        match self.export_at(&at) {
            Some(export) => ExportNode { node: export.fs.root(), export: export.clone() },
            None => at,
        }
    }

    fn export_at(&self, at: &ExportNode) -> Option<&Arc<Export>> {
        if at.export.id != ExportId::PSEUDO {
            return None;
        }
        self.exports.get(self.junctions.get(&at.node.as_u64()?)?)
    }

    /// The node of the pseudo file system that the root of `at`'s export covers, when `at` is that root: where LOOKUPP goes on,
    /// and whose fileid is its mounted_on_fileid.
    pub fn covered_by(&self, at: &ExportNode) -> Option<ExportNode> {
        if at.export.id == ExportId::PSEUDO || at.node != at.export.fs.root() {
            return None;
        }
        let (node, _) = self.junctions.iter().find(|(_, id)| **id == at.export.id)?;
        Some(ExportNode { export: self.pseudo.clone(), node: NodeHandle::from_u64(*node) })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::export::pseudo::WithFsid;

    // Origin: the paths that an administrator may get wrong.
    // RFC: 8881 sections 5.8.1.9 (fsid) and 7.3 (the pseudo file system).
    #[rstest]
    #[case::relative("export", 1)]
    #[case::empty_component("/a//b", 1)]
    #[case::trailing_slash("/a/", 1)]
    #[case::dot("/a/./b", 1)]
    #[case::dot_dot("/a/../b", 1)]
    fn a_bad_path_is_refused(#[case] path: &str, #[case] minor: u64) {
        let built = Namespace::builder().export(ExportId(1), path, WithFsid::arc(minor)).build();
        assert_eq!(built.err(), Some(NamespaceError::BadPath(path.to_owned())));
    }

    #[rstest]
    #[case::same_path("/a", 2, "/a", 3, NamespaceError::Overlap("/a".into(), "/a".into()))]
    #[case::inside("/a", 2, "/a/b", 3, NamespaceError::Overlap("/a".into(), "/a/b".into()))]
    #[case::below_root("/", 2, "/a", 3, NamespaceError::Overlap("/".into(), "/a".into()))]
    #[case::same_number("/a", 1, "/b", 3, NamespaceError::DuplicateId(ExportId(1)))]
    #[case::pseudo_number("/a", 0, "/b", 3, NamespaceError::DuplicateId(ExportId(0)))]
    #[case::same_fsid("/a", 2, "/b", 2, NamespaceError::SameFsid("/a".into(), "/b".into()))]
    #[case::pseudo_fsid("/a", 2, "/b", 0, NamespaceError::SameFsid("/".into(), "/b".into()))]
    fn exports_that_do_not_go_together_are_refused(
        #[case] first: &str,
        #[case] number: u32,
        #[case] second: &str,
        #[case] minor: u64,
        #[case] error: NamespaceError,
    ) {
        let (one, other) = (WithFsid::arc(2), WithFsid::arc(minor));
        let builder = Namespace::builder().export(ExportId(number), first, one);
        assert_eq!(builder.export(ExportId(1), second, other).build().err(), Some(error));
    }

    #[test]
    fn the_root_can_be_an_export() {
        let namespace = Namespace::builder().export(ExportId(1), "/", WithFsid::arc(2)).build().unwrap();
        assert_eq!(namespace.root().export.id, ExportId(1));
    }
}
