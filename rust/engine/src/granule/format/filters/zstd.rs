//! Zstandard, as `nccopy -F zstd` and xarray write it.

use std::borrow::Cow;

use super::Codec;
use crate::error::{Error, Result};
use crate::memory;

/// The filter `zstd`.
pub(super) const CODEC: Codec = Codec {
    id: 32015,
    name: "zstd",
    check: |_| Ok(()),
    undo: |_, stored, size| {
        let mut out = memory::filled(0, size, "the bytes of a chunk")?;
        decompress(&stored, &mut out).map(|()| Cow::Owned(out))
    },
    added: 0,
};

/// Fills `out` with exactly what was compressed.
pub(super) fn decompress(stored: &[u8], out: &mut [u8]) -> Result<()> {
    match zstd::bulk::decompress_to_buffer(stored, out) {
        Ok(written) if written == out.len() => Ok(()),
        Ok(written) => Err(Error::corrupt(format!(
            "a chunk holds {written} bytes where {} are due",
            out.len()
        ))),
        Err(e) => Err(Error::corrupt(format!("a chunk is no sound zstd frame: {e}"))),
    }
}
