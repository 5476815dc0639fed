#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use std::sync::Arc;

use super::*;
use crate::granule::format::filters;
use crate::granule::{Flag, Reading, When};

fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        any::<i64>().prop_map(|n| Number::Int(n.into())),
        any::<f64>().prop_map(Number::Float)
    ]
}

fn dtype() -> impl Strategy<Value = Dtype> {
    use Dtype::*;
    prop::sample::select(vec![I8, I16, I32, I64, U8, U16, U32, U64, F32, F64])
}

/// Ascending axis of so many values.
fn axis(n: usize) -> impl Strategy<Value = Vec<f64>> {
    let regular = (-85.0f64..0.0, 0.001f64..2.0)
        .prop_map(move |(start, step)| (0..n).map(|i| start + i as f64 * step).collect::<Vec<_>>());
    let odd = prop::collection::vec(0.001f64..3.0, n).prop_map(|steps| {
        steps
            .iter()
            .scan(-90.0, |at, step| {
                *at += step;
                Some(*at)
            })
            .collect()
    });
    prop_oneof![regular, odd]
}

/// A grid of dimensions time (if there are steps), lat, lon, and one of length 1.
pub(in crate::granule::index) fn grid() -> impl Strategy<Value = Grid> {
    let extents = (1usize..40, 1usize..40, 0usize..4);
    (extents, dtype(), any::<[bool; 4]>(), 0u8..4).prop_flat_map(
        |((rows, columns, steps), dtype, flags, kind)| {
            let chunk = prop::collection::vec(1u64..12, 4);
            let stored =
                prop::collection::vec((any::<bool>(), 0u64..1 << 40, 1u64..70_000, 0u32..8), 200);
            let days = prop::collection::vec(any::<Option<i32>>(), steps);
            let small = (
                prop::option::of("[a-z ]{1,9}"),
                number(),
                any::<f32>(),
                -1e3f64..1e3,
                any::<[u8; 8]>(),
            );
            (axis(rows), axis(columns), days, chunk, stored, small).prop_map(
                move |(lat, lon, days, chunk, stored, (unit, invalid, scale, offset, fill))| {
                    let scale = if scale.is_finite() { f64::from(scale) } else { 1.0 };
                    let many = days.len() != 1;
                    let depth = if flags[3] { vec![0.5, 1.5] } else { Vec::new() };
                    let length = depth.len().max(1);
                    let shape = vec![days.len() as u64, rows as u64, columns as u64, length as u64];
                    let further = FurtherDimension { dim: 3, name: "depth".into(), values: depth };
                    let packing = Packing {
                        scale,
                        offset,
                        invalid: vec![invalid],
                        low: Some(invalid),
                        ..Packing::none(dtype.unsigned())
                    };
                    let width = dtype.size();
                    let (storage, chunk, filters) = match kind {
                        0 => {
                            let size = decoded_size(&shape, width).unwrap();
                            (Storage::Compact(vec![7; size]), shape.clone(), Vec::new())
                        }
                        1 => (
                            Storage::Contiguous(flags[3].then_some(4096)),
                            block_shape(&shape, width),
                            Vec::new(),
                        ),
                        2 => (
                            Storage::Records { address: 512, stride: 1 << 20 },
                            record_shape(&shape, width),
                            Vec::new(),
                        ),
                        _ => {
                            let places: u64 =
                                shape.iter().zip(&chunk).map(|(n, c)| n.div_ceil(*c)).product();
                            let chunks = (0..places)
                                .zip(stored)
                                .filter(|(_, stored)| stored.0)
                                .map(|(linear, (_, address, size, skipped))| Stored {
                                    linear,
                                    address,
                                    size,
                                    skipped,
                                })
                                .collect();
                            (Storage::Chunks(chunks), chunk, filters::tests::usual(width))
                        }
                    };
                    let array = Array {
                        location: Location::whole("/data/x.nc"),
                        name: "v".into(),
                        dtype,
                        swapped: flags[0],
                        shape,
                        chunk,
                        storage,
                        filters,
                        fill: fill[..width].to_vec(),
                        key: 0,
                    };
                    Grid {
                        lat,
                        lon,
                        unit,
                        lat_dim: Direction { dim: 1, reversed: flags[1] },
                        lon_dim: Direction { dim: 2, reversed: flags[2] },
                        steps: if many { Steps::Many { dim: 0, days } } else { Steps::One },
                        further: vec![further],
                        levels: Vec::new(),
                        flags: flags
                            .iter()
                            .filter(|on| **on)
                            .map(|_| Flag { name: "ice".into(), mask: Some(6), value: 2.5 })
                            .collect(),
                        array: array.keyed(),
                        summation: Summation::new(&packing),
                        packing,
                        restored: true,
                    }
                },
            )
        },
    )
}

fn returned(grid: &Grid) -> Grid {
    returned_from(&encode(grid, None).unwrap(), grid)
}

/// An entry of these sections, with a checksum that agrees.
fn forged(sections: &BTreeMap<u8, &[u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    for (tag, section) in sections {
        put_section(&mut body, *tag, section);
    }
    let checksum = XxHash3_64::oneshot(&body).to_le_bytes();
    [&[FORMAT], &checksum[..], &body].concat()
}

proptest! {
    #[test]
    fn every_grid_comes_back(grid in grid()) {
        // Debug prints doubles so that they can be told apart.
        prop_assert_eq!(format!("{:?}", returned(&grid)), format!("{grid:?}"));
    }

    #[test]
    fn damage_is_noticed(grid in grid(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut entry = encode(&grid, None).unwrap();
        let at = at.index(entry.len());
        entry[at] ^= flip;
        prop_assert!(decode(&entry, &grid.array.location, "v", None).is_err());
        entry.truncate(at);
        prop_assert!(decode(&entry, &grid.array.location, "v", None).is_err());
    }

    /// Behind a checksum that agrees, too, nothing gets through that reading could stumble over.
    #[test]
    fn what_is_forged_is_checked(
        grid in grid(), tag in GRID..=CHUNKS, at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let entry = encode(&grid, None).unwrap();
        let mut sections = sections(&entry).unwrap();
        // Of an array without chunks, the axes.
        let tag = if sections.contains_key(&tag) { tag } else { AXES };
        let changed = if tag == CHUNKS {
            let mut bytes = sections[&tag].to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            bytes
        } else {
            let mut plain = unpack(sections[&tag]).unwrap();
            let at = at.index(plain.len());
            plain[at] = to;
            pack(&plain).unwrap()
        };
        sections.insert(tag, &changed);
        let forged = forged(&sections);
        if let Ok(grid) = decode(&forged, &grid.array.location, "v", None).map(|entry| Arc::new(entry.grid)) {
            let (rows, columns) = (grid.lat.len(), grid.lon.len());
            for day in [0, i32::MAX] {
                let (grid, when) = (grid.clone(), When::Day(day));
                let _ = Reading { grid, when, level: 0, rows: 0..rows, cols: 0..columns }.chunks();
            }
            prop_assert_eq!(grid.array.shape[grid.lat_dim.dim], rows as u64);
            prop_assert_eq!(grid.array.shape[grid.lon_dim.dim], columns as u64);
        }
    }
}

proptest! {
    /// Chunks of a node, its columns, whatever the damage behind a checksum that agrees.
    #[test]
    fn forged_nodes_are_checked(
        chunks in prop::collection::vec((0u64..1 << 40, 1u64..70_000), 1..60),
        at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let stored = |(linear, &(address, size)): (usize, &(u64, u64))| {
            Stored { linear: linear as u64, address, size, skipped: 0 }
        };
        let chunks: Vec<Stored> = chunks.iter().enumerate().map(stored).collect();
        let mut plain = Vec::new();
        put_chunks(&mut plain, &chunks);
        let at = at.index(plain.len());
        plain[at] = to;
        if let Ok(taken) = take_chunks(&mut plain.as_slice(), chunks.len() as u64, 60) {
            prop_assert!(taken.windows(2).all(|pair| pair[0].linear < pair[1].linear));
            prop_assert!(taken.iter().all(|c| c.linear < 60 && c.address.checked_add(c.size).is_some()));
        }
    }
}

#[test]
fn many_chunks_lie_in_nodes_that_can_be_read_apart() {
    let chunk =
        |linear: u64| Stored { linear: 2 * linear, address: 100 * linear, size: 90, skipped: 1 };
    let chunks: Vec<Stored> = (0..2 * NODE as u64 + 5).map(chunk).collect();
    let section = nodes(&chunks).unwrap();
    assert_eq!(take_nodes(&section, 5 * NODE as u64).unwrap(), chunks);
    assert!(take_nodes(&section, 4 * NODE as u64).is_err(), "places beyond the array");
    let mut rest = section.as_slice();
    let mut number = || take(&mut rest).unwrap();
    assert_eq!(number(), 3);
    let directory: Vec<[u64; 3]> = (0..3).map(|_| [number(), number(), number()]).collect();
    let second = &rest[directory[0][2] as usize..][..directory[1][2] as usize];
    let plain = unpack(second).unwrap();
    let taken = take_chunks(&mut plain.as_slice(), directory[1][1], u64::MAX).unwrap();
    assert_eq!(taken, chunks[NODE..2 * NODE]);
    assert_eq!((directory[1][0], directory[2][1]), (2 * NODE as u64, 5));
    // Nodes out of their order.
    let swapped = [&chunks[NODE..2 * NODE], &chunks[..NODE]].concat();
    assert!(take_nodes(&nodes(&swapped).unwrap(), u64::MAX).is_err());
}

#[test]
fn extras_are_left_out_by_who_does_not_know_them() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let grid = grid().new_tree(&mut runner).unwrap().current();
    let entry = encode(&grid, None).unwrap();
    let mut sections = sections(&entry).unwrap();
    sections.insert(EXTRA | 77, b"of a later version");
    assert_eq!(format!("{:?}", returned_from(&forged(&sections), &grid)), format!("{grid:?}"));
    sections.insert(EVIDENCE, b"damaged");
    let read = decode(&forged(&sections), &grid.array.location, "v", None).unwrap();
    assert_eq!(read.evidence, None);
    sections.insert(77, b"without which it cannot be understood");
    assert!(decode(&forged(&sections), &grid.array.location, "v", None).is_err());
    let mut older = entry.clone();
    older[0] = FORMAT - 1;
    assert!(decode(&older, &grid.array.location, "v", None).is_err());
}

#[test]
fn a_swath_takes_a_few_kilobytes_and_is_quickly_back() {
    let axis = |n: u32, start: f64, step: f64| -> Vec<f64> {
        (0..n).map(|i| start + f64::from(i) * step).collect()
    };
    let size = |linear: u64| 900 + linear * 7919 % 9000;
    let mut address = 20_000;
    let chunks: Vec<Stored> = (0..1024)
        .map(|linear| {
            address += size(linear) + if linear % 60 == 0 { 2_800 } else { 0 };
            Stored { linear, address: address - size(linear), size: size(linear), skipped: 0 }
        })
        .collect();
    let packing = Packing { scale: 1e-4, ..Packing::none(Dtype::I32) };
    let array = Array {
        location: Location::whole("/data/l3_swot.nc"),
        name: "ssha_filtered".into(),
        dtype: Dtype::I32,
        swapped: false,
        shape: vec![1, 5000, 3500],
        chunk: vec![1, 157, 110],
        storage: Storage::Chunks(chunks),
        filters: filters::tests::usual(4),
        fill: vec![0; 4],
        key: 0,
    };
    let grid = Grid {
        lat: axis(5000, -89.991, 0.018),
        lon: axis(3500, 0.0125, 0.025),
        unit: Some("m".into()),
        lat_dim: Direction { dim: 1, reversed: false },
        lon_dim: Direction { dim: 2, reversed: false },
        steps: Steps::One,
        further: Vec::new(),
        levels: Vec::new(),
        flags: Vec::new(),
        array: array.keyed(),
        summation: Summation::new(&packing),
        packing,
        restored: true,
    };
    let entry = encode(&grid, None).unwrap();
    assert!(entry.len() < 5_000, "{} bytes", entry.len());
    assert_eq!(format!("{:?}", returned(&grid)), format!("{grid:?}"));
    let start = std::time::Instant::now();
    for _ in 0..100 {
        std::hint::black_box(returned_from(&entry, &grid));
    }
    println!("{} bytes, {:?} to decode", entry.len(), start.elapsed() / 100);
}

fn returned_from(entry: &[u8], grid: &Grid) -> Grid {
    decode(entry, &grid.array.location, &grid.array.name, None).unwrap().grid
}
