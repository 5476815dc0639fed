//! The rules that variables are rendered by.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::granule::Flag;
use crate::query::Query;

/// Goes up with every change after which a value may differ, though its plan is the same: a mended
/// fault, say. 1 is what stood before states had it.
pub const RULES_VERSION: u32 = 4;

/// How values move from cells to pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resampling {
    /// Mask-normalised bilinear interpolation.
    Bilinear,
    /// The mean of the valid cells in the pixel's footprint.
    Area,
    /// The nearest cell.
    Nearest,
    /// Area where both axes shrink, else bilinear.
    Auto,
}

impl Resampling {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Area => "area",
            Self::Nearest => "nearest",
            Self::Auto => "auto",
        }
    }
}

/// Where the pixels lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GridRule {
    /// On `linspace` over the box, both ends included.
    Exact,
    /// The cells whose centres lie in the box, stretched by torch's half-pixel rule.
    Crop,
}

impl GridRule {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Crop => "crop",
        }
    }
}

/// How the days of a window become one patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TemporalAgg {
    /// Mean of the valid values of each pixel.
    Mean,
    /// The first day that has the file.
    First,
    /// The last day that has the file.
    Last,
    /// One layer a day, absent days invalid.
    Stack,
}

impl TemporalAgg {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::First => "first",
            Self::Last => "last",
            Self::Stack => "stack",
        }
    }

    /// The days of a window that are rendered.
    pub fn select<T>(self, days: &[T]) -> &[T] {
        match self {
            Self::Mean | Self::Stack => days,
            Self::First => &days[..days.len().min(1)],
            Self::Last => &days[days.len().saturating_sub(1)..],
        }
    }

    /// The number of layers of a query's patch.
    pub fn layers(self, query: &Query) -> usize {
        if self == Self::Stack { query.n_days() } else { 1 }
    }
}

/// What a cell's quality variable must be for the cell to count; where that is missing, it doesn't.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CellRule {
    /// In a closed interval.
    Within(f64, f64),
    /// One of these.
    OneOf(Arc<[f64]>),
    /// A whole number of which these bits are those of `value` (`flag_masks` and `flag_values` of CF
    /// section 3.5).
    Bits {
        /// The bits that count.
        mask: u64,
        /// What they must be.
        value: u64,
    },
    /// In one of these states, which its file names (`flag_meanings`).
    Named(Arc<[String]>),
}

impl CellRule {
    /// The rules of which a cell must obey one, names replaced by what `flags` say.
    ///
    /// # Errors
    /// `Unsupported`: there is no flag of a name.
    pub fn told(&self, flags: &[Flag]) -> Result<Vec<Self>> {
        let Self::Named(names) = self else { return Ok(vec![self.clone()]) };
        let rule = |name: &String| {
            let flag = flags.iter().find(|flag| flag.name == *name);
            let Some(&Flag { mask, value, .. }) = flag else {
                let known: Vec<&str> = flags.iter().map(|flag| flag.name.as_str()).collect();
                let known = if known.is_empty() { "none" } else { &known.join(", ") };
                return Err(Error::unsupported(format!(
                    "it has no flag {name:?}; its flag_meanings are: {known}"
                )));
            };
            Ok(match mask {
                Some(mask) => Self::Bits { mask, value: (value as i64).cast_unsigned() & mask },
                None => Self::OneOf([value].into()),
            })
        };
        names.iter().map(rule).collect()
    }

    /// Whether `value` obeys; names are to be [told](Self::told) before.
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Self::Named(_) => false,
            Self::Within(low, high) => (*low..=*high).contains(&value),
            Self::OneOf(values) => values.contains(&value),
            // Of a negative number, the bits of its two's complement.
            Self::Bits { mask, value: due } => {
                value.fract() == 0.0 && (value as i64).cast_unsigned() & mask == *due
            }
        }
    }
}

/// The rules one variable is rendered by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// How values move from cells to pixels.
    pub resampling: Resampling,
    /// Where the pixels lie.
    pub grid: GridRule,
    /// How days become one patch.
    pub temporal: TemporalAgg,
    /// Pixels with less valid weight than this are invalid.
    pub min_support: f64,
    /// What invalid pixels hold.
    pub fill_value: f32,
    /// Mean and standard deviation that valid values are normalised with.
    pub normalize: Option<(f64, f64)>,
}

impl Rules {
    /// A valid value as it is delivered: `(value - mean) / std` where normalised.
    pub fn deliver(&self, value: f64) -> f32 {
        match self.normalize {
            Some((mean, std)) => ((value - mean) / std) as f32,
            None => value as f32,
        }
    }
}
