//! From stored numbers to values: the inner loops.

use crate::granule::cf::packing::Packing;
use crate::granule::format::array::Dtype;
use crate::granule::format::attribute::Number;

/// A number type as it lies in a decoded chunk, in this machine's byte order.
pub(in crate::granule) trait Element:
    Copy + PartialOrd + Sized + 'static
{
    const SIZE: usize;
    const LOW: Self;
    const HIGH: Self;
    /// The bytes of one number.
    type Bytes: Copy;
    /// Numbers as they lie in a chunk, without a rest that is shorter than one.
    fn split(bytes: &[u8]) -> &[Self::Bytes];
    /// The number of these bytes.
    fn join(bytes: Self::Bytes) -> Self;
    fn load(bytes: &[u8]) -> Self;
    fn to_f64(self) -> f64;
    fn to_f32(self) -> f32;
    /// The same number in this type; `None` if this type does not have it.
    fn exactly(number: Number) -> Option<Self>;
    /// The least number of this type that is not below `number`; `None` if there is none.
    fn at_least(number: Number) -> Option<Self>;
    /// The greatest number of this type that is not above `number`; `None` if there is none.
    fn at_most(number: Number) -> Option<Self>;
}

macro_rules! integer_elements {
    ($($T:ident),*) => {$(
        impl Element for $T {
            const SIZE: usize = size_of::<$T>();
            const LOW: Self = $T::MIN;
            const HIGH: Self = $T::MAX;
            type Bytes = [u8; size_of::<$T>()];
            #[inline(always)]
            fn split(bytes: &[u8]) -> &[Self::Bytes] {
                bytes.as_chunks().0
            }
            #[inline(always)]
            fn join(bytes: Self::Bytes) -> Self {
                $T::from_ne_bytes(bytes)
            }
            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(0, $T::from_ne_bytes)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn exactly(number: Number) -> Option<Self> {
                match number {
                    Number::Int(value) => $T::try_from(value).ok(),
                    Number::Float(value) => {
                        // `as` saturates, also at i128's ends, which no $T reaches.
                        let whole = value as i128;
                        if whole as f64 == value { $T::try_from(whole).ok() } else { None }
                    }
                }
            }
            fn at_least(number: Number) -> Option<Self> {
                let whole = match number {
                    Number::Int(value) => value,
                    Number::Float(value) if value.is_nan() => return Some(Self::LOW),
                    Number::Float(value) => value.ceil() as i128,
                };
                if whole < i128::from(Self::LOW) { Some(Self::LOW) } else { whole.try_into().ok() }
            }
            fn at_most(number: Number) -> Option<Self> {
                let whole = match number {
                    Number::Int(value) => value,
                    Number::Float(value) if value.is_nan() => return Some(Self::HIGH),
                    Number::Float(value) => value.floor() as i128,
                };
                if whole > i128::from(Self::HIGH) { Some(Self::HIGH) } else { whole.try_into().ok() }
            }
        }
    )*};
}
integer_elements!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! float_elements {
    ($($T:ident),*) => {$(
        impl Element for $T {
            const SIZE: usize = size_of::<$T>();
            // Infinities lie outside: they are invalid.
            const LOW: Self = $T::MIN;
            const HIGH: Self = $T::MAX;
            type Bytes = [u8; size_of::<$T>()];
            #[inline(always)]
            fn split(bytes: &[u8]) -> &[Self::Bytes] {
                bytes.as_chunks().0
            }
            #[inline(always)]
            fn join(bytes: Self::Bytes) -> Self {
                $T::from_ne_bytes(bytes)
            }
            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                bytes.try_into().map_or($T::NAN, $T::from_ne_bytes)
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            // A fill value written as a double stands for the float it was rounded to.
            fn exactly(number: Number) -> Option<Self> {
                Some(number.as_f64() as $T).filter(|value| !value.is_nan())
            }
            fn at_least(number: Number) -> Option<Self> {
                let value = number.as_f64() as $T;
                Some(if value.is_nan() { Self::LOW } else { value.max(Self::LOW) })
            }
            fn at_most(number: Number) -> Option<Self> {
                let value = number.as_f64() as $T;
                Some(if value.is_nan() { Self::HIGH } else { value.min(Self::HIGH) })
            }
        }
    )*};
}
float_elements!(f32, f64);

/// Runs `$body` with `$T` standing for the element type of `$dtype`.
macro_rules! with_element {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            Dtype::I8 => {
                type $T = i8;
                $body
            }
            Dtype::I16 => {
                type $T = i16;
                $body
            }
            Dtype::I32 => {
                type $T = i32;
                $body
            }
            Dtype::I64 => {
                type $T = i64;
                $body
            }
            Dtype::U8 => {
                type $T = u8;
                $body
            }
            Dtype::U16 => {
                type $T = u16;
                $body
            }
            Dtype::U32 => {
                type $T = u32;
                $body
            }
            Dtype::U64 => {
                type $T = u64;
                $body
            }
            Dtype::F32 => {
                type $T = f32;
                $body
            }
            Dtype::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}

/// A float type to convert into: f32 for windows, f64 where sums or axes need it.
pub(in crate::granule) trait Real: Copy + 'static {
    const NAN: Self;
    /// Rounds once.
    fn of(value: f64) -> Self;
    /// The number itself, without packing.
    fn plain<T: Element>(element: T) -> Self;
    /// False where rounding overflowed.
    fn finite(self) -> bool;
}

impl Real for f32 {
    const NAN: Self = f32::NAN;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn plain<T: Element>(element: T) -> Self {
        element.to_f32()
    }
    #[inline(always)]
    fn finite(self) -> bool {
        self.abs() <= f32::MAX
    }
}

impl Real for f64 {
    const NAN: Self = f64::NAN;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn plain<T: Element>(element: T) -> Self {
        element.to_f64()
    }
    #[inline(always)]
    fn finite(self) -> bool {
        self.abs() <= f64::MAX
    }
}

pub(in crate::granule) use with_element;

/// Which stored numbers are values: those from `low` to `high` that are none of `fills`.
pub(in crate::granule) struct Limits<T> {
    pub low: T,
    pub high: T,
    pub fills: Vec<T>,
}

impl<T: Element> Limits<T> {
    pub(in crate::granule) fn new(packing: &Packing) -> Self {
        let bounds = (
            packing.low.map_or(Some(T::LOW), T::at_least),
            packing.high.map_or(Some(T::HIGH), T::at_most),
        );
        // An empty interval where no number of this type lies within the bounds.
        let (low, high) = match bounds {
            (Some(low), Some(high)) => (low, high),
            _ => (T::HIGH, T::LOW),
        };
        let mut fills: Vec<T> = Vec::new();
        for fill in packing.invalid.iter().filter_map(|&number| T::exactly(number)) {
            if !fills.contains(&fill) {
                fills.push(fill);
            }
        }
        Self { low, high, fills }
    }
}

/// A packing, typed for the loops.
struct Kernel<T> {
    low: T,
    high: T,
    /// The usual single fill value, compared in the main loop.
    fill: Option<T>,
    /// Further ones, in a second pass.
    more: Vec<T>,
    plain: bool,
    scale: f64,
    offset: f64,
    unit_scale: f64,
    unit_offset: f64,
}

impl<T: Element> Kernel<T> {
    fn new(packing: &Packing) -> Self {
        let Limits { low, high, mut fills } = Limits::<T>::new(packing);
        let fill = fills.pop();
        let &Packing { scale, offset, unit_scale, unit_offset, .. } = packing;
        let plain = (scale, offset, unit_scale, unit_offset) == (1.0, 0.0, 1.0, 0.0);
        Self { low, high, fill, more: fills, plain, scale, offset, unit_scale, unit_offset }
    }

    #[inline(always)]
    fn loops<O: Real>(&self, bytes: &[u8], out: &mut [O]) {
        let (low, high, any) = (self.low, self.high, self.fill.is_none());
        let fill = self.fill.unwrap_or(low);
        let valid = |x: T| (x >= low) & (x <= high) & ((x != fill) | any);
        if self.plain {
            for (o, b) in out.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
                let x = T::load(b);
                let value = O::plain(x);
                *o = if valid(x) & value.finite() { value } else { O::NAN };
            }
        } else {
            let (scale, offset) = (self.scale, self.offset);
            let (unit_scale, unit_offset) = (self.unit_scale, self.unit_offset);
            for (o, b) in out.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
                let x = T::load(b);
                let value = (x.to_f64() * scale + offset) * unit_scale + unit_offset;
                let value = O::of(value);
                *o = if valid(x) & value.finite() { value } else { O::NAN };
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn loops_avx2<O: Real>(&self, bytes: &[u8], out: &mut [O]) {
        self.loops(bytes, out);
    }

    fn run<O: Real>(&self, bytes: &[u8], out: &mut [O]) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2; the function needs nothing else.
            unsafe { self.loops_avx2(bytes, out) };
            return self.drop_more(bytes, out);
        }
        self.loops(bytes, out);
        self.drop_more(bytes, out);
    }

    fn drop_more<O: Real>(&self, bytes: &[u8], out: &mut [O]) {
        if !self.more.is_empty() {
            for (o, b) in out.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
                if self.more.contains(&T::load(b)) {
                    *o = O::NAN;
                }
            }
        }
    }
}

/// Converts the elements in the bytes until the output is full.
type Loop<O> = Box<dyn Fn(&[u8], &mut [O])>;

/// Converts elements of decoded chunks by one packing.
pub(in crate::granule) struct Converter<O> {
    run: Loop<O>,
    width: usize,
}

impl<O: Real> Converter<O> {
    pub(in crate::granule) fn new(packing: &Packing) -> Self {
        let run: Loop<O> = with_element!(packing.dtype, T => {
            let kernel = Kernel::<T>::new(packing);
            Box::new(move |bytes, out| kernel.run(bytes, out))
        });
        Self { run, width: packing.dtype.size() }
    }

    /// Converts as many elements as `out` holds, from the start of `bytes`.
    pub(in crate::granule) fn run(&self, bytes: &[u8], out: &mut [O]) {
        (self.run)(bytes, out);
    }

    /// Converts every `stride`-th element of `bytes`; `gather` is scratch.
    pub(in crate::granule) fn strided(
        &self,
        bytes: &[u8],
        stride: usize,
        out: &mut [O],
        gather: &mut Vec<u8>,
    ) {
        if stride == 1 {
            return self.run(bytes, out);
        }
        gather.clear();
        for element in bytes.chunks(stride.max(1) * self.width).take(out.len()) {
            gather.extend(element.iter().take(self.width));
        }
        self.run(gather, out);
    }

    /// Converts one element.
    pub(in crate::granule) fn one(&self, element: &[u8]) -> O {
        let mut out = [O::NAN];
        self.run(element, &mut out);
        let [value] = out;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(dtype: Dtype) -> Packing {
        Packing { scale: 0.01, offset: 20.0, ..Packing::none(dtype) }
    }

    fn convert<const N: usize>(packing: &Packing, bytes: &[u8]) -> [f32; N] {
        let mut out = [0.0; N];
        Converter::new(packing).run(bytes, &mut out);
        out
    }

    fn i16s(values: &[i16]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_ne_bytes()).collect()
    }

    #[test]
    fn unpacks_in_double_and_rounds_once() {
        let mut packing = packed(Dtype::I16);
        packing.invalid = vec![Number::Int(-32_768), Number::Float(7.0), Number::Float(0.5)];
        let out = convert::<4>(&packing, &i16s(&[-32_768, 100, 7, 2]));
        assert!(out[0].is_nan() && out[2].is_nan());
        assert_eq!([out[1], out[3]], [(100.0 * 0.01 + 20.0) as f32, (2.0 * 0.01 + 20.0) as f32]);
    }

    #[test]
    fn bounds_are_inclusive_and_may_exclude_everything() {
        let mut packing = packed(Dtype::I16);
        (packing.low, packing.high) = (Some(Number::Float(-1.5)), Some(Number::Int(2)));
        let out = convert::<4>(&packing, &i16s(&[-2, -1, 2, 3]));
        assert_eq!(out.map(f32::is_nan), [true, false, false, true]);
        packing.low = Some(Number::Int(1 << 20));
        assert_eq!(convert::<2>(&packing, &i16s(&[0, 1])).map(f32::is_nan), [true, true]);
    }

    #[test]
    fn floats_lose_infinities_and_rounded_fills() {
        let mut packing = Packing::none(Dtype::F32);
        packing.invalid = vec![Number::Float(1e20), Number::Float(f64::NAN)];
        let bytes: Vec<u8> =
            [1e20f32, f32::INFINITY, f32::NAN, -3.5].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let out = convert::<4>(&packing, &bytes);
        assert_eq!(out.map(f32::is_nan), [true, true, true, false]);
        assert_eq!(out[3], -3.5);
    }

    #[test]
    fn sixty_four_bit_fills_are_exact() {
        let mut packing = Packing::none(Dtype::I64);
        packing.invalid = vec![Number::Int(i128::from(i64::MIN) + 2)];
        let bytes: Vec<u8> =
            [i64::MIN, i64::MIN + 2].iter().flat_map(|v| v.to_ne_bytes()).collect();
        assert_eq!(convert::<2>(&packing, &bytes).map(f32::is_nan), [false, true]);
    }

    #[test]
    fn strides_take_every_nth() {
        let converter = Converter::<f64>::new(&Packing::none(Dtype::I16));
        let mut out = [0.0; 3];
        converter.strided(&i16s(&[1, 2, 3, 4, 5, 6]), 2, &mut out, &mut Vec::new());
        assert_eq!(out, [1.0, 3.0, 5.0]);
    }
}
