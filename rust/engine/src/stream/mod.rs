//! Batches ahead of their consumer: each step is a task on the pool, handed out in order.

mod decode_ahead;
mod memory;
mod recipes;

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::collate::{Collated, Columns, Row, batch_bytes};
use crate::engine::{Engine, Pose};
use crate::error::{Error, Result};
use crate::export::record_batch;
use crate::granule::Ahead;
use crate::interrupt;
use crate::orientation::Orientation;
use crate::plan::{Cursor, Draw, Order, PlanDigests, Sequence, Slot};
use crate::query::Query;
use crate::render::{RULES_VERSION, Recipe};
use crate::variable::Geometry;
use decode_ahead::DecodeAhead;
use recipes::Recipes;

/// Which steps a stream makes, and how.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// The order of the queries.
    pub order: Order,
    /// What the order's plan consists of, for the cursor in each batch.
    pub digests: PlanDigests,
    /// The epoch of the first step.
    pub epoch: u64,
    /// The lane offset of step 0.
    pub lane_offset: u64,
    /// The rows of each global batch that this rank takes.
    pub rows: Range<u64>,
    /// The first step to make, counted from `lane_offset`.
    pub first_step: u64,
    /// The step to end before; `None` is at the end of the epoch.
    pub end_step: Option<u64>,
    /// Every how many steps one is made; several workers share the steps of a rank.
    pub stride: u64,
    /// Threads of this process and of the workers that share the steps with it; `None` is one for
    /// each core of this rank's share.
    pub threads: Option<usize>,
    /// Ranks on this machine, which share its cores.
    pub local_ranks: u64,
    /// Batches made ahead hold at most about this many bytes; one is always made ahead.
    pub prefetch_bytes: usize,
}

/// Steps of a remote dataset that are under way at least, if memory allows: their downloads overlap.
const STEPS_UNDER_WAY: usize = 16;

/// Threads of a stream at most, unless it is told: enough for thousands of samples a second.
const MAX_THREADS: usize = 32;

impl StreamOptions {
    /// Threads of this process. Cores count as far as affinity and quotas leave them to it.
    fn pool_threads(&self) -> usize {
        let all = self.threads.unwrap_or_else(|| {
            let cores = available_parallelism().map_or(1, usize::from);
            (cores / (self.local_ranks as usize).max(1)).min(MAX_THREADS)
        });
        (all / (self.stride as usize).max(1)).max(1)
    }

    /// Batches of so many bytes that are made ahead, of a remote dataset or a local one.
    fn depth(&self, batch_bytes: u64, remote: bool) -> usize {
        let least = if remote { STEPS_UNDER_WAY } else { 0 };
        let most = least.max(self.pool_threads().saturating_mul(2).saturating_add(2));
        let fit = self.prefetch_bytes as u64 / batch_bytes.max(1);
        usize::try_from(fit).unwrap_or(most).clamp(1, most)
    }
}

/// What [`Stream::poll`] saw.
pub enum Poll {
    /// The next batch.
    Batch(RecordBatch),
    /// No batch within the time given.
    Pending,
    /// The epoch is over.
    End,
}

/// The batches of one epoch. Dropping it stops the work.
pub struct Stream {
    shared: Arc<Shared>,
    pool: Arc<ThreadPool>,
    /// The next step to start.
    next: u64,
    stride: u64,
    /// Steps from the lane offset to the end of the epoch; `None` if it never ends.
    steps: Option<u64>,
    depth: usize,
    ahead: VecDeque<Receiver<Result<RecordBatch>>>,
    /// Queries, and the steps that need them.
    decode_ahead: Option<DecodeAhead<(Subject, u64)>>,
}

/// A query as a row has it.
#[derive(Clone, Copy)]
struct Subject {
    /// Its position in the user's list.
    index: usize,
    /// The draw, where it is read elsewhere than other draws of it.
    draw: Draw,
    /// Where it is read.
    query: Query,
}

/// What the tasks of a stream share.
struct Shared {
    engine: Arc<Engine>,
    sequence: Sequence,
    digests: PlanDigests,
    epoch: u64,
    lane_offset: u64,
    rows: Range<u64>,
    columns: Columns,
    schema: Arc<Schema>,
    recipes: Recipes,
    /// Shared with waits for remote stores, which it ends.
    cancelled: Arc<AtomicBool>,
}

impl Stream {
    /// Starts a stream.
    pub fn new(engine: Arc<Engine>, options: StreamOptions) -> Result<Self> {
        let columns = engine.setup().columns()?;
        let metadata = [
            ("oceanarrow.plan_id".to_owned(), options.digests.plan_id()),
            ("oceanarrow.epoch".to_owned(), options.epoch.to_string()),
        ];
        let schema = Arc::new(engine.schema(metadata)?);
        let pool = ThreadPoolBuilder::new()
            .num_threads(options.pool_threads())
            .thread_name(|i| format!("oceanarrow-{i}"))
            .build()
            .map(Arc::new)
            .map_err(|e| Error::io(format!("cannot start the loader's threads: {e}")))?;
        let rows = options.rows.end.saturating_sub(options.rows.start);
        let remote = engine.setup().catalog.is_remote();
        let depth = options.depth(batch_bytes(&columns.kinds, rows), remote);
        let left = options.order.steps_left(options.lane_offset);
        let steps = left.into_iter().chain(options.end_step).min();
        // Whole windows ahead are too much to ask of a network; the steps under way must do.
        // A frozen set has nothing to decode.
        let decode_ahead = (!remote && engine.setup().frozen.is_none())
            .then(|| DecodeAhead::new(&options.order, options.lane_offset, options.stride));
        let shared = Arc::new(Shared {
            engine,
            sequence: Sequence::new(options.order),
            digests: options.digests,
            epoch: options.epoch,
            lane_offset: options.lane_offset,
            rows: options.rows,
            columns,
            schema,
            recipes: Recipes::default(),
            cancelled: Arc::new(AtomicBool::new(false)),
        });
        let (next, stride) = (options.first_step, options.stride.max(1));
        Ok(Self { shared, pool, next, stride, steps, depth, ahead: VecDeque::new(), decode_ahead })
    }

    /// The schema of the batches, without what each adds to its metadata.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.shared.schema
    }

    /// Waits up to `timeout` for the next batch.
    pub fn poll(&mut self, timeout: Duration) -> Result<Poll> {
        while self.ahead.len() < self.depth && self.steps.is_none_or(|steps| self.next < steps) {
            self.start(self.next)?;
            self.next += self.stride;
        }
        let Some(first) = self.ahead.front() else { return Ok(Poll::End) };
        match first.recv_timeout(timeout) {
            Ok(batch) => {
                self.ahead.pop_front();
                batch.map(Poll::Batch)
            }
            Err(RecvTimeoutError::Timeout) => Ok(Poll::Pending),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::internal("a batch was abandoned by its thread"))
            }
        }
    }

    /// Hands a step to the pool, once what it needs of a remote dataset has arrived.
    fn start(&mut self, step: u64) -> Result<()> {
        let (sender, receiver) = bounded(1);
        let (shared, pool) = (self.shared.clone(), self.pool.clone());
        let make = move || {
            let made = catch_unwind(AssertUnwindSafe(|| shared.batch(step)));
            let made = made.unwrap_or_else(|_| {
                Err(Error::internal(format!("step {step} panicked; please report this")))
            });
            // The consumer may have gone.
            let _ = sender.send(made);
        };
        match self.shared.engine.downloads()? {
            None => pool.spawn(make),
            Some(downloads) => {
                let shared = self.shared.clone();
                let download = move |(subject, request)| {
                    if !shared.cancelled.load(Ordering::Relaxed) {
                        shared.unless_cancelled(|| shared.download(step, subject, request));
                    }
                };
                downloads.start(self.shared.needs(step), download, move || pool.spawn(make));
            }
        }
        self.ahead.push_back(receiver);
        self.start_decoding(step);
        Ok(())
    }

    /// Hands the pool a step's share of what the next window needs.
    fn start_decoding(&mut self, step: u64) {
        let Some(share) = self.decode_ahead.as_mut().and_then(|ahead| ahead.share(step)) else {
            return;
        };
        let (shared, stride, steps) = (self.shared.clone(), self.stride, self.steps);
        self.pool.spawn(move || {
            // A panic would end the process; the batch that needs the same data reports it.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let make = |range| shared.upcoming(range, (step, stride), steps);
                shared.unless_cancelled(|| {
                    for &(subject, step) in share.take(make) {
                        if shared.cancelled.load(Ordering::Relaxed) {
                            return;
                        }
                        shared.decode(step, subject);
                    }
                });
            }));
        });
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    /// The queries of some steps (those that are a multiple of `stride` away from `own`), each with
    /// the last step that needs it, cluster by cluster; none if the cache cannot hold what they and
    /// as many others need, because decoding ahead would then drive out what is in use.
    fn upcoming(
        &self,
        range: Range<u64>,
        (own, stride): (u64, u64),
        steps: Option<u64>,
    ) -> Vec<(Subject, u64)> {
        let end = steps.map_or(range.end, |steps| range.end.min(steps));
        let mut wanted: Vec<(u64, Subject, u64)> = (range.start..end)
            .rev()
            .filter(|step| step % stride == own % stride)
            .flat_map(|step| self.slots(step).into_iter().map(move |slot| (slot, step)))
            .map(|(slot, step)| (slot.cluster, self.subject(&slot), step))
            .collect();
        wanted.sort_by_key(|&(cluster, subject, _)| (cluster, subject.index, subject.draw));
        wanted.dedup_by_key(|&mut (cluster, subject, _)| (cluster, subject.index, subject.draw));
        let budget = self.engine.setup().options.cache_bytes as u64 / 2;
        let (mut seen, mut bytes) = (HashSet::new(), 0);
        for &(_, subject, step) in &wanted {
            for recipe in self.ahead(step, subject) {
                let chunks = self.engine.chunks(&recipe).unwrap_or_default();
                for chunk in chunks.iter().flatten() {
                    bytes += if seen.insert(chunk.id) { chunk.size } else { 0 };
                }
            }
            if bytes > budget || self.cancelled.load(Ordering::Relaxed) {
                return Vec::new();
            }
        }
        wanted.into_iter().map(|(_, subject, step)| (subject, step)).collect()
    }

    /// What a slot holds.
    fn subject(&self, slot: &Slot) -> Subject {
        let setup = self.engine.setup();
        let (index, query) = (slot.query, setup.queries[slot.query]);
        match &setup.options.augment {
            Some(augment) if augment.shifts() => {
                Subject { index, draw: slot.draw, query: augment.moved(&query, slot.draw) }
            }
            _ => Subject { index, draw: Draw::default(), query },
        }
    }

    /// The slots of a step that this rank fills.
    fn slots(&self, step: u64) -> Vec<Slot> {
        let lane_offset = self.lane_offset + step * self.sequence.order().lane_rows();
        self.sequence.slots(self.epoch, lane_offset, self.rows.clone())
    }

    /// The recipes of a query that a step will need, by variable; none of those that it has taken,
    /// or that cannot be made.
    fn ahead(&self, step: u64, subject: Subject) -> impl Iterator<Item = Arc<Recipe>> {
        let requests = 0..self.engine.setup().requests.len();
        requests.filter_map(move |request| self.recipe_ahead(step, subject, request))
    }

    fn recipe_ahead(&self, step: u64, subject: Subject, request: usize) -> Option<Arc<Recipe>> {
        let shape = self.engine.setup().requests[request].shape?;
        let make = || self.engine.recipe(&subject.query, request, Some(shape));
        self.recipes.ahead((subject.index, subject.draw, request), step, make).ok()?
    }

    /// Decodes what a step will need of a query.
    fn decode(&self, step: u64, subject: Subject) {
        for request in 0..self.columns.members.len() {
            if let Some(recipe) = self.recipe_ahead(step, subject, request) {
                self.engine.bring(&recipe, request, Ahead::Decode);
            }
        }
    }

    /// Downloads what a step will need of a query's variable.
    fn download(&self, step: u64, subject: Subject, request: usize) {
        match self.engine.setup().requests[request].variable.geometry {
            Geometry::Points => self.engine.bring_points(&subject.query, request),
            Geometry::Grid => {
                if let Some(recipe) = self.recipe_ahead(step, subject, request) {
                    self.engine.bring(&recipe, request, Ahead::Download);
                }
            }
        }
    }

    /// Every (query, variable) of a step that a file may be needed for.
    fn needs(&self, step: u64) -> Vec<(Subject, usize)> {
        let requests = 0..self.columns.members.len();
        let of_slot = |slot: &Slot| {
            let subject = self.subject(slot);
            requests.clone().map(move |request| (subject, request))
        };
        self.slots(step).iter().flat_map(of_slot).collect()
    }

    /// Does `work`, whose waits for a remote store end when the stream is dropped.
    fn unless_cancelled<T>(&self, work: impl FnOnce() -> T) -> T {
        let cancelled = self.cancelled.clone();
        interrupt::scope(move || cancelled.load(Ordering::Relaxed), work)
    }

    /// Makes the batch of a step.
    fn batch(&self, step: u64) -> Result<RecordBatch> {
        if !self.engine.setup().catalog.is_remote() {
            self.recipes.begin(step);
        }
        let order = self.sequence.order();
        let slots = self.slots(step);
        let augment = self.engine.setup().options.augment.as_ref();
        let subjects: Vec<Subject> = slots.iter().map(|slot| self.subject(slot)).collect();
        let rows: Vec<Row> = slots
            .iter()
            .zip(&subjects)
            .map(|(slot, &Subject { index, query, .. })| Row {
                index,
                query,
                padded: slot.padded,
                orientation: augment.map(|a| a.orientation(slot.draw)).unwrap_or_default(),
            })
            .collect();
        let orientations: Vec<Orientation> = rows.iter().map(|row| row.orientation).collect();
        let mut collated = Collated::new(&self.columns, rows, self.engine.slabs())?;
        let telemetry = self.engine.telemetry();
        let mut cells = collated.cells();
        // Row by row, the dearest variable first: a swath begun last would leave the other threads
        // idle at the end.
        let ranks = self.engine.ranks();
        cells.sort_by_key(|&(row, variable, ..)| (row, ranks[variable]));
        cells.into_par_iter().with_max_len(1).try_for_each(|(row, variable, cell, outcome)| {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Error::cancelled("the loader was closed"));
            }
            let (subject, orientation) = (subjects[row], orientations[row]);
            let (source, negated) =
                augment.map_or((variable, false), |a| a.source(variable, orientation));
            let made = self.recipes.take((subject.index, subject.draw, source));
            let pose = Pose { orientation, negated };
            *outcome = self.unless_cancelled(|| {
                self.engine.fill((subject.index, &subject.query), source, made, cell, pose)
            })?;
            Ok(())
        })?;
        telemetry.count_samples(slots.len());
        let variables = collated.members.len().max(1);
        let outcomes = collated.outcomes.iter().enumerate();
        let (masked_rows, masked): (Vec<usize>, Vec<&str>) = outcomes
            .filter_map(|(i, outcome)| Some((i / variables, outcome.unreadable.as_deref()?)))
            .unzip();
        let (epoch_after, offset_after) =
            order.advance(self.epoch, self.lane_offset + step * order.lane_rows());
        let cursor = Cursor::new(order, &self.digests, RULES_VERSION, epoch_after, offset_after)
            .to_json()?;
        let metadata = [
            ("oceanarrow.epoch".to_owned(), self.epoch.to_string()),
            ("oceanarrow.cursor".to_owned(), cursor),
            ("oceanarrow.masked".to_owned(), serde_json::json!(masked).to_string()),
            ("oceanarrow.masked_rows".to_owned(), serde_json::json!(masked_rows).to_string()),
        ];
        record_batch(collated, &self.schema, metadata)
    }
}
