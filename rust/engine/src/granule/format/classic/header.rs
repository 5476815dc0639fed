//! The header of a classic file.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::granule::format::array::{Dtype, MAX_RANK};
use crate::granule::format::blocks::Blocks;

/// Far above the headers of real files. It bounds the memory that a header takes.
const MAX_HEADER_BYTES: u64 = 4 << 20;

const DIMENSION: u32 = 10;
const VARIABLE: u32 = 11;
const ATTRIBUTE: u32 = 12;

/// What the header tells.
pub(super) struct Header {
    pub dimensions: Vec<Dimension>,
    pub variables: Vec<VariableHeader>,
    /// Length of the dimension that records are added along.
    records: u64,
    /// Bytes from one record to the next.
    pub stride: u64,
}

pub(super) struct Dimension {
    pub name: String,
    /// 0: that of records.
    length: u64,
}

pub(super) struct VariableHeader {
    pub name: String,
    /// Places in the list of dimensions.
    pub dimensions: Vec<usize>,
    pub attributes: Vec<AttributeHeader>,
    pub kind: Kind,
    /// Where its first value lies.
    pub begin: u64,
    pub is_record: bool,
}

pub(super) struct AttributeHeader {
    pub name: String,
    pub kind: Kind,
    pub count: u64,
    pub address: u64,
}

/// The type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number(Dtype),
}

impl Kind {
    /// The number's type; `None` of text.
    pub(super) const fn dtype(self) -> Option<Dtype> {
        match self {
            Kind::Text => None,
            Kind::Number(dtype) => Some(dtype),
        }
    }

    const fn size(self) -> u64 {
        match self {
            Kind::Text => 1,
            Kind::Number(dtype) => dtype.size() as u64,
        }
    }
}

/// The format's version, by the first four bytes of a file; `None` of another format.
pub(super) fn version(start: &[u8]) -> Option<u8> {
    match start {
        [b'C', b'D', b'F', version @ (1 | 2 | 5)] => Some(*version),
        _ => None,
    }
}

pub(super) fn cut_off() -> Error {
    Error::corrupt("the file ends within its header")
}

fn damaged(what: &str) -> Error {
    Error::corrupt(format!("the file's header is damaged ({what})"))
}

impl Header {
    pub(super) fn read(blocks: &Blocks) -> Result<Self> {
        let mut cursor = Cursor { blocks, at: 4, version: 0 };
        let start = blocks.read(0, 4)?.ok_or_else(cut_off)?;
        cursor.version = version(&start).ok_or_else(|| damaged("its first bytes"))?;
        let streamed = if cursor.version == 5 { u64::MAX } else { u64::from(u32::MAX) };
        let records = cursor.count()?;
        let dimensions = cursor.list(DIMENSION, Cursor::dimension)?;
        cursor.list(ATTRIBUTE, Cursor::attribute)?;
        let variables = cursor.list(VARIABLE, |cursor| cursor.variable(&dimensions))?;
        let mut header = Self { dimensions, variables, records, stride: 0 };
        header.stride = header.stride().ok_or_else(|| damaged("the size of a record"))?;
        if records == streamed {
            header.records = header.records_in(blocks.length());
        }
        Ok(header)
    }

    /// The length of a dimension.
    pub(super) fn length(&self, dimension: usize) -> Option<u64> {
        let length = self.dimensions.get(dimension)?.length;
        Some(if length == 0 { self.records } else { length })
    }

    /// The bytes of a record: of each variable that has records, filled up to four bytes unless it is
    /// the only one.
    fn stride(&self) -> Option<u64> {
        let mut sizes = Vec::new();
        for variable in self.variables.iter().filter(|variable| variable.is_record) {
            let further = variable.dimensions.iter().skip(1);
            let size = further
                .map(|&dimension| self.length(dimension))
                .try_fold(variable.kind.size(), |size, length| size.checked_mul(length?))?;
            sizes.push(size);
        }
        match *sizes {
            [only] => Some(only),
            _ => sizes
                .iter()
                .try_fold(0u64, |sum, size| sum.checked_add(size.checked_next_multiple_of(4)?)),
        }
    }

    /// How many records a file of so many bytes has that does not say so.
    fn records_in(&self, length: u64) -> u64 {
        let records = self.variables.iter().filter(|variable| variable.is_record);
        let begin = records.map(|variable| variable.begin).min().unwrap_or(length);
        length.saturating_sub(begin).checked_div(self.stride).unwrap_or(0)
    }
}

/// Reads a header from its start to its end.
struct Cursor<'b> {
    blocks: &'b Blocks,
    at: u64,
    version: u8,
}

impl Cursor<'_> {
    fn take(&mut self, length: u64) -> Result<Bytes> {
        let start = self.skip(length)?;
        let length = usize::try_from(length).map_err(|_| cut_off())?;
        self.blocks.read(start, length)?.ok_or_else(cut_off)
    }

    /// Where the bytes passed over start.
    fn skip(&mut self, length: u64) -> Result<u64> {
        let start = self.at;
        let end = start.checked_add(length).filter(|&end| end <= self.blocks.length());
        self.at = end.ok_or_else(cut_off)?;
        if self.at > MAX_HEADER_BYTES {
            return Err(damaged("it takes more bytes than any does"));
        }
        Ok(start)
    }

    fn u32(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        let bytes = bytes.first_chunk().ok_or_else(cut_off)?;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn u64(&mut self) -> Result<u64> {
        let bytes = self.take(8)?;
        let bytes = bytes.first_chunk().ok_or_else(cut_off)?;
        Ok(u64::from_be_bytes(*bytes))
    }

    /// A number of things.
    fn count(&mut self) -> Result<u64> {
        if self.version == 5 { self.u64() } else { self.u32().map(u64::from) }
    }

    /// A place in the file.
    fn offset(&mut self) -> Result<u64> {
        if self.version == 1 { self.u32().map(u64::from) } else { self.u64() }
    }

    fn name(&mut self) -> Result<String> {
        let length = self.count()?;
        let bytes = self.take(length)?;
        self.fill_up(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| damaged("a name that is not UTF-8"))
    }

    /// Passes over what fills up to four bytes.
    fn fill_up(&mut self, length: u64) -> Result<()> {
        self.skip(length.wrapping_neg() % 4).map(drop)
    }

    fn kind(&mut self) -> Result<Kind> {
        Ok(match self.u32()? {
            1 => Kind::Number(Dtype::I8),
            2 => Kind::Text,
            3 => Kind::Number(Dtype::I16),
            4 => Kind::Number(Dtype::I32),
            5 => Kind::Number(Dtype::F32),
            6 => Kind::Number(Dtype::F64),
            7 => Kind::Number(Dtype::U8),
            8 => Kind::Number(Dtype::U16),
            9 => Kind::Number(Dtype::U32),
            10 => Kind::Number(Dtype::I64),
            11 => Kind::Number(Dtype::U64),
            _ => return Err(damaged("an unknown type")),
        })
    }

    /// A list, each of whose members takes some bytes: a count that is too large ends at the end of
    /// the file.
    fn list<T>(
        &mut self,
        tag: u32,
        mut read: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let found = self.u32()?;
        let count = self.count()?;
        if found != tag && (found != 0 || count != 0) {
            return Err(damaged("a list is missing"));
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn dimension(&mut self) -> Result<Dimension> {
        Ok(Dimension { name: self.name()?, length: self.count()? })
    }

    fn attribute(&mut self) -> Result<AttributeHeader> {
        let (name, kind, count) = (self.name()?, self.kind()?, self.count()?);
        let bytes = count.checked_mul(kind.size()).ok_or_else(cut_off)?;
        let address = self.skip(bytes)?;
        self.fill_up(bytes)?;
        Ok(AttributeHeader { name, kind, count, address })
    }

    fn variable(&mut self, all: &[Dimension]) -> Result<VariableHeader> {
        let name = self.name()?;
        let rank = self.count()?;
        if rank > MAX_RANK as u64 {
            return Err(damaged("a variable of too many dimensions"));
        }
        let mut dimensions = Vec::new();
        for at in 0..rank {
            let place = usize::try_from(self.count()?).unwrap_or(usize::MAX);
            let length = all.get(place).ok_or_else(|| damaged("an unknown dimension"))?.length;
            if length == 0 && at > 0 {
                return Err(damaged("records along a dimension that is not the first"));
            }
            dimensions.push(place);
        }
        let is_record =
            dimensions.first().and_then(|&place| all.get(place)).is_some_and(|d| d.length == 0);
        let attributes = self.list(ATTRIBUTE, Self::attribute)?;
        let kind = self.kind()?;
        // The size that is stated is too small for large variables; shapes tell it.
        self.count()?;
        let begin = self.offset()?;
        Ok(VariableHeader { name, dimensions, attributes, kind, begin, is_record })
    }
}
