//! Numbers as their distance from the least of a chunk, in as few bits as they need; decoded by
//! hdf5-reader.

use std::borrow::Cow;

use hdf5_reader::filters::scaleoffset::decompress_with_limit;

use super::Codec;
use crate::error::Error;

/// The filter `scaleoffset`; its parameters are checked where they are used.
pub(super) const CODEC: Codec = Codec {
    id: 6,
    name: "scaleoffset",
    check: |_| Ok(()),
    undo: |params, stored, size| match decompress_with_limit(&stored, params, size) {
        Ok(bytes) => Ok(Cow::Owned(bytes)),
        Err(e) => Err(Error::corrupt(format!("a chunk is no sound scaleoffset: {e}"))),
    },
    added: 0,
};
