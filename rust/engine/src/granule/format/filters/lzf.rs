//! LZF, which h5py writes with `compression="lzf"` (Marc Lehmann's LibLZF).

use std::borrow::Cow;

use super::Codec;
use crate::error::{Error, Result};

/// The filter `lzf`.
pub(super) const CODEC: Codec = Codec {
    id: 32000,
    name: "lzf",
    check: |_| Ok(()),
    undo: |_, stored, size| undo(&stored, size),
    added: 0,
};

/// The longest match is of 264 bytes, told by three.
const MAX_RATIO: usize = 88;

fn undo<'a>(stored: &[u8], size: usize) -> Result<Cow<'a, [u8]>> {
    let broken = || Error::corrupt(format!("a chunk is no sound LZF of {size} bytes"));
    if size / MAX_RATIO > stored.len() {
        return Err(broken());
    }
    let mut out: Vec<u8> = Vec::new();
    out.try_reserve_exact(size)
        .map_err(|_| Error::out_of_memory("there is no memory for a chunk"))?;
    let mut rest = stored;
    let next = |rest: &mut &[u8]| {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        Some(usize::from(*byte))
    };
    while let Some(control) = next(&mut rest) {
        let room = size - out.len();
        if control < 32 {
            // That many literals, and one.
            let (literals, after) = rest.split_at_checked(control + 1).ok_or_else(broken)?;
            if literals.len() > room {
                return Err(broken());
            }
            out.extend_from_slice(literals);
            rest = after;
            continue;
        }
        let mut length = (control >> 5) + 2;
        if length == 9 {
            length += next(&mut rest).ok_or_else(broken)?;
        }
        let back = (control & 31) << 8 | next(&mut rest).ok_or_else(broken)?;
        let from = out.len().checked_sub(back + 1).ok_or_else(broken)?;
        if length > room {
            return Err(broken());
        }
        // What is copied may be what is being written.
        for at in from..from + length {
            let byte = out.get(at).copied().ok_or_else(broken)?;
            out.push(byte);
        }
    }
    Ok(Cow::Owned(out))
}
