//! CF conventions: packing, validity and units of a variable (sections 2.5.1, 3.1 and 8.1).

use crate::error::{Error, Result};
use crate::granule::format::array::Dtype;
use crate::granule::format::hdf5::{Attribute, Number, Variable};
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

    /// The packing that the attributes of `variable` describe.
    pub(in crate::granule) fn of(variable: &Variable<'_>, dtype: Dtype) -> Result<Self> {
        let dtype = match variable.text("_Unsigned")?.as_deref() {
            Some("true" | "True" | "TRUE") => dtype.unsigned(),
            Some("false" | "False" | "FALSE") => dtype.signed(),
            _ => dtype,
        };
        let numbers = |name: &str| -> Result<Vec<Number>> {
            Ok(match variable.attribute(name)? {
                Some(Attribute::Numbers(numbers)) => {
                    numbers.into_iter().map(|number| number.reinterpreted(dtype)).collect()
                }
                _ => Vec::new(),
            })
        };
        let mut packing = Self {
            scale: single(variable, "scale_factor")?.unwrap_or(1.0),
            offset: single(variable, "add_offset")?.unwrap_or(0.0),
            invalid: numbers("_FillValue")?,
            ..Self::none(dtype)
        };
        packing.invalid.extend(numbers("missing_value")?);
        match numbers("valid_range")?.as_slice() {
            [low, high] => (packing.low, packing.high) = (Some(*low), Some(*high)),
            [] => {
                packing.low = numbers("valid_min")?.first().copied();
                packing.high = numbers("valid_max")?.first().copied();
            }
            _ => {
                let message = "the attribute valid_range does not have two numbers";
                return Err(Error::corrupt(message).variable(&variable.name));
            }
        }
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

/// The attribute's one number; `None` if there is no such attribute.
fn single(variable: &Variable<'_>, name: &str) -> Result<Option<f64>> {
    match variable.attribute(name)? {
        None | Some(Attribute::Other) => Ok(None),
        Some(Attribute::Numbers(numbers)) => match numbers.as_slice() {
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
