//! An entry of an index: a [`Grid`] as bytes.
//!
//! ```text
//!  format (1)  checksum of what follows (8)  sections, each: tag (1)  length (varint)  body
//!      GRID      what is small (postcard)
//!      AXES      latitudes, longitudes (axis)
//!      CHUNKS    nodes of so many chunks each, which can be read apart:
//!                for each the place of its first chunk, its chunks, its bytes (varint); then the nodes,
//!                column by column: places, addresses, sizes, skipped filters
//!      EVIDENCE  what opening read of the file (postcard)
//!      FURTHER   dimensions besides latitude, longitude and time (postcard)
//!      FLAGS     named states (postcard)
//! ```
//!
//! A packed piece (a section, or a node) is its size unpacked (varint) and zstd. Sections of the upper
//! half of tags are extras: who does not know one goes on without it.
//!
//! An entry holds neither location nor name, and depends on no wanted unit. Entries are not trusted:
//! whatever reading relies on is checked here, as if the bytes came from a stranger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::axis::{put_axis, take_axis};
use super::varint::{put, take, unzigzag, zigzag};
use crate::error::{Error, Result};
use crate::granule::cf::axes;
use crate::granule::cf::packing::Packing;
use crate::granule::format::array::{
    Array, Dtype, MAX_RANK, Storage, Stored, block_shape, decoded_size, record_shape,
};
use crate::granule::format::attribute::Number;
use crate::granule::format::filters::Filter;
use crate::granule::grids::grid::{Direction, Grid, Steps};
use crate::granule::grids::levels::FurtherDimension;
use crate::granule::grids::sums::Summation;
use crate::granule::index::Evidence;
use crate::store::Location;

/// Goes up when what the bytes mean changes.
pub(super) const FORMAT: u8 = 4;

const GRID: u8 = 1;
const AXES: u8 = 2;
const CHUNKS: u8 = 3;
const EVIDENCE: u8 = EXTRA | 4;
const FURTHER: u8 = EXTRA | 5;
const FLAGS: u8 = EXTRA | 6;

/// The bit of sections that may be left out.
const EXTRA: u8 = 0x80;

/// Chunks of a node: few enough to be read at once, many enough to be packed well.
const NODE: usize = 4096;

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
    layout: StoredLayout,
    /// The type whose values the stored bits are, scale and offset; invalid numbers and limits.
    unpacked: (Dtype, f64, f64),
    invalid: (Vec<Number>, Option<Number>, Option<Number>),
}

#[derive(Serialize, Deserialize)]
enum StoredLayout {
    Compact(Vec<u8>),
    Contiguous(Option<u64>),
    Chunks { chunk: Vec<u64>, filters: Vec<Filter> },
    Records { address: u64, stride: u64 },
}

/// What an entry tells.
pub(super) struct Entry {
    pub grid: Grid,
    pub evidence: Option<Evidence>,
}

/// The entry of a grid, and of what opening it read.
pub(super) fn encode(grid: &Grid, evidence: Option<&Evidence>) -> Result<Vec<u8>> {
    let mut axes = Vec::new();
    put_axis(&mut axes, &grid.lat);
    put_axis(&mut axes, &grid.lon);
    let mut body = Vec::new();
    put_section(&mut body, GRID, &pack(&postcard::to_stdvec(&small(grid)).map_err(failed)?)?);
    put_section(&mut body, AXES, &pack(&axes)?);
    if let Storage::Chunks(chunks) = &grid.array.storage {
        put_section(&mut body, CHUNKS, &nodes(chunks)?);
    }
    if let Some(evidence) = evidence {
        let bytes = postcard::to_stdvec(evidence).map_err(failed)?;
        put_section(&mut body, EVIDENCE, &bytes);
    }
    if !grid.further.is_empty() {
        let bytes = postcard::to_stdvec(&grid.further).map_err(failed)?;
        put_section(&mut body, FURTHER, &bytes);
    }
    if !grid.flags.is_empty() {
        let bytes = postcard::to_stdvec(&grid.flags).map_err(failed)?;
        put_section(&mut body, FLAGS, &bytes);
    }
    if body.len() > MAX_BYTES {
        return Err(failed("the description is too large"));
    }
    let checksum = XxHash3_64::oneshot(&body).to_le_bytes();
    Ok([&[FORMAT], &checksum[..], &body].concat())
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::internal(format!("cannot index: {e}"))
}

fn put_section(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    put(out, body.len() as u64);
    out.extend(body);
}

fn pack(plain: &[u8]) -> Result<Vec<u8>> {
    if plain.len() > MAX_BYTES {
        return Err(failed("the description is too large"));
    }
    let mut packed = Vec::new();
    put(&mut packed, plain.len() as u64);
    packed.extend(zstd::bulk::compress(plain, LEVEL).map_err(failed)?);
    Ok(packed)
}

fn small(grid: &Grid) -> Small {
    let Grid { unit, lat_dim, lon_dim, steps, array, packing, .. } = grid;
    let layout = match &array.storage {
        Storage::Compact(bytes) => StoredLayout::Compact(bytes.clone()),
        Storage::Contiguous(address) => StoredLayout::Contiguous(*address),
        Storage::Records { address, stride } => {
            StoredLayout::Records { address: *address, stride: *stride }
        }
        Storage::Chunks(_) => {
            StoredLayout::Chunks { chunk: array.chunk.clone(), filters: array.filters.clone() }
        }
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

/// What an entry tells of the variable `name` of the file at `location`; the grid's values will be in
/// `unit`.
///
/// # Errors
/// `CorruptGranule`: the entry is damaged or no entry. `Unsupported`: the unit.
pub(super) fn decode(
    entry: &[u8],
    location: &Location,
    name: &str,
    unit: Option<&str>,
) -> Result<Entry> {
    let mut sections = sections(entry)?;
    let mut section = |tag: u8, what| sections.remove(&tag).ok_or_else(|| damaged(what));
    let grid = unpack(section(GRID, "its start")?)?;
    let small: Small = postcard::from_bytes(&grid).map_err(|_| damaged("its start"))?;
    let axes = unpack(section(AXES, "its axes")?)?;
    let mut rest = axes.as_slice();
    let (lat, lon) = (take_axis(&mut rest)?, take_axis(&mut rest)?);
    if !rest.is_empty() {
        return Err(damaged("its axes"));
    }
    axes::check_latitudes(&lat).and_then(|()| axes::check_longitudes(&lon))?;
    let further = match section(FURTHER, "its dimensions") {
        Ok(bytes) => postcard::from_bytes(bytes).map_err(|_| damaged("its dimensions"))?,
        Err(_) => Vec::new(),
    };
    let flags = match section(FLAGS, "its flags") {
        Ok(bytes) => postcard::from_bytes(bytes).map_err(|_| damaged("its flags"))?,
        Err(_) => Vec::new(),
    };
    check_dimensions(&small, lat.len(), lon.len(), &further)?;
    let packing = packing(&small)?.in_unit(small.unit.as_deref(), unit)?;
    let chunks = match &small.layout {
        StoredLayout::Chunks { .. } => section(CHUNKS, "its chunks")?,
        _ => &[],
    };
    let array = array(small.dtype, small.swapped, small.shape, small.layout, small.fill, chunks)?;
    // It proves nothing if it cannot be read.
    let evidence = section(EVIDENCE, "its evidence").ok();
    let evidence = evidence.and_then(|bytes| postcard::from_bytes(bytes).ok());
    if sections.keys().any(|tag| tag & EXTRA == 0) {
        return Err(damaged("a section that this version does not know"));
    }
    let array = Array { location: location.clone(), name: name.to_owned(), ..array }.keyed();
    let grid = Grid {
        lat,
        lon,
        unit: small.unit,
        lat_dim: small.lat,
        lon_dim: small.lon,
        steps: small.steps,
        further,
        levels: Vec::new(),
        flags,
        array,
        summation: Summation::new(&packing),
        packing,
        restored: true,
    };
    Ok(Entry { grid, evidence })
}

/// The sections by their tags.
fn sections(entry: &[u8]) -> Result<BTreeMap<u8, &[u8]>> {
    let [FORMAT, rest @ ..] = entry else { return Err(damaged("its format")) };
    let (checksum, mut body) =
        rest.split_first_chunk::<CHECKSUM>().ok_or_else(|| damaged("its length"))?;
    if XxHash3_64::oneshot(body).to_le_bytes() != *checksum {
        return Err(damaged("its checksum"));
    }
    let mut sections = BTreeMap::new();
    while let [tag, rest @ ..] = body {
        body = rest;
        let section = take_bytes(&mut body)?;
        if sections.insert(*tag, section).is_some() {
            return Err(damaged("a section given twice"));
        }
    }
    Ok(sections)
}

/// Takes a length and so many bytes off the front.
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = usize::try_from(take(rest)?).unwrap_or(usize::MAX);
    let (bytes, after) = rest.split_at_checked(length).ok_or_else(|| damaged("its length"))?;
    *rest = after;
    Ok(bytes)
}

fn unpack(mut packed: &[u8]) -> Result<Vec<u8>> {
    let size = usize::try_from(take(&mut packed)?).unwrap_or(usize::MAX);
    if size > MAX_BYTES {
        return Err(damaged("its size"));
    }
    let plain = zstd::bulk::decompress(packed, size).map_err(|_| damaged("its compression"))?;
    if plain.len() == size { Ok(plain) } else { Err(damaged("its size")) }
}

/// Axes, time steps and what is told of further dimensions lie on dimensions of their own and of
/// their length; others have length 1.
fn check_dimensions(
    small: &Small,
    lat: usize,
    lon: usize,
    further: &[FurtherDimension],
) -> Result<()> {
    let rank = small.shape.len();
    let mut named = vec![(small.lat.dim, lat), (small.lon.dim, lon)];
    if let Steps::Many { dim, days } = &small.steps {
        named.push((*dim, days.len()));
    }
    let length = |dim: usize| small.shape.get(dim).and_then(|&n| usize::try_from(n).ok());
    for FurtherDimension { dim, values, .. } in further {
        let length = length(*dim).ok_or_else(|| damaged("its dimensions"))?;
        named.push((*dim, if values.is_empty() { length } else { values.len() }));
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
    layout: StoredLayout,
    fill: Vec<u8>,
    nodes: &[u8],
) -> Result<Array> {
    let width = dtype.size();
    if fill.len() != width {
        return Err(damaged("its fill value"));
    }
    let (storage, chunk, filters) = match layout {
        StoredLayout::Compact(bytes) => {
            if bytes.len() != decoded_size(&shape, width)? {
                return Err(damaged("its data"));
            }
            (Storage::Compact(bytes), shape.clone(), Vec::new())
        }
        StoredLayout::Contiguous(address) => {
            (Storage::Contiguous(address), block_shape(&shape, width), Vec::new())
        }
        StoredLayout::Records { address, stride } => {
            if shape.is_empty() {
                return Err(damaged("its records"));
            }
            (Storage::Records { address, stride }, record_shape(&shape, width), Vec::new())
        }
        StoredLayout::Chunks { chunk, filters } => {
            if chunk.len() != shape.len() || chunk.contains(&0) {
                return Err(damaged("its chunks"));
            }
            if !filters.iter().all(Filter::is_sound) {
                return Err(damaged("its filters"));
            }
            let places = shape
                .iter()
                .zip(&chunk)
                .try_fold(1u64, |places, (n, c)| places.checked_mul(n.div_ceil(*c)));
            let places = places.ok_or_else(|| damaged("its chunks"))?;
            (Storage::Chunks(take_nodes(nodes, places)?), chunk, filters)
        }
    };
    decoded_size(&chunk, width)?;
    let (location, name, key) = (Location::whole(""), String::new(), 0);
    Ok(Array { location, name, dtype, swapped, shape, chunk, storage, filters, fill, key })
}

/// The chunks, node by node, behind a directory of the nodes.
fn nodes(chunks: &[Stored]) -> Result<Vec<u8>> {
    let (mut directory, mut bodies) = (Vec::new(), Vec::new());
    let nodes = chunks.chunks(NODE);
    put(&mut directory, nodes.len() as u64);
    for node in nodes {
        let mut plain = Vec::new();
        put_chunks(&mut plain, node);
        let body = pack(&plain)?;
        put(&mut directory, node.first().map_or(0, |chunk| chunk.linear));
        put(&mut directory, node.len() as u64);
        put(&mut directory, body.len() as u64);
        bodies.extend(body);
    }
    directory.extend(bodies);
    Ok(directory)
}

/// All chunks, of an array that has so many places.
fn take_nodes(mut rest: &[u8], places: u64) -> Result<Vec<Stored>> {
    let count = take(&mut rest)?;
    // A node takes three numbers in the directory, of a byte each or more.
    if count > rest.len() as u64 / 3 {
        return Err(damaged("its chunks"));
    }
    let mut directory = Vec::new();
    for _ in 0..count {
        directory.push([take(&mut rest)?, take(&mut rest)?, take(&mut rest)?]);
    }
    let mut chunks: Vec<Stored> = Vec::new();
    for [first, count, bytes] in directory {
        let (body, after) = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| rest.split_at_checked(bytes))
            .ok_or_else(|| damaged("its chunks"))?;
        rest = after;
        let total = count.checked_add(chunks.len() as u64);
        if count > NODE as u64 || total.is_none_or(|total| total > MAX_BYTES as u64 / 4) {
            return Err(damaged("its chunks"));
        }
        let plain = unpack(body)?;
        let node = take_chunks(&mut plain.as_slice(), count, places)?;
        let next = chunks.last().map_or(0, |last| last.linear + 1);
        if node.first().is_none_or(|chunk| chunk.linear != first || first < next) {
            return Err(damaged("its chunks"));
        }
        chunks.extend(node);
    }
    if rest.is_empty() { Ok(chunks) } else { Err(damaged("its chunks")) }
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
    if rest.is_empty() { Ok(chunks) } else { Err(damaged("its chunks")) }
}

fn damaged(what: &str) -> Error {
    Error::corrupt(format!("an entry of the index is damaged ({what})"))
}

#[cfg(test)]
pub(super) mod tests;
