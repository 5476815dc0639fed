//! Units of measure, as far as ocean files need them.
//!
//! Spellings follow UDUNITS and what data centres really write. A conversion is linear:
//! `target = value * scale + offset`.

/// Kinds of quantity, each with its spellings and their linear map to the first spelling's unit.
/// Kelvin: 0 degC = 273.15 K (BIPM, The International System of Units, 9th edition).
const FAMILIES: &[&[(&[&str], f64, f64)]] = &[
    &[
        (
            &[
                "degc",
                "degree_celsius",
                "degrees_celsius",
                "degree_c",
                "degrees_c",
                "deg_c",
                "celsius",
                "c",
                "°c",
            ],
            1.0,
            0.0,
        ),
        (&["k", "kelvin", "degk", "degree_kelvin", "degrees_kelvin", "deg_k"], 1.0, -273.15),
    ],
    &[
        (&["m", "meter", "metre", "meters", "metres"], 1.0, 0.0),
        (&["dm", "decimeter", "decimetre"], 0.1, 0.0),
        (&["cm", "centimeter", "centimetre", "centimeters", "centimetres"], 0.01, 0.0),
        (&["mm", "millimeter", "millimetre", "millimeters", "millimetres"], 0.001, 0.0),
    ],
    &[
        (
            &["m s-1", "m/s", "m s^-1", "m s**-1", "m.s-1", "meter second-1", "meters/second"],
            1.0,
            0.0,
        ),
        (&["cm s-1", "cm/s", "cm s^-1", "cm s**-1", "cm.s-1"], 0.01, 0.0),
        // 1 knot = 1852 m / 3600 s.
        (&["knot", "knots", "kn", "kt"], 1852.0 / 3600.0, 0.0),
    ],
    // Practical salinity is a number; 1e-3 and g kg-1 are how files spell it.
    &[(
        &[
            "pss-78",
            "pss",
            "psu",
            "1e-3",
            "0.001",
            "1",
            "g kg-1",
            "g/kg",
            "practical salinity unit",
            "dimensionless",
        ],
        1.0,
        0.0,
    )],
    &[
        (&["dbar", "decibar", "decibars"], 1.0, 0.0),
        (&["pa", "pascal"], 1e-4, 0.0),
        (&["hpa", "mbar", "millibar"], 1e-2, 0.0),
        (&["bar"], 10.0, 0.0),
    ],
];

/// The linear map `(scale, offset)` from one unit to another; `None` if the two are not known to
/// measure the same quantity. Equal spellings always convert, known or not.
pub fn conversion(from: &str, to: &str) -> Option<(f64, f64)> {
    let (from, to) = (normalise(from), normalise(to));
    if from == to {
        return Some((1.0, 0.0));
    }
    FAMILIES.iter().find_map(|family| {
        let find = |unit: &str| family.iter().find(|(names, ..)| names.contains(&unit));
        let (&(_, s1, o1), &(_, s2, o2)) = (find(&from)?, find(&to)?);
        Some((s1 / s2, (o1 - o2) / s2))
    })
}

fn normalise(unit: &str) -> String {
    unit.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::conversion;

    #[test]
    fn converts_what_files_say() {
        assert_eq!(conversion("degree_Celsius", "degC"), Some((1.0, 0.0)));
        assert_eq!(conversion("kelvin", "degC"), Some((1.0, -273.15)));
        assert_eq!(conversion("degC", "K"), Some((1.0, 273.15)));
        assert_eq!(conversion("cm", "m"), Some((0.01, 0.0)));
        assert_eq!(conversion("cm/s", "m  s-1"), Some((0.01, 0.0)));
        assert_eq!(conversion("1e-3", "PSS-78"), Some((1.0, 0.0)));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert_eq!(conversion("furlong", "m"), None);
        assert_eq!(conversion("K", "m"), None);
        assert_eq!(conversion("furlong", "Furlong"), Some((1.0, 0.0)));
    }
}
