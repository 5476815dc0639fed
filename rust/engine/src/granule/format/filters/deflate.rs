//! zlib streams, into fresh memory that nobody zeroes first.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ptr::{self, NonNull};

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_decompressor, libdeflate_free_decompressor,
    libdeflate_result_LIBDEFLATE_SUCCESS, libdeflate_zlib_decompress,
};

use super::Codec;
use crate::error::{Error, Result};

/// The filter `deflate`.
pub(super) const CODEC: Codec = Codec {
    id: 1,
    name: "deflate",
    check: |_| Ok(()),
    undo: |_, stored, size| inflate(&stored, size).map(Cow::Owned),
    added: 0,
};

/// Scratch kept by each thread; larger ones are given back.
const MAX_SCRATCH: usize = 64 << 20;

/// Deflate cannot expand further than this (a run of 258-byte matches of one bit each).
const MAX_RATIO: usize = 1032;

thread_local! {
    static INFLATE: RefCell<(Option<Inflater>, Vec<u8>)> =
        RefCell::new((Inflater::new(), Vec::new()));
}

fn inflate(stored: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    INFLATE.with_borrow_mut(|(inflater, _)| inflate_into(inflater, stored, size, &mut out))?;
    Ok(out)
}

/// Inflates into scratch, so that only what `then` makes of it is allocated.
pub(super) fn inflate_then(
    stored: &[u8],
    size: usize,
    then: impl Fn(&[u8]) -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    INFLATE.with_borrow_mut(|(inflater, scratch)| {
        let result = inflate_into(inflater, stored, size, scratch).and_then(|()| then(scratch));
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

/// A decompressor; making one costs more than inflating a small chunk.
struct Inflater(NonNull<libdeflate_decompressor>);

impl Inflater {
    /// `None` if there is no memory for it.
    fn new() -> Option<Self> {
        // SAFETY: takes nothing; null is handled.
        NonNull::new(unsafe { libdeflate_alloc_decompressor() }).map(Self)
    }

    /// Makes `out` the `size` bytes that the zlib stream `stored` holds. Its checksum is verified.
    fn inflate(&mut self, stored: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
        if size / MAX_RATIO > stored.len() {
            return Err(Error::corrupt(format!(
                "{} compressed bytes cannot hold a chunk of {size}",
                stored.len()
            )));
        }
        out.clear();
        out.try_reserve_exact(size).map_err(|_| {
            Error::out_of_memory(format!("there is no memory for a chunk of {size} bytes"))
        })?;
        // SAFETY: the decompressor is ours alone (`&mut`), reads `stored` within its length and
        // writes at most `size` bytes, which `out` has room for. Without a place for the actual
        // size, success means that all `size` bytes were written.
        let result = unsafe {
            libdeflate_zlib_decompress(
                self.0.as_ptr(),
                stored.as_ptr().cast(),
                stored.len(),
                out.as_mut_ptr().cast(),
                size,
                ptr::null_mut(),
            )
        };
        if result != libdeflate_result_LIBDEFLATE_SUCCESS {
            return Err(Error::corrupt(format!(
                "a chunk does not inflate to the {size} bytes due"
            )));
        }
        // SAFETY: the bytes were written just now.
        unsafe { out.set_len(size) };
        Ok(())
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: it came from `libdeflate_alloc_decompressor` and is freed only here.
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) };
    }
}
