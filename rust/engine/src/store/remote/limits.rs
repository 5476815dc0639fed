//! How long a server asks to be left alone: `Retry-After` and the `RateLimit` headers.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// The wait that the headers of a refusal ask for, the longest if they state several.
pub(super) fn asked_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    [retry_after(headers, now), exhausted(headers)].into_iter().flatten().max()
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The time until a window with nothing left (`r=0`) begins anew (`t`); a refusal that states no
/// remainder is taken for an empty window.
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
                    names.contains(&name.trim()).then(|| value.trim().parse::<u64>().ok())?
                })
            };
            let left = number(["r", "remaining"])?;
            (left == 0).then(|| number(["t", "reset"]))?
        })
        .max()
        .map(Duration::from_secs)
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

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic(text in "[ -~]{0,60}") {
            wait(&[("retry-after", &text), ("ratelimit", &text)]);
        }
    }
}
