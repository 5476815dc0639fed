//! Patches: where rendered values go.

use std::ops::Range;

use super::axis::linspace;
use crate::query::Query;

/// Where a patch is written: `layers x H x W` slices, every element of which is written.
pub struct PatchMut<'a> {
    /// Values.
    pub values: &'a mut [f32],
    /// 1 valid, 0 invalid.
    pub mask: &'a mut [u8],
    /// Share of valid weight behind each value, if wanted; under `Mean`, its mean over the days.
    pub support: Option<&'a mut [f32]>,
    /// Latitudes `[H]` and longitudes `[W]` of the pixels, if wanted.
    pub axes: Option<(&'a mut [f32], &'a mut [f32])>,
}

impl PatchMut<'_> {
    /// Makes every pixel invalid and sets the axes to `linspace` over the box.
    pub fn clear(&mut self, query: &Query, fill_value: f32) {
        self.invalidate(fill_value);
        self.set_exact_axes(query);
    }

    pub(super) fn invalidate(&mut self, fill_value: f32) {
        self.values.fill(fill_value);
        self.mask.fill(0);
        if let Some(support) = self.support.as_deref_mut() {
            support.fill(0.0);
        }
    }

    /// Some of the pixels, without the axes.
    pub(super) fn part(&mut self, pixels: Range<usize>) -> PatchMut<'_> {
        PatchMut {
            values: &mut self.values[pixels.clone()],
            mask: &mut self.mask[pixels.clone()],
            support: self.support.as_deref_mut().map(|support| &mut support[pixels]),
            axes: None,
        }
    }

    /// Sets the axes to `linspace` over the box.
    pub(super) fn set_exact_axes(&mut self, query: &Query) {
        let bbox = query.bbox();
        self.set_axes(&|n| linspace(bbox.lat_min, bbox.lat_max, n), &|n| {
            linspace(bbox.lon, bbox.lon + bbox.width, n)
        });
    }

    pub(super) fn set_axes(
        &mut self,
        lat: &dyn Fn(usize) -> Vec<f64>,
        lon: &dyn Fn(usize) -> Vec<f64>,
    ) {
        if let Some((lats, lons)) = &mut self.axes {
            for (out, make) in [(lats, lat), (lons, lon)] {
                let values = make(out.len());
                out.iter_mut().zip(values).for_each(|(o, v)| *o = v as f32);
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
    /// The files with a cell inside the box.
    pub files: Vec<u32>,
}

impl NativePatch {
    /// A patch of `layers x H x W` pixels.
    pub fn sized(layers: usize, (height, width): (usize, usize)) -> Self {
        let size = layers * height * width;
        Self {
            shape: (layers, height, width),
            values: vec![0.0; size],
            mask: vec![0; size],
            lat: vec![0.0; height],
            lon: vec![0.0; width],
            files: Vec::new(),
        }
    }

    /// The patch as a place to write.
    pub fn target(&mut self) -> PatchMut<'_> {
        PatchMut {
            values: &mut self.values,
            mask: &mut self.mask,
            support: None,
            axes: Some((&mut self.lat, &mut self.lon)),
        }
    }
}
