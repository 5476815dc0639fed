//! `COLLECTION.json`: the dataset's description, of which the catalog uses the shape of the tree.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::assets::Contents;
use crate::error::{Error, Result};

/// The depth of the tree this engine reads: date / region / file.
pub(super) const DEPTH: usize = 2;

const KNOWN_VERSIONS: [&str; 2] = ["0.5.0", "2.0.0"];

/// What the description says of the levels.
#[derive(Debug, PartialEq)]
pub(super) struct Collection {
    /// Rows of each level, from level 0 on.
    pub(super) rows: Vec<u64>,
    /// What is odd, but no reason to stop.
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    taco_version: Option<String>,
    #[serde(rename = "taco:pit_schema")]
    pit_schema: Option<PitSchema>,
}

#[derive(Deserialize)]
struct PitSchema {
    root: Pattern,
    hierarchy: BTreeMap<String, Vec<Pattern>>,
}

#[derive(Deserialize)]
struct Pattern {
    n: u64,
}

impl Collection {
    /// Checks a `COLLECTION.json`.
    pub(super) fn read(Contents { asset, bytes }: &Contents) -> Result<Self> {
        let json = bytes.as_ref().map_err(Clone::clone)?;
        Self::parse(json).map_err(|e| e.asset(&asset.location))
    }

    fn parse(json: &[u8]) -> Result<Self> {
        let invalid = |e: serde_json::Error| {
            Error::invalid_dataset(format!("COLLECTION.json is not a valid description: {e}"))
        };
        // Without its byte order mark, as some editors leave one.
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        serde_json::from_slice::<UniqueKeys>(json).map_err(invalid)?;
        let document: Document = serde_json::from_slice(json).map_err(invalid)?;
        let pit = document.pit_schema.ok_or_else(|| {
            Error::invalid_dataset(
                "not a TACO v2 FOLDER, ZIP or TacoCat (COLLECTION.json lacks taco:pit_schema)",
            )
        })?;
        let rows = rows_of_levels(&pit)?;
        let mut warnings = Vec::new();
        match document.taco_version.as_deref() {
            Some(version) if KNOWN_VERSIONS.contains(&version) => {}
            Some(version) => warnings.push(format!(
                "unknown taco_version {version:?} (known: {}); reading it as one of those",
                KNOWN_VERSIONS.join(", ")
            )),
            None => warnings.push("COLLECTION.json has no taco_version".into()),
        }
        Ok(Self { rows, warnings })
    }
}

/// Rows of each level; an error if the tree is not date / region / file.
fn rows_of_levels(pit: &PitSchema) -> Result<Vec<u64>> {
    let mut levels = BTreeMap::from([(0, pit.root.n)]);
    for (key, patterns) in &pit.hierarchy {
        let level: usize = key.parse().map_err(|_| {
            Error::invalid_dataset(format!(
                "COLLECTION.json: taco:pit_schema has a level {key:?}, which is not a number"
            ))
        })?;
        levels.insert(level, patterns.iter().fold(0, |sum, p| p.n.saturating_add(sum)));
    }
    let depth = levels.keys().next_back().copied().unwrap_or(0);
    if depth != DEPTH || levels.len() != DEPTH + 1 {
        return Err(Error::invalid_dataset(format!(
            "COLLECTION.json says depth {depth}; a dataset of dates, regions and files has depth {DEPTH}"
        )));
    }
    Ok(levels.into_values().collect())
}

/// Accepts any JSON whose objects name no key twice: readers differ in which of the two they take.
struct UniqueKeys;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueKeysVisitor)
    }
}

struct UniqueKeysVisitor;

macro_rules! accept_scalars {
    ($($visit:ident: $type:ty),* $(,)?) => {
        $(fn $visit<E>(self, _: $type) -> std::result::Result<UniqueKeys, E> {
            Ok(UniqueKeys)
        })*
    };
}

impl<'de> Visitor<'de> for UniqueKeysVisitor {
    type Value = UniqueKeys;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }

    accept_scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> std::result::Result<UniqueKeys, E> {
        Ok(UniqueKeys)
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut items: A,
    ) -> std::result::Result<UniqueKeys, A::Error> {
        while items.next_element::<UniqueKeys>()?.is_some() {}
        Ok(UniqueKeys)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<UniqueKeys, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<UniqueKeys>()?;
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("duplicate key {key:?}")));
            }
            seen.insert(key);
        }
        Ok(UniqueKeys)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::Collection;

    fn document(extra: &str, levels: &str) -> String {
        format!(
            r#"{{"id": "x", {extra} "taco:pit_schema": {{"root": {{"n": 3, "type": "FOLDER"}},
                 "hierarchy": {levels}}}, "title": null}}"#
        )
    }

    const LEVELS: &str = r#"{"1": [{"n": 24}], "2": [{"n": 33}, {"n": 30}]}"#;

    fn message(json: &str) -> String {
        Collection::parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn row_counts_are_summed_over_patterns() {
        let read = Collection::parse(document(r#""taco_version": "0.5.0","#, LEVELS).as_bytes());
        assert_eq!(read.unwrap(), Collection { rows: vec![3, 24, 63], warnings: vec![] });
    }

    #[test]
    fn unknown_versions_are_a_warning() {
        let read = Collection::parse(document(r#""taco_version": "9.1","#, LEVELS).as_bytes());
        assert!(read.unwrap().warnings[0].contains("unknown taco_version \"9.1\""));
        let read = Collection::parse(document("", LEVELS).as_bytes());
        assert_eq!(read.unwrap().warnings.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(message("{").contains("not a valid description"));
        assert!(message(r#"{"taco_version": "0.5.0"}"#).contains("lacks taco:pit_schema"));
        assert!(
            message(&document(r#""a": [{"b": 1, "b": 2}],"#, LEVELS))
                .contains("duplicate key \"b\"")
        );
        assert!(message(&document("", r#"{"1": [{"n": 8}]}"#)).contains("says depth 1"));
        assert!(message(&document("", r#"{"2": [{"n": 8}], "7": []}"#)).contains("says depth 7"));
        assert!(message(&document("", r#"{"one": []}"#)).contains("not a number"));
        assert!(
            message(&document("", r#"{"1": [{"n": -8}]}"#)).contains("not a valid description")
        );
        let deep = "[".repeat(100_000);
        assert!(message(&deep).contains("recursion limit"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{0,200}", at in 0usize..100) {
            let _ = Collection::parse(text.as_bytes());
            let mut damaged = document("", LEVELS).into_bytes();
            damaged.insert(at.min(damaged.len()), b'9');
            let _ = Collection::parse(&damaged);
        }
    }
}
