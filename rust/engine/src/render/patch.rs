//! Patches: where rendered values go.

use super::axis::pixels_over;
use crate::error::{Error, Result};
use crate::orientation::Orientation;
use crate::query::Query;

/// One plane of `H x W` pixels of a patch, row by row.
pub struct PlaneMut<'a> {
    /// Values.
    pub values: &'a mut [f32],
    /// 1 valid, 0 invalid.
    pub mask: &'a mut [u8],
    /// Share of valid weight behind each value, if wanted; under `Mean`, its mean over the days.
    pub support: Option<&'a mut [f32]>,
}

impl PlaneMut<'_> {
    pub(super) fn invalidate(&mut self, fill_value: f32) {
        self.values.fill(fill_value);
        self.mask.fill(0);
        if let Some(support) = self.support.as_deref_mut() {
            support.fill(0.0);
        }
    }
}

/// Where a patch is written: its planes, wherever each lies, every element of which is written.
#[derive(Default)]
pub struct PatchMut<'a> {
    /// A plane, or one a day.
    pub planes: Vec<PlaneMut<'a>>,
    /// Latitudes `[H]` and longitudes `[W]` of the pixels, if wanted.
    pub axes: Option<(&'a mut [f32], &'a mut [f32])>,
}

impl<'a> PatchMut<'a> {
    /// The planes, of `pixels` each, that lie one after another in some buffers.
    pub fn new(
        values: &'a mut [f32],
        mask: &'a mut [u8],
        support: Option<&'a mut [f32]>,
        pixels: usize,
    ) -> Self {
        let pixels = pixels.max(1);
        let mut support = support.map(|support| support.chunks_mut(pixels));
        let planes = values.chunks_mut(pixels).zip(mask.chunks_mut(pixels));
        let planes = planes.map(|(values, mask)| PlaneMut {
            values,
            mask,
            support: support.as_mut().and_then(Iterator::next),
        });
        Self { planes: planes.collect(), axes: None }
    }

    /// Takes the first `n` planes off, and the axes, for a patch of their own: members of one tensor
    /// are painted one by one.
    #[must_use]
    pub fn take(&mut self, n: usize) -> Self {
        let rest = self.planes.split_off(n.min(self.planes.len()));
        Self { planes: std::mem::replace(&mut self.planes, rest), axes: self.axes.take() }
    }

    /// Moves the pixels of all planes, and changes the sign of what is valid if it is `negated`.
    pub fn lay(&mut self, orientation: Orientation, negated: bool, width: usize) {
        for PlaneMut { values, mask, support } in &mut self.planes {
            if negated {
                let valid = values.iter_mut().zip(mask.iter()).filter(|(_, mask)| **mask != 0);
                valid.for_each(|(value, _)| *value = -*value);
            }
            if orientation.is_none() {
                continue;
            }
            orientation.apply(values, width);
            orientation.apply(mask, width);
            if let Some(support) = support {
                orientation.apply(support, width);
            }
        }
    }

    /// Makes every pixel invalid and sets the axes to `linspace` over the box.
    pub fn clear(&mut self, query: &Query, fill_value: f32) {
        self.planes.iter_mut().for_each(|plane| plane.invalidate(fill_value));
        if let Some((lats, lons)) = &self.axes {
            let shape = (lats.len(), lons.len());
            self.set_axes(|| pixels_over(&query.bbox(), shape));
        }
    }

    pub(super) fn set_axes(&mut self, make: impl FnOnce() -> (Vec<f64>, Vec<f64>)) {
        if let Some((lats, lons)) = &mut self.axes {
            let (lat, lon) = make();
            for (out, values) in [(lats, lat), (lons, lon)] {
                out.iter_mut().zip(values).for_each(|(to, from)| *to = from as f32);
            }
        }
    }
}

/// A patch on the native cells inside the box.
#[derive(Clone, Debug, Default)]
pub struct NativePatch {
    /// Layers, rows, columns; one layer unless stacked.
    pub shape: (usize, usize, usize),
    /// Values, layer by layer.
    pub values: Vec<f32>,
    /// 1 valid, 0 invalid.
    pub mask: Vec<u8>,
    /// Latitudes of the rows.
    pub lat: Vec<f32>,
    /// Longitudes of the columns.
    pub lon: Vec<f32>,
}

impl NativePatch {
    /// A patch of `layers x H x W` pixels.
    ///
    /// # Errors
    /// `OutOfMemory`: there is no room for it.
    pub fn sized(layers: usize, (height, width): (usize, usize)) -> Result<Self> {
        let size = layers.saturating_mul(height).saturating_mul(width);
        Ok(Self {
            shape: (layers, height, width),
            values: zeros(size)?,
            mask: zeros(size)?,
            lat: zeros(height)?,
            lon: zeros(width)?,
        })
    }

    /// The patch as a place to write.
    pub fn target(&mut self) -> PatchMut<'_> {
        let pixels = self.shape.1 * self.shape.2;
        let patch = PatchMut::new(&mut self.values, &mut self.mask, None, pixels);
        PatchMut { axes: Some((&mut self.lat, &mut self.lon)), ..patch }
    }
}

fn zeros<T: Clone + Default>(length: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(length).map_err(Error::no_room)?;
    values.resize(length, T::default());
    Ok(values)
}
