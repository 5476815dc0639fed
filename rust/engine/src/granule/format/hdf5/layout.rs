//! How a dataset is laid out: contiguous, compact or chunked, its chunk index and its filters.

use std::ops::Range;

use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::filter_pipeline::FilterPipelineMessage;
use hdf5_reader::messages::layout::{ChunkIndexing, DataLayout};
use hdf5_reader::object_header::ObjectHeader;
use hdf5_reader::{chunk_index, extensible_array, fixed_array};

use super::Dataset;
use super::chunk_tree::{ChunkTree, Leaf};
use crate::error::{Error, Result};
use crate::granule::format::array::{Storage, Stored, block_shape, decoded_size};
use crate::granule::format::filters::Filter;

impl Dataset<'_> {
    pub(super) fn storage(
        &self,
        header: &ObjectHeader,
        shape: &[u64],
        width: usize,
    ) -> Result<(Storage, Vec<u64>)> {
        if header.messages.iter().any(|m| matches!(m, HdfMessage::ExternalFiles(_))) {
            return Err(Error::unsupported("data in external files are not read"));
        }
        let layout = header.messages.iter().find_map(|message| match message {
            HdfMessage::DataLayout(message) => Some(&message.layout),
            _ => None,
        });
        match layout.ok_or_else(|| Error::corrupt("the dataset has no data layout"))? {
            DataLayout::Compact { data } => {
                let size = decoded_size(shape, width)?;
                match data.get(..size) {
                    Some(bytes) => Ok((Storage::Compact(bytes.to_vec()), shape.to_vec())),
                    None => Err(Error::corrupt(format!(
                        "{} bytes are stored where {size} are due",
                        data.len()
                    ))),
                }
            }
            DataLayout::Contiguous { address, .. } => {
                let base = self.file.file.superblock().base_address;
                let address = self.defined(*address).map(|address| address.saturating_add(base));
                Ok((Storage::Contiguous(address), block_shape(shape, width)))
            }
            DataLayout::Chunked { address, dims, chunk_indexing, .. } => {
                // Version 3 layouts list the element size as one more dimension.
                let dims = dims.get(..shape.len()).unwrap_or_default();
                if dims.len() != shape.len() || dims.contains(&0) {
                    return Err(Error::corrupt(format!(
                        "chunks of {dims:?} do not fit the shape {shape:?}"
                    )));
                }
                let chunk: Vec<u64> = dims.iter().map(|&n| u64::from(n)).collect();
                let size = decoded_size(&chunk, width)?;
                let chunks = match self.defined(*address) {
                    None => Vec::new(),
                    Some(address) => {
                        self.chunks(address, dims, chunk_indexing.as_ref(), shape, size)?
                    }
                };
                Ok((Storage::Chunks(chunks), chunk))
            }
        }
    }

    fn defined(&self, address: u64) -> Option<u64> {
        let bits = 8 * u32::from(self.file.file.superblock().offset_size);
        (address.checked_shl(64u32.saturating_sub(bits)) != Some(u64::MAX << (64 - bits.min(64))))
            .then_some(address)
    }

    fn chunks(
        &self,
        address: u64,
        dims: &[u32],
        indexing: Option<&ChunkIndexing>,
        shape: &[u64],
        size: usize,
    ) -> Result<Vec<Stored>> {
        let storage = self.file.file.storage();
        let superblock = self.file.file.superblock();
        let (offset, length) = (superblock.offset_size, superblock.length_size);
        let rank = u32::try_from(shape.len()).unwrap_or(u32::MAX);
        let mut table = ChunkTable::new(shape, dims, size);
        let entries = match indexing {
            None => {
                let tree = ChunkTree { storage, offset_size: offset, rank: shape.len() };
                let base = superblock.base_address;
                let expect = |nodes: &[Range<u64>]| {
                    let absolute = |at: u64| at.saturating_add(base);
                    let stretches = nodes.iter().map(|n| absolute(n.start)..absolute(n.end));
                    self.file.blocks.expect(stretches);
                };
                let visit = |Leaf { address, size, skipped, offsets }: &Leaf| {
                    table.add(offsets, *address, *size, *skipped);
                };
                tree.walk(address, expect, visit).map(|()| Vec::new())
            }
            Some(ChunkIndexing::SingleChunk { filtered_size, filters }) => {
                let rank = shape.len();
                Ok(vec![chunk_index::single_chunk_entry(address, *filtered_size, *filters, rank)])
            }
            Some(ChunkIndexing::BTreeV2) => chunk_index::collect_v2_chunk_entries_storage(
                storage, address, offset, length, rank, dims, None,
            ),
            Some(ordered) => self.ordered_entries(ordered, address, dims, size),
        }
        .map_err(|e| self.file.explain(&e))?;
        for entry in entries {
            table.add(&entry.offsets, entry.address, entry.size, entry.filter_mask);
        }
        table.finish(superblock.base_address)
    }

    /// The indexes that know a chunk by its number alone.
    fn ordered_entries(
        &self,
        indexing: &ChunkIndexing,
        address: u64,
        dims: &[u32],
        size: usize,
    ) -> hdf5_reader::error::Result<Vec<chunk_index::ChunkEntry>> {
        let storage = self.file.file.storage();
        let superblock = self.file.file.superblock();
        let (offset, length) = (superblock.offset_size, superblock.length_size);
        let shape = self.shape();
        match indexing {
            ChunkIndexing::FixedArray { .. } => {
                fixed_array::collect_fixed_array_chunk_entries_storage(
                    storage, address, offset, length, shape, dims, None,
                )
            }
            ChunkIndexing::ExtensibleArray { .. } => {
                let max = self.dataset.max_dims();
                extensible_array::collect_extensible_array_chunk_entries_storage(
                    storage, address, offset, length, shape, max, dims, None,
                )
            }
            _ => {
                let elements = dims.iter().map(|&n| n as usize).product::<usize>().max(1);
                let width = size / elements;
                chunk_index::collect_implicit_chunk_entries(
                    address,
                    shape,
                    dims,
                    width,
                    None,
                    storage.len(),
                )
            }
        }
    }
}

/// Chunks within the shape. A dataset that shrank keeps chunks outside; they are dropped.
struct ChunkTable<'a> {
    shape: &'a [u64],
    dims: &'a [u32],
    /// The decoded size of a chunk.
    size: usize,
    chunks: Vec<Stored>,
    fault: Option<Error>,
}

impl<'a> ChunkTable<'a> {
    fn new(shape: &'a [u64], dims: &'a [u32], size: usize) -> Self {
        Self { shape, dims, size, chunks: Vec::new(), fault: None }
    }

    fn add(&mut self, offsets: &[u64], address: u64, size: u64, skipped: u32) {
        let mut linear = Some(0u64);
        let mut inside = offsets.len() >= self.shape.len();
        for ((&offset, &n), &c) in offsets.iter().zip(self.shape).zip(self.dims) {
            let c = u64::from(c.max(1));
            if offset % c != 0 {
                let message = format!("a chunk at {offsets:?} is off the grid of {:?}", self.dims);
                self.fault = Some(Error::corrupt(message));
            }
            inside &= offset < n;
            linear = linear.and_then(|l| l.checked_mul(n.div_ceil(c))?.checked_add(offset / c));
        }
        if let (true, Some(linear)) = (inside, linear) {
            // Indexes of unfiltered chunks give no size.
            let size = if size == 0 { self.size as u64 } else { size };
            self.chunks.push(Stored { linear, address, size, skipped });
        }
    }

    /// The chunks sorted by their place in the grid, at addresses counted from the file's start.
    fn finish(self, base_address: u64) -> Result<Vec<Stored>> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut chunks = self.chunks;
        chunks.sort_unstable_by_key(|chunk| chunk.linear);
        if chunks.windows(2).any(|pair| matches!(pair, [a, b] if a.linear == b.linear)) {
            return Err(Error::corrupt("the chunk index lists a chunk twice"));
        }
        for chunk in &mut chunks {
            chunk.address = chunk.address.saturating_add(base_address);
        }
        Ok(chunks)
    }
}

pub(super) fn filters(header: &ObjectHeader) -> Result<Vec<Filter>> {
    let pipeline = header.messages.iter().find_map(|message| match message {
        HdfMessage::FilterPipeline(FilterPipelineMessage { filters }) => Some(filters),
        _ => None,
    });
    let filters = pipeline.into_iter().flatten();
    filters
        .map(|filter| Filter::new(filter.id, &filter.client_data, filter.name.as_deref()))
        .collect()
}

/// The stored bytes of the fill value; zeros where none is defined, as HDF5 has it.
pub(super) fn fill_value(header: &ObjectHeader, width: usize) -> Vec<u8> {
    header
        .messages
        .iter()
        .filter_map(|message| match message {
            HdfMessage::FillValue(message) => message.value.clone(),
            _ => None,
        })
        .find(|value| value.len() == width)
        .unwrap_or_else(|| vec![0; width])
}
