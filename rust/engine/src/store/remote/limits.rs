//! How long a server asks to be left alone: `Retry-After` and the `RateLimit` headers.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// A longer wait is taken for this one: a day, also the longest that an option can allow. Any number
/// may stand in a header, and sums with it must not overflow.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// The wait that the headers of a refusal ask for, the longest if they state several; at most
/// [`MAX_WAIT`].
pub(super) fn asked_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    [retry_after(headers, now), exhausted(headers)].into_iter().flatten().max()
}

/// A wait, for messages.
pub(super) fn in_words(wait: Duration) -> String {
    let or_more = if wait >= MAX_WAIT { " or more" } else { "" };
    format!("{} s{or_more}", wait.as_secs())
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Some(wait) = seconds(text) {
        return Some(wait);
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(MAX_WAIT))
}

/// A number of seconds: digits as the standard wants, or with a fraction as some servers write.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<f64>().ok().filter(|_| digits(whole) && digits(fraction))?;
    Some(Duration::from_secs_f64(number.min(MAX_WAIT.as_secs_f64())))
}

/// The time until a window with nothing left (`r=0`) begins anew (`t`), at most [`MAX_WAIT`]; a
/// refusal that states no remainder is taken for an empty window.
///
/// `RateLimit: "resolvers";r=0;t=123, "api";r=17;t=30`; older servers say `limit=…, reset=…`.
pub(super) fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get_all("ratelimit")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|window| {
            let number = |names: [&str; 2]| {
                window.split(';').find_map(|item| {
                    let (name, value) = item.trim().split_once('=')?;
                    names.contains(&name.trim()).then(|| seconds(value.trim()))?
                })
            };
            let left = number(["r", "remaining"])?;
            left.is_zero().then(|| number(["t", "reset"]))?
        })
        .max()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::asked_wait;

    fn wait(entries: &[(&'static str, &str)]) -> Option<u64> {
        let headers: HeaderMap = entries
            .iter()
            .map(|&(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        asked_wait(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_longest_wait_counts() {
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "7")]), Some(7));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), Some(30));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")]), Some(0));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        let hub = "\"resolvers\";r=0;t=123";
        assert_eq!(wait(&[("ratelimit", hub)]), Some(123));
        assert_eq!(wait(&[("ratelimit", hub), ("retry-after", "200")]), Some(200));
        assert_eq!(wait(&[("ratelimit", "\"resolvers\";r=5;t=123")]), None);
        assert_eq!(wait(&[("ratelimit", "\"api\";r=3;t=9, \"resolvers\";r=0;t=4")]), Some(4));
    }

    #[test]
    fn no_wait_is_longer_than_a_day() {
        let day = Some(86_400);
        for huge in ["86401", "18446744073709551615", "18446744073709551616", &"9".repeat(400)] {
            assert_eq!(wait(&[("retry-after", huge)]), day, "{huge}");
            assert_eq!(wait(&[("ratelimit", &format!("\"x\";r=0;t={huge}"))]), day, "{huge}");
        }
        assert_eq!(wait(&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")]), day);
        assert_eq!(wait(&[("retry-after", "1.5")]), Some(1));
        for wrong in ["-1", "+1", "1e3", "inf", "NaN", "0x10", "1.", ".5", "1 2", ""] {
            assert_eq!(wait(&[("retry-after", wrong)]), None, "{wrong}");
            let header = format!("\"x\";r=0;t={wrong}");
            assert_eq!(wait(&[("ratelimit", &header)]), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_header_asks_for_a_day_at_most(text in "[ -~]{0,60}", number in "[0-9.]{1,60}") {
            for text in [&text, &number, &format!("r=0;t={number}")] {
                let asked = wait(&[("retry-after", text), ("ratelimit", text)]);
                prop_assert!(asked.is_none_or(|wait| wait <= 86_400));
            }
        }
    }
}
