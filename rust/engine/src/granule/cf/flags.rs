//! The named states of a variable (CF conventions, section 3.5: `flag_meanings`).

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::granule::format::attribute::{Attribute, Number};
use crate::granule::format::file::Variable;

/// More names are no flags.
const MAX_FLAGS: usize = 4096;

/// A named state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// Its name.
    pub name: String,
    /// The bits that tell it; `None`: the whole number does.
    pub mask: Option<u64>,
    /// What they are.
    pub value: f64,
}

/// The states that the attributes of a variable name; none where these don't fit each other.
pub(in crate::granule) fn flags(variable: &Variable<'_>) -> Result<Vec<Flag>> {
    let Some(meanings) = variable.text("flag_meanings")? else { return Ok(Vec::new()) };
    let names: Vec<&str> = meanings.split_whitespace().take(MAX_FLAGS).collect();
    let numbers = |attribute| -> Result<Option<Vec<Number>>> {
        Ok(match variable.attribute(attribute)? {
            Some(Attribute::Numbers(numbers, _)) if numbers.len() == names.len() => Some(numbers),
            _ => None,
        })
    };
    let (masks, values) = (numbers("flag_masks")?, numbers("flag_values")?);
    let bits = |number: Number| match number {
        // Of a negative number, those of its two's complement.
        Number::Int(value) => value as u64,
        Number::Float(value) => value as u64,
    };
    let flag = |(i, name): (usize, &&str)| {
        let mask = masks.as_ref().and_then(|masks| masks.get(i).copied().map(bits));
        // Without values, each mask is a switch.
        let value = match &values {
            Some(values) => values.get(i)?.as_f64(),
            None => mask? as f64,
        };
        Some(Flag { name: (*name).to_owned(), mask, value })
    };
    Ok(names.iter().enumerate().filter_map(flag).collect())
}
