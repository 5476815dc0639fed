//! Bits grouped by their place in the elements, block by block, plain or compressed (Masui et al. 2015,
//! "A compression scheme for radio data in high performance computing"; the layout of its plugin).

use std::borrow::Cow;

use super::lz4::take;
use super::{Codec, lz4, zstd};
use crate::error::{Error, Result};
use crate::memory;

/// The filter `bitshuffle`; parameters: version (two), bytes of an element, elements of a block (0: a
/// default), compression.
pub(super) const CODEC: Codec = Codec {
    id: 32008,
    name: "bitshuffle",
    check,
    undo: |params, stored, size| undo(params, &stored, size),
    added: 0,
};

const NONE: u32 = 0;
const LZ4: u32 = 2;
const ZSTD: u32 = 3;

/// Bytes of a block where none are asked for.
const TARGET: usize = 8192;

/// Elements of the least block by default.
const LEAST: usize = 128;

/// Larger elements are of no number.
const MAX_WIDTH: u32 = 64;

fn check(params: &[u32]) -> Result<()> {
    let width = params.get(2).copied().unwrap_or_default();
    if width == 0 || width > MAX_WIDTH {
        return Err(Error::corrupt("the bitshuffle filter lacks a size of elements"));
    }
    if params.get(3).is_some_and(|elements| elements % 8 != 0) {
        return Err(Error::corrupt("the bitshuffle filter has blocks of parts of bytes"));
    }
    match params.get(4) {
        None | Some(&(NONE | LZ4 | ZSTD)) => Ok(()),
        Some(other) => Err(Error::unsupported(format!(
            "bitshuffle with compression {other} is not read; lz4 and zstd are"
        ))),
    }
}

fn undo<'a>(params: &[u32], stored: &[u8], size: usize) -> Result<Cow<'a, [u8]>> {
    let param = |place: usize| params.get(place).copied().unwrap_or_default();
    let (width, compression) = (param(2).max(1) as usize, param(4));
    let short = || Error::corrupt("a bitshuffled chunk is too short");
    let mut rest = stored;
    let mut block = param(3) as usize * width;
    if compression != NONE {
        let total = take::<8>(&mut rest).map(u64::from_be_bytes)?;
        block = take::<4>(&mut rest).map(u32::from_be_bytes)? as usize;
        if total != size as u64 || !block.is_multiple_of(8 * width) {
            return Err(Error::corrupt(format!(
                "a chunk holds {total} bytes where {size} are due"
            )));
        }
    }
    if block == 0 {
        block = (TARGET / width / 8 * 8).max(LEAST) * width;
    }
    let mut out = memory::filled(0, size, "the bytes of a chunk")?;
    // Less than eight elements at the end are stored as they are.
    let shuffled = size - size % (8 * width);
    let (elements, tail) = out.split_at_mut_checked(shuffled).ok_or_else(short)?;
    let mut scratch = memory::filled(0, block.min(shuffled), "the bytes of a chunk")?;
    for part in elements.chunks_mut(block) {
        let length = match compression {
            NONE => part.len(),
            _ => take::<4>(&mut rest).map(u32::from_be_bytes)? as usize,
        };
        let (bytes, after) = rest.split_at_checked(length).ok_or_else(short)?;
        rest = after;
        let plain = scratch.get_mut(..part.len()).ok_or_else(short)?;
        match compression {
            NONE => plain.copy_from_slice(bytes),
            LZ4 => lz4::decompress(bytes, plain)?,
            _ => zstd::decompress(bytes, plain)?,
        }
        transpose(plain, part, width);
    }
    tail.copy_from_slice(rest.get(..tail.len()).ok_or_else(short)?);
    Ok(Cow::Owned(out))
}

/// Elements, of which `planes` has all first bits, all second bits, and so on.
fn transpose(planes: &[u8], elements: &mut [u8], width: usize) {
    let eights = elements.len() / width / 8;
    for (group, eight) in elements.chunks_exact_mut(8 * width).enumerate() {
        for byte in 0..width {
            // Bit i of byte k of the square is bit k of element i.
            let mut square = 0u64;
            for bit in 0..8 {
                let plane =
                    planes.get((8 * byte + bit) * eights + group).copied().unwrap_or_default();
                square |= u64::from(plane) << (8 * bit);
            }
            for (element, bits) in transposed(square).to_le_bytes().into_iter().enumerate() {
                if let Some(at) = eight.get_mut(element * width + byte) {
                    *at = bits;
                }
            }
        }
    }
}

/// The transpose of 8 x 8 bits (Warren, "Hacker's Delight", 7-3).
fn transposed(mut square: u64) -> u64 {
    for (shift, mask) in
        [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)]
    {
        let swapped = (square ^ (square >> shift)) & mask;
        square ^= swapped ^ (swapped << shift);
    }
    square
}

#[cfg(test)]
mod tests {
    use super::transposed;

    #[test]
    fn squares_of_bits_are_turned() {
        let bit = |square: u64, row: u32, column: u32| square >> (8 * row + column) & 1;
        for square in [1u64 << 13, 0x0123_4567_89ab_cdef, u64::MAX, 0xff] {
            let turned = transposed(square);
            for row in 0..8 {
                for column in 0..8 {
                    assert_eq!(bit(turned, row, column), bit(square, column, row));
                }
            }
        }
    }
}
