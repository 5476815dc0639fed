//! Decoded cells in the type they are stored in, block by block.

use std::ops::Range;
use std::sync::Arc;

use arrow_buffer::ToByteSlice;

use crate::error::{Error, Result};
use crate::granule::grids::sums::{Rows, Summation, Unpack};

/// A window of a grid: rows from south to north by columns from west to east, ready to be summed.
/// It holds the chunks that it needs; cells of no block are invalid.
pub struct Window<'a> {
    /// Sorted by their first rows.
    blocks: Vec<Block<'a>>,
    summation: Summation,
}

/// A rectangle of a window out of one chunk.
pub(in crate::granule) struct Block<'a> {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub cells: Cells<'a>,
    /// Byte of the first row's first cell.
    pub first: usize,
    /// Bytes from a row to the next, which lies to the north.
    pub pitch: isize,
}

/// What holds the bytes.
pub(in crate::granule) enum Cells<'a> {
    Inline(&'a [u8]),
    Decoded(Arc<Vec<u8>>),
    /// One row that stands for all.
    Filled(Vec<u8>),
    Values(Vec<f32>),
}

impl Cells<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Decoded(bytes) => bytes,
            Self::Filled(bytes) => bytes,
            Self::Values(values) => values.to_byte_slice(),
        }
    }
}

impl Block<'_> {
    /// An error unless the chunk holds each row.
    fn check(&self, width: usize) -> Result<()> {
        let short = || Error::corrupt("a chunk is shorter than its shape");
        let last = self.rows.len().saturating_sub(1) as isize;
        let row = self.columns.len() * width;
        let reach = |row_start: Option<usize>| row_start?.checked_add(row);
        for end in [Some(self.first), self.first.checked_add_signed(self.pitch * last)] {
            if reach(end).is_none_or(|end| end > self.cells.bytes().len()) {
                return Err(short());
            }
        }
        Ok(())
    }
}

impl<'a> Window<'a> {
    pub(in crate::granule) fn new(
        mut blocks: Vec<Block<'a>>,
        summation: Summation,
    ) -> Result<Self> {
        let width = summation.dtype().size();
        blocks.iter().try_for_each(|block| block.check(width))?;
        blocks.sort_by_key(|block| block.rows.start);
        Ok(Self { blocks, summation })
    }

    /// A window of `values` in rows of `width`, NaN where invalid.
    ///
    /// # Errors
    /// `Internal`: the values are not whole rows.
    pub fn of_values(values: Vec<f32>, width: usize) -> Result<Self> {
        let height = values.len().checked_div(width).unwrap_or(0);
        if height * width != values.len() {
            return Err(Error::internal("the values of a window are not whole rows"));
        }
        let block = Block {
            rows: 0..height,
            columns: 0..width,
            first: 0,
            pitch: (width * size_of::<f32>()) as isize,
            cells: Cells::Values(values),
        };
        Self::new(vec![block], Summation::of_values())
    }

    /// How sums of the cells become values.
    pub fn unpack(&self) -> Unpack {
        self.summation.unpack
    }

    /// Adds the valid cells of the rows from `row` on, each times its row's weight, to the sums of
    /// their columns, and the weights behind them to `weights`. The slices hold all columns.
    pub fn add(&self, row: usize, row_weights: &[f64], sums: &mut [f64], weights: &mut [f64]) {
        self.visit(row, row_weights, |run, columns| {
            if let (Some(sums), Some(weights)) =
                (sums.get_mut(columns.clone()), weights.get_mut(columns))
            {
                self.summation.add(run, sums, weights);
            }
        });
    }

    /// Asks for the memory that the same [`Window::add`] will read.
    pub fn prefetch(&self, row: usize, row_weights: &[f64]) {
        self.visit(row, row_weights, |run, columns| self.summation.prefetch(&run, columns.len()));
    }

    /// The parts of some rows, block by block.
    fn visit(&self, row: usize, row_weights: &[f64], mut part: impl FnMut(Rows<'_>, Range<usize>)) {
        let end = row + row_weights.len();
        let first = self.blocks.partition_point(|block| block.rows.end <= row);
        let near = self.blocks.iter().skip(first);
        for block in near.take_while(|block| block.rows.start < end) {
            let (from, to) = (row.max(block.rows.start), end.min(block.rows.end));
            let before = block.pitch * (from - block.rows.start) as isize;
            let run = Rows {
                bytes: block.cells.bytes(),
                first: block.first.wrapping_add_signed(before),
                pitch: block.pitch,
                row_weights: row_weights.get(from - row..to.max(from) - row).unwrap_or_default(),
            };
            part(run, block.columns.clone());
        }
    }
}
