use crate::xdr::{XdrDecode, XdrEncode, XdrError, XdrReader, XdrWriter};

/// Words of a bitmap that are kept: attribute numbers up to 127. Any higher one on the wire is kept as 127, which
/// no RFC defines either, so that a set with it is still a set with an unsupported attribute.
const WORDS: usize = 4;
/// Words that a bitmap on the wire may have before it is refused.
const WIRE_WORDS: u32 = 64;

/// bitmap4: a set of attribute numbers (RFC 8881 section 3.3.7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bitmap([u32; WORDS]);

impl Bitmap {
    /// The empty set.
    pub const EMPTY: Self = Self([0; WORDS]);

    /// The set of these attribute numbers; a number above 127 is not kept.
    pub const fn of(numbers: &[u32]) -> Self {
        let mut set = Self::EMPTY;
        let mut i = 0;
        while i < numbers.len() {
            #[allow(clippy::indexing_slicing)] // `i` is below the length; `const fn` has no iterators
            let number = numbers[i];
            set = set.with(number);
            i += 1;
        }
        set
    }

    /// This set and one attribute more.
    pub const fn with(mut self, number: u32) -> Self {
        let word = (number / 32) as usize;
        if word < WORDS {
            #[allow(clippy::indexing_slicing)] // checked just above
            {
                self.0[word] |= 1 << (number % 32);
            }
        }
        self
    }

    /// Adds one attribute.
    pub fn insert(&mut self, number: u32) {
        *self = self.with(number);
    }

    /// Takes one attribute out.
    pub fn remove(&mut self, number: u32) {
        *self = self.minus(Self::EMPTY.with(number));
    }

    /// Whether the attribute is in the set.
    #[inline]
    pub fn contains(&self, number: u32) -> bool {
        self.0.get((number / 32) as usize).is_some_and(|word| word & (1 << (number % 32)) != 0)
    }

    /// Whether the set has no attribute.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// What is in both sets.
    #[inline]
    pub fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    /// What is in either set.
    #[inline]
    pub fn or(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    /// What is in this set and not in `other`.
    #[inline]
    pub fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    #[inline]
    fn zip(self, other: Self, f: impl Fn(u32, u32) -> u32) -> Self {
        let mut words = self.0;
        words.iter_mut().zip(other.0).for_each(|(word, o)| *word = f(*word, o));
        Self(words)
    }

    /// The attribute numbers in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0u32..).zip(self.0).flat_map(|(index, word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros();
                    left &= left - 1;
                    index * 32 + bit
                })
            })
        })
    }
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl XdrDecode for Bitmap {
    fn decode(r: &mut XdrReader<'_>) -> Result<Self, XdrError> {
        let len = r.array_len(WIRE_WORDS, 4)?;
        let mut set = Self::EMPTY;
        for index in 0..len {
            let word = r.u32()?;
            match set.0.get_mut(index) {
                Some(kept) => *kept = word,
                None if word != 0 => set.insert(127),
                None => (),
            }
        }
        Ok(set)
    }
}

impl XdrEncode for Bitmap {
    /// Without trailing zero words.
    fn encode(&self, w: &mut XdrWriter) {
        let len = WORDS - self.0.iter().rev().take_while(|word| **word == 0).count();
        w.len_prefix(len);
        for word in self.0.iter().take(len) {
            w.u32(*word);
        }
    }
}
