//! The HDF5 filter pipeline, backwards: from the bytes of a stored chunk to its elements. A filter is
//! a file of this folder and a line of [`CODECS`].

mod bitshuffle;
mod deflate;
mod fletcher32;
mod lz4;
mod lzf;
mod scaleoffset;
mod shuffle;
mod szip;
mod zstd;

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
const CODECS: [&Codec; 9] = [
    &deflate::CODEC,
    &shuffle::CODEC,
    &fletcher32::CODEC,
    &szip::CODEC,
    &scaleoffset::CODEC,
    &lzf::CODEC,
    &lz4::CODEC,
    &bitshuffle::CODEC,
    &zstd::CODEC,
];

/// Filters that files may name, and that are not read.
const NAMES: [(u16, &str); 5] =
    [(5, "nbit"), (307, "bzip2"), (32001, "blosc"), (32013, "zfp"), (32026, "blosc2")];

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
                "the filter {} ({id}) is not read; rewrite the file with one that is ({}), such as \
                 `nccopy -F none in.nc plain.nc && nccopy -s -d 4 plain.nc out.nc`",
                known.or(stated).unwrap_or("unknown"),
                CODECS.map(|codec| codec.name).join(", "),
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
    use proptest::prelude::*;

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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever the bytes and parameters: so many bytes, or an error.
        #[test]
        fn no_filter_stumbles(
            codec in 0..CODECS.len(), params in prop::collection::vec(0u32..40, 0..8),
            wild in any::<u32>(), at in any::<prop::sample::Index>(),
            stored in prop::collection::vec(any::<u8>(), 0..300), size in 0usize..3000,
        ) {
            let mut params = params;
            if !params.is_empty() {
                let at = at.index(params.len());
                params[at] = wild;
            }
            if let Ok(filter) = Filter::new(CODECS[codec].id, &params, None)
                && let Ok(bytes) = decode(&[filter], 0, &stored, size)
            {
                prop_assert_eq!(bytes.len(), size);
            }
        }

        /// Damage of what a filter made is an error or other bytes, never more of them.
        #[test]
        fn damaged_blocks_are_bounded(
            at in any::<prop::sample::Index>(), to in any::<u8>(), kind in 0usize..4,
            cut in any::<prop::sample::Index>(),
        ) {
            let data: Vec<u8> = (0..4096u32).map(|i| (i / 7 % 90) as u8).collect();
            let framed = |block: Vec<u8>| {
                let sizes = [&4096u64.to_be_bytes()[..], &4096u32.to_be_bytes()].concat();
                [sizes, (block.len() as u32).to_be_bytes().to_vec(), block].concat()
            };
            let (filter, mut stored) = match kind {
                0 => (of(&zstd::CODEC, &[]), ::zstd::bulk::compress(&data, 1).unwrap()),
                1 => (of(&lz4::CODEC, &[]), framed(lz4_flex::block::compress(&data))),
                2 => (of(&bitshuffle::CODEC, &[0, 3, 4, 0, 2]), framed(lz4_flex::block::compress(&data))),
                // Literals alone.
                _ => (of(&lzf::CODEC, &[]), data.chunks(32).flat_map(|c| [&[31], c].concat()).collect()),
            };
            prop_assert!(decode(std::slice::from_ref(&filter), 0, &stored, 4096).is_ok());
            let at = at.index(stored.len());
            stored[at] = to;
            if let Ok(bytes) = decode(std::slice::from_ref(&filter), 0, &stored, 4096) {
                prop_assert_eq!(bytes.len(), 4096);
            }
            stored.truncate(cut.index(stored.len()));
            let _ = decode(&[filter], 0, &stored, 4096);
        }
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
