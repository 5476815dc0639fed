//! CF conventions: packing, validity and units of a variable (sections 2.5.1, 3.1 and 8.1).

use crate::error::{Error, Result};
use crate::granule::format::array::Dtype;
use crate::granule::format::attribute::{Attribute, Number};
use crate::granule::format::file::Variable;
use crate::unit;

/// How stored numbers become values.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::granule) struct Packing {
    /// The type whose values the stored bits are (`_Unsigned` may change the sign).
    pub dtype: Dtype,
    /// `value = stored * scale + offset`.
    pub scale: f64,
    pub offset: f64,
    /// Then `value * unit_scale + unit_offset`.
    pub unit_scale: f64,
    pub unit_offset: f64,
    /// Stored numbers that stand for no value.
    pub invalid: Vec<Number>,
    /// Stored numbers outside are invalid.
    pub low: Option<Number>,
    pub high: Option<Number>,
}

impl Packing {
    /// Numbers of type `dtype` as they are.
    pub(in crate::granule) fn none(dtype: Dtype) -> Self {
        Self {
            dtype,
            scale: 1.0,
            offset: 0.0,
            unit_scale: 1.0,
            unit_offset: 0.0,
            invalid: Vec::new(),
            low: None,
            high: None,
        }
    }

    /// The packing that the attributes of `variable` describe. Each attribute is compared in its own
    /// type: `_Unsigned` gives the bits of those as wide as the variable another meaning, and
    /// nothing wraps. See [`Limits`] for what `valid_*` are about.
    pub(in crate::granule) fn of(variable: &Variable<'_>, dtype: Dtype) -> Result<Self> {
        let (dtype, reinterpret) = match variable.text("_Unsigned")?.as_deref() {
            Some("true" | "True" | "TRUE") => (dtype.unsigned(), true),
            Some("false" | "False" | "FALSE") => (dtype.signed(), true),
            _ => (dtype, false),
        };
        let numbers = |name: &str| -> Result<(Vec<Number>, usize)> {
            Ok(match variable.attribute(name)? {
                Some(Attribute::Numbers(numbers, width)) => {
                    let same_bits = reinterpret && width == dtype.size();
                    let meant = |n: Number| if same_bits { n.reinterpreted(dtype) } else { n };
                    (numbers.into_iter().map(meant).collect(), width)
                }
                _ => (Vec::new(), 0),
            })
        };
        let mut packing = Self {
            scale: single(variable, "scale_factor")?.unwrap_or(1.0),
            offset: single(variable, "add_offset")?.unwrap_or(0.0),
            invalid: numbers("_FillValue")?.0,
            ..Self::none(dtype)
        };
        packing.invalid.extend(numbers("missing_value")?.0);
        let packed = |name: &str| -> Result<usize> { Ok(numbers(name)?.1) };
        let width = packed("scale_factor")?.max(packed("add_offset")?);
        let limits = Limits { packing: &packing, packed: width };
        let ((range, width), first) =
            (numbers("valid_range")?, |(n, width): (Vec<Number>, usize)| {
                n.first().map(|n| (*n, width))
            });
        let (low, high) = match range[..] {
            [low, high] => (Some((low, width)), Some((high, width))),
            [] => (first(numbers("valid_min")?), first(numbers("valid_max")?)),
            _ => {
                let message = "the attribute valid_range does not have two numbers";
                return Err(Error::corrupt(message).variable(&variable.name));
            }
        };
        (packing.low, packing.high) = limits.stored(low, high);
        Ok(packing)
    }

    /// The same without `valid_*`.
    pub(in crate::granule) fn without_limits(self) -> Self {
        Self { low: None, high: None, ..self }
    }

    /// Converts to `wanted` as well. A file that names no unit is taken to be in the wanted one.
    pub(in crate::granule) fn in_unit(
        mut self,
        stored: Option<&str>,
        wanted: Option<&str>,
    ) -> Result<Self> {
        if let (Some(stored), Some(wanted)) = (stored, wanted) {
            let Some((scale, offset)) = unit::conversion(stored, wanted) else {
                return Err(Error::unsupported(format!(
                    "the file's unit {stored:?} is not known to convert to {wanted:?}; register \
                     the variable with a unit that it converts to"
                )));
            };
            (self.unit_scale, self.unit_offset) = (scale, offset);
        }
        Ok(self)
    }
}

/// A limit, and the bytes of its type.
type Limit = Option<(Number, usize)>;

/// What `valid_min`, `valid_max` and `valid_range` of a packed variable are about (NetCDF Users
/// Guide, attribute conventions, `valid_range`): packed numbers, unless they are floating-point
/// numbers and the packed ones are integers or narrower floating-point numbers; then values.
struct Limits<'a> {
    packing: &'a Packing,
    /// Bytes of the wider of `scale_factor` and `add_offset`; 0 without either.
    packed: usize,
}

impl Limits<'_> {
    /// The limits in stored numbers.
    fn stored(&self, low: Limit, high: Limit) -> (Option<Number>, Option<Number>) {
        let (mut lows, mut highs) = (Vec::new(), Vec::new());
        for (limit, is_low) in [(low, true), (high, false)] {
            let Some((number, about_values)) = limit.map(|limit| self.one(limit, is_low)) else {
                continue;
            };
            // A falling line turns the order of values round.
            let turned = about_values && self.packing.scale < 0.0;
            if is_low == turned { highs.push(number) } else { lows.push(number) }
        }
        let order = |a: &Number, b: &Number| a.as_f64().total_cmp(&b.as_f64());
        (lows.into_iter().max_by(order), highs.into_iter().min_by(order))
    }

    /// One limit in stored numbers, and whether it was about values. Outwards by the rounding of
    /// its type and of unpacking, lest the number be lost whose value the limit was meant to be.
    fn one(&self, (limit, width): (Number, usize), is_low: bool) -> (Number, bool) {
        let Packing { dtype, scale, offset, .. } = *self.packing;
        let Number::Float(value) = limit else { return (limit, false) };
        let wider = !dtype.is_float() || width > dtype.size();
        if self.packed == 0 || !wider || value.is_nan() {
            return (limit, false);
        }
        let ulp = if width < size_of::<f64>() { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let slack = value.abs() * ulp / 2.0 + (value.abs() + offset.abs()) * 2.0 * f64::EPSILON;
        let steps = (slack / scale.abs()).min(0.5);
        let outwards = if is_low == (scale < 0.0) { steps } else { -steps };
        (Number::Float((value - offset) / scale + outwards), true)
    }
}

/// The attribute's one number; `None` if there is no such attribute.
fn single(variable: &Variable<'_>, name: &str) -> Result<Option<f64>> {
    match variable.attribute(name)? {
        None | Some(Attribute::Other) => Ok(None),
        Some(Attribute::Numbers(numbers, _)) => match numbers.as_slice() {
            [number] if number.as_f64().is_finite() => Ok(Some(number.as_f64())),
            _ => Err(Error::corrupt(format!("the attribute {name} is not one finite number"))
                .variable(&variable.name)),
        },
        Some(Attribute::Text(text)) => {
            Err(Error::corrupt(format!("the attribute {name} is text, {text:?}, not a number"))
                .variable(&variable.name))
        }
    }
}

/// The unit the file states; `None` if it states none.
pub(in crate::granule) fn stated_unit(variable: &Variable<'_>) -> Result<Option<String>> {
    let text = variable.text("units")?;
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}
