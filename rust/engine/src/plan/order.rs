//! Which queries make up which batch: a pure function of the plan, the epoch and the lane offset.
//!
//! ```text
//!  rows, cluster by cluster      the clusters are permuted anew each epoch: the flat order
//!  flat order, cut into lanes    lane l is flat positions [l N / L, (l + 1) N / L)
//!  lane, cut into windows        each is permuted by itself
//!  batch at lane offset x        g = G / L consecutive places of lane 0, of lane 1, ...
//! ```
//!
//! All lanes move on together, so one number says where an epoch stands, whatever the number of
//! ranks, workers or rows of a batch.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::cluster::Clusters;
use super::permutation::{key, permute};
use super::spec::{OrderSpec, Tail};
use super::weights::{Draws, Weights};
use crate::error::{Error, Result};

/// One row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The query's position in the user's list.
    pub query: usize,
    /// The cluster that the query belongs to.
    pub cluster: u64,
    /// Whether the row only fills up the batch.
    pub padded: bool,
    /// Which draw it is.
    pub draw: Draw,
}

/// One of the queries of an epoch, which a query that is drawn more than once has several of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Draw {
    /// The epoch.
    pub epoch: u64,
    /// Its place in the epoch's flat order.
    pub place: u64,
}

/// The order of every epoch.
#[derive(Clone, Debug)]
pub struct Order {
    spec: OrderSpec,
    lanes: u64,
    clusters: Arc<Clusters>,
    weights: Option<Arc<Weights>>,
}

/// A place in an epoch: what a row of a batch resolves to.
struct EpochPlace {
    epoch: u64,
    lane: u64,
    offset: u64,
    padded: bool,
}

impl Order {
    /// An order of clustered queries, or of a list's own order if there is no seed. With weights, an
    /// epoch still has N queries, each as often as its weight asks.
    pub fn new(
        spec: OrderSpec,
        clusters: Arc<Clusters>,
        weights: Option<Arc<Weights>>,
    ) -> Result<Self> {
        spec.validate()?;
        if clusters.queries() != spec.n {
            return Err(Error::internal(format!(
                "clusters of {} queries in an order of {}",
                clusters.queries(),
                spec.n
            )));
        }
        if weights.is_some() && spec.seed.is_none() {
            return Err(Error::invalid_input(
                "weights draw queries at random: they need shuffle=True",
            ));
        }
        Ok(Self { spec, lanes: spec.shrunk_lanes(), clusters, weights })
    }

    /// The same order with the lanes of another run, which may have had another batch size.
    pub fn with_lanes(&self, lanes: u64) -> Result<Self> {
        let batch = self.spec.global_batch;
        if lanes == 0 || lanes > self.spec.n || (self.spec.seed.is_none() && lanes != 1) {
            return Err(Error::plan_mismatch(format!(
                "lanes: the state has {lanes}, which this plan cannot have"
            )));
        }
        if !batch.is_multiple_of(lanes) {
            let near = (batch / lanes).max(1);
            let sizes: Vec<String> = (near..near + 4).map(|k| (k * lanes).to_string()).collect();
            return Err(Error::plan_mismatch(format!(
                "lanes: the state has {lanes}, which do not divide the global batch of {batch}; a \
                 multiple of {lanes} works, such as {}",
                sizes.join(", ")
            )));
        }
        Ok(Self { lanes, ..self.clone() })
    }

    /// What fixes the order.
    pub fn spec(&self) -> &OrderSpec {
        &self.spec
    }

    /// The clusters.
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// The integer weights in the order of the user's list, if there are any.
    pub(super) fn weights_of_list(&self) -> Option<Vec<u64>> {
        self.weights.as_ref().map(|weights| weights.of_list(&self.clusters))
    }

    /// The lanes in use, L.
    pub fn lanes(&self) -> u64 {
        self.lanes
    }

    /// Rows of a batch that come from one lane, G / L: what a step adds to the lane offset.
    pub fn lane_rows(&self) -> u64 {
        self.spec.global_batch / self.lanes
    }

    /// Steps left in an epoch from a lane offset on, the same on every rank; `None` if it never ends.
    pub fn steps_left(&self, lane_offset: u64) -> Option<u64> {
        let (n, rows) = (self.spec.n, self.lane_rows());
        let shortest = (n / self.lanes).saturating_sub(lane_offset);
        let longest = n.div_ceil(self.lanes).saturating_sub(lane_offset);
        match self.spec.tail {
            Tail::Drop => Some(shortest / rows),
            Tail::Pad | Tail::Partial => Some(longest.div_ceil(rows)),
            Tail::Continue => None,
        }
    }

    /// The epoch and lane offset after a step: the start of the next epoch after the last one.
    pub fn advance(&self, epoch: u64, lane_offset: u64) -> (u64, u64) {
        let next = lane_offset + self.lane_rows();
        if self.steps_left(next) == Some(0) { (epoch + 1, 0) } else { (epoch, next) }
    }

    /// The first flat position of a lane. Lane numbers go on beyond L: lane `l + L` starts N later.
    fn lane_start(&self, lane: u64) -> u64 {
        (u128::from(lane) * u128::from(self.spec.n) / u128::from(self.lanes)) as u64
    }

    /// What lies at an offset of a lane; `None` where it has ended.
    fn place(&self, epoch: u64, lane: u64, offset: u64) -> Option<EpochPlace> {
        let start = self.lane_start(lane);
        let len = self.lane_start(lane + 1) - start;
        if offset < len {
            return Some(EpochPlace { epoch, lane, offset, padded: false });
        }
        match self.spec.tail {
            Tail::Drop | Tail::Partial => None,
            Tail::Pad => Some(EpochPlace { epoch, lane, offset: offset % len, padded: true }),
            Tail::Continue => {
                // In the next epoch the lane reads what the next lane read in this one. Lanes differ
                // by a query, and taking turns they never drift apart by more than one.
                let flat = u128::from(start) + u128::from(offset);
                let (n, lanes) = (u128::from(self.spec.n), u128::from(self.lanes));
                let unrolled = ((flat + 1) * lanes).div_ceil(n) as u64 - 1;
                Some(EpochPlace {
                    epoch: epoch + (unrolled - lane),
                    lane: unrolled % self.lanes,
                    offset: start + offset - self.lane_start(unrolled),
                    padded: false,
                })
            }
        }
    }

    /// The order of one epoch; O(M) time and memory.
    pub fn epoch(&self, epoch: u64) -> EpochOrder {
        let shuffle = self.spec.seed.map(|seed| {
            let draws = self.weights.as_ref().map(|weights| weights.draws(seed, epoch));
            Shuffle { seed, cluster_key: key("cluster", &[seed, epoch]), draws }
        });
        let mut order = EpochOrder { order: self.clone(), epoch, shuffle, starts: Vec::new() };
        let clusters = self.clusters.len();
        let mut starts = Vec::with_capacity(clusters as usize);
        let mut sum = 0;
        for place in 0..clusters {
            starts.push(sum as u32);
            let cluster = order.cluster(place);
            sum += order.first(cluster + 1) - order.first(cluster);
        }
        order.starts = starts;
        order
    }
}

/// The chance in an epoch.
#[derive(Clone, Copy, Debug)]
struct Shuffle {
    seed: u64,
    cluster_key: u64,
    draws: Option<Draws>,
}

/// The order of one epoch: seeks to any query in O(log M).
#[derive(Clone, Debug)]
pub struct EpochOrder {
    order: Order,
    epoch: u64,
    shuffle: Option<Shuffle>,
    /// The first flat position of the clusters, in the order of this epoch.
    starts: Vec<u32>,
}

impl EpochOrder {
    /// The query, its cluster and its flat position at an offset of a lane, which must be less than
    /// the lane's length.
    fn at(&self, lane: u64, offset: u64) -> (usize, u64, u64) {
        let flat = self.flat(lane, offset);
        let place = self.starts.partition_point(|&start| u64::from(start) <= flat) as u64 - 1;
        let cluster = self.cluster(place);
        let within = flat - u64::from(self.starts[place as usize]);
        let draw = self.first(cluster) + within;
        let row = match (&self.order.weights, self.draws()) {
            (Some(weights), Some(draws)) => weights.row(draws, draw),
            _ => draw,
        };
        (self.order.clusters.position(row), cluster, flat)
    }

    /// The flat position at an offset of a lane: the windows of the lane are shuffled.
    fn flat(&self, lane: u64, offset: u64) -> u64 {
        let start = self.order.lane_start(lane);
        let Some(shuffle) = &self.shuffle else { return start + offset };
        let size = self.order.spec.window;
        let window = offset / size;
        let first = window * size;
        let len = size.min(self.order.lane_start(lane + 1) - start - first);
        let key = key("window", &[shuffle.seed, self.epoch, lane, window]);
        start + first + permute(offset - first, len, key)
    }

    /// The cluster at a place of this epoch.
    fn cluster(&self, place: u64) -> u64 {
        let shuffle = self.shuffle.as_ref();
        shuffle.map_or(place, |s| permute(place, self.order.clusters.len(), s.cluster_key))
    }

    /// The first draw of a cluster; without weights, a row is drawn once.
    fn first(&self, cluster: u64) -> u64 {
        let row = self.order.clusters.offset(cluster);
        match (&self.order.weights, self.draws()) {
            (Some(weights), Some(draws)) => weights.first_draw(draws, row),
            _ => row,
        }
    }

    fn draws(&self) -> Option<Draws> {
        self.shuffle.as_ref().and_then(|shuffle| shuffle.draws)
    }
}

/// Epochs kept at hand: lanes that run on need two, and a step of the next epoch may be made while
/// one of the last is not finished.
const RECENT: usize = 3;

/// An order with its latest epochs at hand, for any number of threads.
#[derive(Debug)]
pub struct Sequence {
    order: Order,
    recent: Mutex<Vec<Arc<EpochOrder>>>,
}

impl Sequence {
    /// Nothing at hand yet.
    pub fn new(order: Order) -> Self {
        Self { order, recent: Mutex::default() }
    }

    /// The order.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Some rows of the batch at a lane offset; a short last batch has fewer.
    pub fn slots(&self, epoch: u64, lane_offset: u64, rows: Range<u64>) -> Vec<Slot> {
        let lane_rows = self.order.lane_rows();
        let mut current: Option<Arc<EpochOrder>> = None;
        rows.filter_map(|row| {
            let (lane, offset) = (row / lane_rows, lane_offset + row % lane_rows);
            let place = self.order.place(epoch, lane, offset)?;
            let order = match current.take() {
                Some(order) if order.epoch == place.epoch => order,
                _ => self.epoch(place.epoch),
            };
            let (query, cluster, flat) = order.at(place.lane, place.offset);
            current = Some(order);
            let draw = Draw { epoch: place.epoch, place: flat };
            Some(Slot { query, cluster, padded: place.padded, draw })
        })
        .collect()
    }

    fn epoch(&self, epoch: u64) -> Arc<EpochOrder> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = recent.iter().find(|order| order.epoch == epoch) {
            return order.clone();
        }
        if recent.len() == RECENT {
            recent.remove(0);
        }
        let order = Arc::new(self.order.epoch(epoch));
        recent.push(order.clone());
        order
    }
}
