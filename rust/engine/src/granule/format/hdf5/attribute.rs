//! Attribute values: text or numbers.

use hdf5_reader::{Attribute as RawAttribute, ByteOrder, Datatype, StringSize, VarLenKind};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::granule::format::array::Dtype;

/// Numbers of one attribute that are looked at; CF's have one, two, or a short list.
const MAX_NUMBERS: usize = 4096;

/// A number as stored, before it is compared with or applied to data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::granule) enum Number {
    /// Any 64-bit integer, signed or not.
    Int(i128),
    /// A float.
    Float(f64),
}

impl Number {
    pub(in crate::granule) fn as_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    /// The value that the same bits have in `dtype`, which is as wide: for attributes of `_Unsigned`
    /// variables.
    pub(in crate::granule) fn reinterpreted(self, dtype: Dtype) -> Self {
        let Number::Int(value) = self else { return self };
        let range = 1i128 << (8 * dtype.size());
        let signed = dtype == dtype.signed();
        let (low, high) = if signed { (-range / 2, range / 2) } else { (0, range) };
        if (low..high).contains(&value) {
            self
        } else {
            Number::Int((value - low).rem_euclid(range) + low)
        }
    }
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::granule) enum Attribute {
    /// One string; several are joined by spaces.
    Text(String),
    /// One number or more, and the bytes that each takes.
    Numbers(Vec<Number>, usize),
    /// Nothing the engine looks at.
    Other,
}

impl Attribute {
    pub(in crate::granule) fn decode(raw: &RawAttribute) -> Result<Self> {
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
                Ok(numbers(&raw.raw_data, *size, *byte_order, |bytes| {
                    Number::Int(integer(bytes, *signed))
                }))
            }
            Datatype::FloatingPoint { size: size @ (4 | 8), byte_order } => {
                Ok(numbers(&raw.raw_data, *size, *byte_order, |bytes| Number::Float(float(bytes))))
            }
            _ => Ok(Attribute::Other),
        }
    }
}

/// Text up to the first NUL. Bytes that are not UTF-8 are Latin-1, as old writers have it.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (bytes, _) = bytes.split_at(end);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

fn numbers(data: &[u8], size: u8, order: ByteOrder, number: impl Fn(&[u8]) -> Number) -> Attribute {
    let size = usize::from(size);
    if !(1..=8).contains(&size) {
        return Attribute::Other;
    }
    let little = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if order == ByteOrder::BigEndian {
            bytes.reverse();
        }
        number(&bytes)
    };
    Attribute::Numbers(data.chunks_exact(size).take(MAX_NUMBERS).map(little).collect(), size)
}

fn integer(little: &[u8], signed: bool) -> i128 {
    let value = little.iter().rev().fold(0i128, |value, &byte| value << 8 | i128::from(byte));
    let range = 1i128 << (8 * little.len());
    if signed && value >= range / 2 { value - range } else { value }
}

fn float(little: &[u8]) -> f64 {
    if let Ok(bytes) = little.try_into() {
        f64::from_le_bytes(bytes)
    } else if let Ok(bytes) = little.try_into() {
        f64::from(f32::from_le_bytes(bytes))
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_sign_and_all_their_bits() {
        assert_eq!(integer(&[0xff, 0xff], true), -1);
        assert_eq!(integer(&[0xff, 0xff], false), 65_535);
        assert_eq!(integer(&(i64::MIN + 2).to_le_bytes(), true), i128::from(i64::MIN + 2));
        assert_eq!(integer(&u64::MAX.to_le_bytes(), false), i128::from(u64::MAX));
    }

    #[test]
    fn reinterprets_as_the_other_signedness() {
        assert_eq!(Number::Int(-1).reinterpreted(Dtype::U8), Number::Int(255));
        assert_eq!(Number::Int(255).reinterpreted(Dtype::I8), Number::Int(-1));
        assert_eq!(Number::Int(7).reinterpreted(Dtype::I8), Number::Int(7));
        assert_eq!(Number::Float(-1.0).reinterpreted(Dtype::U8), Number::Float(-1.0));
    }

    #[test]
    fn text_ends_at_nul_and_may_be_latin_1() {
        assert_eq!(text(b"m s-1\0\0junk"), "m s-1");
        assert_eq!(text(b"\xb0C"), "°C");
    }
}
