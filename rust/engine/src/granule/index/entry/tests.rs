#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use std::sync::Arc;

use super::*;
use crate::granule::{Reading, When};

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
    (extents, dtype(), any::<[bool; 4]>(), 0u8..3).prop_flat_map(
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
                    let shape = vec![days.len() as u64, rows as u64, columns as u64, 1];
                    let packing = Packing {
                        scale,
                        offset,
                        invalid: vec![invalid],
                        low: Some(invalid),
                        ..Packing::none(dtype.unsigned())
                    };
                    let width = dtype.size();
                    let (source, chunk, filters) = match kind {
                        0 => {
                            let size = decoded_size(&shape, width).unwrap();
                            (Source::Compact(vec![7; size]), shape.clone(), Vec::new())
                        }
                        1 => (
                            Source::Contiguous(flags[3].then_some(4096)),
                            block_shape(&shape, width),
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
                            (
                                Source::Chunks(chunks),
                                chunk,
                                vec![Filter::Shuffle(width), Filter::Deflate],
                            )
                        }
                    };
                    let array = Array {
                        location: Location::whole("/data/x.nc"),
                        name: "v".into(),
                        dtype,
                        swapped: flags[0],
                        shape,
                        chunk,
                        source,
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
    decode(&encode(grid).unwrap(), &grid.array.location, &grid.array.name, None).unwrap()
}

proptest! {
    #[test]
    fn every_grid_comes_back(grid in grid()) {
        // Debug prints doubles so that they can be told apart.
        prop_assert_eq!(format!("{:?}", returned(&grid)), format!("{grid:?}"));
    }

    #[test]
    fn damage_is_noticed(grid in grid(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut entry = encode(&grid).unwrap();
        let at = at.index(entry.len());
        entry[at] ^= flip;
        prop_assert!(decode(&entry, &grid.array.location, "v", None).is_err());
        entry.truncate(at);
        prop_assert!(decode(&entry, &grid.array.location, "v", None).is_err());
    }

    /// Behind a checksum that agrees, too, nothing gets through that reading could stumble over.
    #[test]
    fn what_is_forged_is_checked(
        grid in grid(), at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mut plain = unpack(&encode(&grid).unwrap()).unwrap();
        let at = at.index(plain.len());
        plain[at] = to;
        let mut body = Vec::new();
        put(&mut body, plain.len() as u64);
        body.extend(zstd::bulk::compress(&plain, 1).unwrap());
        let checksum = XxHash3_64::oneshot(&body).to_le_bytes();
        let forged = [&[FORMAT], &checksum[..], &body].concat();
        if let Ok(grid) = decode(&forged, &grid.array.location, "v", None).map(Arc::new) {
            let (rows, columns) = (grid.lat.len(), grid.lon.len());
            for day in [0, i32::MAX] {
                let (grid, when) = (grid.clone(), When::Day(day));
                let _ = Reading { grid, when, rows: 0..rows, cols: 0..columns }.chunks();
            }
            prop_assert_eq!(grid.array.shape[grid.lat_dim.dim], rows as u64);
            prop_assert_eq!(grid.array.shape[grid.lon_dim.dim], columns as u64);
        }
    }
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
        source: Source::Chunks(chunks),
        filters: vec![Filter::Shuffle(4), Filter::Deflate],
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
        array: array.keyed(),
        summation: Summation::new(&packing),
        packing,
        restored: true,
    };
    let entry = encode(&grid).unwrap();
    assert!(entry.len() < 5_000, "{} bytes", entry.len());
    assert_eq!(format!("{:?}", returned(&grid)), format!("{grid:?}"));
    let start = std::time::Instant::now();
    for _ in 0..100 {
        std::hint::black_box(returned_from(&entry, &grid));
    }
    println!("{} bytes, {:?} to decode", entry.len(), start.elapsed() / 100);
}

fn returned_from(entry: &[u8], grid: &Grid) -> Grid {
    decode(entry, &grid.array.location, &grid.array.name, None).unwrap()
}
