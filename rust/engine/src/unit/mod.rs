//! Units of measure, by the grammar of UDUNITS and the spellings that data centres really write.
//! A conversion is linear: `target = value * scale + offset`.

mod names;
mod parse;

/// Powers of metre, kilogram, second, kelvin, mole, ampere, candela and radian.
type Dimensions = [i8; 8];

/// A unit in terms of the base units: `base = value * scale + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Unit {
    scale: f64,
    offset: f64,
    dimensions: Dimensions,
}

impl Unit {
    const ONE: Self = Self::number(1.0);

    const fn number(scale: f64) -> Self {
        Self { scale, offset: 0.0, dimensions: [0; 8] }
    }

    /// In a product nothing is left of an offset: `degC day-1` is a rate of change.
    fn times(self, other: Self) -> Option<Self> {
        let mut dimensions = self.dimensions;
        for (power, by) in dimensions.iter_mut().zip(other.dimensions) {
            *power = power.checked_add(by)?;
        }
        Some(Self { scale: self.scale * other.scale, offset: 0.0, dimensions })
    }

    fn power(self, exponent: i8) -> Option<Self> {
        if exponent == 1 {
            return Some(self);
        }
        let mut dimensions = self.dimensions;
        for power in &mut dimensions {
            *power = power.checked_mul(exponent)?;
        }
        Some(Self { scale: self.scale.powi(exponent.into()), offset: 0.0, dimensions })
    }
}

/// Practical salinity is a number; files also spell it as a mass fraction or as no unit at all.
const SALINITY: &[&str] =
    &["pss-78", "pss78", "pss", "psu", "practical salinity unit", "practical salinity units"];
const SALINITY_AS_A_NUMBER: &[&str] =
    &["1e-3", "0.001", "1e-03", "1", "g kg-1", "g/kg", "g kg^-1", "g.kg-1", "dimensionless"];

/// The linear map `(scale, offset)` from one unit to another; `None` if the two are not known to
/// measure the same quantity. Equal spellings always convert, known or not.
///
/// Temperatures: 0 degC = 273.15 K (BIPM, The International System of Units, 9th edition); an offset
/// unit is taken to be a temperature, not a difference. Practical salinity (PSS-78) is taken from
/// files that call it `1`, `1e-3` or `g kg-1` as it is.
pub fn conversion(from: &str, to: &str) -> Option<(f64, f64)> {
    let (plain_from, plain_to) = (plain(from), plain(to));
    if plain_from == plain_to {
        return Some((1.0, 0.0));
    }
    let named = |unit: &str| SALINITY.contains(&unit);
    let salinity = |unit: &str| named(unit) || SALINITY_AS_A_NUMBER.contains(&unit);
    if named(&plain_from) || named(&plain_to) {
        return (salinity(&plain_from) && salinity(&plain_to)).then_some((1.0, 0.0));
    }
    // Some files write every letter large; case counts only where it leads to the right quantity.
    let readings = |given: &str, plain: &str| [parse::unit(given), parse::unit(plain)];
    readings(from, &plain_from).into_iter().flatten().find_map(|from| {
        readings(to, &plain_to).into_iter().flatten().find_map(|to| {
            let same = from.dimensions == to.dimensions;
            same.then(|| (from.scale / to.scale, (from.offset - to.offset) / to.scale))
        })
    })
}

/// In small letters, with single spaces.
fn plain(unit: &str) -> String {
    unit.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::conversion;

    #[test]
    fn converts_what_files_say() {
        assert_eq!(conversion("degree_Celsius", "degC"), Some((1.0, 0.0)));
        assert_eq!(conversion("kelvin", "degC"), Some((1.0, -273.15)));
        assert_eq!(conversion("degC", "K"), Some((1.0, 273.15)));
        assert_eq!(conversion("cm", "m"), Some((0.01, 0.0)));
        assert_eq!(conversion("cm/s", "m  s-1"), Some((0.01, 0.0)));
        assert_eq!(conversion("1e-3", "PSS-78"), Some((1.0, 0.0)));
        assert_eq!(conversion("knots", "m s-1"), Some((1852.0 / 3600.0, 0.0)));
        assert_eq!(conversion("Pa", "dbar"), Some((1e-4, 0.0)));
    }

    #[test]
    fn one_unit_has_many_spellings() {
        let spellings: [(&str, &[&str]); 10] = [
            ("degC", &["Deg C", "DEG_C", "degrees_Celsius", "° C", "°C", "Celsius", "C", "ºC"]),
            ("m s-1", &["m/s", "M/S", "m.s-1", "m.s^-1", "m s**-1", "meters per second", "m s⁻¹"]),
            ("%", &["percent", "PERCENT", "0.01", "1e-2"]),
            ("mm h-1", &["mm/hr", "mm hr-1", "mm/hour", "millimeter per hour"]),
            ("kg m-2", &["kg/m2", "kg m^-2", "kg.m-2", "Kg/m^2", "kg/m²"]),
            ("W m-2", &["W/m2", "watt m-2", "watts/meter^2", "J s-1 m-2", "kg s-3"]),
            ("Pa", &["pascal", "N m-2", "N/m^2", "kg m-1 s-2"]),
            ("umol kg-1", &["µmol/kg", "micromol kg-1", "umol.kg-1", "μmol kg-1"]),
            ("1", &["", "dimensionless", "kg kg-1", "m/m", "1.0", "100 %", "unitless", "none"]),
            ("mg m-3", &["mg/m^3", "milligram m-3", "mg m**-3", "ug l-1", "µg/L", "g m-3 1e-3"]),
        ];
        for (unit, others) in spellings {
            for other in others {
                let (scale, offset) = conversion(other, unit).unwrap_or((f64::NAN, f64::NAN));
                let same = (scale - 1.0).abs() < 1e-12 && offset == 0.0;
                assert!(same, "{other:?} as {unit:?}: {scale} {offset}");
            }
        }
    }

    #[test]
    fn scales_are_those_of_udunits() {
        // udunits2 -H <from> -W <to>
        let cases = [
            ("km h-1", "m s-1", 1.0 / 3.6, 0.0),
            ("degF", "degC", 5.0 / 9.0, -160.0 / 9.0),
            ("hPa", "Pa", 100.0, 0.0),
            ("mbar", "dbar", 0.01, 0.0),
            ("atm", "Pa", 101_325.0, 0.0),
            ("degC day-1", "K s-1", 1.0 / 86_400.0, 0.0),
            ("kg/m2/s", "kg m-2 day-1", 86_400.0, 0.0),
            ("m/s m", "m2 s-1", 1.0, 0.0),
            ("1e-3", "1", 0.001, 0.0),
            ("degrees", "radian", std::f64::consts::PI / 180.0, 0.0),
            ("(m/s)2", "m2 s-2", 1.0, 0.0),
            ("10 m", "m", 10.0, 0.0),
            ("nautical_mile", "km", 1.852, 0.0),
        ];
        for (from, to, scale, offset) in cases {
            let (s, o) = conversion(from, to).unwrap();
            assert!((s / scale - 1.0).abs() < 1e-12, "{from} to {to}: {s}");
            assert!((o - offset).abs() < 1e-9, "{from} to {to}: {o}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(conversion("furlong", "m"), None);
        assert_eq!(conversion("K", "m"), None);
        assert_eq!(conversion("furlong", "Furlong"), Some((1.0, 0.0)));
        assert_eq!(conversion("PSS-78", "m"), None);
        assert_eq!(conversion("degC", "PSS-78"), None);
        assert_eq!(conversion("degree", "1"), None);
        for broken in ["m s-", "m/", "(m", "m)", "m^^2", "m^1000", "m -1", "/", "m//s", "m^2^2^9"] {
            assert_eq!(conversion(broken, "m s-1"), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_unit_or_none(from in ".{0,40}", to in "[a-zA-Z0-9 ./^*()%µ-]{0,40}") {
            let there = conversion(&from, &to);
            let back = conversion(&to, &from);
            prop_assert_eq!(there.is_some(), back.is_some());
            if let (Some((scale, offset)), Some((inverse, shift))) = (there, back)
                && scale.is_normal() && inverse.is_normal() && offset == 0.0 && shift == 0.0
            {
                prop_assert!((scale * inverse - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn products_and_powers_multiply(a in -3i8..=3, b in -3i8..=3, c in -3i8..=3) {
            let spaced = format!("km{a} cm{b} hour{c}");
            let dotted = format!("km^{a}.cm^{b}.hour^{c}");
            let plain = format!("m{} s{c}", a + b);
            let due = 1e3f64.powi(a.into()) * 1e-2f64.powi(b.into()) * 3600f64.powi(c.into());
            for unit in [spaced, dotted] {
                let (scale, offset) = conversion(&unit, &plain).unwrap();
                prop_assert!((scale / due - 1.0).abs() < 1e-9 && offset == 0.0);
            }
        }
    }
}
