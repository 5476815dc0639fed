//! A rectangle of a stored array: its blocks as they are stored, or its values.

use std::iter::{from_fn, successors};
use std::ops::Range;

use crate::error::{Error, Result};
use crate::granule::Ahead;
use crate::granule::chunks::decode::{self, Chunk, Chunks, StoredChunk};
use crate::granule::format::array::Array;
use crate::granule::grids::convert::{Converter, Real};
use crate::granule::grids::window::{Block, Cells};

/// Chunks fetched at once; more are fetched in turns, so that few reads are under way.
const BATCH: usize = 64;

/// A stretch of one stored dimension.
#[derive(Clone, Debug)]
pub(in crate::granule) struct Stretch {
    pub dim: usize,
    /// Stored indices.
    pub range: Range<u64>,
    /// The output runs against the stored order.
    pub reversed: bool,
}

impl Stretch {
    /// From indices `range` of an output axis of `length`.
    pub(in crate::granule) fn new(
        dim: usize,
        range: Range<usize>,
        length: usize,
        reversed: bool,
    ) -> Self {
        let range = if reversed {
            length.saturating_sub(range.end)..length.saturating_sub(range.start)
        } else {
            range
        };
        Self { dim, range: range.start as u64..range.end as u64, reversed }
    }

    fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Where stored indices `part` come to lie in the output.
    fn place(&self, part: &Range<u64>) -> Range<u64> {
        if self.reversed {
            self.range.end - part.end..self.range.end - part.start
        } else {
            part.start - self.range.start..part.end - self.range.start
        }
    }
}

/// A rectangle of an array: rows x columns at fixed indices of all other dimensions.
pub(in crate::granule) struct View<'a> {
    pub array: &'a Array,
    /// None for 1-D arrays.
    pub rows: Option<Stretch>,
    pub cols: Stretch,
    /// The index along each other dimension (those of rows and columns are not looked at).
    pub fixed: Vec<u64>,
}

impl View<'_> {
    fn range(&self, dim: usize) -> Range<u64> {
        match &self.rows {
            _ if dim == self.cols.dim => self.cols.range.clone(),
            Some(rows) if dim == rows.dim => rows.range.clone(),
            _ => {
                let index = self.fixed.get(dim).copied().unwrap_or(0);
                index..index + 1
            }
        }
    }

    fn size(&self) -> Option<u64> {
        self.rows.as_ref().map_or(1, Stretch::len).checked_mul(self.cols.len())
    }

    /// The indexes of the chunks that the view touches, as many at a time as are fetched at once.
    fn batches(&self) -> impl Iterator<Item = Vec<Vec<u64>>> {
        let chunk = |(dim, &extent): (usize, &u64)| {
            let (range, extent) = (self.range(dim), extent.max(1));
            range.start / extent..range.end.div_ceil(extent)
        };
        let ranges: Vec<Range<u64>> = self.array.chunk.iter().enumerate().map(chunk).collect();
        let first = ranges.iter().map(|range| range.start).collect();
        let first = (self.size() != Some(0)).then_some(first);
        let mut indexes = successors(first, move |index: &Vec<u64>| following(index, &ranges));
        from_fn(move || Some(indexes.by_ref().take(BATCH).collect::<Vec<_>>()))
            .take_while(|batch| !batch.is_empty())
    }
}

/// The stored chunks that reading the view would fetch, those fetched at once together.
pub(in crate::granule) fn touched(view: &View<'_>) -> Result<Vec<Vec<StoredChunk>>> {
    view.batches().map(|batch| decode::stored(view.array, &batch)).collect()
}

/// Gets what the view touches, for the caches to keep.
pub(in crate::granule) fn bring(chunks: &Chunks, view: &View<'_>, ahead: Ahead) -> Result<()> {
    view.batches().try_for_each(|batch| match ahead {
        Ahead::Download => chunks.download(view.array, &batch),
        Ahead::Decode => chunks.fetch(view.array, &batch).map(drop),
    })
}

/// Converts the rectangle into `out`, row-major.
pub(in crate::granule) fn read<O: Real>(
    chunks: &Chunks,
    view: &View<'_>,
    converter: &Converter<O>,
    out: &mut [O],
) -> Result<()> {
    if view.size() != Some(out.len() as u64) {
        return Err(Error::internal("the output does not have the window's size"));
    }
    let mut gather = Vec::new();
    for batch in view.batches() {
        let fetched = chunks.fetch(view.array, &batch)?;
        for (chunk, index) in fetched.iter().zip(&batch) {
            paste(view, chunk, index, converter, out, &mut gather)?;
        }
    }
    Ok(())
}

/// The index after `index` in row-major order.
fn following(index: &[u64], ranges: &[Range<u64>]) -> Option<Vec<u64>> {
    let mut next = index.to_vec();
    for (i, range) in next.iter_mut().zip(ranges).rev() {
        *i += 1;
        if *i < range.end {
            return Some(next);
        }
        *i = range.start;
    }
    None
}

/// The part of one chunk that lies in a view.
struct Overlap {
    /// Stored rows.
    stored_rows: Range<u64>,
    /// Where its columns lie in the view.
    columns: Range<usize>,
    /// The chunk's element at the first stored row and column.
    first: usize,
    /// Elements from a stored row to the next.
    row_stride: usize,
    /// Elements from a stored column to the next.
    column_stride: usize,
}

impl Overlap {
    /// `None` where the chunk does not reach into the view.
    fn new(view: &View<'_>, index: &[u64]) -> Option<Self> {
        let extents = view.array.extents(index);
        let (mut columns, mut column_stride) = (0..1, 1);
        let (mut stored_rows, mut row_stride) = (0..1, 0);
        let (mut stride, mut first) = (1u64, 0u64);
        for dim in (0..extents.len()).rev() {
            let (extent, origin) = (extents[dim], index[dim] * view.array.chunk[dim]);
            let wanted = view.range(dim);
            let part = wanted.start.max(origin)..wanted.end.min(origin + extent);
            if part.is_empty() {
                return None;
            }
            first += (part.start - origin) * stride;
            if dim == view.cols.dim {
                (columns, column_stride) = (view.cols.place(&part), stride);
            } else if view.rows.as_ref().is_some_and(|rows| rows.dim == dim) {
                (stored_rows, row_stride) = (part, stride);
            }
            stride *= extent;
        }
        Some(Self {
            stored_rows,
            columns: columns.start as usize..columns.end as usize,
            first: first as usize,
            row_stride: row_stride as usize,
            column_stride: column_stride as usize,
        })
    }
}

/// The blocks of a view whose columns lie one after another as they are stored, from west to east;
/// `None` for other views. Chunks never written are left out unless the fill value is valid.
pub(in crate::granule) fn blocks<'a>(
    chunks: &Chunks,
    view: &View<'a>,
    fill_is_valid: bool,
) -> Result<Option<Vec<Block<'a>>>> {
    let adjacent = view.array.chunk.iter().skip(view.cols.dim + 1).all(|&extent| extent == 1);
    let Some(rows) = view.rows.as_ref().filter(|_| adjacent && !view.cols.reversed) else {
        return Ok(None);
    };
    let element = view.array.dtype.size();
    let mut blocks = Vec::new();
    for batch in view.batches() {
        let fetched = chunks.fetch(view.array, &batch)?;
        for (chunk, index) in fetched.into_iter().zip(&batch) {
            let Some(overlap) = Overlap::new(view, index) else { continue };
            let placed = rows.place(&overlap.stored_rows);
            let pitch = overlap.row_stride * element;
            let last =
                overlap.stored_rows.end.saturating_sub(overlap.stored_rows.start + 1) as usize;
            let first = overlap.first * element + if rows.reversed { last * pitch } else { 0 };
            let pitch = if rows.reversed { -(pitch as isize) } else { pitch as isize };
            let (cells, first, pitch) = match chunk {
                Chunk::Inline(bytes) => (Cells::Inline(bytes), first, pitch),
                Chunk::Decoded(bytes) => (Cells::Decoded(bytes), first, pitch),
                Chunk::Unwritten if !fill_is_valid => continue,
                Chunk::Unwritten => {
                    (Cells::Filled(view.array.fill.repeat(overlap.columns.len())), 0, 0)
                }
            };
            let rows = placed.start as usize..placed.end as usize;
            blocks.push(Block { rows, columns: overlap.columns, cells, first, pitch });
        }
    }
    Ok(Some(blocks))
}

/// Converts the part of one chunk that lies in the view.
fn paste<O: Real>(
    view: &View<'_>,
    chunk: &Chunk<'_>,
    index: &[u64],
    converter: &Converter<O>,
    out: &mut [O],
    gather: &mut Vec<u8>,
) -> Result<()> {
    let Some(overlap) = Overlap::new(view, index) else { return Ok(()) };
    let bytes = match chunk {
        Chunk::Inline(bytes) => Some(*bytes),
        Chunk::Decoded(bytes) => Some(bytes.as_slice()),
        Chunk::Unwritten => None,
    };
    let blank = converter.one(&view.array.fill);
    let (width, element) = (view.cols.len() as usize, view.array.dtype.size());
    for (step, row) in overlap.stored_rows.clone().enumerate() {
        let to = view.rows.as_ref().map_or(0, |rows| rows.place(&(row..row + 1)).start) as usize;
        let to = to * width;
        let target = out.get_mut(to + overlap.columns.start..to + overlap.columns.end);
        let target = target.ok_or_else(|| Error::internal("a row lies outside the window"))?;
        let Some(bytes) = bytes else {
            target.fill(blank);
            continue;
        };
        let from = (overlap.first + step * overlap.row_stride) * element;
        let needed = ((target.len() - 1) * overlap.column_stride + 1) * element;
        let source = bytes.get(from..from + needed);
        let source = source.ok_or_else(|| Error::corrupt("a chunk is shorter than its shape"))?;
        converter.strided(source, overlap.column_stride, target, gather);
        if view.cols.reversed {
            target.reverse();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::granule::cf::packing::Packing;
    use crate::granule::format::array::{Dtype, Storage, Stored};
    use crate::granule::grids::sums::Summation;
    use crate::granule::grids::window::Window;
    use crate::store::{ByteSource, Location};

    /// Element i of the object is i mod 251.
    struct Ramp;

    impl ByteSource for Ramp {
        fn read(&self, _: &Location, range: Range<u64>) -> Result<Bytes> {
            Ok(range.map(|i| (i % 251) as u8).collect())
        }

        fn size(&self, _: &Location) -> Result<u64> {
            Ok(u64::MAX)
        }
    }

    /// Bytes in chunks of 5 x 7, every third of which was never written; or in one run.
    fn array(shape: [u64; 2], chunked: bool) -> Array {
        let chunk = [5, 7];
        let chunks = shape[0].div_ceil(chunk[0]) * shape[1].div_ceil(chunk[1]);
        let stored =
            |linear| Stored { linear, address: 1000 + 9000 * linear, size: 35, skipped: 0 };
        let written = (0..chunks).filter(|linear| linear % 3 != 1).map(stored).collect();
        Array {
            location: Location::whole("ramp"),
            name: "v".to_owned(),
            dtype: Dtype::U8,
            swapped: false,
            shape: shape.to_vec(),
            chunk: chunk.to_vec(),
            storage: if chunked { Storage::Chunks(written) } else { Storage::Contiguous(Some(0)) },
            filters: Vec::new(),
            fill: vec![0],
            key: 7,
        }
    }

    proptest! {
        #[test]
        fn what_is_touched_is_what_is_fetched(
            shape in [1u64..120, 1u64..120],
            cuts in [0.0f64..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0],
            chunked in any::<bool>(),
            reversed in any::<bool>(),
        ) {
            let array = array(shape, chunked);
            let stretch = |dim: usize, a: f64, b: f64| {
                let n = shape[dim];
                let at = |cut: f64| (cut * (n + 1) as f64) as usize;
                Stretch::new(dim, at(a.min(b))..at(a.max(b)), n as usize, reversed)
            };
            let view = View {
                array: &array,
                rows: Some(stretch(0, cuts[0], cuts[1])),
                cols: stretch(1, cuts[2], cuts[3]),
                fixed: vec![0, 0],
            };
            let touched: Vec<StoredChunk> = touched(&view).unwrap().concat();

            let chunks = Chunks::new(Arc::new(Ramp), 1 << 20, Arc::new(AtomicU64::new(0)));
            let mut out = vec![0f32; view.size().unwrap() as usize];
            read(&chunks, &view, &Converter::new(&Packing::none(Dtype::U8)), &mut out).unwrap();

            let ids: HashSet<u64> = touched.iter().map(|chunk| chunk.id).collect();
            prop_assert_eq!(ids.len(), touched.len());
            prop_assert_eq!(&ids, &chunks.seen());
            prop_assert_eq!(chunks.decoded.load(Ordering::Relaxed), ids.len() as u64);
            let bytes: usize = touched.iter().map(|chunk| chunk.bytes).sum();
            prop_assert_eq!(chunks.kept_bytes(), bytes);

            read(&chunks, &view, &Converter::new(&Packing::none(Dtype::U8)), &mut out).unwrap();
            prop_assert_eq!(chunks.hits.load(Ordering::Relaxed), ids.len() as u64);
            prop_assert_eq!(chunks.distinct(), ids.len() as u64);

            let chunks = Chunks::new(Arc::new(Ramp), 1 << 20, Arc::new(AtomicU64::new(0)));
            let blocks = blocks(&chunks, &view, false).unwrap();
            prop_assert_eq!(blocks.is_none(), reversed);
            if let Some(blocks) = blocks {
                prop_assert_eq!(&ids, &chunks.seen());
                let summation = Summation::new(&Packing::none(Dtype::U8)).unwrap();
                prop_assert!(Window::new(blocks, summation).is_ok());
            }
        }
    }
}
