use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use super::ExportId;
use crate::fs::NodeHandle;
use crate::proto::NFS4_FHSIZE;

/// Layout: version, export, MAC, then the backend's handle.
const VERSION: u8 = 1;
const EXPORT_LEN: usize = 4;
const MAC_LEN: usize = 16;
const HEADER_LEN: usize = 1 + EXPORT_LEN + MAC_LEN;
const _: () = assert!(HEADER_LEN + NodeHandle::MAX <= NFS4_FHSIZE as usize);

/// The secret that filehandles are signed with. Handles are persistent as long as it stays.
#[derive(Clone, Copy)]
pub struct FilehandleKey([u8; 16]);

impl FilehandleKey {
    /// A key that was kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new key from the system's randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl std::fmt::Debug for FilehandleKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FilehandleKey(..)")
    }
}

/// A filehandle that this server did not make: NFS4ERR_BADHANDLE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a filehandle of this server")]
pub struct FilehandleError;

/// A wire filehandle in place: no allocation.
pub struct WireHandle {
    len: usize,
    bytes: [u8; HEADER_LEN + NodeHandle::MAX],
}

impl WireHandle {
    /// The bytes for the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Makes and reads wire filehandles.
///
/// A keyed MAC over the export and the backend's handle makes sure that a client cannot turn a handle that it was given into
/// one for another export or another object.
#[derive(Debug, Clone)]
pub struct Filehandles {
    key: FilehandleKey,
}

impl Filehandles {
    /// With this key.
    pub fn new(key: FilehandleKey) -> Self {
        Self { key }
    }

    /// The filehandle of `node` in `export`.
    pub fn encode(&self, export: ExportId, node: &NodeHandle) -> WireHandle {
        let mut handle = WireHandle { len: 0, bytes: [0; HEADER_LEN + NodeHandle::MAX] };
        let mut put = |bytes: &[u8]| {
            if let Some(to) = handle.bytes.get_mut(handle.len..handle.len + bytes.len()) {
                to.copy_from_slice(bytes);
                handle.len += bytes.len();
            }
        };
        put(&[VERSION]);
        put(&export.0.to_be_bytes());
        put(&self.mac(export, node.as_bytes()));
        put(node.as_bytes());
        handle
    }

    /// What a filehandle from the wire names.
    pub fn decode(&self, handle: &[u8]) -> Result<(ExportId, NodeHandle), FilehandleError> {
        let (version, rest) = handle.split_first().ok_or(FilehandleError)?;
        let (export, rest) = rest.split_first_chunk::<EXPORT_LEN>().ok_or(FilehandleError)?;
        let (mac, node) = rest.split_first_chunk::<MAC_LEN>().ok_or(FilehandleError)?;
        let export = ExportId(u32::from_be_bytes(*export));
        if *version != VERSION || !is_equal(mac, &self.mac(export, node)) {
            return Err(FilehandleError);
        }
        Ok((export, NodeHandle::new(node).ok_or(FilehandleError)?))
    }

    fn mac(&self, export: ExportId, node: &[u8]) -> [u8; MAC_LEN] {
        let mut hasher = SipHasher24::new_with_key(&self.key.0);
        hasher.write(&export.0.to_be_bytes());
        hasher.write(node);
        hasher.finish128().as_bytes()
    }
}

/// Compares without telling by its duration where two MACs differ.
fn is_equal(a: &[u8; MAC_LEN], b: &[u8; MAC_LEN]) -> bool {
    (u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(key: u8) -> Filehandles {
        Filehandles::new(FilehandleKey::from_bytes([key; 16]))
    }

    #[test]
    fn a_handle_comes_back_as_it_went() {
        let node = NodeHandle::new(&[7; NodeHandle::MAX]).unwrap();
        let wire = codec(1).encode(ExportId(9), &node);
        assert!(wire.as_bytes().len() <= NFS4_FHSIZE as usize);
        assert_eq!(codec(1).decode(wire.as_bytes()), Ok((ExportId(9), node)));
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let node = NodeHandle::from_u64(42);
        let wire = codec(1).encode(ExportId(9), &node).as_bytes().to_vec();
        for index in 0..wire.len() {
            let mut forged = wire.clone();
            forged[index] ^= 1;
            assert_eq!(codec(1).decode(&forged), Err(FilehandleError), "byte {index}");
        }
        assert_eq!(codec(2).decode(&wire), Err(FilehandleError), "another key");
        for len in 0..wire.len() {
            assert_eq!(codec(1).decode(&wire[..len]), Err(FilehandleError), "cut to {len}");
        }
    }
}
