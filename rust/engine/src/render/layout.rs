//! One day's mosaic, and the weights from its cells to the pixels.

use super::axis::{Axis, linspace};
use super::kernel::{Footprint, Kernel};
use super::mosaic::{HALO, Mosaic, Tile};
use super::rules::{GridRule, Resampling, Rules};
use crate::geo::BBox;

/// A mosaic and the weights from its cells to the pixels.
pub struct Layout {
    /// The cells.
    pub mosaic: Mosaic,
    /// Weights of the pixel rows.
    pub rows: Kernel,
    /// Weights of the pixel columns.
    pub columns: Kernel,
}

impl Layout {
    /// The layout of `tiles` around a box; `None` if no cell is near it.
    pub fn new(tiles: &[Tile], bbox: &BBox, shape: (usize, usize), rules: &Rules) -> Option<Self> {
        let exact = rules.grid == GridRule::Exact;
        let mosaic = Mosaic::new(tiles, bbox, if exact { HALO } else { 0 });
        let (h, w) = mosaic.shape();
        if h == 0 || w == 0 {
            return None;
        }
        let (rows, columns) = if exact {
            sampled(&mosaic, bbox, shape, rules.resampling)
        } else {
            stretched((h, w), shape, rules.resampling)
        };
        Some(Self { mosaic, rows, columns })
    }

    /// The cells inside a box as they are.
    pub fn native(tiles: &[Tile], bbox: &BBox) -> Self {
        let mosaic = Mosaic::new(tiles, bbox, 0);
        let (rows, columns) = mosaic.shape();
        Self { mosaic, rows: Kernel::identity(rows), columns: Kernel::identity(columns) }
    }

    /// The cells that carry weight.
    pub fn footprint(&self) -> Footprint {
        Footprint::new(&self.rows, &self.columns)
    }
}

/// A side of the pixels: the axis of cells, the points, and the edges of the box.
struct Side<'a> {
    axis: &'a Axis,
    points: Vec<f64>,
    edges: (f64, f64),
}

impl<'a> Side<'a> {
    fn new(axis: &'a Axis, edges: (f64, f64), n: usize) -> Self {
        Self { axis, points: linspace(edges.0, edges.1, n), edges }
    }

    /// Whether there are fewer points than cells inside the box.
    fn shrinks(&self) -> bool {
        self.points.len() < self.axis.count(self.edges.0, self.edges.1)
    }

    fn linear(&self) -> Kernel {
        Kernel::linear(self.axis, &self.points)
    }

    fn nearest(&self) -> Kernel {
        Kernel::nearest(self.axis, &self.points)
    }

    fn area(&self) -> Kernel {
        Kernel::area(self.axis, &self.points, self.edges.0, self.edges.1)
    }
}

/// Kernels of pixels that lie at exact positions.
fn sampled(
    mosaic: &Mosaic,
    bbox: &BBox,
    (height, width): (usize, usize),
    resampling: Resampling,
) -> (Kernel, Kernel) {
    let rows = Side::new(&mosaic.lat, (bbox.lat_min, bbox.lat_max), height);
    let columns = Side::new(&mosaic.lon, (bbox.lon, bbox.lon + bbox.width), width);
    let area = match resampling {
        Resampling::Area => true,
        Resampling::Auto => rows.shrinks() && columns.shrinks(),
        Resampling::Bilinear => false,
        Resampling::Nearest => return (rows.nearest(), columns.nearest()),
    };
    if !area {
        return (rows.linear(), columns.linear());
    }
    let kernels = (rows.area(), columns.area());
    if kernels.0.is_binned() && kernels.1.is_binned() {
        return kernels;
    }
    // Taps for the pixels whose footprints hold no cell.
    (
        Kernel { taps: rows.linear().taps, ..kernels.0 },
        Kernel { taps: columns.linear().taps, ..kernels.1 },
    )
}

/// Kernels that stretch `h` x `w` cells by index, as torch does.
fn stretched(
    (h, w): (usize, usize),
    (height, width): (usize, usize),
    resampling: Resampling,
) -> (Kernel, Kernel) {
    let shrinks = height <= h && width <= w;
    let stretch = match resampling {
        Resampling::Nearest => Kernel::torch_nearest,
        Resampling::Area if shrinks => Kernel::adaptive_pool,
        Resampling::Auto if shrinks && (height, width) != (h, w) => Kernel::adaptive_pool,
        _ => Kernel::half_pixel,
    };
    (stretch(h, height), stretch(w, width))
}
