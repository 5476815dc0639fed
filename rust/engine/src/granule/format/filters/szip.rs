//! Szip (Rice coding, as CCSDS 121.0-B has it), which NASA's products use; decoded by hdf5-reader.

use std::borrow::Cow;

use hdf5_reader::filters::szip::decompress_with_limit;

use super::Codec;
use crate::error::Error;

/// The filter `szip`; its parameters are checked where they are used.
pub(super) const CODEC: Codec = Codec {
    id: 4,
    name: "szip",
    check: |_| Ok(()),
    undo: |params, stored, size| match decompress_with_limit(&stored, params, size) {
        Ok(bytes) => Ok(Cow::Owned(bytes)),
        Err(e) => Err(Error::corrupt(format!("a chunk is no sound szip: {e}"))),
    },
    added: 0,
};
