//! Rules for the names a dataset may use: dates, regions, files and parts become path segments.

use crate::calendar::civil_day;

/// What marks a row that only fills a gap in the writer's regular tree.
const PADDING: &str = "__TACOPAD__";

/// The longest path a file may have, in bytes.
const MAX_PATH: usize = 1_024;

/// Whether the row of this id only fills a gap.
pub(super) fn is_padding(id: &str) -> bool {
    id.starts_with(PADDING)
}

/// What is wrong with a name used as one path segment, if anything is.
pub(super) fn segment_problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name == "." || name == ".." {
        Some("is a relative path segment")
    } else if name.len() > MAX_PATH {
        Some("is longer than 1024 bytes")
    } else if name.contains(['/', '\\', ':']) {
        Some("contains a separator (one of / \\ :)")
    } else if name.chars().any(char::is_control) {
        Some("contains a control character")
    } else {
        None
    }
}

/// What is wrong with the id of a region or file, if anything is.
pub(super) fn id_problem(id: &str) -> Option<&'static str> {
    if id.starts_with("__") {
        return Some("begins with __, which is reserved");
    }
    segment_problem(id)
}

/// What is wrong with a path below `DATA/` that is not the one its ids give.
pub(super) fn path_problem(path: &str) -> &'static str {
    if path.is_empty() {
        "is empty"
    } else if path.len() > MAX_PATH {
        "is longer than 1024 bytes"
    } else if path.starts_with('/') {
        "is absolute"
    } else if path.contains('\\') || path.contains(':') {
        "contains a backslash or a colon"
    } else if path.chars().any(char::is_control) {
        "contains a control character"
    } else if path.split('/').any(|segment| segment == "." || segment == "..") {
        "leaves its folder (. or .. segment)"
    } else if path.contains("//") {
        "contains an empty segment"
    } else {
        "is not the path its ids give"
    }
}

/// The day of a date id, `YYYY_MM_DD`.
pub(super) fn day_of_id(id: &str) -> Option<i32> {
    civil_date(id, '_')
}

/// The UTC day of `YYYY-MM-DD[T| ]HH:MM:SS[.f][Z|+hh:mm|-hh:mm]`, or of a bare date.
pub(super) fn day_of_time(text: &str) -> Option<i32> {
    let date = text.get(..10)?;
    let day = civil_date(date, '-')?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return Some(day);
    }
    let time = rest.strip_prefix(['T', ' '])?;
    let (clock, offset_minutes) = match time.find(['Z', '+', '-']) {
        None => (time, 0),
        Some(at) => (time.get(..at)?, utc_offset(time.get(at..)?)?),
    };
    let minutes = minutes_of_clock(clock)? - offset_minutes;
    day.checked_add(minutes.div_euclid(1_440))
}

fn civil_date(text: &str, separator: char) -> Option<i32> {
    let mut parts = text.split(separator);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    civil_day(i32::try_from(digits(year, 4)?).ok()?, digits(month, 2)?, digits(day, 2)?)
}

/// The number of exactly `count` ASCII digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

fn utc_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None => rest.split_at_checked(2)?,
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then(|| sign * (hours * 60 + minutes) as i32)
}

fn minutes_of_clock(clock: &str) -> Option<i32> {
    let mut parts = clock.split(':');
    let hours = digits(parts.next()?, 2)?;
    let minutes = digits(parts.next()?, 2)?;
    if let Some(seconds) = parts.next() {
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
        if digits(whole, 2)? > 60 || digits(fraction, fraction.len()).is_none() {
            return None;
        }
    }
    (hours < 24 && minutes < 60 && parts.next().is_none()).then_some((hours * 60 + minutes) as i32)
}

#[cfg(test)]
mod tests {
    use super::{day_of_id, day_of_time, id_problem, path_problem, segment_problem};

    #[test]
    fn date_ids_are_strict() {
        assert_eq!(day_of_id("2023_04_01"), Some(19_448));
        for bad in ["2023-04-01", "2023_4_1", "2023_02_30", "2023_04_01_", "+023_04_01", "", "x"] {
            assert_eq!(day_of_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_fall_on_their_utc_day() {
        for text in [
            "2023-04-01",
            "2023-04-01T00:00:00+00:00",
            "2023-04-01 23:59:59.999999Z",
            "2023-04-02T00:30:00+01:00",
            "2023-03-31T23:30:00-0100",
            "2023-04-01T12:00",
        ] {
            assert_eq!(day_of_time(text), Some(19_448), "{text}");
        }
        for bad in ["", "yesterday", "2023-04-01T", "2023-04-01T25:00:00", "2023-04-01T00:00:00é"]
        {
            assert_eq!(day_of_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_that_are_not_one_plain_segment_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "c:", "a\0", "a\nb", &"x".repeat(1_025)] {
            assert!(segment_problem(bad).is_some(), "{bad}");
        }
        assert!(id_problem("__meta__").is_some());
        assert!(id_problem("glorys.nc").is_none());
        assert!(segment_problem("it's 100% #1?.tacozip").is_none());
    }

    #[test]
    fn each_bad_path_says_why() {
        assert_eq!(path_problem("../../etc/passwd"), "leaves its folder (. or .. segment)");
        assert_eq!(path_problem("/etc/passwd"), "is absolute");
        assert_eq!(path_problem("a//b"), "contains an empty segment");
        assert_eq!(path_problem("C:/x"), "contains a backslash or a colon");
    }
}
