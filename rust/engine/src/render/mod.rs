//! From windows to patches: mosaic the tiles of a day, resample to the output grid, aggregate days.
//!
//! ```text
//!  tiles, query, shape, rules --> Recipe --readings--> (the reader) --windows--> paint --> PatchMut
//! ```
//!
//! A [`Recipe`] is plain data: making one reads nothing, and whoever has the readings' windows can
//! paint it. This stage knows no reader.
//!
//! Conventions (`docs/understand/semantics.md`): output row `i` lies at
//! `linspace(lat_min, lat_max, H)[i]`, column `j` likewise, and values are sampled exactly there, by
//! mask-normalised weights; [`GridRule::Crop`] instead stretches the cells whose centres lie in the box.

mod axis;
mod computed;
mod deliver;
mod field;
mod kernel;
mod land;
mod layout;
mod mosaic;
mod paint;
mod patch;
mod points;
mod recipe;
mod resample;
mod rules;

pub use land::Land;
pub use mosaic::Tile;
pub use patch::{NativePatch, PatchMut, PlaneMut};
pub use points::{PointRow, select as select_points};
pub use recipe::{Day, Part, Recipe};
pub use rules::{CellRule, GridRule, RULES_VERSION, Resampling, Rules, TemporalAgg};
