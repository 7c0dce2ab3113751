//! The bytes of a file, as few as there can be: eight at its start, five at the end of 64 bits, and all between them as one.

/// How many cells a file has.
pub(crate) const CELLS: usize = 14;
const MIDDLE: usize = 8;
/// The first byte of the last five cells.
const HIGH: u64 = u64::MAX - 4;

/// A range of cells, both ends included. Not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CellRange {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

fn number(cell: usize) -> u64 {
    u64::try_from(cell).expect("few cells")
}

fn first_byte(cell: usize) -> u64 {
    if cell <= MIDDLE { number(cell) } else { HIGH + number(cell - MIDDLE - 1) }
}

fn last_byte(cell: usize) -> u64 {
    if cell == MIDDLE { HIGH - 1 } else { first_byte(cell) }
}

impl CellRange {
    /// From one cell to another. All but the last byte cannot be asked for: its length means "to the end of the file".
    pub(crate) fn new(first: usize, last: usize) -> Self {
        let last = if first == 0 && last == CELLS - 2 { CELLS - 1 } else { last };
        Self { first, last }
    }

    /// Offset and length. A range that holds the last byte reaches to the end of the file (RFC 8881 section 18.10.3).
    pub(crate) fn on_the_wire(self) -> (u64, u64) {
        let (start, last) = (first_byte(self.first), last_byte(self.last));
        (start, if last == u64::MAX { u64::MAX } else { last - start + 1 })
    }

    pub(crate) fn cells(self) -> std::ops::RangeInclusive<usize> {
        self.first..=self.last
    }

    pub(crate) fn contains(self, cell: usize) -> bool {
        self.cells().contains(&cell)
    }
}
