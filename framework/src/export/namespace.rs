use std::collections::BTreeMap;
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
