//! The catalog through its public interface, on a dataset held in memory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use oceanarrow_engine::catalog::{Catalog, FileGranule, Granule, Product, Region};
use oceanarrow_engine::error::{Error, Kind, Result};
use oceanarrow_engine::geo::BBox;
use oceanarrow_engine::plan::Selector;
use oceanarrow_engine::query::Query;
use oceanarrow_engine::store::{ByteSource, Location};
use oceanarrow_engine::variable::{Geometry, Variable};
use parquet::arrow::ArrowWriter;

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
    let south = catalog.retain(|g| g.region == 1);
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

/// Three steps of one file that lies by itself, listed out of order, and one of another region.
fn files() -> Vec<FileGranule> {
    let product = Product { source: "l4_sst".into(), file: "sst".into() };
    let granule = |path: &str, region, step: Option<u32>| FileGranule {
        day: 10 + step.map_or(0, |step| step as i32),
        path: path.into(),
        step,
        region,
        product: product.clone(),
        res_deg_lat: 0.25,
    };
    let year = "/data/year.nc";
    vec![
        granule(year, 0, Some(2)),
        granule("https://server/now.nc", 1, None),
        granule(year, 0, Some(0)),
        granule(year, 0, Some(1)),
    ]
}

fn assembled(granules: Vec<FileGranule>) -> Result<Catalog> {
    let region = |lon| Region {
        name: format!("from {lon}"),
        bbox: BBox::from_edges(lon, lon + 10.0, 0.0, 10.0),
    };
    Catalog::assemble(vec![region(0.0), region(20.0)], granules)
}

#[test]
fn one_object_may_hold_many_granules() {
    let catalog = assembled(files()).unwrap();
    let rows: Vec<_> = catalog.granules().iter().map(|g| (g.day, g.step, g.object)).collect();
    assert_eq!(
        rows,
        [(10, Some(0), 0), (10, None, 1), (11, Some(1), 0), (12, Some(2), 0)],
        "one object for the file's three days"
    );
    assert_eq!(catalog.n_objects(), 2);
    assert_eq!(catalog.location(0), Location::whole("/data/year.nc"));
    assert_eq!(catalog.relative_path(1), "https://server/now.nc");
    assert!(catalog.is_remote());
    assert_eq!(catalog.remote_roots().collect::<Vec<_>>(), ["https://server/now.nc"]);
}

#[test]
fn a_variable_selects_the_granules_of_its_product() {
    let variable = |file: &str| Variable {
        name: "sst".to_owned(),
        source: "l4_sst".to_owned(),
        file: file.to_owned(),
        netcdf: "analysed_sst".to_owned(),
        unit: "K".to_owned(),
        geometry: Geometry::Grid,
    };
    let catalog = assembled(files()).unwrap();
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
        .flat_map(|day| &day.files)
        .map(|file| catalog.granules()[file.granule as usize])
        .map(|granule| (granule.object, granule.step))
        .collect();
    assert_eq!(found, [(0, Some(1)), (0, Some(2))]);
}

#[test]
fn granules_of_no_region_or_given_twice_are_refused() {
    let mut twice = files();
    twice.push(twice[0].clone());
    let mut nowhere = files();
    nowhere[1].region = 2;
    for (granules, path) in [(twice, "/data/year.nc"), (nowhere, "https://server/now.nc")] {
        let error = assembled(granules).unwrap_err();
        assert_eq!((error.kind, error.asset.as_deref()), (Kind::InvalidInput, Some(path)));
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
