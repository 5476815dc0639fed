//! The classic formats of NetCDF: CDF-1, CDF-2 (64-bit offsets) and CDF-5 (64-bit data), as the
//! NetCDF Users Guide specifies them ("NetCDF Classic Format Specification"; CDF-5 by PnetCDF).
//! One header tells everything; numbers are big-endian; nothing is compressed.

mod header;

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::granule::format::array::{
    Array, Dtype, Storage, block_shape, decoded_size, record_shape,
};
use crate::granule::format::attribute::{Attribute, Endian, MAX_NUMBERS, text};
use crate::granule::format::blocks::Blocks;
use crate::store::Location;

use header::{AttributeHeader, Header, VariableHeader};

/// Texts of an attribute that are looked at. Units and names are short.
const MAX_TEXT: u64 = 64 << 10;

/// Addresses from here on are those of dimensions, smaller ones of variables.
const DIMENSIONS: u64 = 1 << 32;

/// An open file.
pub(super) struct File {
    blocks: Blocks,
    header: Header,
    /// Of the variables.
    places: HashMap<String, usize>,
}

/// A variable, or a dimension that has none of its name.
pub(super) struct Variable<'a> {
    file: &'a File,
    kind: Kind<'a>,
    shape: Vec<u64>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    Stored(usize, &'a VariableHeader),
    Dimension(usize),
}

impl File {
    /// Whether the file begins as one of these formats.
    pub(super) fn is_one(blocks: &Blocks) -> Result<bool> {
        Ok(blocks.read(0, 4)?.is_some_and(|start| header::version(&start).is_some()))
    }

    pub(super) fn open(blocks: Blocks) -> Result<Self> {
        let header = Header::read(&blocks).map_err(|e| e.asset(blocks.location()))?;
        let named = |(place, variable): (usize, &VariableHeader)| (variable.name.clone(), place);
        let places = header.variables.iter().enumerate().map(named).collect();
        Ok(Self { blocks, header, places })
    }

    pub(super) fn variable(&self, name: &str) -> Option<Variable<'_>> {
        self.stored(*self.places.get(name.trim_start_matches('/'))?)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.header.variables.iter().map(|variable| variable.name.clone()).collect()
    }

    /// The variable or the dimension with this address.
    pub(super) fn at(&self, address: u64) -> Option<Variable<'_>> {
        match address.checked_sub(DIMENSIONS) {
            None => self.stored(usize::try_from(address).ok()?),
            Some(dimension) => {
                let place = usize::try_from(dimension).ok()?;
                let shape = vec![self.header.length(place)?];
                Some(Variable { file: self, kind: Kind::Dimension(place), shape })
            }
        }
    }

    fn stored(&self, place: usize) -> Option<Variable<'_>> {
        let header = self.header.variables.get(place)?;
        let lengths = header.dimensions.iter().map(|&dimension| self.header.length(dimension));
        let shape = lengths.collect::<Option<_>>()?;
        Some(Variable { file: self, kind: Kind::Stored(place, header), shape })
    }
}

impl Variable<'_> {
    pub(super) fn name(&self) -> &str {
        match self.kind {
            Kind::Stored(_, header) => &header.name,
            Kind::Dimension(place) => {
                self.file.header.dimensions.get(place).map_or("", |dimension| &dimension.name)
            }
        }
    }

    pub(super) fn shape(&self) -> &[u64] {
        &self.shape
    }

    pub(super) fn address(&self) -> u64 {
        match self.kind {
            Kind::Stored(place, _) => place as u64,
            Kind::Dimension(place) => DIMENSIONS + place as u64,
        }
    }

    pub(super) fn is_bare_dimension(&self) -> bool {
        matches!(self.kind, Kind::Dimension(_))
    }

    pub(super) fn is_numeric(&self) -> bool {
        matches!(self.kind, Kind::Stored(_, header) if header.kind.dtype().is_some())
    }

    /// Records are added along the first dimension only.
    pub(super) fn is_unlimited(&self, d: usize) -> bool {
        matches!(self.kind, Kind::Stored(_, header) if d == 0 && header.is_record)
    }

    pub(super) fn attribute(&self, name: &str) -> Result<Option<Attribute>> {
        let Kind::Stored(_, header) = self.kind else { return Ok(None) };
        let found = header.attributes.iter().find(|attribute| attribute.name == name);
        found.map(|attribute| self.file.value(attribute)).transpose()
    }

    /// A dimension's variable is the 1-D one of its name.
    pub(super) fn scales(&self) -> Vec<Option<u64>> {
        let Kind::Stored(_, header) = self.kind else { return vec![None] };
        let scale = |&dimension: &usize| {
            let name = &self.file.header.dimensions.get(dimension)?.name;
            let own = self.file.places.get(name).filter(|&&place| {
                let found = self.file.header.variables.get(place);
                found.is_some_and(|variable| variable.dimensions == [dimension])
            });
            Some(own.map_or(DIMENSIONS + dimension as u64, |&place| place as u64))
        };
        header.dimensions.iter().map(scale).collect()
    }

    /// The array, without location, name and key.
    pub(super) fn describe(&self, shape: Vec<u64>) -> Result<Array> {
        let Kind::Stored(_, header) = self.kind else {
            return Err(Error::internal("a dimension has no values"));
        };
        let Some(dtype) = header.kind.dtype() else {
            return Err(Error::unsupported("text is not read, only integers and floats"));
        };
        if shape != self.shape {
            return Err(Error::internal("a variable of a classic file has one shape"));
        }
        let width = dtype.size();
        let (storage, chunk) = if header.is_record {
            let storage =
                Storage::Records { address: header.begin, stride: self.file.header.stride };
            (storage, record_shape(&shape, width))
        } else {
            (Storage::Contiguous(Some(header.begin)), block_shape(&shape, width))
        };
        decoded_size(&chunk, width)?;
        self.check_end(header, width as u64)?;
        Ok(Array {
            location: Location::whole(""),
            name: String::new(),
            dtype,
            swapped: cfg!(target_endian = "little") && width > 1,
            shape,
            chunk,
            storage,
            filters: Vec::new(),
            fill: vec![0; width],
            key: 0,
        })
    }

    /// Refuses a file that ends before the variable does.
    fn check_end(&self, header: &VariableHeader, width: u64) -> Result<()> {
        let product = |shape: &[u64]| {
            shape.iter().try_fold(width, |bytes, &length| bytes.checked_mul(length))
        };
        let end = match self.shape.split_first() {
            Some((&records, rest)) if header.is_record => {
                records.checked_sub(1).map_or(Some(0), |last| {
                    let start = last.checked_mul(self.file.header.stride)?;
                    start.checked_add(header.begin)?.checked_add(product(rest)?)
                })
            }
            _ => product(&self.shape).and_then(|bytes| bytes.checked_add(header.begin)),
        };
        let length = self.file.blocks.length();
        if end.is_some_and(|end| end <= length) {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "the file is cut off: it has {length} bytes, and its header tells of more"
        )))
    }
}

impl File {
    fn value(&self, attribute: &AttributeHeader) -> Result<Attribute> {
        let Some(dtype) = attribute.kind.dtype() else {
            let length = attribute.count.min(MAX_TEXT);
            return Ok(Attribute::Text(text(&self.bytes(attribute.address, length)?)));
        };
        let width = dtype.size();
        let count = attribute.count.min(MAX_NUMBERS as u64);
        if count == 0 {
            return Ok(Attribute::Other);
        }
        let bytes = self.bytes(attribute.address, count * width as u64)?;
        Ok(match dtype {
            Dtype::F32 | Dtype::F64 => Attribute::floats(&bytes, width, Endian::Big),
            whole => Attribute::integers(&bytes, width, whole == whole.signed(), Endian::Big),
        })
    }

    fn bytes(&self, address: u64, length: u64) -> Result<bytes::Bytes> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.blocks.read(address, length)?.ok_or_else(header::cut_off)
    }
}

#[cfg(test)]
mod tests;
