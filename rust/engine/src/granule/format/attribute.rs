//! Attribute values: text or numbers.

use serde::{Deserialize, Serialize};

use crate::granule::format::array::Dtype;

/// Numbers of one attribute that are looked at; CF's have one, two, or a short list.
pub(super) const MAX_NUMBERS: usize = 4096;

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

/// The order of a number's bytes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

impl Attribute {
    /// Whole numbers of `size` bytes each.
    pub(super) fn integers(data: &[u8], size: usize, signed: bool, order: Endian) -> Self {
        Self::numbers(data, size, order, |little| Number::Int(integer(little, signed)))
    }

    /// Floats of 4 or 8 bytes each.
    pub(super) fn floats(data: &[u8], size: usize, order: Endian) -> Self {
        Self::numbers(data, size, order, |little| Number::Float(float(little)))
    }

    fn numbers(data: &[u8], size: usize, order: Endian, number: impl Fn(&[u8]) -> Number) -> Self {
        if !(1..=8).contains(&size) {
            return Attribute::Other;
        }
        let little = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            if order == Endian::Big {
                bytes.reverse();
            }
            number(&bytes)
        };
        Attribute::Numbers(data.chunks_exact(size).take(MAX_NUMBERS).map(little).collect(), size)
    }
}

/// Text up to the first NUL. Bytes that are not UTF-8 are Latin-1, as old writers have it.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (bytes, _) = bytes.split_at(end);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
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
    fn numbers_are_read_in_the_order_of_their_bytes() {
        let numbers = |order| Attribute::integers(&[1, 0, 0, 2], 2, true, order);
        let due = |a, b| Attribute::Numbers(vec![Number::Int(a), Number::Int(b)], 2);
        assert_eq!(numbers(Endian::Little), due(1, 512));
        assert_eq!(numbers(Endian::Big), due(256, 2));
        let bytes = 0.5f32.to_be_bytes();
        let due = Attribute::Numbers(vec![Number::Float(0.5)], 4);
        assert_eq!(Attribute::floats(&bytes, 4, Endian::Big), due);
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
