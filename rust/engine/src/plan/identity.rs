//! What a plan is, in bytes that stay the same: `docs/reference/identity.md`.
//!
//! A plan is a record of named fields. The bytes of a value say its type and how much follows, so
//! that no two values have the same bytes; they depend on no struct and no library:
//!
//! ```text
//! value    tag, one byte   what follows
//! count    u               8 bytes
//! real     f               8 bytes, IEEE 754; any NaN is 7ff8000000000000
//! text     t               its bytes of UTF-8, counted; then these
//! list     l               the number of values; then each
//! record   r               the number of fields; then each, by ascending name: name as a text's
//!                          count and bytes, value
//! counts   U               how many; then 8 bytes each
//! wholes   I               how many; then 8 bytes each, two's complement
//! reals    F               how many; then each as a real
//! ```
//!
//! All numbers are little-endian, all counts of 8 bytes. A field that says nothing (no seed, no
//! weights) is absent. So is, at its default, every field that a later version adds: the ids of
//! plans that do not use it stay as they are.

use std::collections::BTreeMap;

use blake2b_simd::{Params, State};
use serde::{Deserialize, Serialize};

use super::order::Order;
use crate::query::Query;

/// Numbers of a column, made one by one.
type Column<'a, T> = Box<dyn ExactSizeIterator<Item = T> + 'a>;

/// A value of a field.
pub enum Value<'a> {
    /// A number of things.
    Count(u64),
    /// A measure.
    Real(f64),
    /// A name.
    Text(&'a str),
    /// Values in an order that matters.
    List(Vec<Value<'a>>),
    /// Named values.
    Record(Record<'a>),
    /// A long list of counts.
    Counts(Column<'a, u64>),
    /// A long list of whole numbers.
    Wholes(Column<'a, i64>),
    /// A long list of measures.
    Reals(Column<'a, f64>),
}

impl Value<'_> {
    /// The canonical bytes.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut |part| bytes.extend_from_slice(part));
        bytes
    }

    fn write(self, out: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Count(count) => {
                out(b"u");
                out(&count.to_le_bytes());
            }
            Self::Real(real) => {
                out(b"f");
                out(&real_bytes(real));
            }
            Self::Text(text) => {
                out(b"t");
                write_counted(text, out);
            }
            Self::List(values) => {
                out(b"l");
                out(&(values.len() as u64).to_le_bytes());
                values.into_iter().for_each(|value| value.write(out));
            }
            Self::Record(Record(fields)) => {
                out(b"r");
                out(&(fields.len() as u64).to_le_bytes());
                for (name, value) in fields {
                    write_counted(name, out);
                    value.write(out);
                }
            }
            Self::Counts(counts) => write_column(b'U', counts, u64::to_le_bytes, out),
            Self::Wholes(wholes) => write_column(b'I', wholes, i64::to_le_bytes, out),
            Self::Reals(reals) => write_column(b'F', reals, real_bytes, out),
        }
    }
}

fn write_counted(text: &str, out: &mut dyn FnMut(&[u8])) {
    out(&(text.len() as u64).to_le_bytes());
    out(text.as_bytes());
}

fn write_column<T>(
    tag: u8,
    column: Column<'_, T>,
    bytes: fn(T) -> [u8; 8],
    out: &mut dyn FnMut(&[u8]),
) {
    out(&[tag]);
    out(&(column.len() as u64).to_le_bytes());
    column.for_each(|number| out(&bytes(number)));
}

fn real_bytes(real: f64) -> [u8; 8] {
    let bits = if real.is_nan() { 0x7ff8_0000_0000_0000 } else { real.to_bits() };
    bits.to_le_bytes()
}

/// Named values.
#[derive(Default)]
pub struct Record<'a>(BTreeMap<&'a str, Value<'a>>);

impl<'a> Record<'a> {
    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: Value<'a>) -> Self {
        self.0.insert(name, value);
        self
    }

    /// Adds a field, unless it says nothing.
    #[must_use]
    pub fn with_some(self, name: &'a str, value: Option<Value<'a>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// A digest of each field of a plan, so that a mismatch can name the field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanDigests(BTreeMap<String, String>);

impl PlanDigests {
    /// The digest of the queries, of what names the content of their rows.
    pub fn of_queries(queries: &[Query]) -> Self {
        Self::default().insert("queries", |out| query_columns(queries).write(out))
    }

    /// The digests of what fixes the order of queries. The batch size and the number of lanes may
    /// change within a run, the ranks even more so: they are no fields.
    pub fn of_order(order: &Order, queries: &[Query]) -> Self {
        let spec = order.spec();
        let Record(fields) = Record::default()
            .with("queries", query_columns(queries))
            .with_some("seed", spec.seed.map(Value::Count))
            .with_some("window", spec.seed.map(|_| Value::Count(spec.window)))
            .with("tail", Value::Text(spec.tail.name()))
            .with_some(
                "weights",
                order.weights_of_list().map(|w| Value::Counts(Box::new(w.into_iter()))),
            );
        fields.into_iter().fold(Self::default(), |digests, (name, value)| {
            digests.insert(name, |out| value.write(out))
        })
    }

    /// Adds a field of which these are the canonical bytes.
    #[must_use]
    pub fn with(self, name: &str, bytes: &[u8]) -> Self {
        self.insert(name, |out| out(bytes))
    }

    fn insert(mut self, name: &str, write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self {
        let digest = digest(|out| {
            Value::Text("oceanarrow plan field").write(out);
            Value::Text(name).write(out);
            write(out);
        });
        self.0.insert(name.to_owned(), digest);
        self
    }

    /// One name for the whole plan, 16 hexadecimal digits.
    pub fn plan_id(&self) -> String {
        self.id("oceanarrow plan")
    }

    /// One name for all that decides the values of rows, 16 hexadecimal digits.
    pub fn content_id(&self) -> String {
        self.id("oceanarrow content")
    }

    /// Of digests that were made before.
    pub fn of_fields(fields: BTreeMap<String, String>) -> Self {
        Self(fields)
    }

    /// The digests by field.
    pub fn by_field(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    fn id(&self, of: &str) -> String {
        let fields = self.0.iter().map(|(name, digest)| (name.as_str(), Value::Text(digest)));
        let plan = Value::Record(Record(fields.collect()));
        digest(|out| {
            Value::Text(of).write(out);
            plan.write(out);
        })
    }

    /// The fields in which two plans differ.
    pub(super) fn differing(&self, other: &PlanDigests) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().chain(other.0.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| self.0.get(name) != other.0.get(name));
        names
    }
}

/// The list of queries, column by column.
fn query_columns(queries: &[Query]) -> Value<'_> {
    let edges = |edge: fn(&Query) -> f64| Value::Reals(Box::new(queries.iter().map(edge)));
    let days = |day: fn(&Query) -> i32| {
        Value::Wholes(Box::new(queries.iter().map(move |query| day(query).into())))
    };
    let columns = Record::default()
        .with("lon_min", edges(|q| q.lon_min))
        .with("lon_max", edges(|q| q.lon_max))
        .with("lat_min", edges(|q| q.lat_min))
        .with("lat_max", edges(|q| q.lat_max))
        .with("day_start", days(|q| q.day_start))
        .with("day_end", days(|q| q.day_end));
    Value::Record(columns)
}

/// BLAKE2b of 8 bytes, without a key, as hexadecimal digits.
fn digest(write: impl FnOnce(&mut dyn FnMut(&[u8]))) -> String {
    let mut state: State = Params::new().hash_length(8).to_state();
    write(&mut |bytes| {
        state.update(bytes);
    });
    state.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` as 8 bytes, little-endian.
    fn n(count: u8) -> [u8; 8] {
        [count, 0, 0, 0, 0, 0, 0, 0]
    }

    #[test]
    fn values_have_these_bytes() {
        let columns = |value: Value<'_>| value.bytes();
        assert_eq!(Value::Count(258).bytes(), b"u\x02\x01\0\0\0\0\0\0");
        assert_eq!(Value::Real(-2.5).bytes(), b"f\0\0\0\0\0\0\x04\xc0");
        assert_eq!(Value::Real(f64::NAN).bytes(), b"f\0\0\0\0\0\0\xf8\x7f");
        assert_eq!(Value::Real(-f64::NAN).bytes(), b"f\0\0\0\0\0\0\xf8\x7f");
        assert_eq!(Value::Text("\u{e9}t").bytes(), b"t\x03\0\0\0\0\0\0\0\xc3\xa9t");
        let list = Value::List(vec![Value::Text("a"), Value::List(vec![])]);
        assert_eq!(list.bytes(), b"l\x02\0\0\0\0\0\0\0t\x01\0\0\0\0\0\0\0al\0\0\0\0\0\0\0\0");
        let counts = columns(Value::Counts(Box::new([1, u64::MAX].into_iter())));
        assert_eq!(counts, [&b"U"[..], &n(2), &n(1), &[0xff; 8]].concat());
        let wholes = columns(Value::Wholes(Box::new([3, -2].into_iter())));
        assert_eq!(
            wholes,
            b"I\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff"
        );
        let reals = columns(Value::Reals(Box::new([1.0].into_iter())));
        assert_eq!(reals, b"F\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\xf0\x3f");
    }

    #[test]
    fn fields_are_sorted_and_those_that_say_nothing_absent() {
        let record = |backwards: bool| {
            let empty = Record::default().with_some("later", None);
            let record = match backwards {
                true => empty.with("b", Value::Count(2)).with("a", Value::Text("x")),
                false => empty.with("a", Value::Text("x")).with("b", Value::Count(2)),
            };
            Value::Record(record).bytes()
        };
        let fields = [&b"r"[..], &n(2), &n(1), b"at", &n(1), b"x", &n(1), b"bu", &n(2)].concat();
        assert_eq!(record(false), fields);
        assert_eq!(record(true), fields);
    }

    #[test]
    fn a_field_more_leaves_the_others_alone() {
        let plan = PlanDigests::default().with("a", b"u1234567").with("b", b"x");
        assert_eq!(plan, PlanDigests::default().with("b", b"x").with("a", b"u1234567"));
        let later = plan.clone().with("c", b"y");
        assert_eq!(plan.differing(&later), ["c"]);
        assert_ne!(plan.plan_id(), later.plan_id());
        assert_ne!(
            plan.plan_id(),
            PlanDigests::default().with("a", b"x").with("b", b"u1234567").plan_id()
        );
    }

    #[test]
    fn digests_are_blake2b() {
        // hashlib.blake2b(b"", digest_size=8) of Python.
        assert_eq!(digest(|_| {}), "e4a6a0577479b2b4");
    }
}
