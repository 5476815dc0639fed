//! What a dataset is, as far as a setup reads it: the same wherever it lies
//! (`docs/reference/identity.md`).

use std::collections::BTreeSet;

use super::setup::{OnError, Setup};
use crate::catalog::{Granule, Identity};
use crate::plan::{Digest, Record, Value};
use crate::render::RULES_VERSION;

impl Setup {
    /// The dataset, as a content id names it: the commits that its hubs pinned, and the granules that
    /// the queries' days have, with the size and the header of each file that a catalogue lists.
    pub fn dataset_fields(&self) -> Record<'_> {
        let catalog = &self.catalog;
        let commits: BTreeSet<&str> = catalog.remote_roots().filter_map(commit).collect();
        let (regions, products) = (self.used(|g| g.region), self.used(|g| g.product));
        let region = |number: &u32| &*catalog.regions()[*number as usize].name;
        let product = |number: &u32| &catalog.products()[*number as usize];
        Record::default()
            .with_some(
                "commits",
                (!commits.is_empty()).then(|| texts(commits.into_iter().collect())),
            )
            .with("regions", texts(regions.iter().map(region).collect()))
            .with("sources", texts(products.iter().map(|p| &*product(p).source).collect()))
            .with("files", texts(products.iter().map(|p| &*product(p).file).collect()))
            .with("day", wholes(self.placed().map(|(_, granule)| granule.day.into())))
            .with("place", wholes(self.placed().map(|(place, _)| place)))
            .with("region", wholes(self.placed().map(|(_, g)| place_in(&regions, g.region))))
            .with("product", wholes(self.placed().map(|(_, g)| place_in(&products, g.product))))
            .with("object", wholes(self.placed().map(|(_, granule)| granule.object.into())))
            .with("first_step", wholes(self.placed().map(|(_, g)| steps(g).0)))
            .with("steps", wholes(self.placed().map(|(_, g)| steps(g).1)))
            .with("size", self.of_objects(|identity| identity.size))
            .with("header", self.of_objects(header))
    }

    /// What decides values and is neither a query, nor a variable, nor the dataset.
    pub fn delivery_fields(&self) -> Record<'_> {
        let masked = self.options.on_error == OnError::Mask;
        Record::default()
            .with("rules", Value::Count(RULES_VERSION.into()))
            .with_some("on_error", masked.then_some(Value::Text("mask")))
            .with_some("support", self.options.support.then_some(Value::Text("yes")))
    }

    /// The granules with their place in a cycle: -1 of those of days, -2 of those of all days.
    fn placed(&self) -> impl Iterator<Item = (i64, &Granule)> {
        let dated = self.catalog.granules().iter().map(|granule| (-1, granule));
        let undated = self.catalog.undated().iter();
        dated.chain(undated.map(|u| (u.place.map_or(-2, i64::from), &u.granule)))
    }

    /// The numbers that any granule has, ascending.
    fn used(&self, number: fn(&Granule) -> u32) -> Vec<u32> {
        let used: BTreeSet<u32> = self.placed().map(|(_, granule)| number(granule)).collect();
        used.into_iter().collect()
    }

    /// A number of each object; 0 of tiles.
    fn of_objects(&self, told: fn(&Identity) -> u64) -> Value<'static> {
        let objects = 0..self.catalog.n_objects() as u32;
        let numbers = objects.map(|object| self.catalog.identity(object).map_or(0, told));
        Value::Counts(Box::new(numbers.collect::<Vec<_>>().into_iter()))
    }
}

fn texts(texts: Vec<&str>) -> Value<'_> {
    Value::List(texts.into_iter().map(Value::Text).collect())
}

fn wholes(numbers: impl Iterator<Item = i64>) -> Value<'static> {
    Value::Wholes(Box::new(numbers.collect::<Vec<_>>().into_iter()))
}

fn place_in(numbers: &[u32], number: u32) -> i64 {
    numbers.partition_point(|&other| other < number) as i64
}

/// The first step of a granule and how many; -1 and 0 where the file's own times tell the day.
fn steps(granule: &Granule) -> (i64, i64) {
    granule.steps.map_or((-1, 0), |steps| (steps.first.into(), steps.count.into()))
}

fn header(identity: &Identity) -> u64 {
    u64::from_le_bytes(Digest::new("header").field(identity.evidence()).bytes())
}

/// The dataset and commit of an address on a hub.
fn commit(root: &str) -> Option<&str> {
    let rest = root.strip_prefix("hf://datasets/")?;
    let end = rest.match_indices('/').nth(1).map_or(rest.len(), |(at, _)| at);
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::commit;

    #[test]
    fn a_commit_is_of_a_dataset_whatever_the_file() {
        let pinned = Some("ns/name@0123abcd");
        assert_eq!(commit("hf://datasets/ns/name@0123abcd"), pinned);
        assert_eq!(commit("hf://datasets/ns/name@0123abcd/sub/x.tacozip"), pinned);
        assert_eq!(commit("s3://bucket/ns/name"), None);
        assert_eq!(commit("/data/ns/name"), None);
    }
}
