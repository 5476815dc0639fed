//! What is read of a grid: a rectangle of its cells, at some of its time steps.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::granule::Ahead;
use crate::granule::chunks::decode::{Chunks, StoredChunk};
use crate::granule::grids::convert::{Converter, Real};
use crate::granule::grids::grid::{Direction, Grid, Steps, When};
use crate::granule::grids::view::{self, Stretch, View};
use crate::granule::grids::window::Window;
use crate::memory;

/// What memory may lack room for.
const CELLS: &str = "the cells under the box";

/// A rectangle of a grid's cells: plain data, made without reading and used as often as wanted.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The grid.
    pub grid: Arc<Grid>,
    /// Its time steps.
    pub when: When,
    /// Which of the grid's levels, counted from 0.
    pub level: usize,
    /// Indices on `grid.lat`.
    pub rows: Range<usize>,
    /// Indices on `grid.lon`.
    pub cols: Range<usize>,
}

/// A time step: its dimension and index; `None` where there is no choice.
type Step = Option<(usize, usize)>;

impl Reading {
    /// See `GranuleReader::chunks`.
    pub(in crate::granule) fn chunks(&self) -> Result<Vec<Vec<StoredChunk>>> {
        let mut groups = Vec::new();
        for step in self.steps()? {
            groups.extend(view::touched(&self.view(step)).map_err(|e| self.grid.array.blame(e))?);
        }
        Ok(groups)
    }

    /// See `GranuleReader::bring`.
    pub(in crate::granule) fn bring(&self, chunks: &Chunks, ahead: Ahead) -> Result<()> {
        let bring = |step| view::bring(chunks, &self.view(step), ahead);
        let brought = self.steps()?.into_iter().try_for_each(bring);
        brought.map_err(|e| self.grid.array.blame(e))
    }

    /// See `GranuleReader::window`.
    pub(in crate::granule) fn window(&self, chunks: &Chunks) -> Result<Window<'_>> {
        let array = &self.grid.array;
        let steps = self.steps()?;
        if let (Some(summation), [step]) = (self.grid.summation, steps.as_slice()) {
            let view = self.view(*step);
            let blocks = view::blocks(chunks, &view, summation.is_valid(&array.fill));
            if let Some(blocks) = blocks.map_err(|e| array.blame(e))? {
                return Window::new(blocks, summation).map_err(|e| array.blame(e));
            }
        }
        let size = self.rows.len().checked_mul(self.cols.len());
        let size = size.ok_or_else(|| Error::internal("a window exceeds the address space"))?;
        let mut values = memory::filled(0.0, size, CELLS).map_err(|e| array.blame(e))?;
        self.values(chunks, &mut values)?;
        Window::of_values(values, self.cols.len())
    }

    /// See `GranuleReader::values`.
    pub(in crate::granule) fn values(&self, chunks: &Chunks, out: &mut [f32]) -> Result<()> {
        let steps = self.steps()?;
        if self.rows.len().checked_mul(self.cols.len()) != Some(out.len()) {
            return Err(Error::invalid_input(format!(
                "{} values cannot hold a window of {} x {}",
                out.len(),
                self.rows.len(),
                self.cols.len()
            )));
        }
        let read = match steps.as_slice() {
            [] => {
                out.fill(f32::NAN);
                Ok(())
            }
            [step] => self.step(chunks, *step, out),
            many => self.mean(chunks, many, out),
        };
        read.map_err(|e| self.grid.array.blame(e))
    }

    /// The time steps that count; an error where the rectangle leaves the grid.
    fn steps(&self) -> Result<Vec<Step>> {
        let Grid { lat, lon, .. } = &*self.grid;
        let within = |range: &Range<usize>, axis: &[f64]| {
            range.start <= range.end && range.end <= axis.len()
        };
        if !within(&self.rows, lat) || !within(&self.cols, lon) {
            return Err(Error::invalid_input(format!(
                "the window {:?} x {:?} leaves the grid of {} x {}",
                self.rows,
                self.cols,
                lat.len(),
                lon.len()
            )));
        }
        let step = |when| match (&self.grid.steps, when) {
            (Steps::Many { dim, .. }, When::Steps(step, _)) => Some((*dim, step as usize)),
            _ => None,
        };
        Ok(self.grid.steps_of(self.when)?.into_iter().map(step).collect())
    }

    fn view(&self, step: Step) -> View<'_> {
        let Grid { array, lat, lon, lat_dim, lon_dim, levels, .. } = &*self.grid;
        let level = levels.get(self.level).cloned();
        let mut fixed = level.unwrap_or_else(|| vec![0; array.shape.len()]);
        if let Some((dim, index)) = step
            && let Some(at) = fixed.get_mut(dim)
        {
            *at = index as u64;
        }
        let stretch = |direction: &Direction, range: &Range<usize>, axis: &[f64]| {
            Stretch::new(direction.dim, range.clone(), axis.len(), direction.reversed)
        };
        View {
            array,
            rows: Some(stretch(lat_dim, &self.rows, lat)),
            cols: stretch(lon_dim, &self.cols, lon),
            fixed,
        }
    }

    fn step<O: Real>(&self, chunks: &Chunks, step: Step, out: &mut [O]) -> Result<()> {
        view::read(chunks, &self.view(step), &Converter::new(&self.grid.packing), out)
    }

    /// Mean of the valid values over several steps, summed in double precision.
    fn mean(&self, chunks: &Chunks, steps: &[Step], out: &mut [f32]) -> Result<()> {
        let mut sums = memory::filled((0.0f64, 0u32), out.len(), CELLS)?;
        let mut values = memory::filled(0.0f64, out.len(), CELLS)?;
        for &step in steps {
            self.step(chunks, step, &mut values)?;
            for ((sum, count), value) in sums.iter_mut().zip(&values) {
                if !value.is_nan() {
                    *sum += value;
                    *count += 1;
                }
            }
        }
        for (value, (sum, count)) in out.iter_mut().zip(sums) {
            *value = if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 };
        }
        Ok(())
    }
}
