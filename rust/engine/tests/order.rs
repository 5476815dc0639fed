//! The order against frozen vectors (shared with tests/order) and against its properties.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use oceanarrow_engine::plan::{
    Clusters, Cursor, Digest, Order, OrderSpec, PlanDigests, Sequence, Slot, Tail, Weights, key,
    permute,
};
use oceanarrow_engine::query::Query;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<(String, Vec<u64>, u64)>,
    permutations: Vec<(u64, u64, Vec<u64>)>,
    clusters: Vec<(usize, usize, Vec<Vec<usize>>)>,
    blocks: Vec<(usize, usize, u32, Vec<Vec<usize>>)>,
    orders: Vec<OrderVector>,
}

#[derive(Deserialize)]
struct OrderVector {
    spec: SpecVector,
    weighted: bool,
    epoch: u64,
    steps: u64,
    lanes: u64,
    first: Vec<usize>,
    digest: String,
}

#[derive(Deserialize)]
struct SpecVector {
    n: usize,
    batch: u64,
    seed: Option<u64>,
    tail: String,
    days: usize,
    lanes: u64,
    window: u64,
    #[serde(default)]
    extra_days: u32,
}

fn vectors() -> Vectors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/order/vectors.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The queries of `boxes_and_days` in tests/order/plans.py.
fn queries(n: usize, days: usize) -> Vec<Query> {
    let query = |i: usize| {
        let lon_min = ((i * 7919) % 3550) as f64 / 10.0 - 180.0;
        let lat_min = ((i * 104_729) % 1750) as f64 / 10.0 - 90.0;
        let day = 19_000 + (i * 31 % days) as i32;
        Query {
            lon_min,
            lon_max: lon_min + 5.0,
            lat_min,
            lat_max: lat_min + 4.0,
            day_start: day,
            day_end: day,
        }
    };
    (0..n).map(query).collect()
}

fn order(spec: OrderSpec, days: usize, extra_days: u32, weighted: bool) -> Order {
    let n = spec.n as usize;
    let clusters = match spec.seed {
        Some(_) => Clusters::new(&queries(n, days), extra_days).unwrap(),
        None => Clusters::list(n).unwrap(),
    };
    let weights = weighted.then(|| {
        let weights: Vec<f64> = (0..n).map(|i| (i * 37 % 11) as f64 / 4.0).collect();
        Arc::new(Weights::new(&weights, &clusters).unwrap())
    });
    Order::new(spec, Arc::new(clusters), weights).unwrap()
}

/// The global batches from a lane offset on.
fn batches(order: &Order, epoch: u64, mut lane_offset: u64, steps: u64) -> Vec<Vec<Slot>> {
    let sequence = Sequence::new(order.clone());
    (0..steps)
        .map(|_| {
            let slots = sequence.slots(epoch, lane_offset, 0..order.spec().global_batch);
            lane_offset += order.lane_rows();
            slots
        })
        .collect()
}

fn tail(name: &str) -> Tail {
    *[Tail::Drop, Tail::Pad, Tail::Continue, Tail::Partial]
        .iter()
        .find(|tail| tail.name() == name)
        .unwrap()
}

#[test]
fn keys_and_permutations_are_frozen() {
    let vectors = vectors();
    for (tag, numbers, value) in vectors.keys {
        assert_eq!(key(&tag, &numbers), value, "{tag} {numbers:?}");
    }
    for (n, key, images) in vectors.permutations {
        let ours: Vec<u64> = (0..images.len() as u64).map(|i| permute(i, n, key)).collect();
        assert_eq!(ours, images, "n={n}");
    }
}

#[test]
fn clusters_are_frozen() {
    let vectors = vectors();
    let days = vectors.clusters.into_iter().map(|(n, days, expected)| (n, days, 0, expected));
    for (n, days, extra, expected) in days.chain(vectors.blocks) {
        let clusters = Clusters::new(&queries(n, days), extra).unwrap();
        let rows = |c| clusters.offset(c)..clusters.offset(c + 1);
        let ours: Vec<Vec<usize>> = (0..clusters.len())
            .map(|c| rows(c).map(|row| clusters.position(row)).collect())
            .collect();
        assert_eq!(ours, expected, "n={n}");
    }
}

#[test]
fn orders_are_frozen() {
    for vector in vectors().orders {
        let SpecVector { n, batch, seed, tail: name, days, lanes, window, extra_days } =
            vector.spec;
        let n = n as u64;
        let spec = OrderSpec { n, global_batch: batch, lanes, window, seed, tail: tail(&name) };
        let order = order(spec, days, extra_days, vector.weighted);
        assert_eq!(order.lanes(), vector.lanes);
        let steps = batches(&order, vector.epoch, 0, vector.steps);
        assert_eq!(steps[0].iter().map(|s| s.query).collect::<Vec<_>>(), vector.first);
        let bytes: Vec<u8> = steps
            .iter()
            .flatten()
            .flat_map(|s| (s.query as u64).to_le_bytes().into_iter().chain([u8::from(s.padded)]))
            .collect();
        let digest = Digest::new("slots").field(&bytes).bytes();
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, vector.digest, "n={n} batch={batch} tail={name}");
    }
}

/// Any order, with the days of its queries and those that each reads beside its own.
fn specs() -> impl Strategy<Value = (OrderSpec, usize, u32)> {
    let tails = prop_oneof![Just(Tail::Drop), Just(Tail::Pad), Just(Tail::Partial)];
    let seeds = prop_oneof![1 => Just(None), 4 => any::<u64>().prop_map(Some)];
    (1u64..700, 1u64..80, 1u64..40, 1u64..90, seeds, tails, (1usize..20, 0u32..4)).prop_map(
        |(n, batch, lanes, window, seed, tail, (days, extra))| {
            let global_batch = if tail == Tail::Drop { batch.min(n) } else { batch };
            (OrderSpec { n, global_batch, lanes, window, seed, tail }, days, extra)
        },
    )
}

proptest! {
    #[test]
    fn every_query_occurs_once((spec, days, extra) in specs(), epoch in 0u64..1000) {
        let order = order(spec, days, extra, false);
        let steps = order.steps_left(0).unwrap();
        prop_assert_eq!(Some(steps), spec.steps());
        let batches = batches(&order, epoch, 0, steps);
        let full = batches.iter().all(|b| b.len() as u64 == spec.global_batch);
        prop_assert!(full || spec.tail == Tail::Partial);
        let mut seen: Vec<usize> =
            batches.iter().flatten().filter(|s| !s.padded).map(|s| s.query).collect();
        seen.sort_unstable();
        let delivered = seen.len();
        seen.dedup();
        prop_assert_eq!(delivered, seen.len());
        let left_out = if spec.tail == Tail::Drop { spec.n % spec.global_batch } else { 0 };
        prop_assert_eq!(seen.len() as u64, spec.n - left_out);
    }

    #[test]
    fn ranks_share_a_batch_without_changing_it((spec, days, extra) in specs(), step in 0u64..20) {
        let order = order(OrderSpec { tail: Tail::Pad, ..spec }, days, extra, false);
        let sequence = Sequence::new(order.clone());
        let (batch, offset) = (spec.global_batch, step * order.lane_rows());
        let whole = sequence.slots(0, offset, 0..batch);
        for world in (1..=batch).filter(|w| batch % w == 0) {
            let ranks: Vec<Slot> = (0..world)
                .flat_map(|r| sequence.slots(0, offset, order.spec().rank_rows(r, world).unwrap()))
                .collect();
            prop_assert_eq!(&ranks, &whole);
        }
    }

    #[test]
    fn a_batch_size_may_change((spec, days, extra) in specs(), taken in 0u64..10, factor in 1u64..9) {
        let first = order(spec, days, extra, false);
        let global_batch = first.lanes() * factor;
        prop_assume!(spec.tail != Tail::Drop || global_batch <= spec.n);
        let other = order(OrderSpec { global_batch, ..spec }, days, extra, false);
        let queries = queries(spec.n as usize, days);
        let digests = PlanDigests::of_order(&other, &queries);
        let taken = taken.min(first.steps_left(0).unwrap());
        let offset = taken * first.lane_rows();
        let state = Cursor::new(&first, &PlanDigests::of_order(&first, &queries), 1, 3, offset);
        let state = state.to_json().unwrap();
        let second = Cursor::from_json(&state).unwrap().resume(&other, &digests).unwrap();
        let mut all = batches(&first, 3, 0, taken);
        all.extend(batches(&second, 3, offset, second.steps_left(offset).unwrap()));
        let mut seen: Vec<usize> =
            all.iter().flatten().filter(|s| !s.padded).map(|s| s.query).collect();
        seen.sort_unstable();
        let delivered = seen.len() as u64;
        seen.dedup();
        prop_assert_eq!(delivered, seen.len() as u64);
        if spec.tail == Tail::Drop {
            prop_assert!(spec.n - delivered < spec.global_batch.max(global_batch));
        } else {
            prop_assert_eq!(delivered, spec.n);
        }
    }

    #[test]
    fn weights_keep_the_length((spec, days, extra) in specs(), epoch in 0u64..50) {
        prop_assume!(spec.n > 1 && spec.seed.is_some());
        let order = order(OrderSpec { tail: Tail::Pad, ..spec }, days, extra, true);
        let batches = batches(&order, epoch, 0, order.steps_left(0).unwrap());
        let mut counts = BTreeMap::<usize, u64>::new();
        for slot in batches.iter().flatten().filter(|s| !s.padded) {
            *counts.entry(slot.query).or_default() += 1;
        }
        let weights: Vec<f64> = (0..spec.n).map(|i| (i * 37 % 11) as f64 / 4.0).collect();
        let share = spec.n as f64 / weights.iter().sum::<f64>();
        for (query, weight) in weights.iter().enumerate() {
            let count = counts.get(&query).copied().unwrap_or(0) as f64;
            prop_assert!((count - weight * share).abs() < 1.0);
        }
        prop_assert_eq!(counts.values().sum::<u64>(), spec.n);
    }

    #[test]
    fn lanes_that_run_on_never_drift_apart((spec, days, extra) in specs(), epochs in 1u64..5) {
        let order = order(OrderSpec { tail: Tail::Continue, ..spec }, days, extra, false);
        let sequence = Sequence::new(order.clone());
        let (n, lanes) = (spec.n, order.lanes());
        // Every lane reads N places in L epochs, and each epoch is a permutation.
        let mut counts = vec![0; n as usize];
        for offset in 0..n * epochs {
            for lane in 0..lanes {
                let row = lane * order.lane_rows();
                for slot in sequence.slots(0, offset, row..row + 1) {
                    counts[slot.query] += 1u64;
                }
            }
            if n >= lanes * 2 {
                let (least, most) = (counts.iter().min(), counts.iter().max());
                prop_assert!(most.unwrap() - least.unwrap() <= 2);
            }
        }
        prop_assert!(counts.iter().all(|&count| count == lanes * epochs));
    }
}
