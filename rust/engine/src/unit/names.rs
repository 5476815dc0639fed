//! Names and symbols of units, and their prefixes.

use std::f64::consts::PI;

use super::{Dimensions, Unit};

const NONE: Dimensions = [0; 8];
const LENGTH: Dimensions = [1, 0, 0, 0, 0, 0, 0, 0];
const MASS: Dimensions = [0, 1, 0, 0, 0, 0, 0, 0];
const TIME: Dimensions = [0, 0, 1, 0, 0, 0, 0, 0];
const TEMPERATURE: Dimensions = [0, 0, 0, 1, 0, 0, 0, 0];
const AMOUNT: Dimensions = [0, 0, 0, 0, 1, 0, 0, 0];
const CURRENT: Dimensions = [0, 0, 0, 0, 0, 1, 0, 0];
const LIGHT: Dimensions = [0, 0, 0, 0, 0, 0, 1, 0];
const ANGLE: Dimensions = [0, 0, 0, 0, 0, 0, 0, 1];

/// A unit, how it is written, and in terms of the base units.
struct Named {
    /// Whole words, in small letters, singular.
    words: &'static [&'static str],
    /// Symbols, in which case counts.
    symbols: &'static [&'static str],
    scale: f64,
    dimensions: Dimensions,
}

const fn named(
    words: &'static [&'static str],
    symbols: &'static [&'static str],
    scale: f64,
    dimensions: Dimensions,
) -> Named {
    Named { words, symbols, scale, dimensions }
}

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// The tropical year of UDUNITS, in days.
const YEAR: f64 = 365.242_198_781;

const UNITS: &[Named] = &[
    named(&["meter", "metre"], &["m"], 1.0, LENGTH),
    named(&["nautical_mile"], &["nmi", "nmile"], 1852.0, LENGTH),
    named(&["gram", "gramme"], &["g", "gr"], 1e-3, MASS),
    named(&["tonne"], &["t"], 1e3, MASS),
    named(&["second", "sec"], &["s"], 1.0, TIME),
    named(&["minute"], &["min"], 60.0, TIME),
    named(&["hour"], &["h", "hr"], 3600.0, TIME),
    named(&["day"], &["d"], DAY, TIME),
    named(&["week"], &[], 7.0 * DAY, TIME),
    named(&["month"], &[], YEAR / 12.0 * DAY, TIME),
    named(&["year"], &["yr"], YEAR * DAY, TIME),
    named(&["kelvin"], &["K", "degK", "deg_K", "degree_K"], 1.0, TEMPERATURE),
    named(&["mole"], &["mol"], 1.0, AMOUNT),
    named(&["ampere", "amp"], &["A"], 1.0, CURRENT),
    named(&["candela"], &["cd"], 1.0, LIGHT),
    named(&["radian"], &["rad"], 1.0, ANGLE),
    named(&["degree", "arc_degree"], &["deg", "°", "º"], PI / 180.0, ANGLE),
    named(&["percent"], &["%"], 0.01, NONE),
    named(&["permil"], &["‰"], 1e-3, NONE),
    named(&["ppm", "ppmv"], &[], 1e-6, NONE),
    named(&["ppb", "ppbv"], &[], 1e-9, NONE),
    named(&["liter", "litre"], &["l", "L"], 1e-3, [3, 0, 0, 0, 0, 0, 0, 0]),
    named(&["hertz"], &["Hz"], 1.0, [0, 0, -1, 0, 0, 0, 0, 0]),
    named(&["newton"], &["N"], 1.0, [1, 1, -2, 0, 0, 0, 0, 0]),
    named(&["pascal"], &["Pa"], 1.0, [-1, 1, -2, 0, 0, 0, 0, 0]),
    named(&["bar"], &["bar"], 1e5, [-1, 1, -2, 0, 0, 0, 0, 0]),
    named(&["atmosphere"], &["atm"], 101_325.0, [-1, 1, -2, 0, 0, 0, 0, 0]),
    named(&["joule"], &["J"], 1.0, [2, 1, -2, 0, 0, 0, 0, 0]),
    named(&["watt"], &["W"], 1.0, [2, 1, -3, 0, 0, 0, 0, 0]),
    named(&["volt"], &["V"], 1.0, [2, 1, -3, 0, 0, -1, 0, 0]),
    named(&["siemens"], &["S"], 1.0, [-2, -1, 3, 0, 0, 2, 0, 0]),
    // 1 knot = 1852 m / 3600 s.
    named(&["knot"], &["kn", "kt", "kts"], 1852.0 / 3600.0, [1, 0, -1, 0, 0, 0, 0, 0]),
];

/// Symbol, word and factor.
const PREFIXES: &[(&str, &str, f64)] = &[
    ("da", "deca", 1e1),
    ("h", "hecto", 1e2),
    ("k", "kilo", 1e3),
    ("M", "mega", 1e6),
    ("G", "giga", 1e9),
    ("T", "tera", 1e12),
    ("P", "peta", 1e15),
    ("E", "exa", 1e18),
    ("d", "deci", 1e-1),
    ("c", "centi", 1e-2),
    ("m", "milli", 1e-3),
    // The micro sign, the Greek letter, and what keyboards have.
    ("µ", "micro", 1e-6),
    ("μ", "micro", 1e-6),
    ("u", "micro", 1e-6),
    ("n", "nano", 1e-9),
    ("p", "pico", 1e-12),
    ("f", "femto", 1e-15),
];

const CELSIUS: Unit = Unit { scale: 1.0, offset: 273.15, dimensions: TEMPERATURE };
const FAHRENHEIT: Unit =
    Unit { scale: 5.0 / 9.0, offset: 459.67 * 5.0 / 9.0, dimensions: TEMPERATURE };

/// Units that are known as a whole, with underscores for spaces.
const PHRASES: &[(&[&str], Unit)] = &[
    (
        &[
            "c",
            "degc",
            "deg_c",
            "degree_c",
            "degrees_c",
            "degs_c",
            "celsius",
            "deg_celsius",
            "degree_celsius",
            "degrees_celsius",
            "degreec",
            "degreesc",
            "°c",
            "°_c",
            "ºc",
            "º_c",
            "deg._c",
            "centigrade",
        ],
        CELSIUS,
    ),
    (&["degf", "deg_f", "degree_f", "degrees_f", "fahrenheit", "degree_fahrenheit"], FAHRENHEIT),
    (
        &[
            "degrees_kelvin",
            "degree_kelvin",
            "deg_kelvin",
            "degrees_k",
            "degree_k",
            "deg_k",
            "degk",
            "kelvins",
        ],
        Unit { scale: 1.0, offset: 0.0, dimensions: TEMPERATURE },
    ),
    (
        &[
            "",
            "1",
            "dimensionless",
            "unitless",
            "none",
            "no_unit",
            "nondim",
            "non-dimensional",
            "fraction",
            "count",
        ],
        Unit::ONE,
    ),
    (
        &[
            "degrees_north",
            "degree_north",
            "degrees_n",
            "degrees_east",
            "degree_east",
            "degrees_e",
            "degrees_true",
            "degree_true",
        ],
        Unit { scale: PI / 180.0, offset: 0.0, dimensions: ANGLE },
    ),
];

/// A unit that a whole text stands for.
pub(super) fn phrase(text: &str) -> Option<Unit> {
    let text = text.split_whitespace().collect::<Vec<_>>().join("_").to_lowercase();
    PHRASES.iter().find(|(spellings, _)| spellings.contains(&&*text)).map(|(_, unit)| *unit)
}

/// A unit within a product: a word in any case, or a symbol, with a prefix or without.
pub(super) fn name(text: &str) -> Option<Unit> {
    let word = text.to_lowercase();
    let of = |factor: f64, unit: &Named| Unit {
        scale: factor * unit.scale,
        offset: 0.0,
        dimensions: unit.dimensions,
    };
    let plain = UNITS.iter().find(|unit| unit.symbols.contains(&text) || is_word(unit, &word));
    if let Some(unit) = plain {
        return Some(of(1.0, unit));
    }
    let prefixed = PREFIXES.iter().find_map(|(symbol, long, factor)| {
        let by_symbol = text
            .strip_prefix(symbol)
            .and_then(|rest| UNITS.iter().find(|unit| unit.symbols.contains(&rest)));
        let by_word = word.strip_prefix(long).and_then(|rest| {
            // micromol, millibar: a long prefix goes before symbols, too.
            UNITS.iter().find(|unit| is_word(unit, rest) || unit.symbols.contains(&rest))
        });
        by_symbol.or(by_word).map(|unit| of(*factor, unit))
    });
    // Of a temperature only the size of the degree is left in a product.
    prefixed.or_else(|| phrase(text).filter(|unit| unit.offset != 0.0))
}

fn is_word(unit: &Named, word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    unit.words.contains(&word) || unit.words.contains(&singular)
}
