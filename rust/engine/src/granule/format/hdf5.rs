//! What hdf5-reader tells of NetCDF4 files: objects, attributes, dimension scales, chunk indexes.
//! Only this module and the filters that it decodes know it.

mod attribute;
mod chunk_tree;
mod layout;
mod storage;

use std::sync::Arc;

use hdf5_reader::error::Error as Hdf5Error;
use hdf5_reader::group::Group;
use hdf5_reader::{ByteOrder, Datatype, Hdf5File, OpenOptions};

use crate::error::{Error, Result};
use crate::granule::format::array::{Array, Dtype, MAX_RANK, Storage, decoded_size, swap_bytes};
use crate::granule::format::attribute::Attribute;
use crate::granule::format::blocks::Blocks;
use crate::store::Location;

/// Far above the object headers of real files, which take a few KiB.
const MAX_HEADER_BYTES: usize = 4 << 20;

/// How netCDF marks dimensions without a coordinate variable.
const BARE_DIMENSION: &str = "This is a netCDF dimension but not a netCDF variable";

/// An open file: metadata only.
pub(super) struct File {
    file: Hdf5File,
    root: Group,
    blocks: Arc<Blocks>,
}

/// A dataset of the file.
pub(super) struct Dataset<'a> {
    file: &'a File,
    dataset: hdf5_reader::Dataset,
}

impl File {
    pub(super) fn open(blocks: Blocks) -> Result<Self> {
        let blocks = Arc::new(blocks);
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_max_object_header_bytes(MAX_HEADER_BYTES);
        let opened = Hdf5File::from_storage_with_options(blocks.clone(), options)
            .and_then(|file| Ok((file.root_group()?, file)));
        let (root, file) = opened.map_err(|e| storage::explain(&blocks, &e))?;
        Ok(Self { file, root, blocks })
    }

    fn explain(&self, error: &Hdf5Error) -> Error {
        storage::explain(&self.blocks, error)
    }

    /// The dataset of this name (a path, if in a group); `None` if there is none.
    pub(super) fn dataset(&self, name: &str) -> Result<Option<Dataset<'_>>> {
        match self.file.dataset(name) {
            Ok(dataset) => Ok(Some(Dataset { file: self, dataset })),
            Err(e) if is_absent(&e) => self.blocks.healthy().map(|()| None),
            Err(e) => Err(self.explain(&e)),
        }
    }

    /// The name of the dataset that a reference points at, if it is in the root group or in `parent`.
    pub(super) fn name_at(&self, address: u64, parent: &str) -> Result<Option<String>> {
        let mut groups = vec![(self.root.clone(), String::new())];
        if !parent.is_empty() {
            let group = self.file.group(parent).map_err(|e| self.explain(&e))?;
            groups.insert(0, (group, format!("{parent}/")));
        }
        for (group, prefix) in groups {
            let name = group.child_name_by_address(address).map_err(|e| self.explain(&e))?;
            if let Some(name) = name {
                return Ok(Some(format!("{prefix}{name}")));
            }
        }
        Ok(None)
    }

    /// Names of the datasets in the group `parent`; none if the group holds objects that cannot be
    /// listed.
    pub(super) fn names(&self, parent: &str) -> Result<Vec<String>> {
        let listed = if parent.is_empty() {
            self.root.member_names()
        } else {
            self.file.group(parent).and_then(|group| group.member_names())
        };
        self.blocks.healthy()?;
        Ok(listed.map(|(_, datasets)| datasets).unwrap_or_default())
    }

    /// Fails if a read failed unnoticed while metadata were parsed.
    pub(super) fn healthy(&self) -> Result<()> {
        self.blocks.healthy()
    }
}

impl Dataset<'_> {
    pub(super) fn shape(&self) -> &[u64] {
        self.dataset.shape()
    }

    pub(super) fn address(&self) -> u64 {
        self.dataset.address()
    }

    pub(super) fn is_numeric(&self) -> bool {
        numeric(self.dataset.dtype()).is_some()
    }

    /// Whether dimension `d` may grow.
    pub(super) fn is_unlimited(&self, d: usize) -> bool {
        self.dataset.max_dims().and_then(|dims| dims.get(d)) == Some(&u64::MAX)
    }

    /// The attribute of this name.
    pub(super) fn attribute(&self, name: &str) -> Result<Option<Attribute>> {
        match self.dataset.attribute(name) {
            Ok(raw) => {
                self.file.healthy()?;
                attribute::decode(&raw).map(Some)
            }
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(self.file.explain(&e)),
        }
    }

    /// Whether it only stands for a dimension, and holds no coordinates.
    pub(super) fn is_bare_dimension(&self) -> Result<bool> {
        let name = self.attribute("NAME")?;
        Ok(matches!(name, Some(Attribute::Text(name)) if name.starts_with(BARE_DIMENSION)))
    }

    /// Its elements, which are strings.
    pub(super) fn texts(&self) -> Result<Vec<String>> {
        self.dataset.read_strings().map_err(|e| self.file.explain(&e))
    }

    /// For each dimension the address of its first dimension scale.
    pub(super) fn scales(&self) -> Result<Vec<Option<u64>>> {
        let mut scales = vec![None; self.shape().len()];
        let list = match self.dataset.attribute("DIMENSION_LIST") {
            Ok(list) => list,
            Err(e) if is_absent(&e) => return Ok(scales),
            Err(e) => return Err(self.file.explain(&e)),
        };
        let width = self.dataset.vlen_reference_size();
        let address_bytes = usize::from(self.file.file.superblock().offset_size);
        for (scale, entry) in scales.iter_mut().zip(list.raw_data.chunks_exact(width.max(1))) {
            let references = self
                .dataset
                .resolve_vlen_reference_bytes(entry, address_bytes)
                .map_err(|e| self.file.explain(&e))?;
            *scale = references.get(..address_bytes).map(little_endian);
        }
        Ok(scales)
    }

    /// The array, without location, name and key, with its chunk index. `shape` may extend unlimited
    /// dimensions beyond what is stored.
    pub(super) fn describe(&self, shape: Vec<u64>) -> Result<Array> {
        let header = self
            .file
            .file
            .get_or_parse_header(self.dataset.address())
            .map_err(|e| self.file.explain(&e))?;
        let (dtype, swapped) = self.dtype()?;
        if shape.len() > MAX_RANK {
            return Err(Error::corrupt(format!("{} dimensions are too many", shape.len())));
        }
        let (mut storage, chunk) = self.storage(&header, &shape, dtype.size())?;
        decoded_size(&chunk, dtype.size())?;
        let mut fill = layout::fill_value(&header, dtype.size());
        if swapped {
            fill.reverse();
            if let Storage::Compact(bytes) = &mut storage {
                swap_bytes(bytes, dtype.size());
            }
        }
        let filters = match &storage {
            Storage::Chunks(_) => layout::filters(&header)?,
            _ => Vec::new(),
        };
        let (location, name, key) = (Location::whole(""), String::new(), 0);
        Ok(Array { location, name, dtype, swapped, shape, chunk, storage, filters, fill, key })
    }

    fn dtype(&self) -> Result<(Dtype, bool)> {
        let datatype = self.dataset.dtype();
        let Some((dtype, swapped)) = numeric(datatype) else {
            return Err(Error::unsupported(format!(
                "values of type {} are not read, only integers and floats of up to 64 bits",
                type_name(datatype)
            )));
        };
        let raw = self.dataset.raw_datatype().map_err(|e| self.file.explain(&e))?;
        if !is_plain(&raw, dtype) {
            return Err(Error::unsupported(
                "numbers of reduced precision or a non-IEEE layout are not read",
            ));
        }
        Ok((dtype, swapped))
    }
}

/// The type, and whether its bytes have to be swapped.
fn numeric(datatype: &Datatype) -> Option<(Dtype, bool)> {
    let (dtype, order) = match *datatype {
        Datatype::FixedPoint { size, signed, byte_order } => {
            let dtype = match size {
                1 => Dtype::I8,
                2 => Dtype::I16,
                4 => Dtype::I32,
                8 => Dtype::I64,
                _ => return None,
            };
            (if signed { dtype } else { dtype.unsigned() }, byte_order)
        }
        Datatype::FloatingPoint { size: 4, byte_order } => (Dtype::F32, byte_order),
        Datatype::FloatingPoint { size: 8, byte_order } => (Dtype::F64, byte_order),
        _ => return None,
    };
    let stored_little = order == ByteOrder::LittleEndian;
    Some((dtype, stored_little != cfg!(target_endian = "little") && dtype.size() > 1))
}

/// Whether a stored datatype message describes an ordinary machine number: every bit used, floats
/// laid out as IEEE 754 has it (HDF5 File Format Specification, IV.A.2.d).
fn is_plain(message: &[u8], dtype: Dtype) -> bool {
    let bits = (8 * dtype.size()) as u16;
    let [_, _, _, _, _, _, _, _, o0, o1, p0, p1, rest @ ..] = message else { return false };
    if u16::from_le_bytes([*o0, *o1]) != 0 || u16::from_le_bytes([*p0, *p1]) != bits {
        return false;
    }
    match (dtype, rest) {
        (Dtype::F32, [23, 8, 0, 23, 127, 0, 0, 0, ..]) => true,
        (Dtype::F64, [52, 11, 0, 52, 255, 3, 0, 0, ..]) => true,
        (Dtype::F32 | Dtype::F64, _) => false,
        _ => true,
    }
}

fn type_name(datatype: &Datatype) -> &'static str {
    match datatype {
        Datatype::FixedPoint { .. } => "integer (of another size)",
        Datatype::FloatingPoint { .. } => "float (of another size)",
        Datatype::String { .. } => "string",
        Datatype::Compound { .. } => "compound",
        Datatype::Array { .. } => "array",
        Datatype::Enum { .. } => "enum",
        Datatype::VarLen { .. } => "variable-length",
        Datatype::Opaque { .. } => "opaque",
        Datatype::Reference { .. } => "reference",
        Datatype::Bitfield { .. } => "bitfield",
    }
}

fn is_absent(error: &Hdf5Error) -> bool {
    match error {
        Hdf5Error::DatasetNotFound(_)
        | Hdf5Error::GroupNotFound(_)
        | Hdf5Error::AttributeNotFound(_) => true,
        Hdf5Error::Context { source, .. } => is_absent(source),
        _ => false,
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}
