//! Statistics of what queries see: one pass, in blocks of queries whose results are merged along a
//! fixed tree, so that neither threads nor parts nor machines change a digit.
//!
//! ```text
//!  queries --clusters--> blocks --samples--> Tally a block --tree--> Statistics
//! ```

mod moments;
mod seen;
mod sketch;
mod summary;
mod tree;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::calendar::{iso_date, month};
use crate::catalog::Region;
use crate::engine::{Engine, Request, Sample, SampleColumn};
use crate::error::{Error, Result};
use crate::geo::BBox;
use crate::granule::Selection;
use crate::interrupt;
use crate::parallel;
use crate::plan::Clusters;
use crate::query::Query;

pub use moments::Moments;
pub use seen::{SeenDay, seen};
pub use summary::{Summary, Values};
pub use tree::Forest;

/// Queries a block.
const BLOCK: usize = 16;

/// Values that wait for the sketch at most: sorting more at once is no faster.
const SKETCHED: usize = 1 << 20;

/// What the values are told apart by, besides their variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The month of the query's first day.
    Month,
    /// The region that the query's centre lies in.
    Region,
    /// The query's first day.
    Day,
}

/// How statistics are made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is told apart.
    pub by: Option<By>,
    /// Whether a cell weighs as the cosine of its latitude.
    pub area_weighted: bool,
    /// The pixels of each variable, `None` its native cells.
    pub shapes: Vec<Option<(usize, usize)>>,
    /// This part and how many there are.
    pub part: (u64, u64),
    /// Threads.
    pub threads: usize,
}

/// What a summary is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The request.
    pub request: u32,
    /// Whether of the differences from a day to the next.
    pub differences: bool,
    /// The group; `None` is all of them together.
    pub group: Option<String>,
}

/// Summaries by what they are of.
pub type Tally = BTreeMap<Subject, Summary>;

/// Adds a tally to another.
fn merge(left: &mut Tally, right: Tally) {
    for (subject, summary) in right {
        left.entry(subject).or_default().add(&summary);
    }
}

/// The tallies of a part, and how many blocks the whole has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// All blocks, those of other parts too.
    pub blocks: u64,
    /// Those of this part.
    pub forest: Forest<Tally>,
}

impl Part {
    /// What some of the parts tell.
    pub fn told(parts: Vec<Self>) -> Tally {
        let mut told = Tally::new();
        for part in parts {
            merge(&mut told, part.forest.finish(&merge).unwrap_or_default());
        }
        told
    }

    /// What all parts together tell.
    ///
    /// # Errors
    /// `InvalidInput`: they do not make a whole.
    pub fn whole(parts: Vec<Self>) -> Result<Tally> {
        let blocks = parts.first().map_or(0, |part| part.blocks);
        if parts.iter().any(|part| part.blocks != blocks) {
            return Err(Error::invalid_input("these are parts of different lists of queries"));
        }
        let forests = parts.into_iter().map(|part| part.forest);
        Ok(Forest::whole(forests, blocks, &merge)?.unwrap_or_default())
    }
}

/// Goes through the blocks of a part. `progress` is told how many queries of how many are done.
///
/// # Errors
/// Those of reading, and of `progress`. `Cancelled`: interrupted.
pub fn measure(
    engine: &Arc<Engine>,
    plan: &Plan,
    mut progress: impl FnMut(u64, u64) -> Result<()>,
) -> Result<Part> {
    let queries = &engine.setup().queries;
    // Neighbours share files: the same blocks whatever reads them.
    let clusters = Clusters::new(queries, 0)?;
    let order: Vec<usize> = (0..queries.len() as u64).map(|row| clusters.position(row)).collect();
    let blocks: Vec<&[usize]> = order.chunks(BLOCK).collect();
    let total = blocks.len() as u64;
    let (part, parts) = plan.part;
    let cut = |n: u64| (u128::from(total) * u128::from(n) / u128::from(parts.max(1))) as usize;
    let own: Range<usize> = cut(part)..cut(part + 1);
    let first = own.start as u64;
    let own = blocks.get(own).unwrap_or_default();
    let mine: usize = own.iter().map(|block| block.len()).sum();
    let mut forest = Forest::default();
    let take = |index: usize, tally: Result<Tally>| {
        forest.push(first + index as u64, tally?, &merge);
        Ok(())
    };
    parallel::in_order(
        own,
        plan.threads,
        |block| tally(engine, plan, block),
        take,
        |blocks| progress((blocks * BLOCK).min(mine) as u64, mine as u64),
    )?;
    Ok(Part { blocks: total, forest })
}

/// The summaries of a block, with the values that their sketches still lack.
#[derive(Default)]
struct Pending(BTreeMap<Subject, (Summary, Values)>);

impl Pending {
    fn add(&mut self, subject: Subject, cells: u64, moments: &Moments, values: &Values) {
        let (summary, waiting) = self.0.entry(subject).or_default();
        summary.count(cells, moments);
        waiting.extend(values);
        if waiting.numbers.len() >= SKETCHED {
            summary.sketch(waiting);
        }
    }

    fn finish(self) -> Tally {
        let of = |(subject, (mut summary, mut waiting)): (_, (Summary, Values))| {
            summary.sketch(&mut waiting);
            (subject, summary)
        };
        self.0.into_iter().map(of).collect()
    }
}

fn tally(engine: &Engine, plan: &Plan, block: &[usize]) -> Result<Tally> {
    let setup = engine.setup();
    let mut pending = Pending::default();
    for &index in block {
        if interrupt::requested() {
            return Err(Error::cancelled("interrupted"));
        }
        let group = plan.by.map(|by| group(engine, &setup.queries[index], by));
        let Sample { columns, .. } = engine.sample(index, &plan.shapes)?;
        for (number, (request, column)) in setup.requests.iter().zip(columns).enumerate() {
            let Some(column) = column else { continue };
            for (differences, seen) in
                [false, true].into_iter().zip(looked_at(&column, request, plan))
            {
                let Values { numbers, weights } = &seen.values;
                let moments = Moments::of(numbers, weights.as_deref());
                for group in [None].into_iter().chain(group.clone().map(Some)) {
                    let subject = Subject { request: number as u32, differences, group };
                    pending.add(subject, seen.cells, &moments, &seen.values);
                }
            }
        }
    }
    Ok(pending.finish())
}

/// What a group is called.
fn group(engine: &Engine, query: &Query, by: By) -> String {
    match by {
        By::Month => format!("{:02}", month(query.day_start) + 1),
        By::Day => iso_date(query.day_start),
        By::Region => {
            let BBox { lon, width, lat_min, lat_max } = query.bbox();
            let (lon, lat) = (lon + width / 2.0, (lat_min + lat_max) / 2.0);
            let inside = |region: &&Region| {
                let BBox { lon: west, width, lat_min, lat_max } = region.bbox;
                (lat_min..=lat_max).contains(&lat) && (lon - west).rem_euclid(360.0) <= width
            };
            let found = engine.setup().catalog.regions().iter().find(inside);
            found.map_or_else(|| "elsewhere".to_owned(), |region| region.name.clone())
        }
    }
}

/// Cells and the valid ones' values.
struct Seen {
    cells: u64,
    values: Values,
}

/// The values of a variable of a sample; of a stack of days also the differences from each to the
/// next.
fn looked_at(column: &SampleColumn, request: &Request, plan: &Plan) -> Vec<Seen> {
    let weight = |lat: f32| f64::from(lat).to_radians().cos().max(0.0);
    let patch = match column {
        SampleColumn::Points(row) => {
            let weights = || row.lat.iter().map(|&lat| weight(lat)).collect();
            let numbers = row.values.clone();
            let values = Values { numbers, weights: plan.area_weighted.then(weights) };
            return vec![Seen { cells: row.values.len() as u64, values }];
        }
        SampleColumn::Grid(patch) => patch,
    };
    let (planes, height, width) = patch.shape;
    let of_rows: Vec<f64> = patch.lat.iter().map(|&lat| weight(lat)).collect();
    let at = |pixel: usize| of_rows.get(pixel / width.max(1) % height.max(1)).copied();
    // The numbers of the pixels that count, as far as there are any.
    let chosen = |cells: usize, counts: &dyn Fn(usize) -> bool, number: &dyn Fn(usize) -> f32| {
        let pixels: Vec<usize> = (0..cells).filter(|&pixel| counts(pixel)).collect();
        let weights = || pixels.iter().map(|&pixel| at(pixel).unwrap_or(1.0)).collect();
        let numbers = pixels.iter().map(|&pixel| number(pixel)).collect();
        let values = Values { numbers, weights: plan.area_weighted.then(weights) };
        Seen { cells: cells as u64, values }
    };
    let (values, mask) = (patch.values.as_slice(), patch.mask.as_slice());
    let mut seen = vec![chosen(values.len(), &|i| mask[i] != 0, &|i| values[i])];
    let levels = Selection::levels(&request.selections).unwrap_or(1).max(1);
    if request.is_stacked() && planes > levels {
        let day = levels * height * width;
        let cells = values.len().saturating_sub(day);
        let both = |i: usize| mask[i] != 0 && mask[i + day] != 0;
        seen.push(chosen(cells, &both, &|i| values[i + day] - values[i]));
    }
    seen
}
