#![allow(clippy::unwrap_used, clippy::panic)]

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use crate::error::{Kind, Result};
use crate::granule::{GranuleReader, Reading, When};
use crate::store::{ByteSource, Location};

/// One object.
struct Memory(Vec<u8>);

impl ByteSource for Memory {
    fn read(&self, _: &Location, range: Range<u64>) -> Result<Bytes> {
        let range = range.start as usize..range.end as usize;
        Ok(Bytes::copy_from_slice(&self.0[range]))
    }

    fn size(&self, _: &Location) -> Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn version(&self, _: &Location) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Writes a header of this version.
struct Writer {
    version: u8,
    bytes: Vec<u8>,
}

impl Writer {
    fn u32(&mut self, number: u32) {
        self.bytes.extend(number.to_be_bytes());
    }

    fn count(&mut self, number: u64) {
        match self.version {
            5 => self.bytes.extend(number.to_be_bytes()),
            _ => self.u32(number as u32),
        }
    }

    fn offset(&mut self, number: u64) {
        match self.version {
            1 => self.u32(number as u32),
            _ => self.bytes.extend(number.to_be_bytes()),
        }
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn name(&mut self, name: &str) {
        self.count(name.len() as u64);
        self.padded(name.as_bytes());
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.u32(2);
        self.name(text);
    }

    /// A variable with units, and perhaps a scale; `begin` is its place.
    fn variable(&mut self, name: &str, dims: &[u64], units: &str, scale: Option<f32>, kind: u32) {
        self.name(name);
        self.count(dims.len() as u64);
        dims.iter().for_each(|&dim| self.count(dim));
        self.u32(12);
        self.count(1 + u64::from(scale.is_some()));
        self.text("units", units);
        if let Some(scale) = scale {
            self.name("scale_factor");
            self.u32(5);
            self.count(1);
            self.bytes.extend(scale.to_be_bytes());
        }
        self.u32(kind);
        self.count(0);
    }
}

const UNITS: [&str; 4] = ["degrees_north", "degrees_east", "days since 2000-01-01", "m"];

/// Two rows, three columns, and so many records of `time` (int) and `ssh` (short, scaled by half).
/// The value of record t, row j, column i is 100 t + 10 j + i halves.
fn file(version: u8, records: u16, streamed: bool) -> Vec<u8> {
    let places = [0u64, 0, 0, 0];
    let first = layout(version, records, streamed, places);
    let start = first.len() as u64;
    // Latitudes 8 bytes, longitudes 12, then records of 4 and 12 bytes.
    let mut bytes = layout(version, records, streamed, [start, start + 8, start + 20, start + 24]);
    bytes.extend([10.0f32, 20.0].into_iter().flat_map(f32::to_be_bytes));
    bytes.extend([0.0f32, 30.0, 60.0].into_iter().flat_map(f32::to_be_bytes));
    for t in 0..records {
        bytes.extend(u32::from(t).to_be_bytes());
        for cell in [0u16, 1, 2, 10, 11, 12] {
            bytes.extend((100 * t + cell).to_be_bytes());
        }
    }
    bytes
}

fn layout(version: u8, records: u16, streamed: bool, places: [u64; 4]) -> Vec<u8> {
    let mut out = Writer { version, bytes: vec![b'C', b'D', b'F', version] };
    out.count(if streamed { u64::MAX } else { records.into() });
    out.u32(10);
    out.count(3);
    for (name, length) in [("time", 0), ("lat", 2), ("lon", 3)] {
        out.name(name);
        out.count(length);
    }
    out.u32(12);
    out.count(1);
    out.text("history", "odd");
    out.u32(11);
    out.count(4);
    let [lat, lon, time, ssh] = places;
    out.variable("lat", &[1], UNITS[0], None, 5);
    out.offset(lat);
    out.variable("lon", &[2], UNITS[1], None, 5);
    out.offset(lon);
    out.variable("time", &[0], UNITS[2], None, 4);
    out.offset(time);
    out.variable("ssh", &[0, 1, 2], UNITS[3], Some(0.5), 3);
    out.offset(ssh);
    out.bytes
}

fn reader(bytes: Vec<u8>) -> GranuleReader {
    GranuleReader::new(Arc::new(Memory(bytes)), 1 << 20)
}

/// The values of a step, all of it, or why there are none.
fn step(reader: &GranuleReader, variable: &str, step: u32) -> Result<Vec<f32>> {
    let grid = reader.grid(&Location::whole("/x.nc"), variable, None, &[])?;
    let (rows, columns) = (grid.lat.len(), grid.lon.len());
    let when = When::Steps(step, 1);
    let reading = Reading { grid, when, level: 0, rows: 0..rows, cols: 0..columns };
    let mut out = vec![0.0; rows * columns];
    reader.values(&reading, &mut out)?;
    Ok(out)
}

#[test]
fn records_of_each_version_are_read() {
    for version in [1, 2, 5] {
        for streamed in [false, true] {
            let reader = reader(file(version, 3, streamed));
            for t in 0..3u16 {
                let halves = [0u16, 1, 2, 10, 11, 12].map(|cell| 100 * t + cell);
                let due = halves.map(|halves| f32::from(halves) / 2.0);
                assert_eq!(step(&reader, "ssh", t.into()).unwrap(), due);
            }
            let survey = reader.survey(&Location::whole("/x.nc"), None).unwrap();
            let [ssh] = &survey.variables[..] else { panic!("{survey:?}") };
            assert_eq!((ssh.name.as_str(), ssh.unit.as_deref()), ("ssh", Some("m")));
            let days: Vec<f64> = ssh.steps.iter().map(|step| step.time - 10957.0).collect();
            assert_eq!(days, [0.0, 1.0, 2.0]);
        }
    }
}

#[test]
fn a_file_that_is_cut_off_says_so() {
    let whole = file(2, 3, false);
    for length in [whole.len() - 1, whole.len() - 30, 300, 40, 5] {
        let error = step(&reader(whole[..length].to_vec()), "ssh", 0).unwrap_err();
        assert_eq!(error.kind, Kind::CorruptGranule, "{error}");
        let text = error.to_string();
        assert!(text.contains("cut off") || text.contains("ends within"), "{text}");
    }
}

#[test]
fn one_variable_of_records_is_not_filled_up() {
    // Three records of three bytes.
    let mut out = Writer { version: 1, bytes: b"CDF\x01".to_vec() };
    out.count(3);
    out.u32(10);
    out.count(2);
    for (name, length) in [("lat", 0), ("lon", 3)] {
        out.name(name);
        out.count(length);
    }
    out.u32(0);
    out.count(0);
    out.u32(11);
    out.count(1);
    out.variable("ice", &[0, 1], "1", None, 1);
    let begin = out.bytes.len() as u64 + 4;
    out.offset(begin);
    out.bytes.extend(1..=9u8);
    let blocks = crate::granule::format::blocks::Blocks::new(
        Arc::new(Memory(out.bytes)),
        Location::whole("/x.nc"),
        Arc::default(),
    );
    let file = super::File::open(blocks.unwrap()).unwrap();
    let ice = file.variable("ice").unwrap();
    let array = ice.describe(vec![3, 3]).unwrap();
    let crate::granule::format::array::Piece::Stored(last) = array.piece(&[2, 0]).unwrap() else {
        panic!("it is stored");
    };
    assert_eq!((last.address, last.size), (begin + 6, 3));
}

/// Whatever the bytes are, they are read or refused.
fn try_all(bytes: Vec<u8>) {
    let reader = reader(bytes);
    let location = Location::whole("/x.nc");
    let _ = reader.survey(&location, None);
    let _ = reader.points(&location, "time", None);
    for variable in ["ssh", "time", "lat"] {
        let _ = step(&reader, variable, 2);
    }
}

#[test]
fn any_damaged_byte_is_an_error_or_reads() {
    for version in [1, 2, 5] {
        let sound = file(version, 3, false);
        for at in 4..sound.len() {
            for byte in [0, 1, 11, 0x7f, 0x80, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] = byte;
                try_all(bytes);
            }
        }
    }
}

proptest! {
    #[test]
    fn damage_is_an_error_or_reads(
        version in prop::sample::select(vec![1u8, 2, 5]),
        damage in prop::collection::vec((4usize..700, any::<u8>()), 1..6),
        length in prop_oneof![3 => Just(usize::MAX), 1 => 4usize..700],
    ) {
        let mut bytes = file(version, 3, false);
        for (at, byte) in damage {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(length);
        try_all(bytes);
    }
}
