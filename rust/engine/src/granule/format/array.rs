//! One stored array: its element type, its shape, and where its chunks lie.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::error::{Error, Result};
use crate::granule::format::filters::Filter;
use crate::store::Location;

/// The largest decoded chunk the engine reads.
const MAX_CHUNK_BYTES: usize = 512 << 20;

/// Dimensions a NetCDF variable may have here; HDF5 itself stops at 32.
pub(in crate::granule) const MAX_RANK: usize = 32;

/// Contiguous data are read in blocks of about this size, as if they were chunks.
const CONTIGUOUS_BLOCK: usize = 64 << 10;

/// The numeric types of HDF5 that the engine reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it.
pub enum Dtype {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

impl Dtype {
    pub(in crate::granule) const fn size(self) -> usize {
        match self {
            Dtype::I8 | Dtype::U8 => 1,
            Dtype::I16 | Dtype::U16 => 2,
            Dtype::I32 | Dtype::U32 | Dtype::F32 => 4,
            Dtype::I64 | Dtype::U64 | Dtype::F64 => 8,
        }
    }

    pub(in crate::granule) const fn signed(self) -> Self {
        match self {
            Dtype::U8 => Dtype::I8,
            Dtype::U16 => Dtype::I16,
            Dtype::U32 => Dtype::I32,
            Dtype::U64 => Dtype::I64,
            other => other,
        }
    }

    pub(in crate::granule) const fn is_float(self) -> bool {
        matches!(self, Dtype::F32 | Dtype::F64)
    }

    pub(in crate::granule) const fn unsigned(self) -> Self {
        match self {
            Dtype::I8 => Dtype::U8,
            Dtype::I16 => Dtype::U16,
            Dtype::I32 => Dtype::U32,
            Dtype::I64 => Dtype::U64,
            other => other,
        }
    }
}

/// A stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::granule) struct Stored {
    /// Its place in the row-major order of the chunk grid.
    pub linear: u64,
    pub address: u64,
    pub size: u64,
    /// Bit i: filter i was not applied.
    pub skipped: u32,
}

/// Where the bytes of an array lie.
#[derive(Debug)]
pub(in crate::granule) enum Storage {
    /// In the object header: one chunk, already in this machine's byte order.
    Compact(Vec<u8>),
    /// In one run from this address; `None` if never written.
    Contiguous(Option<u64>),
    /// Each index along the first dimension in a run of its own, so many bytes from one to the next.
    Records { address: u64, stride: u64 },
    /// In chunks, sorted by their place in the grid; those never written are missing.
    Chunks(Vec<Stored>),
}

/// One stored array.
#[derive(Debug)]
pub(in crate::granule) struct Array {
    pub location: Location,
    pub name: String,
    pub dtype: Dtype,
    /// The stored bytes are in the other byte order than this machine's.
    pub swapped: bool,
    pub shape: Vec<u64>,
    /// Extents of a chunk; for contiguous data those of a block.
    pub chunk: Vec<u64>,
    pub storage: Storage,
    pub filters: Vec<Filter>,
    /// The element of chunks never written, in this machine's byte order.
    pub fill: Vec<u8>,
    /// Tells this array's chunks from all others, also from those that another index of the same
    /// file names.
    pub key: u128,
}

/// What is needed of a chunk.
pub(in crate::granule) enum Piece<'a> {
    /// The decoded bytes themselves.
    Inline(&'a [u8]),
    /// Bytes to read and decode.
    Stored(Stored),
    /// Nothing was written; the fill value stands for every element.
    Unwritten,
}

impl Array {
    /// The array with the key that all its chunks depend on: 128 bits of hash, which two arrays
    /// never share in practice.
    #[must_use]
    pub(in crate::granule) fn keyed(mut self) -> Self {
        let layout = (self.dtype, self.swapped, &self.shape, &self.chunk, &self.filters);
        // What postcard writes to a vector it can always write.
        let mut bytes =
            postcard::to_stdvec(&(&self.location, &self.name, layout)).unwrap_or_default();
        match &self.storage {
            Storage::Compact(inline) => bytes.extend(inline),
            Storage::Contiguous(address) => bytes.extend(address.unwrap_or(u64::MAX).to_le_bytes()),
            Storage::Records { address, stride } => {
                bytes.extend(address.to_le_bytes());
                bytes.extend(stride.to_le_bytes());
            }
            Storage::Chunks(chunks) => {
                bytes.reserve(28 * chunks.len());
                for &Stored { linear, address, size, skipped } in chunks {
                    bytes.extend(linear.to_le_bytes());
                    bytes.extend(address.to_le_bytes());
                    bytes.extend(size.to_le_bytes());
                    bytes.extend(skipped.to_le_bytes());
                }
            }
        }
        let half = |seed| u128::from(XxHash3_64::oneshot_with_seed(seed, &bytes));
        self.key = half(0) << 64 | half(1);
        self
    }

    /// Chunks along each dimension.
    pub(in crate::granule) fn grid(&self) -> impl Iterator<Item = u64> {
        self.shape.iter().zip(&self.chunk).map(|(&n, &c)| n.div_ceil(c.max(1)))
    }

    /// The elements a decoded chunk holds along each dimension: less than `chunk` only in the last
    /// block of contiguous data.
    pub(in crate::granule) fn extents(&self, index: &[u64]) -> Vec<u64> {
        let clipped = !matches!(self.storage, Storage::Chunks(_));
        (self.shape.iter().zip(&self.chunk).zip(index))
            .map(|((&n, &c), &i)| if clipped { c.min(n.saturating_sub(i * c)) } else { c })
            .collect()
    }

    /// The decoded size of a chunk with these extents.
    pub(in crate::granule) fn bytes_of(&self, extents: &[u64]) -> Result<usize> {
        decoded_size(extents, self.dtype.size())
    }

    /// What to read for the chunk at `index`.
    pub(in crate::granule) fn piece(&self, index: &[u64]) -> Result<Piece<'_>> {
        let linear = row_major(index.iter().copied().zip(self.grid()))?;
        match &self.storage {
            Storage::Compact(bytes) => Ok(Piece::Inline(bytes)),
            Storage::Contiguous(None) => Ok(Piece::Unwritten),
            Storage::Contiguous(Some(address)) => {
                let address = self.behind(*address, index, 0)?;
                let size = self.bytes_of(&self.extents(index))? as u64;
                Ok(Piece::Stored(Stored { linear, address, size, skipped: 0 }))
            }
            Storage::Records { address, stride } => {
                let record = index.first().copied().unwrap_or_default();
                let start = record.checked_mul(*stride).and_then(|at| at.checked_add(*address));
                let address = self.behind(start.ok_or_else(overflow)?, index, 1)?;
                let size = self.bytes_of(&self.extents(index))? as u64;
                Ok(Piece::Stored(Stored { linear, address, size, skipped: 0 }))
            }
            Storage::Chunks(chunks) => {
                Ok(match chunks.binary_search_by_key(&linear, |chunk| chunk.linear) {
                    Ok(found) => chunks.get(found).map_or(Piece::Unwritten, |c| Piece::Stored(*c)),
                    Err(_) => Piece::Unwritten,
                })
            }
        }
    }

    /// Where the block at `index` starts in a run from `start` that holds the dimensions from `first`
    /// on.
    fn behind(&self, start: u64, index: &[u64], first: usize) -> Result<u64> {
        let origin = index.iter().zip(&self.chunk).map(|(&i, &c)| i.saturating_mul(c));
        let before = row_major(origin.zip(self.shape.iter().copied()).skip(first))?;
        let address = before
            .checked_mul(self.dtype.size() as u64)
            .and_then(|before| start.checked_add(before));
        address.ok_or_else(overflow)
    }

    pub(in crate::granule) const fn is_chunked(&self) -> bool {
        matches!(self.storage, Storage::Chunks(_))
    }

    /// Names the file and the variable in an error.
    pub(in crate::granule) fn blame(&self, error: Error) -> Error {
        error.asset(&self.location).variable(&self.name)
    }

    /// The memory the description takes.
    pub(in crate::granule) fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.storage {
                Storage::Compact(bytes) => bytes.len(),
                Storage::Contiguous(_) | Storage::Records { .. } => 0,
                Storage::Chunks(chunks) => chunks.len() * size_of::<Stored>(),
            }
    }
}

fn overflow() -> Error {
    Error::corrupt("an address overflows")
}

/// The row-major place of an index in a grid, from pairs of index and extent.
fn row_major(mut pairs: impl Iterator<Item = (u64, u64)>) -> Result<u64> {
    pairs
        .try_fold(0u64, |place, (i, n)| place.checked_mul(n)?.checked_add(i))
        .ok_or_else(|| Error::corrupt("the array has more elements than addresses"))
}

/// Elements times `width`, refused when no sound file would need so much at once.
pub(in crate::granule) fn decoded_size(extents: &[u64], width: usize) -> Result<usize> {
    extents
        .iter()
        .try_fold(width as u64, |product, &extent| product.checked_mul(extent))
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|&bytes| bytes <= MAX_CHUNK_BYTES)
        .ok_or_else(|| {
            Error::corrupt(format!(
                "a chunk of {extents:?} elements of {width} bytes exceeds {MAX_CHUNK_BYTES} bytes"
            ))
        })
}

/// The most bytes in the file that a chunk of `size` bytes can take: neither deflate nor a checksum
/// makes it much larger.
pub(in crate::granule) fn most_stored(size: u64) -> u64 {
    size + size / 8 + 4096
}

/// Brings elements of `width` bytes into the other byte order.
pub(in crate::granule) fn swap_bytes(bytes: &mut [u8], width: usize) {
    match width {
        2 => bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|element| element.reverse()),
        4 => bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|element| element.reverse()),
        8 => bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|element| element.reverse()),
        _ => {}
    }
}

/// The block shape in which contiguous data are read: whole trailing dimensions, and as many rows
/// of the one before as fit.
pub(in crate::granule) fn block_shape(shape: &[u64], width: usize) -> Vec<u64> {
    let mut block = vec![1; shape.len()];
    let mut bytes = width as u64;
    for (extent, &n) in block.iter_mut().zip(shape).rev() {
        let fits = (CONTIGUOUS_BLOCK as u64 / bytes.max(1)).max(1);
        *extent = n.min(fits).max(1);
        if *extent < n {
            break;
        }
        bytes = bytes.saturating_mul(n.max(1));
    }
    block
}

/// The same of records: a block lies in one of them.
pub(in crate::granule) fn record_shape(shape: &[u64], width: usize) -> Vec<u64> {
    let mut block = vec![1];
    block.extend(block_shape(shape.get(1..).unwrap_or_default(), width));
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_rows() {
        assert_eq!(block_shape(&[10, 20], 4), [10, 20]);
        assert_eq!(block_shape(&[5000, 4096], 4), [4, 4096]);
        assert_eq!(block_shape(&[3, 5000, 4096], 4), [1, 4, 4096]);
        assert_eq!(block_shape(&[2, 1 << 20], 8), [1, 8192]);
        assert_eq!(block_shape(&[], 8), [0u64; 0]);
        assert_eq!(record_shape(&[3, 5, 7], 4), [1, 5, 7]);
        assert_eq!(record_shape(&[3], 8), [1]);
    }

    #[test]
    fn absurd_chunks_are_refused() {
        assert!(decoded_size(&[1 << 40, 1 << 40], 8).is_err());
        assert!(decoded_size(&[1 << 30], 8).is_err());
        assert_eq!(decoded_size(&[100, 100], 2).ok(), Some(20_000));
    }
}
