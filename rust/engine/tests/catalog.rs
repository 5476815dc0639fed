//! The catalog through its public interface, on a dataset held in memory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use oceanarrow_engine::catalog::{
    Catalog, Granule, Group, Identity, ListedFile, ListedGranule, Listing, Steps, listed_variables,
};
use oceanarrow_engine::error::{Error, Kind, Result};
use oceanarrow_engine::plan::{DayCandidates, Selector};
use oceanarrow_engine::query::Query;
use oceanarrow_engine::store::{ByteSource, Location};
use oceanarrow_engine::variable::{Geometry, Supply, Variable};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

const DATES: [&str; 3] = ["2023_03_29", "2023_03_31", "2023_04_01"];
const REGIONS: [&str; 2] = ["NORTH_ATLANTIC", "SOUTH_INDIAN"];
const FILES: [&str; 2] = ["l4_ssh.nc", "glorys.nc"];

/// Objects by name; notes what is read, and fails where told to.
#[derive(Default)]
struct Memory {
    objects: HashMap<String, Bytes>,
    unreachable: Option<&'static str>,
    read: Mutex<Vec<String>>,
}

impl Memory {
    fn of<const N: usize>(objects: [(&str, Bytes); N]) -> Self {
        let objects = objects.map(|(name, bytes)| (name.to_owned(), bytes)).into();
        Self { objects, ..Self::default() }
    }
}

impl ByteSource for Memory {
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        self.size(location)?;
        self.read.lock().unwrap().push(location.object.to_string());
        Ok(self.objects[&*location.object].slice(range.start as usize..range.end as usize))
    }

    fn size(&self, location: &Location) -> Result<u64> {
        if self.unreachable.is_some_and(|name| location.object.ends_with(name)) {
            return Err(Error::io("the connection was reset").asset(location));
        }
        match self.objects.get(&*location.object) {
            Some(bytes) => Ok(bytes.len() as u64),
            None => Err(Error::not_found("no such object").asset(location)),
        }
    }
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file.into()
}

fn table(ids: &[&str], kind: &str, per_parent: usize, sources: bool) -> Bytes {
    let current: Vec<i64> = (0..ids.len() as i64).collect();
    let parents: Vec<i64> = current.iter().map(|k| k / per_parent as i64).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(ids.to_vec()))),
        ("type", Arc::new(StringArray::from(vec![kind; ids.len()]))),
        ("internal:current_id", Arc::new(Int64Array::from(current))),
        ("internal:parent_id", Arc::new(Int64Array::from(parents))),
    ];
    if sources {
        let names: Vec<_> = ids.iter().map(|id| id.trim_end_matches(".nc")).collect();
        columns.push(("data_source", Arc::new(StringArray::from(names))));
    }
    parquet(columns)
}

/// 3 dates, 2 regions, 2 files: 12 granules.
fn dataset() -> Memory {
    let collection = r#"{"taco_version": "0.5.0", "taco:pit_schema": {"root": {"n": 3},
        "hierarchy": {"1": [{"n": 6}], "2": [{"n": 12}]}}}"#;
    let objects = [
        ("COLLECTION.json", Bytes::from_static(collection.as_bytes())),
        ("METADATA/level0.parquet", table(&DATES, "FOLDER", 1, false)),
        ("METADATA/level1.parquet", table(&REGIONS.repeat(3), "FOLDER", 2, false)),
        ("METADATA/level2.parquet", table(&FILES.repeat(6), "FILE", 2, true)),
    ];
    let objects =
        objects.into_iter().map(|(name, bytes)| (format!("s3://ocean/{name}"), bytes)).collect();
    Memory { objects, ..Memory::default() }
}

fn open(source: &Memory) -> Result<Catalog> {
    Catalog::open(source, &["s3://ocean/".to_owned()])
}

fn path(catalog: &Catalog, granule: &Granule) -> String {
    catalog.location(granule.object).object.to_string()
}

#[test]
fn only_metadata_are_read_each_once() {
    let source = dataset();
    assert_eq!(open(&source).unwrap().granules().len(), 12);
    let mut read = source.read.lock().unwrap().clone();
    read.sort();
    let mut all: Vec<_> = source.objects.keys().cloned().collect();
    all.sort();
    assert_eq!(read, all);
}

#[test]
fn granules_are_sorted_by_day_region_source_and_file() {
    let catalog = open(&dataset()).unwrap();
    let mut expected = Vec::new();
    for date in DATES {
        for region in REGIONS {
            for file in ["glorys.nc", "l4_ssh.nc"] {
                expected.push(format!("s3://ocean/DATA/{date}/{region}/{file}"));
            }
        }
    }
    let found: Vec<_> = catalog.granules().iter().map(|g| path(&catalog, g)).collect();
    assert_eq!(found, expected);
    assert_eq!(catalog.days(), Some((19_445, 19_448)));
    assert_eq!(catalog.regions()[1].bbox.lat_min, -90.0);
}

#[test]
fn a_day_is_found_by_bisection() {
    let catalog = open(&dataset()).unwrap();
    let ranges: Vec<_> = (19_444..=19_449).map(|day| catalog.on_day(day)).collect();
    assert_eq!(ranges, [0..0, 0..4, 4..4, 4..8, 8..12, 12..12]);
}

#[test]
fn a_retained_catalog_keeps_its_objects_alone_and_survives_the_wire() {
    let catalog = open(&dataset()).unwrap();
    let south = catalog.retain(|g, _| g.region == 1);
    let of_south = catalog.granules().iter().filter(|g| g.region == 1);
    let expected: Vec<_> = of_south.map(|granule| path(&catalog, granule)).collect();
    assert!(expected.iter().all(|path| path.contains("/SOUTH_INDIAN/")));
    let found: Vec<_> = south.granules().iter().map(|granule| path(&south, granule)).collect();
    assert_eq!(found, expected);
    assert_eq!((south.granules().len(), south.n_objects()), (6, 6));
    let wire = postcard::to_stdvec(&south).unwrap();
    let back: Catalog = postcard::from_bytes(&wire).unwrap();
    // Resolutions are unknown here, and NaN is not equal to itself.
    assert_eq!(format!("{back:?}"), format!("{south:?}"));
    assert!(wire.len() < 600, "{} bytes", wire.len());
}

/// Three days of one file, listed out of order, and a day of one on a server.
fn listing() -> Listing {
    let file = |path: &str, evidence: u8| ListedFile {
        path: path.into(),
        identity: Identity::new(9, Some("v"), &[evidence]),
    };
    let granule = |file, group, day, first, west: f64| ListedGranule {
        file,
        group,
        day: Some(day),
        cycle: None,
        steps: Steps { first, count: 1 },
        edges: [west, west + 10.0, 0.0, 10.0],
        res_deg_lat: 0.25,
    };
    let group = |names: &[&str], priority| Group {
        variables: names.iter().map(|&name| name.to_owned()).collect(),
        priority,
    };
    Listing {
        files: vec![file("sub/year.nc", 1), file("https://server/now.nc", 2)],
        granules: vec![
            granule(0, 0, 12, 2, 0.0),
            granule(1, 1, 10, 0, 20.0),
            granule(0, 0, 10, 0, 0.0),
            granule(0, 0, 11, 1, 0.0),
        ],
        groups: vec![group(&["sst", "ice"], 0), group(&["sst"], 0)],
        variables: "{}".to_owned(),
        request: "[]".to_owned(),
        warnings: vec!["odd".to_owned()],
    }
}

fn listed(listing: &Listing) -> Result<Catalog> {
    let file = listing.write(Vec::new())?;
    let source = Memory::of([("/sets/ocean.parquet", file.into())]);
    Catalog::open(&source, &["/sets/ocean.parquet".to_owned()])
}

fn steps(first: u32) -> Option<Steps> {
    Some(Steps { first, count: 1 })
}

#[test]
fn a_listing_comes_back() {
    let file = listing().write(Vec::new()).unwrap();
    let source = Memory::of([("/sets/ocean.parquet", file.into())]);
    assert_eq!(Listing::open(&source, "/sets/ocean.parquet").unwrap(), listing());
    let told = listed_variables(&source, &["/sets/ocean.parquet".to_owned()]).unwrap();
    assert_eq!((told[0].root.as_str(), told[0].variables.as_str()), ("/sets/ocean.parquet", "{}"));
}

#[test]
fn one_object_may_hold_many_granules() {
    let catalog = listed(&listing()).unwrap();
    let name = |g: &Granule| catalog.products()[g.product as usize].source.to_string();
    let rows: Vec<_> =
        catalog.granules().iter().map(|g| (g.day, name(g), g.steps, g.object)).collect();
    let row = |day, name: &str, step, object| (day, name.to_owned(), steps(step), object);
    let due = [
        row(10, "ice", 0, 0),
        row(10, "sst", 0, 0),
        row(10, "sst", 0, 1),
        row(11, "ice", 1, 0),
        row(11, "sst", 1, 0),
        row(12, "ice", 2, 0),
        row(12, "sst", 2, 0),
    ];
    assert_eq!(rows, due, "one object for the file's three days");
    assert_eq!((catalog.n_objects(), catalog.warnings()), (2, &["odd".to_owned()][..]));
    assert_eq!(catalog.location(0), Location::whole("/sets/sub/year.nc"));
    assert_eq!(catalog.location(1), Location::whole("https://server/now.nc"));
    assert_eq!(catalog.relative_path(0), "sub/year.nc");
    assert!(catalog.is_remote());
    assert_eq!(catalog.remote_roots().collect::<Vec<_>>(), ["https://server/now.nc"]);
    assert_eq!(catalog.identity(1).unwrap().evidence()[..], [2]);
}

#[test]
fn a_variable_selects_the_granules_of_its_product() {
    let variable = |name: &str| Variable {
        name: name.to_owned(),
        source: name.to_owned(),
        file: String::new(),
        netcdf: "analysed_sst".to_owned(),
        unit: "K".to_owned(),
        geometry: Geometry::Grid,
        supply: Supply::Daily,
    };
    let catalog = listed(&listing()).unwrap();
    assert!(Selector::new(&catalog, &variable("other")).is_none());
    let selector = Selector::new(&catalog, &variable("sst")).unwrap();
    let query = Query {
        lon_min: 1.0,
        lon_max: 5.0,
        lat_min: 1.0,
        lat_max: 5.0,
        day_start: 11,
        day_end: 13,
    };
    let days = selector.candidates(&catalog, &query);
    let found: Vec<_> = days
        .iter()
        .flat_map(DayCandidates::files)
        .map(|file| catalog.granules()[file.granule as usize])
        .map(|granule| (granule.object, granule.steps))
        .collect();
    assert_eq!(found, [(0, steps(1)), (0, steps(2))]);
}

#[test]
fn the_highest_priority_of_a_day_counts() {
    let mut listing = listing();
    listing.groups[1].priority = 1;
    listing.granules.push(listing.granules[0]);
    let catalog = listed(&listing).unwrap();
    let sst = catalog.products().iter().position(|p| &*p.source == "sst").unwrap() as u32;
    let objects: Vec<_> = catalog
        .granules()
        .iter()
        .filter(|granule| granule.product == sst)
        .map(|granule| (granule.day, granule.object))
        .collect();
    // Of ten, that of the server alone; what is listed twice counts once.
    assert_eq!(objects, [(10, 1), (11, 0), (12, 0)]);
}

#[test]
fn overlapping_granules_of_a_day_are_told() {
    let mut listing = listing();
    listing.granules[1].edges = [9.0, 19.0, 0.0, 10.0];
    let warned = |listing: &Listing| listed(listing).unwrap().warnings().join("\n");
    let warning = warned(&listing);
    for part in ["sst overlap", "1970-01-11", "sub/year.nc", "https://server/now.nc"] {
        assert!(warning.contains(part), "{warning}");
    }
    // Neighbours share an edge.
    listing.granules[1].edges = [10.0, 20.0, 0.0, 10.0];
    assert_eq!(warned(&listing), "odd");
}

#[test]
fn a_listing_that_breaks_its_format_is_refused() {
    let refused = |change: fn(&mut Listing)| {
        let mut listing = listing();
        change(&mut listing);
        let error = listed(&listing).unwrap_err();
        assert_eq!(error.kind, Kind::InvalidDataset, "{error}");
        error.to_string()
    };
    for (change, problem) in [
        ((|l| l.files[0].path = "../year.nc".into()) as fn(&mut Listing), ".. segment"),
        (|l| l.granules[0].edges[1] = 400.0, "no box"),
        (|l| l.granules[0].edges[2] = f64::NAN, "no box"),
        (|l| l.granules[0].group = 7, "group 7"),
        (|l| l.granules[0].steps.count = 0, "no time steps"),
        (|l| l.granules[0].cycle = Some(3), "of a place in a cycle"),
    ] {
        let error = refused(change);
        assert!(error.contains(problem), "{error}");
    }
}

proptest! {
    /// Whatever the damage, it is an error or another listing, and never a panic.
    #[test]
    fn a_damaged_listing_is_an_error(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut file = listing().write(Vec::new()).unwrap();
        let at = at.index(file.len());
        file[at] = to;
        for file in [file.clone(), file[..at].to_vec()] {
            let source = Memory::of([("/sets/ocean.parquet", file.into())]);
            let roots = ["/sets/ocean.parquet".to_owned()];
            let _ = Catalog::open(&source, &roots);
            let _ = listed_variables(&source, &roots);
        }
    }
}

#[test]
fn granules_are_small() {
    assert!(size_of::<Granule>() <= 32);
}

#[test]
fn a_level_that_cannot_be_reached_is_not_a_level_that_is_missing() {
    for name in ["COLLECTION.json", "level0.parquet", "level1.parquet", "level2.parquet"] {
        let source = Memory { unreachable: Some(name), ..dataset() };
        let error = open(&source).unwrap_err();
        assert_eq!(error.kind, Kind::Io, "{error}");
        assert!(error.asset.unwrap().ends_with(name));
    }
}
