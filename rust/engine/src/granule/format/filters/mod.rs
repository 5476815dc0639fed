//! The HDF5 filter pipeline, backwards: from the bytes of a stored chunk to its elements. A filter is
//! a file of this folder and a line of [`CODECS`].

mod deflate;
mod fletcher32;
mod shuffle;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

type Undo = for<'a> fn(&[u32], Cow<'a, [u8]>, usize) -> Result<Cow<'a, [u8]>>;

/// How a filter is undone.
struct Codec {
    /// Its number in the HDF Group's registry of filters.
    id: u16,
    name: &'static str,
    /// Refuses parameters that cannot be.
    check: fn(&[u32]) -> Result<()>,
    /// What the filter was given, from its parameters, what it made of it, and how many bytes it was
    /// given.
    undo: Undo,
    /// Bytes that it adds, where later filters must know.
    added: usize,
}

/// The filters that are read.
const CODECS: [&Codec; 3] = [&deflate::CODEC, &shuffle::CODEC, &fletcher32::CODEC];

/// Filters that files may name, and that are not read.
const NAMES: [(u16, &str); 11] = [
    (4, "szip"),
    (5, "nbit"),
    (6, "scaleoffset"),
    (307, "bzip2"),
    (32000, "lzf"),
    (32001, "blosc"),
    (32004, "lz4"),
    (32008, "bitshuffle"),
    (32013, "zfp"),
    (32015, "zstd"),
    (32026, "blosc2"),
];

/// A filter of a pipeline, and its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::granule) struct Filter {
    id: u16,
    params: Vec<u32>,
}

impl Filter {
    /// The filter of this number; `stated` is the name that the file gives it.
    ///
    /// # Errors
    /// `Unsupported`: it is not read. `CorruptGranule`: its parameters cannot be.
    pub(in crate::granule) fn new(id: u16, params: &[u32], stated: Option<&str>) -> Result<Self> {
        let filter = Self { id, params: params.to_vec() };
        let Some(codec) = filter.codec() else {
            let known = NAMES.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
            return Err(Error::unsupported(format!(
                "the filter {} ({id}) is not read; write the file with {}",
                known.or(stated).unwrap_or("unknown"),
                CODECS[0].name
            )));
        };
        (codec.check)(params).map(|()| filter)
    }

    /// Whether it is read and has parameters that can be.
    pub(in crate::granule) fn is_sound(&self) -> bool {
        self.codec().is_some_and(|codec| (codec.check)(&self.params).is_ok())
    }

    fn codec(&self) -> Option<&'static Codec> {
        CODECS.into_iter().find(|codec| codec.id == self.id)
    }

    fn is(&self, codec: &Codec) -> bool {
        self.id == codec.id
    }
}

/// Undoes `filters` (in the order they were applied) on a stored chunk. Bit i of `skipped` says
/// that filter i was not applied. The result has exactly `size` bytes.
pub(in crate::granule) fn decode(
    filters: &[Filter],
    skipped: u32,
    stored: &[u8],
    size: usize,
) -> Result<Vec<u8>> {
    let applied: Vec<&Filter> = filters
        .iter()
        .enumerate()
        .filter(|&(i, _)| u32::try_from(i).is_ok_and(|i| i >= 32 || skipped >> i & 1 == 0))
        .map(|(_, filter)| filter)
        .collect();
    let decoded = match applied.as_slice() {
        // The usual case needs no memory between its steps.
        [first, second] if first.is(&shuffle::CODEC) && second.is(&deflate::CODEC) => {
            let width = shuffle::width(&first.params);
            deflate::inflate_then(stored, size, |bytes| shuffle::unshuffle(bytes, width))?
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

fn decode_stepwise(applied: &[&Filter], stored: &[u8], size: usize) -> Result<Vec<u8>> {
    let mut steps = Vec::with_capacity(applied.len());
    let mut given = size;
    for filter in applied {
        let codec = filter.codec().ok_or_else(|| Error::internal("a filter that is not read"))?;
        steps.push((codec, &filter.params, given));
        given += codec.added;
    }
    let mut bytes = Cow::Borrowed(stored);
    for (codec, params, given) in steps.into_iter().rev() {
        bytes = (codec.undo)(params, bytes, given)?;
    }
    Ok(bytes.into_owned())
}

#[cfg(test)]
pub(in crate::granule) mod tests {
    #![allow(clippy::unwrap_used)]

    use libdeflater::{CompressionLvl, Compressor};

    use super::fletcher32::fletcher32;
    use super::shuffle::tests::shuffle;
    use super::*;

    /// `shuffle` of elements of so many bytes, and `deflate`.
    pub(in crate::granule) fn usual(width: usize) -> Vec<Filter> {
        vec![of(&shuffle::CODEC, &[width as u32]), of(&deflate::CODEC, &[4])]
    }

    fn of(codec: &Codec, params: &[u32]) -> Filter {
        Filter::new(codec.id, params, None).unwrap()
    }

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::default());
        let mut out = vec![0; compressor.zlib_compress_bound(data.len())];
        let n = compressor.zlib_compress(data, &mut out).unwrap();
        out.truncate(n);
        out
    }

    #[test]
    fn undoes_the_filters_in_reverse() {
        let data: Vec<u8> = (0..4096u32).map(|i| (i / 7) as u8).collect();
        let pipeline = usual(4);
        let stored = deflate(&shuffle(&data, 4));
        assert_eq!(decode(&pipeline, 0, &stored, 4096).unwrap(), data);

        let mut checked = data.clone();
        checked.extend(fletcher32(&data).to_le_bytes());
        let pipeline = [of(&fletcher32::CODEC, &[]), of(&deflate::CODEC, &[4])];
        assert_eq!(decode(&pipeline, 0, &deflate(&checked), 4096).unwrap(), data);

        let pipeline = usual(4);
        assert_eq!(decode(&pipeline, 0b10, &shuffle(&data, 4), 4096).unwrap(), data);
    }

    #[test]
    fn damage_is_an_error() {
        let data = vec![1u8; 4096];
        let mut stored = data.clone();
        stored.extend(fletcher32(&data).to_le_bytes());
        assert_eq!(decode(&[of(&fletcher32::CODEC, &[])], 0, &stored, 4096).unwrap(), data);
        stored[17] ^= 1;
        assert!(decode(&[of(&fletcher32::CODEC, &[])], 0, &stored, 4096).is_err());
        assert!(decode(&[of(&fletcher32::CODEC, &[])], 0, &[1], 4096).is_err());
        let deflated = deflate(&data);
        assert!(decode(&[of(&deflate::CODEC, &[])], 0, &deflated[..9], 4096).is_err());
        assert!(decode(&[of(&deflate::CODEC, &[])], 0, &deflated, 4095).is_err());
        assert!(decode(&[of(&deflate::CODEC, &[])], 0, &deflated, 1 << 40).is_err());
        assert!(decode(&[], 0, &data, 4095).is_err());
    }

    #[test]
    fn filters_have_numbers_of_their_own() {
        let mut numbers: Vec<u16> = CODECS.iter().map(|codec| codec.id).collect();
        numbers.extend(NAMES.map(|(id, _)| id));
        let distinct: std::collections::BTreeSet<u16> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len());
        let refused = |id, stated| Filter::new(id, &[], stated).unwrap_err().to_string();
        assert!(refused(32001, None).contains("blosc (32001)"));
        assert!(refused(999, Some("mine")).contains("mine (999)"));
        assert!(
            Filter::new(2, &[0], None).is_err() && !Filter { id: 2, params: vec![] }.is_sound()
        );
    }
}
