//! Bytes grouped by their place in the elements.

use std::borrow::Cow;

use super::Codec;
use crate::error::{Error, Result};
use crate::memory;

/// The filter `shuffle`: its parameter is the size of an element in bytes.
pub(super) const CODEC: Codec = Codec {
    id: 2,
    name: "shuffle",
    check,
    undo: |params, stored, _| undo(params, &stored),
    added: 0,
};

fn check(params: &[u32]) -> Result<()> {
    match params {
        [width, ..] if *width > 0 => Ok(()),
        _ => Err(Error::corrupt("the shuffle filter lacks its element size")),
    }
}

fn undo<'a>(params: &[u32], stored: &[u8]) -> Result<Cow<'a, [u8]>> {
    unshuffle(stored, width(params)).map(Cow::Owned)
}

/// The size of an element.
pub(super) fn width(params: &[u32]) -> usize {
    params.first().map_or(1, |width| *width as usize)
}

/// Undoes HDF5's shuffle; bytes beyond the last whole element were stored as they are.
pub(super) fn unshuffle(bytes: &[u8], width: usize) -> Result<Vec<u8>> {
    let count = bytes.len() / width.max(1);
    if width <= 1 || count <= 1 {
        return Ok(bytes.to_vec());
    }
    let mut out = memory::filled(0, bytes.len(), "the bytes of a chunk")?;
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
    Ok(out)
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

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    pub(in super::super) fn shuffle(data: &[u8], width: usize) -> Vec<u8> {
        let count = data.len() / width;
        let mut out: Vec<u8> =
            (0..width).flat_map(|k| (0..count).map(move |i| data[i * width + k])).collect();
        out.extend(&data[count * width..]);
        out
    }

    #[test]
    fn unshuffles_every_width() {
        let data: Vec<u8> = (0..10_007u32).map(|i| (i * 31 % 251) as u8).collect();
        for width in 1..=16 {
            assert_eq!(unshuffle(&shuffle(&data, width), width).unwrap(), data, "width {width}");
        }
    }
}
