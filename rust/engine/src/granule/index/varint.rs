//! Whole numbers in as few bytes as they need: seven bits a byte, the lowest first.

use crate::error::{Error, Result};

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front.
#[inline]
pub(super) fn take(rest: &mut &[u8]) -> Result<u64> {
    if let [first @ 0..0x80, after @ ..] = *rest {
        *rest = after;
        return Ok(u64::from(*first));
    }
    take_long(rest)
}

fn take_long(rest: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte, after @ ..] = *rest else { break };
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        value |= bits << shift;
        if bits << shift >> shift != bits {
            break;
        }
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Error::corrupt("a number of the index is cut off or too long"))
}

/// How many bytes a number takes.
pub(super) fn length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Numbers near zero, of either sign, become small.
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Undoes [`zigzag`].
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(bits in 0u32..=64, value in any::<u64>(), tail in any::<u8>()) {
            let value = value.checked_shr(bits).unwrap_or_default();
            let mut out = Vec::new();
            put(&mut out, value);
            prop_assert_eq!(out.len(), length(value));
            out.push(tail);
            let mut rest = out.as_slice();
            prop_assert_eq!(take(&mut rest).unwrap(), value);
            prop_assert_eq!(rest, [tail]);
            prop_assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
        }
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        for bad in [&[][..], &[0x80], &[0xff; 9], &[0xff; 10], &[0xff; 11]] {
            assert!(take(&mut &*bad).is_err(), "{bad:?}");
        }
    }
}
