//! `_engine.Request`: one variable of every sample.

use oceanarrow_engine::engine;
use oceanarrow_engine::error::Error;
use oceanarrow_engine::granule::{Places, Selection};
use oceanarrow_engine::plan::{Record, Value};
use oceanarrow_engine::query::RelativeDays;
use oceanarrow_engine::render::{CellRule, GridRule, Resampling, Rules, TemporalAgg};
use oceanarrow_engine::unit;
use oceanarrow_engine::variable::{Geometry, Role, Supply, Variable, built_in, computed};
use pyo3::prelude::*;

use crate::error::raise;

/// One variable of every sample: what to read and how to render it.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Request {
    pub inner: engine::Request,
}

#[pymethods]
impl Request {
    #[new]
    #[pyo3(signature = (*, name, source, file, netcdf, unit, geometry, is_input, is_target, resample,
                        grid, temporal_agg, min_support, fill_value, normalize, shape, select,
                        valid, days, masks, supply, minus, tensor, holdout))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        name: String,
        source: String,
        file: String,
        netcdf: String,
        unit: String,
        geometry: &str,
        is_input: bool,
        is_target: bool,
        resample: &str,
        grid: &str,
        temporal_agg: &str,
        min_support: f64,
        fill_value: f64,
        normalize: Option<(f64, f64)>,
        shape: Option<(usize, usize)>,
        select: Vec<Selected>,
        valid: Vec<(String, String, Vec<Mark>)>,
        days: (i32, i32),
        masks: Vec<(PyRef<'_, Self>, bool)>,
        supply: &str,
        minus: Option<PyRef<'_, Self>>,
        tensor: Option<String>,
        holdout: Option<(Tracks, bool, u64)>,
    ) -> PyResult<Self> {
        use {GridRule as G, Resampling as R, TemporalAgg as T};
        let rules = Rules {
            resampling: choice(
                "resample",
                resample,
                &[
                    ("bilinear", R::Bilinear),
                    ("area", R::Area),
                    ("nearest", R::Nearest),
                    ("auto", R::Auto),
                ],
            )?,
            grid: choice("grid", grid, &[("exact", G::Exact), ("crop", G::Crop)])?,
            temporal: choice(
                "temporal_agg",
                temporal_agg,
                &[("mean", T::Mean), ("first", T::First), ("last", T::Last), ("stack", T::Stack)],
            )?,
            min_support,
            fill_value: single(fill_value)?,
            normalize,
        };
        let geometry = choice(
            "geometry",
            geometry,
            &[("grid", Geometry::Grid), ("points", Geometry::Points)],
        )?;
        let supply = Supply::of(supply, &netcdf)
            .ok_or_else(|| raise(Error::internal(format!("no variable is {supply:?}"))))?;
        let variable = Variable { name, source, file, netcdf, unit, geometry, supply };
        let role = Role { input: is_input, target: is_target };
        let valid = valid.into_iter().map(|(name, kind, marks)| {
            Ok((name, cell_rule(&kind, marks).ok_or_else(|| unknown_rule(&kind))?))
        });
        let valid = valid.collect::<PyResult<_>>()?;
        let selections = select.into_iter().map(selection).collect();
        let days = RelativeDays { first: days.0, last: days.1 };
        let mask = |(mask, joint): (PyRef<'_, Self>, bool)| engine::Mask {
            request: mask.inner.clone(),
            joint,
        };
        let masks = masks.into_iter().map(mask).collect();
        let minus = minus.map(|minus| Box::new(minus.inner.clone()));
        let inner = engine::Request {
            variable,
            role,
            selections,
            valid,
            holdout: holdout.map(|(tracks, target, seed)| engine::Holdout {
                of: tracks.into(),
                target,
                seed,
            }),
            days,
            masks,
            minus,
            rules,
            shape,
            tensor,
        };
        Ok(Self { inner })
    }
}

/// Tracks that are held out: a share of all, or those of satellites.
#[derive(FromPyObject)]
pub enum Tracks {
    Share(f64),
    Platforms(Vec<String>),
}

impl From<Tracks> for engine::HeldOut {
    fn from(tracks: Tracks) -> Self {
        match tracks {
            Tracks::Share(share) => Self::Share(share),
            Tracks::Platforms(platforms) => Self::Platforms(platforms),
        }
    }
}

/// Them, as a plan names them.
fn held_out(holdout: &engine::Holdout) -> Value<'_> {
    let record = Record::default()
        .with("part", Value::Text(if holdout.target { "target" } else { "input" }));
    Value::Record(match &holdout.of {
        engine::HeldOut::Share(share) => {
            record.with("share", Value::Real(*share)).with("seed", Value::Count(holdout.seed))
        }
        engine::HeldOut::Platforms(platforms) => {
            let platforms = platforms.iter().map(|platform| Value::Text(platform)).collect();
            record.with("platforms", Value::List(platforms))
        }
    })
}

/// A dimension, whether a list was asked for, whether by position, and where.
pub type Selected = (String, bool, bool, Vec<f64>);

/// What is read along a further dimension.
pub fn selection((dimension, listed, by_index, numbers): Selected) -> Selection {
    let places = match by_index {
        true => Places::Index(numbers.into_iter().map(|number| number as u64).collect()),
        false => Places::Nearest(numbers),
    };
    Selection { dimension, places, listed }
}

/// The selections, as a plan names them.
fn selected(selections: &[Selection]) -> Option<Value<'_>> {
    let records = selections.iter().map(|Selection { dimension, places, listed }| {
        let (kind, numbers) = match places {
            Places::Nearest(values) => ("nearest", values.clone()),
            Places::Index(indices) => ("index", indices.iter().map(|&i| i as f64).collect()),
        };
        let numbers = Value::List(numbers.into_iter().map(Value::Real).collect());
        let record = Record::default().with("dimension", Value::Text(dimension));
        let record = record.with("places", Value::Text(kind)).with("numbers", numbers);
        Value::Record(record.with("listed", Value::Text(if *listed { "yes" } else { "no" })))
    });
    (!selections.is_empty()).then(|| Value::List(records.collect()))
}

/// What a rule compares with: a number, or the name of a flag.
#[derive(FromPyObject)]
pub enum Mark {
    Number(f64),
    Name(String),
}

/// The rule of a kind and what it compares with.
fn cell_rule(kind: &str, marks: Vec<Mark>) -> Option<CellRule> {
    if kind == "named" {
        let name = |mark| match mark {
            Mark::Name(name) => Some(name),
            Mark::Number(_) => None,
        };
        return Some(CellRule::Named(marks.into_iter().map(name).collect::<Option<_>>()?));
    }
    let number = |mark| match mark {
        Mark::Number(number) => Some(number),
        Mark::Name(_) => None,
    };
    let numbers: Vec<f64> = marks.into_iter().map(number).collect::<Option<_>>()?;
    match (kind, numbers.as_slice()) {
        ("within", &[low, high]) => Some(CellRule::Within(low, high)),
        ("one of", values) => Some(CellRule::OneOf(values.into())),
        ("bits", &[mask, value]) => Some(CellRule::Bits { mask: mask as u64, value: value as u64 }),
        _ => None,
    }
}

fn unknown_rule(kind: &str) -> PyErr {
    raise(Error::internal(format!("there is no rule {kind:?} of cells")))
}

/// The rules of cells, as a plan names them.
fn validity(valid: &[(String, CellRule)]) -> Option<Value<'_>> {
    let records = valid.iter().map(|(name, rule)| {
        let real =
            |numbers: &[f64]| Value::List(numbers.iter().copied().map(Value::Real).collect());
        let (kind, key, marks) = match rule {
            CellRule::Within(low, high) => ("within", "numbers", real(&[*low, *high])),
            CellRule::OneOf(values) => ("one of", "numbers", real(values)),
            CellRule::Bits { mask, value } => {
                ("bits", "numbers", real(&[*mask as f64, *value as f64]))
            }
            CellRule::Named(names) => {
                let names = names.iter().map(|name| Value::Text(name)).collect();
                ("named", "flags", Value::List(names))
            }
        };
        let record = Record::default().with("name", Value::Text(name));
        Value::Record(record.with("rule", Value::Text(kind)).with(key, marks))
    });
    (!valid.is_empty()).then(|| Value::List(records.collect()))
}

/// What is read, as a plan names it.
pub fn variable_fields(request: &engine::Request) -> Record<'_> {
    let Variable { name, source, file, netcdf, unit, geometry, supply } = &request.variable;
    Record::default()
        .with("name", Value::Text(name))
        .with("source", Value::Text(source))
        .with("file", Value::Text(file))
        .with("netcdf", Value::Text(netcdf))
        .with("unit", Value::Text(unit))
        .with("geometry", Value::Text(geometry.name()))
        .with("role", Value::Text(request.role.name()))
        .with_some("select", selected(&request.selections))
        .with_some("valid", validity(&request.valid))
        .with_some("holdout", request.holdout.as_ref().map(held_out))
        .with_some("days", days(request.days))
        .with_some("supply", (*supply != Supply::Daily).then(|| Value::Text(supply.name())))
        .with_some("where", masks(&request.masks, false))
        .with_some("joint", masks(&request.masks, true))
        .with_some("minus", request.minus.as_deref().map(other))
        .with_some("tensor", request.tensor.as_deref().map(Value::Text))
}

/// What masks a variable, as a plan names it: one by itself, several as a list.
fn masks(masks: &[engine::Mask], joint: bool) -> Option<Value<'_>> {
    let found = masks.iter().filter(|mask| mask.joint == joint);
    let mut found: Vec<Value<'_>> = found.map(|mask| other(&mask.request)).collect();
    match found.len() {
        0 | 1 => found.pop(),
        _ => Some(Value::List(found)),
    }
}

/// The days of a variable, as a plan names them; those of the query go without saying.
fn days(RelativeDays { first, last }: RelativeDays) -> Option<Value<'static>> {
    let numbers = [first, last].map(i64::from);
    (numbers != [0, 0]).then(|| Value::Wholes(Box::new(numbers.into_iter())))
}

/// What masks a variable, or what it is an anomaly from, as a plan names it.
fn other(request: &engine::Request) -> Value<'_> {
    let variable = Value::Record(variable_fields(request));
    let record = Record::default().with("variable", variable);
    Value::Record(record.with("rendering", Value::Record(rendering_fields(request))))
}

/// How it is rendered, as a plan names it.
pub fn rendering_fields(request: &engine::Request) -> Record<'_> {
    let Rules { resampling, grid, temporal, min_support, fill_value, normalize } = request.rules;
    let shape = |(h, w)| Value::List(vec![Value::Count(h as u64), Value::Count(w as u64)]);
    let moments = |(mean, std)| Value::List(vec![Value::Real(mean), Value::Real(std)]);
    Record::default()
        .with("resample", Value::Text(resampling.name()))
        .with("grid", Value::Text(grid.name()))
        .with("temporal_agg", Value::Text(temporal.name()))
        .with("min_support", Value::Real(min_support))
        .with("fill_value", Value::Real(fill_value.into()))
        .with_some("normalize", normalize.map(moments))
        .with_some("shape", request.shape.map(shape))
}

/// A float32, if the number has one.
fn single(fill_value: f64) -> PyResult<f32> {
    let single = fill_value as f32;
    if single.is_infinite() && fill_value.is_finite() {
        return Err(raise(Error::invalid_input(format!(
            "fill_value must fit float32, which {fill_value:e} does not"
        ))));
    }
    Ok(single)
}

/// The variant a word stands for.
pub fn choice<T: Copy>(argument: &str, word: &str, choices: &[(&str, T)]) -> PyResult<T> {
    choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        raise(Error::invalid_input(format!(
            "{argument} must be one of {}, not {word:?}",
            names.join(", ")
        )))
    })
}

/// Whether two units name the same measure: `degC` and `celsius`, not `m` and `cm`.
#[pyfunction]
pub fn same_unit(a: &str, b: &str) -> bool {
    a == b || unit::conversion(a, b) == Some((1.0, 0.0))
}

/// The OceanTACO variables, then the computed ones: (name, source, file, NetCDF variable, unit,
/// geometry, supply) each.
#[pyfunction]
pub fn built_in_variables()
-> Vec<(String, String, String, String, String, &'static str, &'static str)> {
    let row = |v: Variable| {
        (v.name, v.source, v.file, v.netcdf, v.unit, v.geometry.name(), v.supply.name())
    };
    built_in().chain(computed()).map(row).collect()
}
