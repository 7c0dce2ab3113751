use bytes::Bytes;

/// Why bytes could not be read as the XDR type that was asked for.
///
/// Always the sender's fault: at the RPC level it becomes GARBAGE_ARGS, inside a compound NFS4ERR_BADXDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XdrError {
    /// The buffer ends before the item does.
    #[error("the data ends before the item does")]
    Truncated,
    /// A counted item announces more than its type or the receiver allows.
    #[error("a counted item announces {len} where at most {limit} is allowed")]
    TooLong {
        /// What the sender announced.
        len: u32,
        /// What is allowed.
        limit: u32,
    },
    /// A value that its enumeration, union or boolean does not have.
    #[error("{value} is not a value of {type_name}")]
    BadValue {
        /// The XDR type.
        type_name: &'static str,
        /// The value found.
        value: u32,
    },
    /// Bytes are left over where the item should have ended.
    #[error("{0} bytes are left over")]
    Trailing(usize),
}

/// Reads XDR items from the front of a buffer.
#[derive(Debug, Clone)]
pub struct XdrReader<'a> {
    data: &'a Bytes,
    pos: usize,
}

impl<'a> XdrReader<'a> {
    /// Starts at the first byte of `data`.
    pub fn new(data: &'a Bytes) -> Self {
        Self { data, pos: 0 }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.data.len() - self.pos
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// Goes back (or on) to a position that [`position`](Self::position) gave; a position past the end is the end.
    pub fn seek(&mut self, position: usize) {
        self.pos = position.min(self.data.len());
    }

    /// Everything not yet read, without a copy.
    pub fn rest(&self) -> Bytes {
        self.data.slice(self.pos..)
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], XdrError> {
        let bytes =
            self.data.get(self.pos..).and_then(|rest| rest.first_chunk::<N>()).ok_or(XdrError::Truncated)?;
        self.pos += N;
        Ok(*bytes)
    }

    /// An unsigned integer (RFC 4506 section 4.2).
    #[inline]
    pub fn u32(&mut self) -> Result<u32, XdrError> {
        self.take().map(u32::from_be_bytes)
    }

    /// An integer (RFC 4506 section 4.1).
    #[inline]
    pub fn i32(&mut self) -> Result<i32, XdrError> {
        self.take().map(i32::from_be_bytes)
    }

    /// An unsigned hyper integer (RFC 4506 section 4.5).
    #[inline]
    pub fn u64(&mut self) -> Result<u64, XdrError> {
        self.take().map(u64::from_be_bytes)
    }

    /// A hyper integer (RFC 4506 section 4.5).
    #[inline]
    pub fn i64(&mut self) -> Result<i64, XdrError> {
        self.take().map(i64::from_be_bytes)
    }

    /// A boolean (RFC 4506 section 4.4): 0 or 1 and nothing else.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, XdrError> {
        match self.u32()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(XdrError::BadValue { type_name: "bool", value }),
        }
    }

    /// Fixed-length opaque data (RFC 4506 section 4.9) of a length that is known when compiling.
    #[inline]
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], XdrError> {
        let bytes = self.take::<N>()?;
        self.skip_padding(N)?;
        Ok(bytes)
    }

    /// Variable-length opaque data (RFC 4506 section 4.10) of at most `limit` bytes, as a slice of the request.
    #[inline]
    pub fn opaque(&mut self, limit: u32) -> Result<Bytes, XdrError> {
        let start = self.opaque_bounds(limit)?;
        Ok(self.data.slice(start.0..start.1))
    }

    /// Like [`opaque`](Self::opaque), borrowed: no reference count is touched.
    #[inline]
    pub fn opaque_ref(&mut self, limit: u32) -> Result<&'a [u8], XdrError> {
        let (start, end) = self.opaque_bounds(limit)?;
        self.data.get(start..end).ok_or(XdrError::Truncated)
    }

    fn opaque_bounds(&mut self, limit: u32) -> Result<(usize, usize), XdrError> {
        let len = self.u32()?;
        if len > limit {
            return Err(XdrError::TooLong { len, limit });
        }
        let len = usize::try_from(len).map_err(|_| XdrError::Truncated)?;
        if self.remaining() < len {
            return Err(XdrError::Truncated);
        }
        let start = self.pos;
        self.pos += len;
        self.skip_padding(len)?;
        Ok((start, start + len))
    }

    /// The element count of a variable-length array (RFC 4506 section 4.13).
    ///
    /// Refused when it exceeds `limit`, or when that many elements of at least `min_element` bytes cannot be
    /// in what is left: a caller may allocate for the count that this returns.
    #[inline]
    pub fn array_len(&mut self, limit: u32, min_element: usize) -> Result<usize, XdrError> {
        let len = self.u32()?;
        if len > limit {
            return Err(XdrError::TooLong { len, limit });
        }
        let len = usize::try_from(len).map_err(|_| XdrError::Truncated)?;
        match len.checked_mul(min_element.max(4)) {
            Some(bytes) if bytes <= self.remaining() => Ok(len),
            _ => Err(XdrError::Truncated),
        }
    }

    /// Fails with [`XdrError::Trailing`] unless everything was read.
    pub fn finish(&self) -> Result<(), XdrError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(XdrError::Trailing(left)),
        }
    }

    /// Padding is skipped, not checked: RFC 4506 section 3 asks senders for zeros, and receivers in the field
    /// ignore what is there.
    #[inline]
    fn skip_padding(&mut self, len: usize) -> Result<(), XdrError> {
        let padding = padding(len);
        if self.remaining() < padding {
            return Err(XdrError::Truncated);
        }
        self.pos += padding;
        Ok(())
    }
}

/// How many bytes of padding follow `len` bytes of opaque data.
#[inline]
pub(super) fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}
