use bytes::Bytes;

use super::{XdrError, XdrReader, XdrWriter};

/// A type that can be read from XDR.
pub trait XdrDecode: Sized {
    /// The fewest bytes that one value takes on the wire; bounds what an array may claim.
    const MIN_SIZE: usize = 4;

    /// Reads one value from the front of `r`.
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError>;
}

/// A type that can be written as XDR.
pub trait XdrEncode {
    /// Writes one value at the end of `w`.
    fn encode(&self, w: &mut XdrWriter);
}

/// Reads one value that must take up all of `data`.
pub fn decode_all<T: XdrDecode>(data: &Bytes) -> Result<T, XdrError> {
    let mut r = XdrReader::new(data);
    let value = T::decode(&mut r)?;
    r.finish()?;
    Ok(value)
}

/// One value as contiguous bytes.
pub fn encode_to_bytes<T: XdrEncode + ?Sized>(value: &T) -> Bytes {
    let mut w = XdrWriter::new();
    value.encode(&mut w);
    w.finish().to_bytes()
}

/// `opaque<LIMIT>`: bytes of no more than `LIMIT`, shared with the buffer that they were read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Opaque<const LIMIT: u32>(pub Bytes);

impl<const LIMIT: u32> XdrDecode for Opaque<LIMIT> {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        r.opaque(LIMIT).map(Self)
    }
}

impl<const LIMIT: u32> XdrEncode for Opaque<LIMIT> {
    fn encode(&self, w: &mut XdrWriter) {
        w.opaque_bytes(&self.0);
    }
}

impl<const LIMIT: u32> From<&[u8]> for Opaque<LIMIT> {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl<const LIMIT: u32> From<&str> for Opaque<LIMIT> {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl<const LIMIT: u32> std::ops::Deref for Opaque<LIMIT> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// `utf8str_*`: a string on the wire. It is kept as bytes: what the client sent decides whether it is UTF-8,
/// and the operation decides whether that matters.
pub type Utf8 = Opaque<{ u32::MAX }>;

macro_rules! primitive {
    ($($t:ident $size:literal),*) => {$(
        impl XdrDecode for $t {
            const MIN_SIZE: usize = $size;
            #[inline]
            fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
                r.$t()
            }
        }
        impl XdrEncode for $t {
            #[inline]
            fn encode(&self, w: &mut XdrWriter) {
                w.$t(*self);
            }
        }
    )*};
}
primitive!(u32 4, i32 4, u64 8, i64 8, bool 4);

impl XdrDecode for () {
    const MIN_SIZE: usize = 0;
    fn decode(_: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        Ok(())
    }
}

impl XdrEncode for () {
    fn encode(&self, _: &mut XdrWriter) {}
}

impl<const N: usize> XdrDecode for [u8; N] {
    const MIN_SIZE: usize = N;
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        r.fixed()
    }
}

impl<const N: usize> XdrEncode for [u8; N] {
    fn encode(&self, w: &mut XdrWriter) {
        w.fixed(self);
    }
}

/// A variable-length array without a limit of its own: bounded by what the request can hold.
impl<T: XdrDecode> XdrDecode for Vec<T> {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        let len = r.array_len(u32::MAX, T::MIN_SIZE)?;
        (0..len).map(|_| T::decode(r)).collect()
    }
}

impl<T: XdrEncode> XdrEncode for Vec<T> {
    fn encode(&self, w: &mut XdrWriter) {
        w.len_prefix(self.len());
        for item in self {
            item.encode(w);
        }
    }
}

/// Optional-data (RFC 4506 section 4.19): a boolean, then the item when it is true.
impl<T: XdrDecode> XdrDecode for Option<T> {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        r.bool()?.then(|| T::decode(r)).transpose()
    }
}

impl<T: XdrEncode> XdrEncode for Option<T> {
    fn encode(&self, w: &mut XdrWriter) {
        w.bool(self.is_some());
        if let Some(item) = self {
            item.encode(w);
        }
    }
}
