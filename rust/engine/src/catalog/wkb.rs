//! The bounds of a well-known-binary geometry: all that the catalog needs of a footprint.

/// Geometries nest this deep at most; the standard's own types need three levels.
const MAX_DEPTH: u32 = 8;

/// `(min x, min y, max x, max y)`.
pub(super) type Bounds = [f64; 4];

/// The bounds of a geometry; `None` if it is empty.
///
/// Reads ISO WKB and EWKB of either byte order, types 1 to 7, with or without Z, M and SRID.
pub(super) fn bounds(wkb: &[u8]) -> Result<Option<Bounds>, &'static str> {
    let mut reader = Reader { rest: wkb, bounds: None };
    reader.geometry(MAX_DEPTH)?;
    if reader.rest.is_empty() { Ok(reader.bounds) } else { Err("bytes follow the geometry") }
}

struct Reader<'a> {
    rest: &'a [u8],
    bounds: Option<Bounds>,
}

/// Byte order and dimensions of the geometry being read.
#[derive(Clone, Copy)]
struct Format {
    little_endian: bool,
    dimensions: usize,
}

impl Reader<'_> {
    fn geometry(&mut self, depth: u32) -> Result<(), &'static str> {
        let little_endian = match self.take::<1>()? {
            [0] => false,
            [1] => true,
            _ => return Err("the byte order is neither 0 nor 1"),
        };
        let mut format = Format { little_endian, dimensions: 2 };
        let code = self.u32(format)?;
        let plain = code & 0x0fff_ffff;
        let (iso, kind) = (plain / 1_000, plain % 1_000);
        let z = code & 0x8000_0000 != 0 || iso == 1 || iso == 3;
        let m = code & 0x4000_0000 != 0 || iso == 2 || iso == 3;
        if iso > 3 {
            return Err("the geometry type is unknown");
        }
        format.dimensions += usize::from(z) + usize::from(m);
        if code & 0x2000_0000 != 0 {
            self.u32(format)?;
        }
        match kind {
            1 => self.point(format),
            2 => self.points(format),
            3 => {
                for _ in 0..self.count(format, 4)? {
                    self.points(format)?;
                }
                Ok(())
            }
            4..=7 => {
                let depth = depth.checked_sub(1).ok_or("the geometry is nested too deep")?;
                for _ in 0..self.count(format, 5)? {
                    self.geometry(depth)?;
                }
                Ok(())
            }
            _ => Err("the geometry type is unknown"),
        }
    }

    fn points(&mut self, format: Format) -> Result<(), &'static str> {
        for _ in 0..self.count(format, 8 * format.dimensions)? {
            let [x, y] = self.coordinates(format)?;
            self.include(x, y)?;
        }
        Ok(())
    }

    /// A single point; NaN coordinates are how WKB spells an empty one.
    fn point(&mut self, format: Format) -> Result<(), &'static str> {
        let [x, y] = self.coordinates(format)?;
        if x.is_nan() && y.is_nan() { Ok(()) } else { self.include(x, y) }
    }

    fn coordinates(&mut self, format: Format) -> Result<[f64; 2], &'static str> {
        let x = self.f64(format)?;
        let y = self.f64(format)?;
        for _ in 2..format.dimensions {
            self.take::<8>()?;
        }
        Ok([x, y])
    }

    fn include(&mut self, x: f64, y: f64) -> Result<(), &'static str> {
        if !x.is_finite() || !y.is_finite() {
            return Err("a coordinate is not a finite number");
        }
        let [x0, y0, x1, y1] = self.bounds.unwrap_or([x, y, x, y]);
        self.bounds = Some([x0.min(x), y0.min(y), x1.max(x), y1.max(y)]);
        Ok(())
    }

    /// A count of items of at least `item_size` bytes each, which must fit in what is left.
    fn count(&mut self, format: Format, item_size: usize) -> Result<usize, &'static str> {
        let count = self.u32(format)? as usize;
        if count > self.rest.len() / item_size {
            return Err("the geometry is truncated");
        }
        Ok(count)
    }

    fn u32(&mut self, format: Format) -> Result<u32, &'static str> {
        let bytes = self.take()?;
        Ok(if format.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn f64(&mut self, format: Format) -> Result<f64, &'static str> {
        let bytes = self.take()?;
        Ok(if format.little_endian { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, rest) = self.rest.split_first_chunk().ok_or("the geometry is truncated")?;
        self.rest = rest;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::bounds;

    /// Writes geometries: an encoder independent of the reader.
    struct Writer {
        big_endian: bool,
        z: bool,
        out: Vec<u8>,
    }

    impl Writer {
        fn u32(&mut self, x: u32) {
            self.out.extend(if self.big_endian { x.to_be_bytes() } else { x.to_le_bytes() });
        }
        fn f64(&mut self, x: f64) {
            self.out.extend(if self.big_endian { x.to_be_bytes() } else { x.to_le_bytes() });
        }
        fn start(&mut self, kind: u32) {
            self.out.push(u8::from(!self.big_endian));
            self.u32(kind + if self.z { 1_000 } else { 0 });
        }
        fn polygon(&mut self, points: &[(f64, f64)]) {
            self.start(3);
            self.u32(1);
            self.u32(points.len() as u32);
            for &(x, y) in points {
                self.f64(x);
                self.f64(y);
                if self.z {
                    self.f64(f64::NAN);
                }
            }
        }
    }

    fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((-360.0..360.0, -90.0..90.0), 1..20)
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = bounds(&bytes);
        }

        #[test]
        fn damaged_geometries_never_panic(at in 0usize..93, value: u8, keep in 0usize..94) {
            let mut writer = Writer { big_endian: false, z: false, out: Vec::new() };
            writer.polygon(&[(0.0, 0.0), (0.0, 90.0), (-90.0, 90.0), (-90.0, 0.0), (0.0, 0.0)]);
            writer.out[at] = value;
            writer.out.truncate(keep);
            let _ = bounds(&writer.out);
        }

        #[test]
        fn polygons_have_the_bounds_of_their_points(points in points(), big_endian: bool, z: bool) {
            let mut writer = Writer { big_endian, z, out: Vec::new() };
            writer.polygon(&points);
            let xs = points.iter().map(|p| p.0);
            let ys = points.iter().map(|p| p.1);
            let expected = [
                xs.clone().fold(f64::INFINITY, f64::min),
                ys.clone().fold(f64::INFINITY, f64::min),
                xs.fold(f64::NEG_INFINITY, f64::max),
                ys.fold(f64::NEG_INFINITY, f64::max),
            ];
            prop_assert_eq!(bounds(&writer.out).unwrap(), Some(expected));

            let mut multi = Writer { big_endian, z, out: Vec::new() };
            multi.start(6);
            multi.u32(2);
            multi.out.extend(writer.out.iter().chain(&writer.out));
            prop_assert_eq!(bounds(&multi.out).unwrap(), Some(expected));
        }
    }

    #[test]
    fn a_written_region_box_is_read() {
        // The footprint of NORTH_ATLANTIC as shapely writes it.
        let mut wkb = vec![1, 3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0];
        for (x, y) in [(0.0, 0.0), (0.0, 90.0), (-90.0, 90.0), (-90.0, 0.0), (0.0, 0.0)] {
            wkb.extend(f64::to_le_bytes(x));
            wkb.extend(f64::to_le_bytes(y));
        }
        assert_eq!(wkb.len(), 93);
        assert_eq!(bounds(&wkb).unwrap(), Some([-90.0, 0.0, 0.0, 90.0]));
        wkb.push(0);
        assert!(bounds(&wkb).is_err());
    }

    #[test]
    fn special_geometries() {
        let point = |x: f64, y: f64| {
            let mut wkb = vec![1, 1, 0, 0, 0x20, 0xe6, 0x10, 0, 0];
            wkb.extend(x.to_le_bytes());
            wkb.extend(y.to_le_bytes());
            wkb
        };
        assert_eq!(bounds(&point(-45.0, 45.0)).unwrap(), Some([-45.0, 45.0, -45.0, 45.0]));
        assert_eq!(bounds(&point(f64::NAN, f64::NAN)).unwrap(), None);
        assert!(bounds(&point(f64::INFINITY, 0.0)).is_err());
        assert_eq!(bounds(&[1, 3, 0, 0, 0, 0, 0, 0, 0]).unwrap(), None);
        assert!(bounds(&[1, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).is_err());
        // Collections inside collections, without end.
        let nested = [1, 7, 0, 0, 0, 1, 0, 0, 0].repeat(100);
        assert_eq!(bounds(&nested), Err("the geometry is nested too deep"));
    }
}
