//! `storage_options`: how remote stores are reached.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::root::Root;
use super::secret::Secret;
use crate::error::{Error, Result};

/// Options of remote stores. They travel with a plan, secrets included, and show none of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StorageOptions {
    /// Address of an S3-compatible service, or of a Hugging Face hub.
    pub endpoint: Option<String>,
    /// Region of an S3 bucket.
    pub region: Option<String>,
    /// Azure storage account.
    pub account: Option<String>,
    /// Whether requests carry no credentials at all.
    pub anonymous: bool,
    /// Whether no request may be sent.
    pub offline: bool,
    /// Bearer token of a Hugging Face hub or a web server.
    pub(super) token: Option<Secret>,
    /// Further headers for the server of the dataset itself.
    pub(super) headers: Vec<(String, Secret)>,
    /// `access_key_id`, `secret_access_key` and `session_token` of S3.
    pub(super) s3_keys: [Option<Secret>; 3],
    /// The transport policy.
    pub policy: Policy,
}

/// How patient and how busy the transport is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Requests to one host at a time, at most; fewer while it pushes back.
    pub concurrency: usize,
    /// Requests for one read that may fail, the last one included.
    pub tries: u32,
    /// To connect.
    pub connect_timeout: Duration,
    /// Between two pieces of an answer.
    pub read_timeout: Duration,
    /// For one read, with its repeated tries, without waits that the server asks for.
    pub timeout: Duration,
    /// The longest wait that a server may ask for.
    pub rate_limit_wait: Duration,
    /// Wait before the second try; it doubles with each.
    pub backoff: Duration,
    /// Longest wait between tries.
    pub backoff_max: Duration,
    /// Ranges of one object no further apart than this many bytes are read as one.
    pub coalesce_gap: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            concurrency: 32,
            tries: 6,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            timeout: Duration::from_secs(120),
            // A hub counts in windows of 300 s.
            rate_limit_wait: Duration::from_secs(330),
            backoff: Duration::from_millis(500),
            backoff_max: Duration::from_secs(8),
            coalesce_gap: 16 << 10,
        }
    }
}

const KEYS: [&str; 19] = [
    "access_key_id",
    "account",
    "anonymous",
    "backoff",
    "backoff_max",
    "coalesce_gap",
    "concurrency",
    "connect_timeout",
    "endpoint",
    "headers",
    "offline",
    "rate_limit_wait",
    "read_timeout",
    "region",
    "secret_access_key",
    "session_token",
    "timeout",
    "token",
    "tries",
];

/// The longest time that makes sense; more would overflow sums of times.
const MAX_SECONDS: f64 = 86_400.0;

impl StorageOptions {
    /// Options out of a JSON object; a message names the key that is wrong, never its value.
    pub fn from_json(json: &str) -> Result<Self> {
        let wrong = || Error::invalid_input("storage_options must be a mapping of names to values");
        let Value::Object(entries) = serde_json::from_str(json).map_err(|_| wrong())? else {
            return Err(wrong());
        };
        let mut options = Self::default();
        for (key, value) in &entries {
            if !value.is_null() {
                options.set(&GivenOption { key, value })?;
            }
        }
        Ok(options)
    }

    fn set(&mut self, entry: &GivenOption<'_>) -> Result<()> {
        let policy = &mut self.policy;
        match entry.key {
            "endpoint" => self.endpoint = Some(entry.address()?),
            "region" => self.region = Some(entry.text()?.to_owned()),
            "account" => self.account = Some(entry.text()?.to_owned()),
            "anonymous" => self.anonymous = entry.boolean()?,
            "offline" => self.offline = entry.boolean()?,
            "token" => self.token = Some(Secret::new(entry.text()?.trim())),
            "headers" => self.headers = entry.headers()?,
            "access_key_id" => self.s3_keys[0] = Some(Secret::new(entry.text()?)),
            "secret_access_key" => self.s3_keys[1] = Some(Secret::new(entry.text()?)),
            "session_token" => self.s3_keys[2] = Some(Secret::new(entry.text()?)),
            "concurrency" => policy.concurrency = entry.count(1, 1024)? as usize,
            "tries" => policy.tries = entry.count(1, 1000)? as u32,
            "coalesce_gap" => policy.coalesce_gap = entry.count(0, 1 << 30)?,
            "connect_timeout" => policy.connect_timeout = entry.seconds()?,
            "read_timeout" => policy.read_timeout = entry.seconds()?,
            "timeout" => policy.timeout = entry.seconds()?,
            "rate_limit_wait" => policy.rate_limit_wait = entry.seconds()?,
            "backoff" => policy.backoff = entry.seconds()?,
            "backoff_max" => policy.backoff_max = entry.seconds()?,
            unknown => {
                return Err(Error::invalid_input(format!(
                    "storage_options has no {unknown:?}; known are {}",
                    KEYS.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Takes over what the roots and the environment say and the caller does not, so that worker
    /// processes need neither.
    pub fn resolve(mut self, roots: &[String]) -> Result<Self> {
        let mut hub = false;
        for root in roots {
            let root = Root::parse(root)?;
            hub |= root.object.starts_with("hf://");
            if let Some(endpoint) = root.endpoint {
                if self.endpoint.as_ref().is_some_and(|known| *known != endpoint) {
                    return Err(Error::invalid_input(format!(
                        "the dataset lies at {endpoint}, which is not the endpoint given"
                    )));
                }
                self.endpoint = Some(endpoint);
            }
        }
        if hub {
            super::remote::hub::resolve_environment(&mut self)?;
        }
        Ok(self)
    }
}

/// One option as the caller gave it.
struct GivenOption<'a> {
    key: &'a str,
    value: &'a Value,
}

impl GivenOption<'_> {
    fn wrong(&self, expected: &str) -> Error {
        Error::invalid_input(format!("storage_options[{:?}] must be {expected}", self.key))
    }

    fn text(&self) -> Result<&str> {
        match self.value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => Err(self.wrong("a text that is not empty")),
        }
    }

    fn address(&self) -> Result<String> {
        let wrong = || self.wrong("an address like https://host[:port][/prefix]");
        let text = self.text()?.trim().trim_end_matches('/');
        let url = reqwest::Url::parse(text).map_err(|_| wrong())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(wrong());
        }
        Ok(text.to_owned())
    }

    fn boolean(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("True or False"))
    }

    fn count(&self, least: u64, most: u64) -> Result<u64> {
        let expected = || self.wrong(&format!("a whole number from {least} to {most}"));
        self.value.as_u64().filter(|n| (least..=most).contains(n)).ok_or_else(expected)
    }

    fn seconds(&self) -> Result<Duration> {
        match self.value.as_f64() {
            Some(seconds) if seconds > 0.0 && seconds <= MAX_SECONDS => {
                Ok(Duration::from_secs_f64(seconds))
            }
            _ => Err(self.wrong(&format!("seconds: more than 0, at most {MAX_SECONDS}"))),
        }
    }

    fn headers(&self) -> Result<Vec<(String, Secret)>> {
        let wrong = || self.wrong("a mapping of header names to texts");
        let entries = self.value.as_object().ok_or_else(wrong)?;
        entries
            .iter()
            .map(|(name, value)| {
                let value = value.as_str().ok_or_else(wrong)?;
                reqwest::header::HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
                reqwest::header::HeaderValue::from_str(value).map_err(|_| wrong())?;
                Ok((name.clone(), Secret::new(value)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::StorageOptions;

    #[test]
    fn options_are_checked_by_name_and_never_shown() {
        let json = r#"{"token": "hunter2", "headers": {"X-Key": "hunter2"}, "timeout": 2.5,
                       "secret_access_key": "hunter2", "concurrency": 3, "region": null}"#;
        let options = StorageOptions::from_json(json).unwrap();
        assert_eq!(options.policy.timeout, Duration::from_millis(2500));
        assert_eq!(options.policy.concurrency, 3);
        assert_eq!(options.token.as_ref().unwrap().reveal(), "hunter2");
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        for (json, named) in [
            ("[]", "mapping"),
            (r#"{"tokn": "hunter2"}"#, "known are access_key_id, account"),
            (r#"{"token": ["hunter2"]}"#, "\"token\""),
            (r#"{"headers": "hunter2"}"#, "\"headers\""),
            (r#"{"headers": {"A": "hunter2\n"}}"#, "\"headers\""),
            (r#"{"endpoint": "https://u:hunter2@h"}"#, "\"endpoint\""),
            (r#"{"timeout": 0}"#, "\"timeout\""),
            (r#"{"tries": 1.5}"#, "\"tries\""),
            (r#"{"anonymous": "yes"}"#, "\"anonymous\""),
        ] {
            let message = StorageOptions::from_json(json).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
