//! Where a resolver has sent us, reused until the address expires: a resolver counts its requests.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lru::LruCache;
use reqwest::Url;

const MOST: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();
/// A new address is asked for this long before the old one expires: clocks differ.
const MARGIN: Duration = Duration::from_secs(60);
/// How long an address is reused that does not say when it expires.
const UNSTATED: Duration = Duration::from_secs(300);

/// Addresses by the one that led to them.
#[derive(Debug)]
pub(super) struct Redirections {
    known: Mutex<LruCache<Url, (Url, SystemTime)>>,
}

impl Default for Redirections {
    fn default() -> Self {
        Self { known: Mutex::new(LruCache::new(MOST)) }
    }
}

impl Redirections {
    /// The address to go to directly, if one is known that is still valid.
    pub(super) fn get(&self, from: &Url) -> Option<Url> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (to, until) = known.get(from)?;
        if *until > SystemTime::now() {
            return Some(to.clone());
        }
        known.pop(from);
        None
    }

    pub(super) fn put(&self, from: &Url, to: &Url) {
        let now = SystemTime::now();
        let until = match expiry(to) {
            Some(at) => at.checked_sub(MARGIN),
            None => now.checked_add(UNSTATED),
        };
        if let Some(until) = until.filter(|&until| until > now) {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.put(from.clone(), (to.clone(), until));
        }
    }

    pub(super) fn forget(&self, from: &Url) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).pop(from);
    }
}

/// When a signed address expires, by the parameters of S3, Google's and CloudFront's signatures.
fn expiry(url: &Url) -> Option<SystemTime> {
    let parameter = |name: &str| {
        url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let seconds = |text: &str| text.parse::<u32>().ok().map(|s| Duration::from_secs(s.into()));
    for (date, lifetime) in [("X-Amz-Date", "X-Amz-Expires"), ("X-Goog-Date", "X-Goog-Expires")] {
        if let (Some(date), Some(lifetime)) = (parameter(date), parameter(lifetime)) {
            return basic_date(&date)?.checked_add(seconds(&lifetime)?);
        }
    }
    SystemTime::UNIX_EPOCH.checked_add(seconds(&parameter("Expires")?)?)
}

/// A time written `20261122T134411Z`.
fn basic_date(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let sound =
        (1..=12).contains(&month) && (1..=31).contains(&day) && (1970..=9999).contains(&year);
    if !sound || text.len() != 16 || !text.ends_with('Z') {
        return None;
    }
    // Days since 1970-01-01, by counting years from March on.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let total = days * 86_400 + hour * 3600 + minute * 60 + second;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(total).ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use reqwest::Url;

    use super::{Redirections, basic_date, expiry};

    fn at(text: &str) -> Option<u64> {
        let url = Url::parse(&format!("https://cdn/x?{text}")).unwrap();
        expiry(&url).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn every_signature_states_its_end() {
        assert_eq!(at("X-Amz-Date=20261122T134411Z&X-Amz-Expires=3600"), Some(1_795_358_651));
        assert_eq!(at("X-Goog-Date=20000301T000000Z&X-Goog-Expires=1"), Some(951_868_801));
        assert_eq!(at("Expires=1795358651&Signature=x"), Some(1_795_358_651));
        assert_eq!(at("X-Amz-Date=2026&X-Amz-Expires=3600"), None);
        assert_eq!(at("a=b"), None);
    }

    #[test]
    fn an_address_is_reused_until_it_nearly_expires() {
        let known = Redirections::default();
        let from = Url::parse("https://hub/x").unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let to = |expires: u64| Url::parse(&format!("https://cdn/x?Expires={expires}")).unwrap();
        known.put(&from, &to(now + 30));
        assert_eq!(known.get(&from), None);
        known.put(&from, &to(now + 90));
        assert_eq!(known.get(&from), Some(to(now + 90)));
        known.forget(&from);
        assert_eq!(known.get(&from), None);
        let plain = Url::parse("https://cdn/y").unwrap();
        known.put(&from, &plain);
        assert_eq!(known.get(&from), Some(plain));
    }

    proptest! {
        #[test]
        fn dates_agree_with_the_http_dates(seconds in 0u64..4_102_444_800, text in "\\PC{0,20}") {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            // Sun, 06 Nov 1994 08:49:37 GMT
            let http = httpdate::fmt_http_date(at);
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
                          "Nov", "Dec"];
            let month = 1 + months.iter().position(|m| *m == &http[8..11]).unwrap();
            let basic = format!("{}{month:02}{}T{}Z", &http[12..16], &http[5..7],
                                http[17..25].replace(':', ""));
            prop_assert_eq!(basic_date(&basic), Some(at));
            let _ = basic_date(&text);
        }
    }
}
