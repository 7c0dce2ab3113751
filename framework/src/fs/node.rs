use std::hash::{Hash, Hasher};

/// A backend's own name for an object: opaque to the framework, at most [`NodeHandle::MAX`] bytes.
///
/// It must name the same object for as long as the object exists, over restarts as well when the backend is
/// durable, and must never come to name another object. It is wrapped in a wire filehandle together with the
/// export and a keyed MAC, so a backend may trust that a handle it is given is one that it made.
#[derive(Clone, Copy)]
pub struct NodeHandle {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl NodeHandle {
    /// The longest handle.
    pub const MAX: usize = 96;

    /// The handle with these bytes; `None` if there are more than [`Self::MAX`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let len = u8::try_from(bytes.len()).ok()?;
        let mut handle = Self { len, bytes: [0; Self::MAX] };
        handle.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(handle)
    }

    /// The handle of an object that the backend knows by a number.
    pub fn from_u64(number: u64) -> Self {
        let mut handle = Self { len: 8, bytes: [0; Self::MAX] };
        if let Some(head) = handle.bytes.first_chunk_mut::<8>() {
            *head = number.to_be_bytes();
        }
        handle
    }

    /// The number that [`from_u64`](Self::from_u64) was given; `None` if the handle has another length.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_bytes().try_into().ok().map(u64::from_be_bytes)
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl PartialEq for NodeHandle {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for NodeHandle {}

impl Hash for NodeHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
