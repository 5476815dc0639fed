//! Attributes as hdf5-reader tells them.

use hdf5_reader::{Attribute as RawAttribute, ByteOrder, Datatype, StringSize, VarLenKind};

use crate::error::{Error, Result};
use crate::granule::format::attribute::{Attribute, Endian, text};

/// The value of an attribute.
pub(super) fn decode(raw: &RawAttribute) -> Result<Attribute> {
    if raw.shape.contains(&0) {
        return Ok(Attribute::Other);
    }
    if let Some(strings) = &raw.decoded_strings {
        return Ok(Attribute::Text(strings.join(" ")));
    }
    match &raw.datatype {
        Datatype::String { size: StringSize::Fixed(width), .. } => {
            let width = (*width as usize).max(1);
            let texts: Vec<String> = raw.raw_data.chunks(width).map(text).collect();
            Ok(Attribute::Text(texts.join(" ")))
        }
        Datatype::String { .. } | Datatype::VarLen { kind: VarLenKind::String, .. } => {
            Err(Error::corrupt(format!(
                "the text of the attribute {:?} is not where it should be",
                raw.name
            )))
        }
        Datatype::FixedPoint { size, signed, byte_order } => {
            let (size, order) = (usize::from(*size), endian(*byte_order));
            Ok(Attribute::integers(&raw.raw_data, size, *signed, order))
        }
        Datatype::FloatingPoint { size: size @ (4 | 8), byte_order } => {
            Ok(Attribute::floats(&raw.raw_data, usize::from(*size), endian(*byte_order)))
        }
        _ => Ok(Attribute::Other),
    }
}

fn endian(order: ByteOrder) -> Endian {
    match order {
        ByteOrder::LittleEndian => Endian::Little,
        ByteOrder::BigEndian => Endian::Big,
    }
}
