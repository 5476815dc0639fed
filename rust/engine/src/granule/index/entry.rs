//! An entry of an index: a [`Grid`] as bytes.
//!
//! ```text
//!  format (1)  checksum of what follows (8)  size unpacked (varint)  zstd of
//!      what is small (postcard)
//!      latitudes, longitudes (axis)
//!      chunks, column by column: places, addresses, sizes, skipped filters
//! ```
//!
//! It holds neither location nor name, and depends on no wanted unit. Entries are not trusted:
//! whatever reading relies on is checked here, as if the bytes came from a stranger.

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::axis::{put_axis, take_axis};
use super::varint::{put, take, unzigzag, zigzag};
use crate::error::{Error, Result};
use crate::granule::cf::axes;
use crate::granule::cf::packing::Packing;
use crate::granule::format::array::{
    Array, Dtype, MAX_RANK, Source, Stored, block_shape, decoded_size,
};
use crate::granule::format::filters::Filter;
use crate::granule::format::hdf5::Number;
use crate::granule::grids::grid::{Direction, Grid, Steps};
use crate::granule::grids::sums::Summation;
use crate::store::Location;

/// Goes up when what the bytes mean changes.
pub(super) const FORMAT: u8 = 2;

/// The largest entry, packed or not. That of a swath takes a few KiB.
const MAX_BYTES: usize = 64 << 20;

/// Beyond, zstd takes longer and saves little.
const LEVEL: i32 = 9;

const CHECKSUM: usize = 8;

/// All but axes and chunks.
#[derive(Serialize, Deserialize)]
struct Small {
    unit: Option<String>,
    lat: Direction,
    lon: Direction,
    steps: Steps,
    dtype: Dtype,
    swapped: bool,
    shape: Vec<u64>,
    fill: Vec<u8>,
    layout: Layout,
    /// The type whose values the stored bits are, scale and offset; invalid numbers and limits.
    unpacked: (Dtype, f64, f64),
    invalid: (Vec<Number>, Option<Number>, Option<Number>),
}

#[derive(Serialize, Deserialize)]
enum Layout {
    Compact(Vec<u8>),
    Contiguous(Option<u64>),
    Chunks { count: u64, chunk: Vec<u64>, filters: Vec<Filter> },
}

/// The entry of a grid.
pub(super) fn encode(grid: &Grid) -> Result<Vec<u8>> {
    let failed = |e: &dyn std::fmt::Display| Error::internal(format!("cannot index: {e}"));
    let mut plain = postcard::to_stdvec(&small(grid)).map_err(|e| failed(&e))?;
    put_axis(&mut plain, &grid.lat);
    put_axis(&mut plain, &grid.lon);
    if let Source::Chunks(chunks) = &grid.array.source {
        put_chunks(&mut plain, chunks);
    }
    if plain.len() > MAX_BYTES {
        return Err(failed(&"the description is too large"));
    }
    let mut body = Vec::new();
    put(&mut body, plain.len() as u64);
    body.extend(zstd::bulk::compress(&plain, LEVEL).map_err(|e| failed(&e))?);
    let checksum = XxHash3_64::oneshot(&body).to_le_bytes();
    Ok([&[FORMAT], &checksum[..], &body].concat())
}

fn small(grid: &Grid) -> Small {
    let Grid { unit, lat_dim, lon_dim, steps, array, packing, .. } = grid;
    let layout = match &array.source {
        Source::Compact(bytes) => Layout::Compact(bytes.clone()),
        Source::Contiguous(address) => Layout::Contiguous(*address),
        Source::Chunks(chunks) => Layout::Chunks {
            count: chunks.len() as u64,
            chunk: array.chunk.clone(),
            filters: array.filters.clone(),
        },
    };
    Small {
        unit: unit.clone(),
        lat: *lat_dim,
        lon: *lon_dim,
        steps: steps.clone(),
        dtype: array.dtype,
        swapped: array.swapped,
        shape: array.shape.clone(),
        fill: array.fill.clone(),
        layout,
        unpacked: (packing.dtype, packing.scale, packing.offset),
        invalid: (packing.invalid.clone(), packing.low, packing.high),
    }
}

/// The grid of an entry, for the variable `name` of the file at `location`, in `unit`.
///
/// # Errors
/// `CorruptGranule`: the entry is damaged or no entry. `Unsupported`: the unit.
pub(super) fn decode(
    entry: &[u8],
    location: &Location,
    name: &str,
    unit: Option<&str>,
) -> Result<Grid> {
    let plain = unpack(entry)?;
    let (small, mut rest) =
        postcard::take_from_bytes::<Small>(&plain).map_err(|_| damaged("its start"))?;
    let (lat, lon) = (take_axis(&mut rest)?, take_axis(&mut rest)?);
    axes::check_latitudes(&lat).and_then(|()| axes::check_longitudes(&lon))?;
    check_dimensions(&small, lat.len(), lon.len())?;
    let packing = packing(&small)?.in_unit(small.unit.as_deref(), unit)?;
    let array =
        array(small.dtype, small.swapped, small.shape, small.layout, small.fill, &mut rest)?;
    if !rest.is_empty() {
        return Err(damaged("its end"));
    }
    let array = Array { location: location.clone(), name: name.to_owned(), ..array }.keyed();
    Ok(Grid {
        lat,
        lon,
        unit: small.unit,
        lat_dim: small.lat,
        lon_dim: small.lon,
        steps: small.steps,
        array,
        summation: Summation::new(&packing),
        packing,
        restored: true,
    })
}

fn unpack(entry: &[u8]) -> Result<Vec<u8>> {
    let [FORMAT, rest @ ..] = entry else { return Err(damaged("its format")) };
    let (checksum, mut body) =
        rest.split_first_chunk::<CHECKSUM>().ok_or_else(|| damaged("its length"))?;
    if XxHash3_64::oneshot(body).to_le_bytes() != *checksum {
        return Err(damaged("its checksum"));
    }
    let size = usize::try_from(take(&mut body)?).unwrap_or(usize::MAX);
    if size > MAX_BYTES {
        return Err(damaged("its size"));
    }
    let plain = zstd::bulk::decompress(body, size).map_err(|_| damaged("its compression"))?;
    if plain.len() == size { Ok(plain) } else { Err(damaged("its size")) }
}

/// Axes and time steps lie on dimensions of their own and of their length; others have length 1.
fn check_dimensions(small: &Small, lat: usize, lon: usize) -> Result<()> {
    let rank = small.shape.len();
    let mut named = vec![(small.lat.dim, lat), (small.lon.dim, lon)];
    if let Steps::Many { dim, days } = &small.steps {
        named.push((*dim, days.len()));
    }
    let fits = |(dim, n): &(usize, usize)| small.shape.get(*dim) == Some(&(*n as u64));
    let mut distinct: Vec<usize> = named.iter().map(|(dim, _)| *dim).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let others = small.shape.iter().enumerate().all(|(dim, &n)| n == 1 || distinct.contains(&dim));
    if rank <= MAX_RANK && named.iter().all(fits) && distinct.len() == named.len() && others {
        return Ok(());
    }
    Err(damaged("its dimensions"))
}

fn packing(small: &Small) -> Result<Packing> {
    let (dtype, scale, offset) = small.unpacked;
    let (invalid, low, high) = small.invalid.clone();
    let same_bits = [small.dtype, small.dtype.signed(), small.dtype.unsigned()].contains(&dtype);
    if !same_bits || !scale.is_finite() || !offset.is_finite() {
        return Err(damaged("its packing"));
    }
    Ok(Packing { scale, offset, invalid, low, high, ..Packing::none(dtype) })
}

/// The array, without location, name and key.
fn array(
    dtype: Dtype,
    swapped: bool,
    shape: Vec<u64>,
    layout: Layout,
    fill: Vec<u8>,
    rest: &mut &[u8],
) -> Result<Array> {
    let width = dtype.size();
    if fill.len() != width {
        return Err(damaged("its fill value"));
    }
    let (source, chunk, filters) = match layout {
        Layout::Compact(bytes) => {
            if bytes.len() != decoded_size(&shape, width)? {
                return Err(damaged("its data"));
            }
            (Source::Compact(bytes), shape.clone(), Vec::new())
        }
        Layout::Contiguous(address) => {
            (Source::Contiguous(address), block_shape(&shape, width), Vec::new())
        }
        Layout::Chunks { count, chunk, filters } => {
            if chunk.len() != shape.len() || chunk.contains(&0) {
                return Err(damaged("its chunks"));
            }
            if filters.contains(&Filter::Shuffle(0)) {
                return Err(damaged("its filters"));
            }
            let places = shape
                .iter()
                .zip(&chunk)
                .try_fold(1u64, |places, (n, c)| places.checked_mul(n.div_ceil(*c)));
            let places = places.ok_or_else(|| damaged("its chunks"))?;
            (Source::Chunks(take_chunks(rest, count, places)?), chunk, filters)
        }
    };
    decoded_size(&chunk, width)?;
    let (location, name, key) = (Location::whole(""), String::new(), 0);
    Ok(Array { location, name, dtype, swapped, shape, chunk, source, filters, fill, key })
}

fn put_chunks(out: &mut Vec<u8>, chunks: &[Stored]) {
    let mut next = 0;
    for chunk in chunks {
        put(out, chunk.linear.wrapping_sub(next));
        next = chunk.linear + 1;
    }
    // Writers mostly put a chunk behind the one before.
    let mut end = 0u64;
    for chunk in chunks {
        put(out, zigzag(chunk.address.wrapping_sub(end) as i64));
        end = chunk.address.wrapping_add(chunk.size);
    }
    chunks.iter().for_each(|chunk| put(out, chunk.size));
    chunks.iter().for_each(|chunk| put(out, u64::from(chunk.skipped)));
}

/// Chunks in ascending order of their places, of which there are so many.
fn take_chunks(rest: &mut &[u8], count: u64, places: u64) -> Result<Vec<Stored>> {
    // Four numbers a chunk, a byte each or more.
    if count > places || count > rest.len() as u64 / 4 {
        return Err(damaged("its chunks"));
    }
    let empty = Stored { linear: 0, address: 0, size: 0, skipped: 0 };
    let mut chunks = vec![empty; count as usize];
    let mut next = 0u64;
    for chunk in &mut chunks {
        let linear = next.checked_add(take(rest)?).filter(|linear| *linear < places);
        chunk.linear = linear.ok_or_else(|| damaged("its chunks"))?;
        next = chunk.linear + 1;
    }
    for chunk in &mut chunks {
        chunk.address = take(rest)?;
    }
    for chunk in &mut chunks {
        chunk.size = take(rest)?;
    }
    let mut end = 0u64;
    for chunk in &mut chunks {
        chunk.skipped = u32::try_from(take(rest)?).map_err(|_| damaged("its chunks"))?;
        chunk.address = end.wrapping_add(unzigzag(chunk.address) as u64);
        end = chunk.address.checked_add(chunk.size).ok_or_else(|| damaged("its chunks"))?;
    }
    Ok(chunks)
}

fn damaged(what: &str) -> Error {
    Error::corrupt(format!("an entry of the index is damaged ({what})"))
}

#[cfg(test)]
pub(super) mod tests;
