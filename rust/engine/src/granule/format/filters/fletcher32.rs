//! A checksum at the end of what it protects.

use std::borrow::Cow;

use super::Codec;
use crate::error::{Error, Result};

/// Bytes of a checksum.
const BYTES: usize = 4;

/// The filter `fletcher32`.
pub(super) const CODEC: Codec = Codec {
    id: 3,
    name: "fletcher32",
    check: |_| Ok(()),
    undo: |_, stored, _| verify(stored),
    added: BYTES,
};

fn verify(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>> {
    let Some((data, stored)) = bytes.split_last_chunk::<BYTES>() else {
        return Err(Error::corrupt("a chunk is too short for its checksum"));
    };
    let stored = u32::from_le_bytes(*stored);
    let computed = fletcher32(data);
    // HDF5 before 1.6.3 swapped the bytes of each half on some machines, and HDF5 accepts both.
    let swapped = (computed >> 8 & 0x00ff_00ff) | (computed << 8 & 0xff00_ff00);
    if stored != computed && stored != swapped {
        return Err(Error::corrupt(format!(
            "a chunk's checksum is {computed:#010x} where {stored:#010x} was stored"
        )));
    }
    let length = data.len();
    Ok(match bytes {
        Cow::Borrowed(all) => Cow::Borrowed(all.split_at(length).0),
        Cow::Owned(mut all) => {
            all.truncate(length);
            Cow::Owned(all)
        }
    })
}

/// Fletcher's checksum of big-endian 16-bit words, as HDF5 computes it.
pub(super) fn fletcher32(data: &[u8]) -> u32 {
    // 360 words is the most after which neither sum can have overflowed 32 bits.
    const WORDS: usize = 360;
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut low, mut high) = (0u32, 0u32);
    let (words, odd) = data.as_chunks::<2>();
    for block in words.chunks(WORDS) {
        for word in block {
            low += u32::from(u16::from_be_bytes(*word));
            high += low;
        }
        (low, high) = (fold(low), fold(high));
    }
    if let [last] = odd {
        low = fold(low + (u32::from(*last) << 8));
        high = fold(high + low);
    }
    fold(high) << 16 | fold(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fletcher32_known_answers() {
        // What h5py 3.16 (HDF5 2.0.0) stored for chunks of these bytes.
        let counting: Vec<u8> = (0..2048u32).map(|i| (i % 256) as u8).collect();
        assert_eq!(fletcher32(b"abcdef"), 0x5056_2a2d);
        assert_eq!(fletcher32(b"abcde"), 0x4ff0_29c7);
        assert_eq!(fletcher32(&[255; 8]), 0xffff_ffff);
        assert_eq!(fletcher32(&[7]), 0x0700_0700);
        assert_eq!(fletcher32(&counting), 0x282e_01fe);
    }
}
