//! What recipes are wide enough for: one variable only where another is, cells that a quality
//! variable rules out, and several members in one tensor, from files to an Arrow batch.
#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt8Type};
use bytes::Bytes;
use oceanarrow_engine::collate::{
    CellMut, Collated, ColumnKind, Columns, GridShape, Member, Row, SlabPool,
};
use oceanarrow_engine::error::{Error, Result};
use oceanarrow_engine::export::{ColumnField, MemberField, batch_schema, record_batch};
use oceanarrow_engine::granule::{
    Ahead, Dtype, GranuleReader, Grid, RawGrid, Reading, When, Window,
};
use oceanarrow_engine::query::{Query, RelativeDays};
use oceanarrow_engine::render::{
    CellRule, Day, GridRule, PatchMut, Recipe, Resampling, Rules, TemporalAgg, Tile,
};
use oceanarrow_engine::store::{ByteSource, Location};
use oceanarrow_engine::variable::Role;

/// Objects in memory, named by their numbers.
struct Memory(Vec<Vec<f32>>);

impl ByteSource for Memory {
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        let object = &self.0[location.object.parse::<usize>().unwrap()];
        let bytes: Vec<u8> = object.iter().flat_map(|x| x.to_ne_bytes()).collect();
        Ok(Bytes::copy_from_slice(&bytes[range.start as usize..range.end as usize]))
    }

    fn size(&self, _: &Location) -> Result<u64> {
        Ok(u64::MAX)
    }
}

const N: usize = 4;

/// Cells at 0.5, 1.5, 2.5 and 3.5 degrees.
fn grid(object: usize) -> Arc<Grid> {
    let axis: Vec<f64> = (0..N).map(|i| i as f64 + 0.5).collect();
    Arc::new(
        RawGrid {
            location: Location::whole(object.to_string()),
            dtype: Dtype::F32,
            chunk: (N, N),
            lat: axis.clone(),
            lon: axis,
            north_first: false,
            fill: None,
            scale: 1.0,
            offset: 0.0,
            key: object as u128,
        }
        .into(),
    )
}

fn day(day: i32, object: usize) -> Day {
    let tile = Tile {
        object: object as u32,
        grid: grid(object),
        when: When::Day(day),
        resolution: f32::NAN,
        conditions: Vec::new(),
    };
    Day::whole(day, vec![tile])
}

fn query(days: (i32, i32)) -> Query {
    let (day_start, day_end) = days;
    Query { lon_min: 0.5, lon_max: 3.5, lat_min: 0.5, lat_max: 3.5, day_start, day_end }
}

fn rules(temporal: TemporalAgg) -> Rules {
    Rules {
        resampling: Resampling::Bilinear,
        grid: GridRule::Exact,
        temporal,
        min_support: 0.5,
        fill_value: -9.0,
        normalize: None,
    }
}

/// 100 times the day, plus the number of the cell.
fn ramp(hundreds: usize) -> Vec<f32> {
    (0..N * N).map(|i| (100 * hundreds + i) as f32).collect()
}

fn where_valid(valid: impl Fn(usize) -> bool) -> Vec<f32> {
    (0..N * N).map(|i| if valid(i) { 1.0 } else { f32::NAN }).collect()
}

struct Painted {
    values: Vec<f32>,
    mask: Vec<u8>,
    support: Vec<f32>,
}

fn painted(reader: &GranuleReader, recipe: &Recipe) -> Painted {
    let (planes, height, width) = recipe.shape();
    let size = planes * height * width;
    let (mut values, mut mask, mut support) = (vec![7.0; size], vec![7; size], vec![7.0; size]);
    let mut out = PatchMut::new(&mut values, &mut mask, Some(&mut support), height * width);
    recipe.paint(|reading| reader.window(reading), &mut out).unwrap();
    Painted { values, mask, support }
}

#[test]
fn one_variable_is_valid_only_where_another_is_on_each_day() {
    // Objects 0, 1: the variable on days 0 and 1; 2: the sensor on day 0, which sees even cells.
    let objects = vec![ramp(1), ramp(2), where_valid(|i| i % 2 == 0)];
    let reader = GranuleReader::new(Arc::new(Memory(objects)), 1 << 20);
    let (query, shape) = (query((0, 1)), Some((N, N)));
    let seen = |temporal| {
        let rules = rules(temporal);
        let sensor = Recipe::new(&[day(0, 2)], &query, shape, &rules).unwrap();
        let field = Recipe::new(&[day(0, 0), day(1, 1)], &query, shape, &rules).unwrap();
        let seen = field.only_where(Some(&sensor)).unwrap();
        // What it costs and what is brought includes the mask.
        let chunks: usize = seen.readings().map(|r| reader.chunks(r).unwrap().concat().len()).sum();
        assert_eq!(chunks, 3);
        seen.readings().try_for_each(|r| reader.bring(r, Ahead::Decode)).unwrap();
        assert_eq!(seen.files(), [0, 1]);
        painted(&reader, &seen)
    };
    let stack = seen(TemporalAgg::Stack);
    for i in 0..N * N {
        let valid = i % 2 == 0;
        assert_eq!(stack.mask[i], u8::from(valid));
        assert_eq!(stack.values[i], if valid { (100 + i) as f32 } else { -9.0 });
        assert_eq!(stack.support[i], if valid { 1.0 } else { 0.0 });
        // The sensor has nothing on the second day.
        assert_eq!((stack.mask[16 + i], stack.values[16 + i]), (0, -9.0));
    }
    let mean = seen(TemporalAgg::Mean);
    for i in 0..N * N {
        // The mean is of the days on which the pixel counts: the first alone.
        let valid = i % 2 == 0;
        assert_eq!(mean.mask[i], u8::from(valid));
        assert_eq!(mean.values[i], if valid { (100 + i) as f32 } else { -9.0 });
        assert_eq!(mean.support[i], if valid { 0.5 } else { 0.0 });
    }
}

#[test]
fn a_mask_needs_the_same_pixels() {
    let query = query((0, 0));
    let of = |shape| Recipe::new(&[day(0, 0)], &query, Some(shape), &rules(TemporalAgg::Mean));
    assert!(of((4, 4)).unwrap().only_where(Some(&of((4, 5)).unwrap())).is_err());
}

#[test]
fn cells_count_only_where_their_quality_obeys() {
    let mut quality: Vec<f32> = (0..N * N).map(|i| (i % 6) as f32).collect();
    quality[9] = f32::NAN;
    let reader = GranuleReader::new(Arc::new(Memory(vec![ramp(1), quality])), 1 << 20);
    let mut flagged = day(0, 0);
    flagged.parts[0].tiles[0].conditions = vec![(grid(1), CellRule::Within(4.0, 5.0))];
    let query = query((0, 0));
    let recipe = Recipe::new(&[flagged], &query, Some((N, N)), &rules(TemporalAgg::Mean)).unwrap();
    assert_eq!(recipe.readings().count(), 2);
    let Painted { values, mask, .. } = painted(&reader, &recipe);
    for i in 0..N * N {
        let valid = i % 6 >= 4 && i != 9;
        assert_eq!((mask[i], values[i]), (u8::from(valid), if valid { ramp(1)[i] } else { -9.0 }));
    }
}

#[test]
fn a_recipe_is_painted_without_a_file() {
    let query = query((0, 0));
    let recipe =
        Recipe::new(&[day(0, 0)], &query, Some((2, 2)), &rules(TemporalAgg::Mean)).unwrap();
    let asked = Cell::new(0);
    let (mut values, mut mask) = (vec![0.0; 4], vec![0; 4]);
    let window = |reading: &Reading| {
        asked.set(asked.get() + 1);
        assert_eq!((reading.rows.clone(), reading.cols.clone()), (0..N, 0..N));
        Window::of_values(ramp(0), N)
    };
    let mut out = PatchMut::new(&mut values, &mut mask, None, 4);
    recipe.paint(window, &mut out).unwrap();
    assert_eq!((values, mask, asked.get()), (vec![0.0, 3.0, 12.0, 15.0], vec![1; 4], 1));
    let mut out = PatchMut::default();
    assert!(recipe.paint(|_| Err(Error::io("down")), &mut out).is_ok(), "nothing to paint");
}

#[test]
fn members_are_painted_into_one_tensor() {
    // Channels: the field, and the field on two days where a sensor saw it; one (C, H, W) tensor.
    let objects = vec![ramp(1), ramp(2), where_valid(|i| i < 8)];
    let reader = GranuleReader::new(Arc::new(Memory(objects)), 1 << 20);
    let (query, shape) = (query((0, 1)), Some((N, N)));
    let first = Recipe::new(&[day(0, 0)], &query, shape, &rules(TemporalAgg::First)).unwrap();
    let stack = rules(TemporalAgg::Stack);
    let sensor = Recipe::new(&[day(1, 2)], &query, shape, &stack).unwrap();
    let days = [day(0, 0), day(1, 1)];
    let second =
        Recipe::new(&days, &query, shape, &stack).unwrap().only_where(Some(&sensor)).unwrap();
    let members = [first, second];
    let planes: Vec<usize> = members.iter().map(|member| member.shape().0).collect();

    let kind = ColumnKind::Grid(GridShape {
        channels: Some(planes.iter().sum()),
        layers: None,
        levels: None,
        height: N,
        width: N,
        support: false,
        axes: false,
    });
    let rows = vec![Row { index: 0, query, padded: false, orientation: Default::default() }; 2];
    let places = planes.iter().map(|&planes| Member { column: 0, planes }).collect();
    let columns = Columns { kinds: vec![kind], members: places };
    let mut batch = Collated::new(&columns, rows, &SlabPool::new(0)).unwrap();
    assert_eq!(batch.cells().len(), 4);
    for (_, variable, cell, outcome) in batch.cells() {
        let CellMut::Grid(mut channels) = cell else { unreachable!("a grid") };
        let member = &members[variable];
        assert_eq!(channels.planes.len(), member.shape().0);
        member.paint(|reading| reader.window(reading), &mut channels).unwrap();
        outcome.files.extend(member.files());
        outcome.present = true;
    }
    let member = |name: &str, channels: &[&str]| MemberField {
        name: name.to_owned(),
        unit: "m".to_owned(),
        resample: "bilinear",
        normalize: None,
        days: RelativeDays::default(),
        levels: None,
        anomaly: None,
        channels: channels.iter().map(|&name| name.to_owned()).collect(),
    };
    let field = ColumnField {
        name: "x".to_owned(),
        kind,
        role: Role { input: true, target: false },
        members: vec![member("a", &["a"]), member("b", &["b[0]", "b[1]"])],
    };
    let schema = batch_schema(&[field], false, Default::default()).unwrap();
    assert_eq!(schema.field(0).metadata()["channels"], r#"["a","b[0]","b[1]"]"#);
    let arrow = record_batch(batch, &schema, []).unwrap();
    let elements = |name: &str| arrow.column_by_name(name).unwrap().as_fixed_size_list().values();
    let (values, mask) = (elements("x").clone(), elements("x_mask").clone());
    let values = values.as_primitive::<Float32Type>().values().to_vec();
    let mask = mask.as_primitive::<UInt8Type>().values().to_vec();
    let mut due = ramp(1);
    // The sensor has nothing on the first day, and sees half of the second.
    due.extend([-9.0; 16]);
    due.extend(ramp(2).iter().take(8));
    due.extend([-9.0; 8]);
    let valid: Vec<u8> = due.iter().map(|x| u8::from(*x >= 0.0)).collect();
    assert_eq!(values, [due.clone(), due].concat());
    assert_eq!(mask, [valid.clone(), valid].concat());
}

#[test]
fn one_step_of_a_file_is_one_granule() {
    // A file of one step has step 0 and no other.
    let reader = GranuleReader::new(Arc::new(Memory(vec![ramp(3)])), 1 << 20);
    let at = |when| {
        let reading = Reading { grid: grid(0), when, level: 0, rows: 0..1, cols: 0..N };
        let mut out = vec![0.0; N];
        reader.values(&reading, &mut out).map(|()| out)
    };
    assert_eq!(at(When::Steps(0, 1)).unwrap(), ramp(3)[..N]);
    assert_eq!(at(When::Day(12)).unwrap(), ramp(3)[..N]);
    let error = at(When::Steps(0, 2)).unwrap_err();
    assert!(error.to_string().contains("no time step 1"), "{error}");
}
