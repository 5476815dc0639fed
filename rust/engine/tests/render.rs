//! Rendering against a slow reference that looks at one pixel and one cell at a time.
#![allow(missing_docs, clippy::unwrap_used)]

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use oceanarrow_engine::error::Result;
use oceanarrow_engine::granule::{Dtype, GranuleReader, RawGrid, When};
use oceanarrow_engine::query::Query;
use oceanarrow_engine::render::{
    Day, GridRule, PatchMut, Recipe, Resampling, Rules, TemporalAgg, Tile,
};
use oceanarrow_engine::store::{ByteSource, Location};
use proptest::prelude::*;

/// Objects in memory, named by their numbers.
struct Memory(Vec<Vec<u8>>);

impl ByteSource for Memory {
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        let object = &self.0[location.object.parse::<usize>().unwrap()];
        Ok(Bytes::copy_from_slice(&object[range.start as usize..range.end as usize]))
    }

    fn size(&self, location: &Location) -> Result<u64> {
        Ok(self.0[location.object.parse::<usize>().unwrap()].len() as u64)
    }
}

/// How a tile stores its cells.
#[derive(Clone, Debug)]
struct Storage {
    dtype: Dtype,
    chunk: (usize, usize),
    north_first: bool,
    scale: f64,
    /// The number that stands for none; `None`: NaN, or each integer is a value.
    fill: Option<f64>,
}

/// Stored numbers of a whole grid, row by row, NaN for none.
struct World {
    lat: Vec<f64>,
    lon: Vec<f64>,
    stored: Vec<f64>,
}

fn bytes_of(dtype: Dtype, x: f64) -> Vec<u8> {
    match dtype {
        Dtype::I8 => (x as i8).to_ne_bytes().to_vec(),
        Dtype::I16 => (x as i16).to_ne_bytes().to_vec(),
        Dtype::I32 => (x as i32).to_ne_bytes().to_vec(),
        Dtype::I64 => (x as i64).to_ne_bytes().to_vec(),
        Dtype::U8 => (x as u8).to_ne_bytes().to_vec(),
        Dtype::U16 => (x as u16).to_ne_bytes().to_vec(),
        Dtype::U32 => (x as u32).to_ne_bytes().to_vec(),
        Dtype::U64 => (x as u64).to_ne_bytes().to_vec(),
        Dtype::F32 => (x as f32).to_ne_bytes().to_vec(),
        Dtype::F64 => x.to_ne_bytes().to_vec(),
    }
}

/// The chunks of some columns of a world.
fn chunks_of(world: &World, columns: &Range<usize>, storage: &Storage) -> Vec<u8> {
    let (height, width) = (world.lat.len(), columns.len());
    let Storage { chunk: (rows, cols), .. } = *storage;
    let none = storage.fill.unwrap_or(f64::NAN);
    let mut bytes = Vec::new();
    for top in (0..height).step_by(rows) {
        for left in (0..width).step_by(cols) {
            for (r, c) in (top..top + rows).flat_map(|r| (left..left + cols).map(move |c| (r, c))) {
                let inside = r < height && c < width;
                let row = if storage.north_first { height.wrapping_sub(r + 1) } else { r };
                let x = if inside {
                    world.stored[row * world.lon.len() + columns.start + c]
                } else {
                    99.0
                };
                bytes.extend(bytes_of(storage.dtype, if x.is_nan() { none } else { x }));
            }
        }
    }
    bytes
}

/// Days of tiles, and what they hold.
#[derive(Default)]
struct Drawing {
    objects: Vec<Vec<u8>>,
    days: Vec<Day>,
    /// Values of each day; of cells in several tiles the mean.
    worlds: Vec<World>,
}

impl Drawing {
    /// Adds a day of tiles, each with some columns of the world and a storage of its own.
    fn add(&mut self, day: i32, world: &World, tiles: &[Range<usize>], storages: &[Storage]) {
        let offset = 1.5;
        let width = world.lon.len();
        let mut sums = vec![(0.0f64, 0.0f64); world.stored.len()];
        let mut drawn = Vec::new();
        for (columns, storage) in tiles.iter().zip(storages) {
            for (i, &x) in world.stored.iter().enumerate() {
                if columns.contains(&(i % width)) && !x.is_nan() {
                    sums[i].0 += x * storage.scale + offset;
                    sums[i].1 += 1.0;
                }
            }
            let grid = RawGrid {
                location: Location::whole(self.objects.len().to_string()),
                dtype: storage.dtype,
                chunk: storage.chunk,
                lat: world.lat.clone(),
                lon: world.lon[columns.clone()].to_vec(),
                north_first: storage.north_first,
                fill: storage.fill,
                scale: storage.scale,
                offset,
                key: self.objects.len() as u128,
            };
            drawn.push(Tile {
                object: self.objects.len() as u32,
                grid: Arc::new(grid.into()),
                when: When::Day(day),
                resolution: f32::NAN,
                conditions: Vec::new(),
            });
            self.objects.push(chunks_of(world, columns, storage));
        }
        self.days.push(Day::whole(day, drawn));
        let stored = sums.into_iter().map(|(sum, n)| sum / n).collect();
        self.worlds.push(World { lat: world.lat.clone(), lon: world.lon.clone(), stored });
    }
}

fn linspace(lo: f64, hi: f64, n: usize) -> Vec<f64> {
    let step = (hi - lo) / (n.max(2) - 1) as f64;
    (0..n).map(|i| if n > 1 && i + 1 == n { hi } else { lo + i as f64 * step }).collect()
}

/// Cells and their weights.
type Weights = Vec<(usize, f64)>;

fn linear(axis: &[f64], x: f64) -> Weights {
    let reach = if axis.len() > 1 { (axis[1] - axis[0]) * 0.501 } else { 1e-9 };
    let last = axis.len() - 1;
    if x < axis[0] {
        return if axis[0] - x <= reach { vec![(0, 1.0)] } else { vec![] };
    }
    if x >= axis[last] {
        return if x - axis[last] <= reach { vec![(last, 1.0)] } else { vec![] };
    }
    let k = (0..last).find(|&k| axis[k] <= x && x < axis[k + 1]).unwrap();
    let t = (x - axis[k]) / (axis[k + 1] - axis[k]);
    match t {
        // Within a thousandth of a cell of a centre.
        t if t <= 1e-3 => vec![(k, 1.0)],
        t if t >= 1.0 - 1e-3 => vec![(k + 1, 1.0)],
        t => vec![(k, 1.0 - t), (k + 1, t)],
    }
}

fn nearest(axis: &[f64], x: f64) -> Weights {
    let near = linear(axis, x);
    let best = near.iter().map(|&(k, _)| (axis[k] - x).abs()).fold(f64::INFINITY, f64::min);
    near.iter()
        .find(|&&(k, _)| (axis[k] - x).abs() <= best + 1e-9)
        .map(|w| (w.0, 1.0))
        .into_iter()
        .collect()
}

fn footprint(axis: &[f64], points: &[f64], (lo, hi): (f64, f64), i: usize) -> Weights {
    let from = if i == 0 { lo } else { (points[i - 1] + points[i]) / 2.0 };
    let last = i + 1 == points.len();
    let to = if last { hi } else { (points[i] + points[i + 1]) / 2.0 };
    (0..axis.len())
        .filter(|&k| axis[k] >= from && (axis[k] < to || (last && axis[k] <= to)))
        .map(|k| (k, 1.0))
        .collect()
}

/// By index, as torch does: over the `n` cells from `start` on.
fn stretched(start: usize, n: usize, size: usize, how: Resampling, i: usize) -> Weights {
    let scale = n as f64 / size as f64;
    match how {
        Resampling::Nearest => {
            vec![(start + ((i as f32 * (n as f32 / size as f32)) as usize).min(n - 1), 1.0)]
        }
        Resampling::Area => {
            (start + i * n / size..start + ((i + 1) * n).div_ceil(size)).map(|k| (k, 1.0)).collect()
        }
        _ => {
            let x = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (n - 1) as f64);
            let k = x as usize;
            let t = x - k as f64;
            if t > 0.0 {
                vec![(start + k, 1.0 - t), (start + k + 1, t)]
            } else {
                vec![(start + k, 1.0)]
            }
        }
    }
}

/// Weights along both axes of pixel (i, j), or none.
fn weights_of(
    (lat, lon): (&[f64], &[f64]),
    query: &Query,
    (height, width): (usize, usize),
    rules: &Rules,
    (i, j): (usize, usize),
) -> (Weights, Weights) {
    let (ns, we) = ((query.lat_min, query.lat_max), (query.lon_min, query.lon_max));
    let inside = |axis: &[f64], (lo, hi): (f64, f64)| {
        let cells: Vec<usize> =
            (0..axis.len()).filter(|&k| axis[k] >= lo && axis[k] <= hi).collect();
        (cells.first().copied().unwrap_or(0), cells.len())
    };
    let ((top, h), (left, w)) = (inside(lat, ns), inside(lon, we));
    if rules.grid == GridRule::Crop {
        if h == 0 || w == 0 {
            return (vec![], vec![]);
        }
        let shrinks = height <= h && width <= w;
        let how = match rules.resampling {
            Resampling::Area | Resampling::Auto if !shrinks => Resampling::Bilinear,
            Resampling::Auto if (height, width) == (h, w) => Resampling::Bilinear,
            Resampling::Auto => Resampling::Area,
            how => how,
        };
        return (stretched(top, h, height, how, i), stretched(left, w, width, how, j));
    }
    let (y, x) = (linspace(ns.0, ns.1, height), linspace(we.0, we.1, width));
    let area = match rules.resampling {
        Resampling::Auto => height < h && width < w,
        how => how == Resampling::Area,
    };
    if area {
        let both = (footprint(lat, &y, ns, i), footprint(lon, &x, we, j));
        if !both.0.is_empty() && !both.1.is_empty() {
            return both;
        }
    }
    let along = if rules.resampling == Resampling::Nearest { nearest } else { linear };
    (along(lat, y[i]), along(lon, x[j]))
}

/// Value and support of a pixel.
fn pixel(cells: &World, weights: &(Weights, Weights)) -> (f64, f64) {
    let (mut sum, mut valid, mut all) = (0.0, 0.0, 0.0);
    for (r, wr) in &weights.0 {
        for (c, wc) in &weights.1 {
            let value = cells.stored[r * cells.lon.len() + c];
            all += wr * wc;
            if !value.is_nan() {
                sum += wr * wc * value;
                valid += wr * wc;
            }
        }
    }
    (sum / valid, if all > 0.0 { valid / all } else { 0.0 })
}

fn storage() -> impl Strategy<Value = Storage> {
    let dtypes = prop::sample::select(vec![
        Dtype::I8,
        Dtype::I16,
        Dtype::I32,
        Dtype::I64,
        Dtype::U8,
        Dtype::U16,
        Dtype::U32,
        Dtype::U64,
        Dtype::F32,
        Dtype::F64,
    ]);
    (dtypes, (1usize..12, 1usize..12), any::<bool>(), any::<bool>()).prop_map(
        |(dtype, chunk, north_first, plain)| {
            let float = matches!(dtype, Dtype::F32 | Dtype::F64);
            let fill = if float && plain { None } else { Some(7.0) };
            Storage { dtype, chunk, north_first, scale: if plain { 1.0 } else { 0.25 }, fill }
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    let how = prop::sample::select(vec![
        Resampling::Bilinear,
        Resampling::Area,
        Resampling::Nearest,
        Resampling::Auto,
    ]);
    let temporal = prop::sample::select(vec![TemporalAgg::Mean, TemporalAgg::Stack]);
    let support = prop::sample::select(vec![0.0, 0.01, 0.4, 0.77]);
    (how, any::<bool>(), temporal, support, any::<bool>()).prop_map(
        |(resampling, exact, temporal, min_support, normalized)| Rules {
            resampling,
            grid: if exact { GridRule::Exact } else { GridRule::Crop },
            temporal,
            min_support,
            fill_value: -77.0,
            normalize: normalized.then_some((3.0, 2.0)),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn patches_are_those_of_the_reference(
        (height, width) in (2usize..30, 2usize..30),
        numbers in prop::collection::vec(0u8..60, 2 * 30 * 30),
        holes in 0u8..60,
        storages in prop::collection::vec(storage(), 2),
        cut in 0.0f64..1.3,
        shared in 0usize..3,
        corner in (0.0f64..0.7, 0.0f64..0.7),
        extent in (0.02f64..0.9, 0.02f64..0.9),
        shape in (1usize..26, 1usize..26),
        rules in rules(),
        days in prop::sample::select(vec![vec![100], vec![100, 102]]),
    ) {
        let (lat_step, lon_step) = (0.5, 0.25);
        let axis = |start: f64, step: f64, n: usize| -> Vec<f64> {
            (0..n).map(|i| start + (i as f64 + 0.5) * step).collect()
        };
        let (lat, lon) = (axis(-3.0, lat_step, height), axis(10.0, lon_step, width));
        let span = |start: f64, length: f64, (at, part): (f64, f64)| {
            (start + at * length, start + (at + part) * length)
        };
        let (lat_min, lat_max) = span(-3.0, lat_step * height as f64, (corner.0, extent.0));
        let (lon_min, lon_max) = span(10.0, lon_step * width as f64, (corner.1, extent.1));
        let query = Query { lon_min, lon_max, lat_min, lat_max, day_start: 100, day_end: 102 };

        // Two tiles, unless the cut lies beyond the grid; some columns are in both.
        let border = ((cut * width as f64) as usize).clamp(1, width);
        let ranges = if border + shared < width {
            vec![0..border + shared, border..width]
        } else {
            std::iter::once(0..width).collect()
        };
        let mut drawing = Drawing::default();
        for (d, &day) in days.iter().enumerate() {
            let stored = (0..height * width)
                .map(|i| numbers[(i + 31 * d) % numbers.len()])
                .map(|x| if x < holes || x == 7 { f64::NAN } else { f64::from(x) })
                .collect();
            let stored = World { lat: lat.clone(), lon: lon.clone(), stored };
            drawing.add(day, &stored, &ranges, &storages);
        }
        let Drawing { objects, days: drawn, worlds } = drawing;

        let layers = rules.temporal.layers(&query);
        let size = shape.0 * shape.1;
        let mut values = vec![5.0f32; layers * size];
        let mut mask = vec![9u8; layers * size];
        let mut support = vec![5.0f32; layers * size];
        let reader = GranuleReader::new(Arc::new(Memory(objects)), 1 << 20);
        let mut out = PatchMut::new(&mut values, &mut mask, Some(&mut support), size);
        let recipe = Recipe::new(&drawn, &query, Some(shape), &rules).unwrap();
        recipe.paint(|reading| reader.window(reading), &mut out).unwrap();

        let deliver = |value: f64| rules.normalize.map_or(value, |(mean, std)| (value - mean) / std);
        for (i, j) in (0..shape.0).flat_map(|i| (0..shape.1).map(move |j| (i, j))) {
            let weights = weights_of((&lat, &lon), &query, shape, &rules, (i, j));
            let seen: Vec<(f64, f64)> = worlds.iter().map(|world| pixel(world, &weights)).collect();
            let is_valid = |x: &&(f64, f64)| x.1 > 0.0 && x.1 + 1e-9 >= rules.min_support;
            let expected: Vec<Option<Vec<(f64, f64)>>> = match rules.temporal {
                TemporalAgg::Stack => (100..=102)
                    .map(|day| Some(vec![seen[days.iter().position(|&d| d == day)?]]))
                    .collect(),
                _ => vec![Some(seen)],
            };
            for (layer, days) in expected.iter().enumerate() {
                let at = layer * size + i * shape.1 + j;
                let days = days.clone().unwrap_or_default();
                let share = days.iter().map(|x| x.1).sum::<f64>() / days.len().max(1) as f64;
                prop_assert!((f64::from(support[at]) - share).abs() < 1e-6, "support {} {share}", support[at]);
                let valid: Vec<f64> = days.iter().filter(is_valid).map(|x| x.0).collect();
                prop_assert_eq!(mask[at], u8::from(!valid.is_empty()));
                let mean = deliver(valid.iter().sum::<f64>() / valid.len() as f64);
                let value = if valid.is_empty() { -77.0 } else { mean };
                prop_assert!((f64::from(values[at]) - value).abs() < 1e-4, "{} {value}", values[at]);
            }
        }
    }
}
