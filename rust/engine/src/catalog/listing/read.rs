//! Reads catalogues.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{Array, Float64Array};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use serde::de::DeserializeOwned;

use super::{
    FORMAT, FORMAT_KEY, GROUPS_KEY, Group, ListedFile, ListedGranule, Listing, REQUEST_KEY,
    VARIABLES_KEY, WARNINGS_KEY, is_listing,
};
use crate::catalog::assets::{Asset, MAX_PARQUET, read_together};
use crate::catalog::granule::{Identity, Steps};
use crate::catalog::table::{Rows, Table, int_at, text_at};
use crate::error::{Error, Kind, Result};
use crate::store::{ByteSource, Location, is_remote, normalise};

/// Bytes at the end of a file that usually hold its footer.
const FOOTER: u64 = 64 << 10;

/// The longest path, in bytes.
const MAX_PATH: usize = 4_096;

/// What the names of a catalogue's variables stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVariables {
    /// The catalogue.
    pub root: String,
    /// JSON; see `oceanarrow.catalog.variables`.
    pub variables: String,
}

/// What the variables of those roots stand for that are catalogues; reads their footers alone.
///
/// # Errors
/// `NotFound`, `Io`: a file cannot be read. `InvalidDataset`: it is no catalogue, or a newer one.
pub fn listed_variables(source: &dyn ByteSource, roots: &[String]) -> Result<Vec<ListedVariables>> {
    let catalogues = roots.iter().filter(|root| is_listing(root));
    let read = |root: &String| {
        let root = normalise(root)?;
        let asset = Asset::new("the catalogue", Location::whole(root.as_str()));
        let footer = footer(source, &asset)?;
        let value = |key: &str| footer.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        check_format(&asset, value(FORMAT_KEY))?;
        let variables = value(VARIABLES_KEY).ok_or_else(|| lacks(&asset, VARIABLES_KEY))?;
        Ok(ListedVariables { variables: variables.to_owned(), root })
    };
    catalogues.map(read).collect()
}

/// The metadata of a Parquet file.
fn footer(source: &dyn ByteSource, asset: &Asset) -> Result<Vec<(String, String)>> {
    let location = &asset.location;
    let damaged = || asset.error("is no sound Parquet file");
    let size = source.size(location)?;
    let mut wanted = FOOTER.min(size);
    // A second time with as many bytes as the first asked for.
    for _ in 0..2 {
        let tail = source.read(location, size - wanted..size)?;
        let mut reader = ParquetMetaDataReader::new();
        let parse = || reader.try_parse_sized(&tail, size).and_then(|()| reader.finish());
        match catch_unwind(AssertUnwindSafe(parse)).map_err(|_| damaged())? {
            Ok(metadata) => {
                let entries = metadata.file_metadata().key_value_metadata();
                let pairs = entries.into_iter().flatten();
                let pairs = pairs.map(|pair| (pair.key.clone(), pair.value.clone()));
                return Ok(pairs.filter_map(|(key, value)| Some((key, value?))).collect());
            }
            Err(ParquetError::NeedMoreData(needed)) => {
                wanted = (needed as u64).min(size).min(MAX_PARQUET);
            }
            Err(_) => return Err(damaged()),
        }
    }
    Err(damaged())
}

fn lacks(asset: &Asset, key: &str) -> Error {
    asset.error(format_args!("lacks its metadata {key}"))
}

fn check_format(asset: &Asset, found: Option<&str>) -> Result<()> {
    let Some(found) = found else {
        return Err(asset.error(
            "is a Parquet file, but no catalogue of files; make one with `oceanarrow catalog` or \
             oceanarrow.write_catalog",
        ));
    };
    match found.parse::<u32>() {
        Ok(FORMAT) => Ok(()),
        Ok(newer) if newer > FORMAT => Err(asset.error(format_args!(
            "is a catalogue of format {newer}; this version reads format {FORMAT}: upgrade \
             oceanarrow, or list the files anew"
        ))),
        _ => Err(asset.error(format_args!("is a catalogue of an unknown format, {found:?}"))),
    }
}

/// Reads a catalogue.
///
/// # Errors
/// As [`listed_variables`]; `InvalidDataset` also if a row breaks the format.
pub(super) fn open(source: &dyn ByteSource, root: &str) -> Result<Listing> {
    let asset = Asset::new("the catalogue", Location::whole(root));
    let mut read = read_together(source, vec![(asset, MAX_PARQUET)]);
    let contents = read.pop().ok_or_else(|| Error::internal("nothing was read"))?;
    if let Err(e) = &contents.bytes
        && e.kind == Kind::NotFound
    {
        return Err(Error::not_found("there is no such catalogue").asset(root));
    }
    let table = Table::open(contents, "is missing")?;
    let asset = Asset::new("the catalogue", Location::whole(root));
    check_format(&asset, table.metadata(FORMAT_KEY))?;
    let groups: Vec<Group> = json(&asset, &table, GROUPS_KEY)?;
    let warnings = json(&asset, &table, WARNINGS_KEY)?;
    let text = |key| table.metadata(key).map(str::to_owned).ok_or_else(|| lacks(&asset, key));
    let mut listing = Listing {
        variables: text(VARIABLES_KEY)?,
        request: text(REQUEST_KEY)?,
        groups,
        warnings,
        ..Listing::default()
    };
    // A footer may say anything; more than this grows as the rows come.
    let rows = table.rows().min(1 << 20) as usize;
    listing.granules.reserve_exact(rows);
    let mut reader = Reader { root, listing: &mut listing, numbers: HashMap::new() };
    table.visit(&super::write::COLUMNS.map(|(name, _, _)| name), &[], |rows| reader.take(rows))?;
    Ok(listing)
}

fn json<T: DeserializeOwned>(asset: &Asset, table: &Table, key: &str) -> Result<T> {
    let text = table.metadata(key).ok_or_else(|| lacks(asset, key))?;
    serde_json::from_str(text).map_err(|e| asset.error(format_args!("has a damaged {key}: {e}")))
}

struct Reader<'a> {
    root: &'a str,
    listing: &'a mut Listing,
    numbers: HashMap<Arc<str>, u32>,
}

impl Reader<'_> {
    fn take(&mut self, rows: &Rows<'_>) -> Result<()> {
        let ints = ["size", "group", "day", "cycle", "first_step", "n_steps"];
        let [size, group, day, cycle, first, count] = ints.map(|name| rows.int(name));
        let (size, group, day, cycle) = (size?, group?, day?, cycle?);
        let (first, count) = (first?, count?);
        let (paths, versions) = (rows.text("path")?, rows.text("version")?);
        let evidence = rows.optional_binary("evidence")?;
        let floats = ["lon_min", "lon_max", "lat_min", "lat_max", "res_deg_lat"];
        let floats = floats.map(|name| rows.optional_float(name));
        let float = |column: &Result<Option<&Float64Array>>, row: usize| {
            let column = column.as_ref().map_err(Clone::clone)?;
            Ok::<f64, Error>(column.filter(|c| c.is_valid(row)).map_or(f64::NAN, |c| c.value(row)))
        };
        for row in 0..rows.len() {
            let wrong = |problem: &str| rows.error(row, problem);
            let path = text_at(Some(paths), row).ok_or_else(|| wrong("has no path"))?;
            let file = match self.numbers.get(path) {
                Some(file) => *file,
                None => {
                    if let Some(problem) = path_problem(self.root, path) {
                        return Err(wrong(&format!("the path {path:?} {problem}")));
                    }
                    let size = int_at(Some(size), row).and_then(|size| u64::try_from(size).ok());
                    let evidence = evidence.filter(|e| e.is_valid(row)).map(|e| e.value(row));
                    let identity = Identity::new(
                        size.ok_or_else(|| wrong("has no size"))?,
                        text_at(Some(versions), row),
                        evidence.unwrap_or_default(),
                    );
                    let path: Arc<str> = path.into();
                    let number = u32::try_from(self.listing.files.len());
                    let number = number.map_err(|_| wrong("is of one file too many"))?;
                    self.listing.files.push(ListedFile { path: path.clone(), identity });
                    self.numbers.insert(path, number);
                    number
                }
            };
            let whole = |column, what: &str| {
                let value = int_at(Some(column), row).and_then(|value| u32::try_from(value).ok());
                value.ok_or_else(|| wrong(what))
            };
            let group = whole(group, "has no group")?;
            if group as usize >= self.listing.groups.len() {
                return Err(wrong(&format!("is of group {group}, which is not there")));
            }
            let day = int_at(Some(day), row).map(i32::try_from).transpose();
            let cycle = int_at(Some(cycle), row).map(u16::try_from).transpose();
            let mut edges = [0.0; 4];
            for (edge, column) in edges.iter_mut().zip(&floats) {
                *edge = float(column, row)?;
            }
            if !is_box(edges) {
                return Err(wrong(&format!("the edges {edges:?} are no box on the globe")));
            }
            let (first, count) = (whole(first, "has no step")?, whole(count, "has no steps")?);
            if count == 0 || first.checked_add(count).is_none() {
                return Err(wrong("has no time steps"));
            }
            self.listing.granules.push(ListedGranule {
                file,
                group,
                day: day.map_err(|_| wrong("is of no day"))?,
                cycle: cycle.map_err(|_| wrong("is of no place in a cycle"))?,
                steps: Steps { first, count },
                edges,
                res_deg_lat: float(&floats[4], row)?,
            });
        }
        Ok(())
    }
}

fn is_box([west, east, south, north]: [f64; 4]) -> bool {
    // Not negated comparisons: NaN is none.
    west <= east
        && east - west <= 360.0
        && west.abs() <= 1080.0
        && -90.0 <= south
        && south <= north
        && north <= 90.0
}

/// What is wrong with a path of a catalogue, if anything is.
fn path_problem(root: &str, path: &str) -> Option<&'static str> {
    let inside = path.split_once("://").map_or(path, |(_, rest)| rest);
    if path.is_empty() || path.len() > MAX_PATH {
        Some("is empty, or longer than 4096 bytes")
    } else if path.chars().any(char::is_control) || inside.contains('\\') {
        Some("contains a control character or a backslash")
    } else if inside.split('/').any(|segment| segment == "..") {
        Some("leaves its folder (a .. segment)")
    } else if path.contains("://") {
        let sound = normalise(path).is_ok_and(|kept| kept == path && is_remote(path));
        let elsewhere = is_remote(root) && server(path) != server(root);
        match (sound, elsewhere) {
            (false, _) => Some("is no address of a file"),
            (_, true) => Some("is on another server; such a catalogue has to be a local file"),
            _ => None,
        }
    } else if path.starts_with('/') {
        is_remote(root).then_some("is a local file, but the catalogue lies on a server")
    } else if path.split('/').any(|segment| segment.is_empty() || segment == ".") {
        Some("contains an empty segment")
    } else {
        None
    }
}

/// Scheme and host of an address (of a hub's, the dataset).
fn server(address: &str) -> &str {
    let parts = if address.starts_with("hf://") { 6 } else { 3 };
    let end = address.match_indices('/').nth(parts - 1).map_or(address.len(), |(at, _)| at);
    address.get(..end).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::path_problem;

    #[test]
    fn paths_stay_where_they_may_lie() {
        let (local, server) = ("/data/ocean.parquet", "https://host/sets/ocean.parquet");
        for good in ["a.nc", "a/b c/#1%.nc", "/else/a.nc", "https://other/a.nc", "s3://bucket/a.nc"]
        {
            assert_eq!(path_problem(local, good), None, "{good}");
        }
        for good in ["a.nc", "a/b.nc", "https://host/else/a.nc"] {
            assert_eq!(path_problem(server, good), None, "{good}");
        }
        for bad in ["", "../a.nc", "a/../../b.nc", "/a/../b.nc", "https://h/../a.nc", "a//b", "./a"]
        {
            assert!(path_problem(local, bad).is_some(), "{bad}");
        }
        for bad in ["/etc/passwd", "https://other/a.nc", "s3://bucket/a.nc", "ftp://host/a.nc"] {
            assert!(path_problem(server, bad).is_some(), "{bad}");
        }
    }
}
