//! LZ4 in blocks, as the HDF Group's plugin writes it: the size of all and of a block, then blocks,
//! each behind its stored size; one that did not shrink is stored as it is.

use std::borrow::Cow;

use super::Codec;
use crate::error::{Error, Result};
use crate::memory;

/// The filter `lz4`.
pub(super) const CODEC: Codec = Codec {
    id: 32004,
    name: "lz4",
    check: |_| Ok(()),
    undo: |_, stored, size| undo(&stored, size),
    added: 0,
};

fn undo<'a>(stored: &[u8], size: usize) -> Result<Cow<'a, [u8]>> {
    let mut rest = stored;
    let total = take::<8>(&mut rest).map(u64::from_be_bytes)?;
    let block = take::<4>(&mut rest).map(u32::from_be_bytes)? as usize;
    if total != size as u64 || block == 0 {
        return Err(Error::corrupt(format!("a chunk holds {total} bytes where {size} are due")));
    }
    let mut out = memory::filled(0, size, "the bytes of a chunk")?;
    for block in out.chunks_mut(block) {
        let length = take::<4>(&mut rest).map(u32::from_be_bytes)? as usize;
        let (bytes, after) = rest.split_at_checked(length).ok_or_else(short)?;
        rest = after;
        if length == block.len() {
            block.copy_from_slice(bytes);
        } else {
            decompress(bytes, block)?;
        }
    }
    Ok(Cow::Owned(out))
}

/// Fills `out` with exactly what was compressed.
pub(super) fn decompress(stored: &[u8], out: &mut [u8]) -> Result<()> {
    match lz4_flex::block::decompress_into(stored, out) {
        Ok(written) if written == out.len() => Ok(()),
        Ok(_) => Err(short()),
        Err(e) => Err(Error::corrupt(format!("a chunk is no sound LZ4 block: {e}"))),
    }
}

/// Takes bytes off the front.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk().ok_or_else(short)?;
    *rest = after;
    Ok(*bytes)
}

fn short() -> Error {
    Error::corrupt("a compressed chunk is too short")
}
