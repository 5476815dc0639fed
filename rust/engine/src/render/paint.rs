//! Painting: a recipe and its windows become pixels.

use std::cell::RefCell;

use super::computed::Computed;
use super::deliver::Delivery;
use super::field::{Columns, Field, Placed};
use super::patch::{PatchMut, PlaneMut};
use super::recipe::{Layer, Other, Recipe, Sheet, Source, Step, Sum};
use super::resample::{MOST_KEPT, PixelRow, Scratch, resample};
use super::rules::{CellRule, Rules};
use crate::error::{Error, Result};
use crate::granule::{Reading, Unpack, Window};

thread_local! {
    /// Rows in the making; kept, because fresh pages cost more than the work.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
    /// Sums and counts of the days of a window.
    static DAYS: RefCell<PixelRow> = RefCell::default();
}

/// Gives the cells of a reading.
type Read<'s, 'r> = &'s mut dyn FnMut(&'r Reading) -> Result<Window<'r>>;

impl Recipe {
    /// Paints the patch; every element of `out` is written. `read` gives the cells of a reading,
    /// and is asked for those of one day at a time.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn paint<'r>(
        &'r self,
        mut read: impl FnMut(&'r Reading) -> Result<Window<'r>>,
        out: &mut PatchMut<'_>,
    ) -> Result<()> {
        out.set_axes(|| self.pixel_axes());
        for (i, plane) in out.planes.iter_mut().enumerate() {
            let mut layers = self.layers.iter().filter(|layer| layer.plane == i);
            match (layers.next(), layers.next()) {
                (None, _) => plane.invalidate(self.rules.fill_value),
                (Some(layer), None) => place_day(layer, self.shape, &self.rules, &mut read, plane)?,
                (Some(_), Some(_)) => {
                    let of_plane: Vec<&Layer> =
                        self.layers.iter().filter(|layer| layer.plane == i).collect();
                    pool_days(&of_plane, self.shape, &self.rules, &mut read, plane)?;
                }
            }
        }
        Ok(())
    }
}

/// Paints one day on a plane.
fn place_day<'r>(
    layer: &'r Layer,
    shape: (usize, usize),
    rules: &Rules,
    read: Read<'_, 'r>,
    plane: &mut PlaneMut<'_>,
) -> Result<()> {
    let width = shape.1;
    if let Some(computed) = layer.formula() {
        computed.write(width, rules, plane);
        return Ok(());
    }
    let PlaneMut { values, mask, support } = plane;
    if let Some(support) = support.as_deref_mut() {
        support.fill(0.0);
    }
    layer.rows_of_pixels(shape, rules, read, &mut |i, row, unpack| {
        let line = i * width..(i + 1) * width;
        let delivery = Delivery::new(unpack, rules);
        delivery.write(row, &mut values[line.clone()], &mut mask[line.clone()]);
        if let Some(support) = support.as_deref_mut() {
            Delivery::add_support(row, 1.0, &mut support[line]);
        }
    })
}

/// Paints the mean of the days on which each pixel is valid.
fn pool_days<'r>(
    layers: &[&'r Layer],
    shape: (usize, usize),
    rules: &Rules,
    read: Read<'_, 'r>,
    plane: &mut PlaneMut<'_>,
) -> Result<()> {
    if let Some(support) = plane.support.as_deref_mut() {
        support.fill(0.0);
    }
    let share = 1.0 / layers.len() as f64;
    DAYS.with_borrow_mut(|days| {
        days.clear(plane.values.len(), 1.0);
        for layer in layers {
            let width = shape.1;
            layer.rows_of_pixels(shape, rules, read, &mut |i, row, unpack| {
                let line = i * width..(i + 1) * width;
                let (sums, counts) =
                    (&mut days.sums[line.clone()], &mut days.weights[line.clone()]);
                Delivery::new(unpack, rules).add(row, sums, counts);
                if let Some(support) = plane.support.as_deref_mut() {
                    Delivery::add_support(row, share, &mut support[line]);
                }
            })?;
        }
        // Each day has been held against the least support.
        let rules = Rules { min_support: 0.0, ..*rules };
        Delivery::new(Unpack::NONE, &rules).write(days, plane.values, plane.mask);
        days.release_beyond(MOST_KEPT);
        Ok(())
    })
}

impl Layer {
    /// The formula that it is, and nothing else.
    fn formula(&self) -> Option<&Computed> {
        match (self.sum.0.as_slice(), &self.minus, self.masks.as_slice()) {
            ([(_, Sheet::Computed(computed))], None, []) => Some(computed),
            _ => None,
        }
    }

    /// Resamples the day, row by row, and takes away what the masks hide.
    fn rows_of_pixels<'r>(
        &'r self,
        shape: (usize, usize),
        rules: &Rules,
        read: Read<'_, 'r>,
        emit: &mut dyn FnMut(usize, &PixelRow, Unpack),
    ) -> Result<()> {
        let hidden = self.hidden(shape, read)?;
        let mut shown = |i: usize, row: &mut PixelRow, unpack: Unpack| {
            if let Some(hidden) = hidden.as_ref().and_then(|h| h.get(i * shape.1..)) {
                row.hide(hidden);
            }
            emit(i, row, unpack);
        };
        let Some(minus) = &self.minus else {
            return self.sum.rows_of_pixels(shape, rules, read, &mut shown);
        };
        // As if both were rendered and one taken from the other: in float32.
        let mut base = Composed::new(shape);
        self.sum.add_to(&mut base, shape, rules, read)?;
        let mut other = Composed::new(shape);
        minus.sum.add_to(&mut other, shape, &minus.rules, read)?;
        for (value, (less, share)) in
            base.values.iter_mut().zip(other.values.iter().zip(&other.shares))
        {
            let difference = *value as f32 - *less as f32;
            *value = if *share > 0.0 { difference.into() } else { f64::NAN };
        }
        base.emit(shape, &mut shown);
        Ok(())
    }

    /// Which pixels the masks hide; `None` without masks.
    fn hidden<'r>(
        &'r self,
        shape: (usize, usize),
        read: Read<'_, 'r>,
    ) -> Result<Option<Vec<bool>>> {
        if self.masks.is_empty() {
            return Ok(None);
        }
        let width = shape.1;
        let mut hidden = vec![false; shape.0 * width];
        for Other { sum, rules } in &self.masks {
            sum.rows_of_pixels(shape, rules, read, &mut |i, row, unpack| {
                if let Some(line) = hidden.get_mut(i * width..(i + 1) * width) {
                    Delivery::new(unpack, rules).hide_invalid(row, line);
                }
            })?;
        }
        Ok(Some(hidden))
    }
}

impl Sum {
    /// Resamples the sheets, row by row.
    fn rows_of_pixels<'r>(
        &'r self,
        shape: (usize, usize),
        rules: &Rules,
        read: Read<'_, 'r>,
        emit: &mut dyn FnMut(usize, &mut PixelRow, Unpack),
    ) -> Result<()> {
        if let [(_, sheet)] = self.0.as_slice() {
            return sheet.rows_of_pixels(shape, read, emit);
        }
        let mut composed = Composed::new(shape);
        self.add_to(&mut composed, shape, rules, read)?;
        composed.emit(shape, emit);
        Ok(())
    }

    /// Adds the sheets, valid where all are by `rules`, to pixels that hold nothing yet.
    fn add_to<'r>(
        &'r self,
        composed: &mut Composed,
        shape: (usize, usize),
        rules: &Rules,
        read: Read<'_, 'r>,
    ) -> Result<()> {
        if self.0.is_empty() {
            composed.shares.fill(0.0);
        }
        for (part, sheet) in &self.0 {
            sheet.rows_of_pixels(shape, read, &mut |i, row, unpack| {
                let line = i * shape.1..(i + 1) * shape.1;
                let (values, shares) =
                    (&mut composed.values[line.clone()], &mut composed.shares[line]);
                Delivery::new(unpack, rules).compose(row, *part, values, shares);
            })?;
        }
        Ok(())
    }
}

/// Pixels in the making.
struct Composed {
    values: Vec<f64>,
    /// The least share of valid weight behind them; 0 where one that they are made of is invalid.
    shares: Vec<f64>,
}

impl Composed {
    fn new((height, width): (usize, usize)) -> Self {
        Self { values: vec![0.0; height * width], shares: vec![1.0; height * width] }
    }

    /// Hands the rows to `emit`, as weights of 1 out of as many as give the shares.
    fn emit(
        &self,
        (height, width): (usize, usize),
        emit: &mut dyn FnMut(usize, &mut PixelRow, Unpack),
    ) {
        let mut row = PixelRow::default();
        for i in 0..height {
            row.clear(width, 1.0);
            let line = i * width..(i + 1) * width;
            let pixels = self.values[line.clone()].iter().zip(&self.shares[line]);
            for (j, (&value, &share)) in pixels.enumerate() {
                if share > 0.0 && !value.is_nan() {
                    (row.sums[j], row.weights[j], row.full[j]) = (value, 1.0, 1.0 / share);
                }
            }
            emit(i, &mut row, Unpack::NONE);
        }
    }
}

impl Sheet {
    fn rows_of_pixels<'r>(
        &'r self,
        shape: (usize, usize),
        read: Read<'_, 'r>,
        emit: &mut dyn FnMut(usize, &mut PixelRow, Unpack),
    ) -> Result<()> {
        match self {
            Self::Computed(computed) => {
                let mut row = PixelRow::default();
                computed.rows_of_pixels(shape, &mut row, &mut |i, row| emit(i, row, Unpack::NONE));
            }
            Self::Cells { sources, rows, columns } => {
                let placed = sources.iter().map(|source| source.placed(read));
                let field = Field::new(placed.collect::<Result<_>>()?)?;
                SCRATCH.with_borrow_mut(|scratch| {
                    resample(&field, rows, columns, scratch, |i, row| emit(i, row, field.unpack()));
                });
            }
        }
        Ok(())
    }
}

impl Source {
    /// The cells on the mosaic, without those that a condition rules out.
    fn placed<'r>(&'r self, read: Read<'_, 'r>) -> Result<Placed<'r>> {
        let window = match self.steps.as_slice() {
            [] => read(&self.reading)?,
            steps => checked(steps, read)?,
        };
        Ok(Placed { window, rows: self.rows.clone(), columns: self.columns.clone() })
    }
}

/// The mean of the steps, of each those cells that obey its conditions.
fn checked<'r>(steps: &'r [Step], read: Read<'_, 'r>) -> Result<Window<'r>> {
    let Some(Step { reading, .. }) = steps.first() else {
        return Err(Error::internal("a mean of no time steps"));
    };
    let width = reading.cols.len();
    let size = reading.rows.len() * width;
    if let [only] = steps {
        let values = only.values(size, width, read)?;
        return Window::of_values(values.into_iter().map(|value| value as f32).collect(), width);
    }
    let (mut sums, mut counts) = (vec![0.0; size], vec![0u32; size]);
    for step in steps {
        let values = step.values(size, width, read)?;
        for ((sum, count), value) in sums.iter_mut().zip(&mut counts).zip(values) {
            if !value.is_nan() {
                *sum += value;
                *count += 1;
            }
        }
    }
    let mean = |(sum, count): (&f64, &u32)| match count {
        0 => f32::NAN,
        count => (sum / f64::from(*count)) as f32,
    };
    Window::of_values(sums.iter().zip(&counts).map(mean).collect(), width)
}

impl Step {
    /// The cells, NaN where they do not count.
    fn values<'r>(&'r self, size: usize, width: usize, read: Read<'_, 'r>) -> Result<Vec<f64>> {
        let mut values = vec![f64::NAN; size];
        let mut line = Columns::default();
        let window = read(&self.reading)?;
        for (row, values) in values.chunks_mut(width.max(1)).enumerate() {
            line.read(&window, row, width);
            for (value, found) in values.iter_mut().zip(line.values(window.unpack())) {
                *value = found.unwrap_or(f64::NAN);
            }
        }
        for (reading, rules) in &self.conditions {
            let flags = read(reading)?;
            for (row, values) in values.chunks_mut(width.max(1)).enumerate() {
                // Most rows of a file of tracks hold nothing.
                if values.iter().all(|value| value.is_nan()) {
                    continue;
                }
                line.read(&flags, row, width);
                let flags = line.values(flags.unpack());
                match rules.as_slice() {
                    // A loop that compiles to a few vector instructions.
                    [CellRule::Within(low, high)] => {
                        keep(values, flags, |flag| *low <= flag && flag <= *high);
                    }
                    rules => {
                        let found = values.iter_mut().zip(flags).filter(|(v, _)| !v.is_nan());
                        for (value, flag) in found {
                            let flag = flag.unwrap_or(f64::NAN);
                            if !rules.iter().any(|rule| rule.holds(flag)) {
                                *value = f64::NAN;
                            }
                        }
                    }
                }
            }
        }
        Ok(values)
    }
}

/// Leaves the values beside flags that hold.
fn keep(values: &mut [f64], flags: impl Iterator<Item = Option<f64>>, holds: impl Fn(f64) -> bool) {
    for (value, flag) in values.iter_mut().zip(flags) {
        *value = if holds(flag.unwrap_or(f64::NAN)) { *value } else { f64::NAN };
    }
}
