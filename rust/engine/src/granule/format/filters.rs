//! The HDF5 filter pipeline, backwards: from the bytes of a stored chunk to its elements.

use std::borrow::Cow;
use std::cell::RefCell;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::granule::format::inflate::Inflater;

/// Scratch of the inflate step kept by each thread; larger ones are given back.
const MAX_SCRATCH: usize = 64 << 20;

/// Bytes of a Fletcher-32 checksum, at the end of what it protects.
const CHECKSUM_BYTES: usize = 4;

/// A filter that the engine undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::granule) enum Filter {
    /// zlib-wrapped deflate.
    Deflate,
    /// Bytes grouped by their place in elements of this many bytes.
    Shuffle(usize),
    /// A checksum appended.
    Fletcher32,
}

thread_local! {
    static INFLATE: RefCell<(Option<Inflater>, Vec<u8>)> =
        RefCell::new((Inflater::new(), Vec::new()));
}

/// Undoes `filters` (in the order they were applied) on a stored chunk. Bit i of `skipped` says
/// that filter i was not applied. The result has exactly `size` bytes.
pub(in crate::granule) fn decode(
    filters: &[Filter],
    skipped: u32,
    stored: &[u8],
    size: usize,
) -> Result<Vec<u8>> {
    let applied: Vec<Filter> = filters
        .iter()
        .enumerate()
        .filter(|&(i, _)| u32::try_from(i).is_ok_and(|i| i >= 32 || skipped >> i & 1 == 0))
        .map(|(_, &filter)| filter)
        .collect();
    // The usual cases keep the inflated bytes in scratch, so that only the result is allocated.
    let decoded = match *applied.as_slice() {
        [Filter::Shuffle(width), Filter::Deflate] => {
            inflate_then(stored, size, |bytes| unshuffle(bytes, width))?
        }
        _ => decode_stepwise(&applied, stored, size)?,
    };
    if decoded.len() != size {
        return Err(Error::corrupt(format!(
            "a chunk holds {} bytes where {size} are due",
            decoded.len()
        )));
    }
    Ok(decoded)
}

fn decode_stepwise(applied: &[Filter], stored: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut bytes = Cow::Borrowed(stored);
    for (i, filter) in applied.iter().enumerate().rev() {
        bytes = match filter {
            Filter::Deflate => {
                let checksums = applied.iter().take(i).filter(|f| **f == Filter::Fletcher32);
                Cow::Owned(inflate(&bytes, size + CHECKSUM_BYTES * checksums.count())?)
            }
            Filter::Shuffle(width) => Cow::Owned(unshuffle(&bytes, *width)),
            Filter::Fletcher32 => verify(bytes)?,
        };
    }
    Ok(bytes.into_owned())
}

fn inflate(stored: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    INFLATE.with_borrow_mut(|(inflater, _)| inflate_into(inflater, stored, size, &mut out))?;
    Ok(out)
}

fn inflate_then(stored: &[u8], size: usize, then: impl Fn(&[u8]) -> Vec<u8>) -> Result<Vec<u8>> {
    INFLATE.with_borrow_mut(|(inflater, scratch)| {
        let result = inflate_into(inflater, stored, size, scratch).map(|()| then(scratch));
        if scratch.capacity() > MAX_SCRATCH {
            *scratch = Vec::new();
        }
        result
    })
}

fn inflate_into(
    inflater: &mut Option<Inflater>,
    stored: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    match inflater {
        Some(inflater) => inflater.inflate(stored, size, out),
        None => Err(Error::io("no memory to inflate with")),
    }
}

/// Undoes HDF5's shuffle; bytes beyond the last whole element were stored as they are.
fn unshuffle(bytes: &[u8], width: usize) -> Vec<u8> {
    let count = bytes.len() / width.max(1);
    if width <= 1 || count <= 1 {
        return bytes.to_vec();
    }
    let mut out = vec![0; bytes.len()];
    let (planes, rest) = bytes.split_at(count * width);
    let (elements, tail) = out.split_at_mut(count * width);
    match width {
        2 => interleave::<2>(planes, elements, count),
        4 => interleave::<4>(planes, elements, count),
        8 => interleave::<8>(planes, elements, count),
        _ => {
            for (k, plane) in planes.chunks_exact(count).enumerate() {
                for (element, byte) in elements.chunks_exact_mut(width).zip(plane) {
                    element[k] = *byte;
                }
            }
        }
    }
    tail.copy_from_slice(rest);
    out
}

fn interleave<const W: usize>(planes: &[u8], elements: &mut [u8], count: usize) {
    // Blocks keep the W input streams and the output within the first-level cache.
    const BLOCK: usize = 2048;
    let mut streams = [&planes[..0]; W];
    for (stream, plane) in streams.iter_mut().zip(planes.chunks_exact(count)) {
        *stream = plane;
    }
    let (elements, _) = elements.as_chunks_mut::<W>();
    for (b, block) in elements.chunks_mut(BLOCK).enumerate() {
        let streams = streams.map(|stream| &stream[b * BLOCK..b * BLOCK + block.len()]);
        for (i, element) in block.iter_mut().enumerate() {
            for (byte, stream) in element.iter_mut().zip(streams) {
                *byte = stream[i];
            }
        }
    }
}

fn verify(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>> {
    let Some((data, stored)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
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
fn fletcher32(data: &[u8]) -> u32 {
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
    #![allow(clippy::unwrap_used)]

    use libdeflater::{CompressionLvl, Compressor};

    use super::*;

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut out = vec![0; compressor.zlib_compress_bound(data.len())];
        let n = compressor.zlib_compress(data, &mut out).unwrap();
        out.truncate(n);
        out
    }

    fn shuffle(data: &[u8], width: usize) -> Vec<u8> {
        let count = data.len() / width;
        let mut out: Vec<u8> =
            (0..width).flat_map(|k| (0..count).map(move |i| data[i * width + k])).collect();
        out.extend(&data[count * width..]);
        out
    }

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

    #[test]
    fn unshuffles_every_width() {
        let data: Vec<u8> = (0..10_007u32).map(|i| (i * 31 % 251) as u8).collect();
        for width in 1..=16 {
            assert_eq!(unshuffle(&shuffle(&data, width), width), data, "width {width}");
        }
    }

    #[test]
    fn undoes_the_filters_in_reverse() {
        let data: Vec<u8> = (0..4096u32).map(|i| (i / 7) as u8).collect();
        let pipeline = [Filter::Shuffle(4), Filter::Deflate];
        let stored = deflate(&shuffle(&data, 4));
        assert_eq!(decode(&pipeline, 0, &stored, 4096).unwrap(), data);

        let mut checked = data.clone();
        checked.extend(fletcher32(&data).to_le_bytes());
        let pipeline = [Filter::Fletcher32, Filter::Deflate];
        assert_eq!(decode(&pipeline, 0, &deflate(&checked), 4096).unwrap(), data);

        let pipeline = [Filter::Shuffle(4), Filter::Deflate];
        assert_eq!(decode(&pipeline, 0b10, &shuffle(&data, 4), 4096).unwrap(), data);
    }

    #[test]
    fn damage_is_an_error() {
        let data = vec![1u8; 4096];
        let mut stored = data.clone();
        stored.extend(fletcher32(&data).to_le_bytes());
        assert_eq!(decode(&[Filter::Fletcher32], 0, &stored, 4096).unwrap(), data);
        stored[17] ^= 1;
        assert!(decode(&[Filter::Fletcher32], 0, &stored, 4096).is_err());
        assert!(decode(&[Filter::Fletcher32], 0, &[1], 4096).is_err());
        let deflated = deflate(&data);
        assert!(decode(&[Filter::Deflate], 0, &deflated[..9], 4096).is_err());
        assert!(decode(&[Filter::Deflate], 0, &deflated, 4095).is_err());
        assert!(decode(&[Filter::Deflate], 0, &deflated, 1 << 40).is_err());
        assert!(decode(&[], 0, &data, 4095).is_err());
    }
}
