//! Which operations there are: collected from the linked crates, changed at will, then frozen into one table per minor version.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::layer::{Layer, Layered};
use crate::op::{Adapter, DynOperation, Minors, OpDescriptor, Operation};
use crate::proto::{Minor, OpNum};

/// One operation that a linked crate has: made by [`register_operation!`](crate::register_operation).
pub struct Registration {
    make: fn() -> Arc<dyn DynOperation>,
    origin: &'static str,
}

impl Registration {
    /// Registers what `make` makes in the name of the crate or module `origin`.
    pub const fn new(make: fn() -> Arc<dyn DynOperation>, origin: &'static str) -> Self {
        Self { make, origin }
    }
}

inventory::collect!(Registration);

/// The type-erased form of an operation; what [`register_operation!`](crate::register_operation) expands to.
pub fn erase<O: Operation>(op: O) -> Arc<dyn DynOperation> {
    Arc::new(Adapter::new(op))
}

/// Makes a unit struct that is an [`Operation`] part of [`Registry::linked`] in every program that links its crate.
#[macro_export]
macro_rules! register_operation {
    ($op:ident) => {
        $crate::__private::inventory::submit! {
            $crate::registry::Registration::new(|| $crate::registry::erase($op), module_path!())
        }
    };
}

/// Why a registry cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two operations claim a number.
    #[error("operation number {number} ({name}) is claimed by {first} and by {second}")]
    Duplicate {
        /// The number.
        number: u32,
        /// The RFC's name of the first claim.
        name: &'static str,
        /// Where the first claim comes from.
        first: &'static str,
        /// Where the second comes from.
        second: &'static str,
    },
    /// An operation is to be replaced, wrapped or removed that is not there.
    #[error("there is no operation {0} to change")]
    Absent(OpNum),
    /// An operation's number is too large for the table.
    #[error("operation number {0} is above {max}", max = Registry::MAX_OPNUM)]
    TooLarge(u32),
}

struct Entry {
    op: Arc<dyn DynOperation>,
    origin: &'static str,
}

/// Operations by number, still open to change.
#[derive(Default)]
pub struct Registry {
    entries: BTreeMap<u32, Entry>,
    fault: Option<RegistryError>,
}

impl Registry {
    /// The highest number that an operation may have; the RFCs' end at 75.
    pub const MAX_OPNUM: u32 = 1023;

    /// No operations.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every operation of the linked crates.
    pub fn linked() -> Self {
        let mut registry = Self::empty();
        let mut linked: Vec<_> = inventory::iter::<Registration>.into_iter().collect();
        linked.sort_by_key(|registration| registration.origin);
        for registration in linked {
            registry.insert((registration.make)(), registration.origin);
        }
        registry
    }

    /// Adds an operation. A number that is taken makes [`build`](Self::build) fail.
    #[allow(clippy::should_implement_trait)] // no sum, and the name of the thing
    pub fn add<O: Operation>(mut self, op: O) -> Self {
        self.insert(erase(op), std::any::type_name::<O>());
        self
    }

    /// Puts an operation in the place of the one with its number.
    pub fn replace<O: Operation>(mut self, op: O) -> Self {
        let number = O::DESCRIPTOR.opnum;
        if self.entries.remove(&number.code()).is_none() {
            self.fail(RegistryError::Absent(number));
        }
        self.insert(erase(op), std::any::type_name::<O>());
        self
    }

    /// Takes an operation out: it is then NFS4ERR_NOTSUPP.
    pub fn remove(mut self, number: OpNum) -> Self {
        if self.entries.remove(&number.code()).is_none() {
            self.fail(RegistryError::Absent(number));
        }
        self
    }

    /// Puts a layer around one operation, outside of those that it has.
    pub fn wrap(mut self, number: OpNum, layer: impl Layer) -> Self {
        match self.entries.get_mut(&number.code()) {
            Some(entry) => entry.op = Arc::new(Layered::new(Arc::new(layer), entry.op.clone())),
            None => self.fail(RegistryError::Absent(number)),
        }
        self
    }

    /// Puts a layer around every operation that is there now.
    pub fn wrap_all(mut self, layer: impl Layer) -> Self {
        let layer: Arc<dyn Layer> = Arc::new(layer);
        for entry in self.entries.values_mut() {
            entry.op = Arc::new(Layered::new(layer.clone(), entry.op.clone()));
        }
        self
    }

    fn insert(&mut self, op: Arc<dyn DynOperation>, origin: &'static str) {
        let number = op.descriptor().opnum.code();
        if number > Self::MAX_OPNUM {
            return self.fail(RegistryError::TooLarge(number));
        }
        match self.entries.get(&number) {
            Some(first) => {
                let name = first.op.descriptor().name;
                let first = first.origin;
                self.fail(RegistryError::Duplicate { number, name, first, second: origin });
            }
            None => {
                self.entries.insert(number, Entry { op, origin });
            }
        }
    }

    fn fail(&mut self, fault: RegistryError) {
        self.fault.get_or_insert(fault);
    }

    /// Freezes the tables; the first thing that went wrong before is said now.
    pub fn build(self) -> Result<OpTable, RegistryError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let last = self.entries.keys().next_back().copied().unwrap_or(0);
        let by_minor = Minor::ALL.map(|minor| (0..=last).map(|number| self.slot(minor, number)).collect());
        let rows = self.entries.values().map(|entry| (*entry.op.descriptor(), entry.origin)).collect();
        Ok(OpTable { by_minor, rows })
    }

    fn slot(&self, minor: Minor, number: u32) -> Slot {
        match self.entries.get(&number).map(|entry| (entry, entry.op.descriptor().minors)) {
            Some((entry, minors)) if minors.contains(minor) => Slot::Run(entry.op.clone()),
            Some((_, Minors::V4_0_ONLY)) => Slot::NotSupp,
            _ if OpNum::from_code(number).is_defined_in(minor) => Slot::NotSupp,
            _ => Slot::Illegal,
        }
    }
}

/// What a number means in a minor version.
#[derive(Clone)]
pub enum Slot {
    /// Nothing: OP_ILLEGAL.
    Illegal,
    /// An operation that this server does not have there: NFS4ERR_NOTSUPP.
    NotSupp,
    /// This operation.
    Run(Arc<dyn DynOperation>),
}

/// The frozen tables.
pub struct OpTable {
    by_minor: [Vec<Slot>; 3],
    rows: Vec<(OpDescriptor, &'static str)>,
}

impl OpTable {
    /// What `number` means in `minor`.
    #[inline]
    pub fn slot(&self, minor: Minor, number: OpNum) -> &Slot {
        let [v0, v1, v2] = &self.by_minor;
        let table = match minor {
            Minor::V0 => v0,
            Minor::V1 => v1,
            Minor::V2 => v2,
        };
        let found = usize::try_from(number.code()).ok().and_then(|index| table.get(index));
        match found {
            Some(slot) => slot,
            None if number.is_defined_in(minor) => &Slot::NotSupp,
            None => &Slot::Illegal,
        }
    }

    /// Every row in the order of the numbers, and where it comes from.
    pub fn rows(&self) -> &[(OpDescriptor, &'static str)] {
        &self.rows
    }
}
