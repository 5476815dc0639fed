//! The cells of a day that carry weight, ready to be summed row by row.

use std::ops::Range;

use super::axis::Places;
use crate::error::{Error, Result};
use crate::granule::{Unpack, Window};

/// A window and its place on a mosaic.
pub struct Placed<'t> {
    /// The cells.
    pub window: Window<'t>,
    /// Mosaic rows of its rows.
    pub rows: Places,
    /// Mosaic columns of its columns.
    pub columns: Places,
}

/// The windows of a day's tiles as one field.
pub struct Field<'t> {
    /// Mosaic columns that it spans.
    columns: Range<usize>,
    unpack: Unpack,
    /// Disjoint rectangles, each with its mosaic rows and columns.
    windows: Vec<(Range<usize>, Range<usize>, Window<'t>)>,
}

/// Sums over cells, column by column, and the weights behind them.
#[derive(Default)]
pub struct Columns {
    /// Sums of weight times value.
    pub sums: Vec<f64>,
    /// Sums of the weights of valid cells.
    pub weights: Vec<f64>,
}

impl Columns {
    const MARGIN: usize = 4;

    /// Sums of nothing, for `n` columns, and as many zeros behind them as a pixel may read beyond
    /// its own columns.
    pub fn clear(&mut self, n: usize) {
        for values in [&mut self.sums, &mut self.weights] {
            values.clear();
            values.resize(n + Self::MARGIN, 0.0);
        }
    }

    /// One row of `n` cells of a window.
    pub fn read(&mut self, window: &Window<'_>, row: usize, n: usize) {
        self.clear(n);
        window.add(row, &[1.0], &mut self.sums, &mut self.weights);
    }

    /// The values of single cells, `None` where invalid.
    pub fn values(&self, unpack: Unpack) -> impl Iterator<Item = Option<f64>> {
        let cells = self.sums.iter().zip(&self.weights);
        cells.map(move |(&stored, &weight)| (weight > 0.0).then(|| unpack.value(stored)))
    }
}

impl<'t> Field<'t> {
    /// The field of `placed` windows. Those that lie apart and are packed alike stay as they are stored;
    /// else cells are joined one by one, as the mean of the valid values.
    pub fn new(placed: Vec<Placed<'t>>) -> Result<Self> {
        let rectangles: Vec<_> =
            placed.iter().map(|p| (p.rows.extent(), p.columns.extent())).collect();
        let whole = |places: &Places| matches!(places, Places::Run(_));
        let apart = placed.iter().all(|p| whole(&p.rows) && whole(&p.columns))
            && placed.windows(2).all(|p| p[0].window.unpack() == p[1].window.unpack())
            && (1..rectangles.len())
                .all(|i| rectangles[..i].iter().all(|r| !overlap(r, &rectangles[i])));
        let spanned = rectangles.iter().cloned().reduce(|(r1, c1), (r2, c2)| {
            (r1.start.min(r2.start)..r1.end.max(r2.end), c1.start.min(c2.start)..c1.end.max(c2.end))
        });
        let (rows, columns) = spanned.unwrap_or_default();
        if apart {
            let unpack = placed.first().map_or(Unpack::NONE, |piece| piece.window.unpack());
            let placed = placed.into_iter().zip(rectangles);
            let windows = placed.map(|(piece, (r, c))| (r, c, piece.window)).collect();
            return Ok(Self { columns, unpack, windows });
        }
        let joined = join(&placed, &rows, &columns)?;
        Ok(Self {
            unpack: joined.unpack(),
            windows: vec![(rows, columns.clone(), joined)],
            columns,
        })
    }

    /// The mosaic column of the first of the sums.
    pub fn first_column(&self) -> usize {
        self.columns.start
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// How sums of the cells become values.
    pub fn unpack(&self) -> Unpack {
        self.unpack
    }

    /// Adds the valid cells of the mosaic rows from `row` on, each times its row's weight.
    pub fn add(&self, row: usize, row_weights: &[f64], columns: &mut Columns) {
        self.visit(row, row_weights, |window, row, row_weights, at| {
            let Columns { sums, weights } = &mut *columns;
            if let (Some(sums), Some(weights)) = (sums.get_mut(at.clone()), weights.get_mut(at)) {
                window.add(row, row_weights, sums, weights);
            }
        });
    }

    /// Asks for the memory that the same [`Field::add`] will read.
    pub fn prefetch(&self, row: usize, row_weights: &[f64]) {
        self.visit(row, row_weights, |window, row, row_weights, _| {
            window.prefetch(row, row_weights);
        });
    }

    /// The parts of some mosaic rows: a window, its row, the weights and where its columns lie.
    fn visit(
        &self,
        row: usize,
        row_weights: &[f64],
        mut part: impl FnMut(&Window<'_>, usize, &[f64], Range<usize>),
    ) {
        let end = row + row_weights.len();
        for (rows, columns, window) in &self.windows {
            let (from, to) = (row.max(rows.start), end.min(rows.end));
            if let Some(weights) = row_weights.get(from - row..to.max(from) - row)
                && !weights.is_empty()
            {
                let first = self.columns.start;
                let at = columns.start - first..columns.end - first;
                part(window, from - rows.start, weights, at);
            }
        }
    }
}

fn overlap(a: &(Range<usize>, Range<usize>), b: &(Range<usize>, Range<usize>)) -> bool {
    let meet = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
    meet(&a.0, &b.0) && meet(&a.1, &b.1)
}

/// One window out of placed that share cells or are packed differently.
fn join<'t>(
    placed: &[Placed<'_>],
    rows: &Range<usize>,
    columns: &Range<usize>,
) -> Result<Window<'t>> {
    let width = columns.len();
    let size = rows.len().checked_mul(width);
    let size = size.ok_or_else(|| Error::internal("a mosaic exceeds the address space"))?;
    let (mut values, mut counts) = (vec![f32::NAN; size], vec![0u8; size]);
    let mut line = Columns::default();
    for Placed { window, rows: placed, columns: places } in placed {
        for (local, row) in placed.iter().enumerate() {
            line.read(window, local, places.iter().count());
            let start = (row - rows.start) * width;
            for (value, column) in line.values(window.unpack()).zip(places.iter()) {
                let at = start + column - columns.start;
                if let Some(value) = value {
                    merge(&mut values[at], &mut counts[at], value as f32);
                }
            }
        }
    }
    Window::of_values(values, width)
}

/// A cell present in several tiles: the mean of the valid values.
fn merge(cell: &mut f32, count: &mut u8, value: f32) {
    let n = f64::from(*count);
    *cell = if *count == 0 {
        value
    } else {
        ((f64::from(*cell) * n + f64::from(value)) / (n + 1.0)) as f32
    };
    *count = count.saturating_add(1);
}
