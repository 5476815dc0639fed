//! What went wrong with one request, and what the answer's status means.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

use crate::error::Error;

/// Why a request brought nothing, or not all.
#[derive(Debug)]
pub(super) enum Failure {
    /// Trying again will not help.
    Final(Error),
    /// A signed address is no longer accepted: ask for a new one.
    Expired(Error),
    /// Trying again may help, after the wait that the server asked for, if it did.
    Again(Error, Option<Duration>),
}

/// What one request brought.
pub(super) type Outcome<T> = std::result::Result<T, Failure>;

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is the object's own.
    Given,
    /// A redirect has just led to it.
    Redirect,
    /// An earlier redirect led to it; it may have expired or moved on.
    Remembered,
}

impl Failure {
    pub(super) fn again(message: String) -> Self {
        Self::Again(Error::io(message), None)
    }
}

/// A server's name as it may be shown.
pub(super) fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A failure of the connection.
pub(super) fn broken(error: reqwest::Error, url: &Url) -> Failure {
    let mut causes = Vec::new();
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    let cause = causes.pop().unwrap_or_else(|| error.to_string());
    let what = if error.is_connect() { "cannot connect to" } else { "the connection broke with" };
    Failure::again(format!("{what} {}: {cause}", shown(url)))
}

/// The failure that a status of 400 or more stands for; `wait` is what the server asked for.
pub(super) fn refused(
    status: StatusCode,
    headers: &HeaderMap,
    url: &Url,
    origin: Origin,
    wait: Option<Duration>,
) -> Failure {
    let answer = format!("{} answered {}", shown(url), status.as_u16());
    let code = headers.get("x-error-code").and_then(|value| value.to_str().ok()).unwrap_or("");
    match (status.as_u16(), origin) {
        (429, _) => Failure::Again(Error::io(format!("{answer}: too many requests")), wait),
        (408 | 425 | 500 | 502..=504 | 520..=529, _) => Failure::Again(Error::io(answer), wait),
        (400 | 401 | 403 | 404 | 410, Origin::Remembered) => {
            Failure::Expired(meaning(status, &answer, code))
        }
        (401 | 403, Origin::Redirect) => Failure::Expired(Error::access_denied(format!(
            "{answer} to the address that it was redirected to, also after asking anew"
        ))),
        _ => Failure::Final(meaning(status, &answer, code)),
    }
}

/// What to do about a refusal that stands.
fn meaning(status: StatusCode, answer: &str, code: &str) -> Error {
    match (status.as_u16(), code) {
        (401 | 403, "GatedRepo") => Error::access_denied(format!(
            "{answer}: the dataset is gated; accept its terms on its page, and set HF_TOKEN or \
             storage_options={{\"token\": …}}"
        )),
        (401 | 403, _) => Error::access_denied(format!(
            "{answer}: no access, or no such dataset; if it is private, set HF_TOKEN or \
             storage_options={{\"token\": …}}"
        )),
        (404, "RepoNotFound") => Error::not_found(format!(
            "{answer}: no such dataset; check its name or, if it is private, set HF_TOKEN"
        )),
        (404, "RevisionNotFound") => {
            Error::not_found(format!("{answer}: the dataset has no such revision"))
        }
        (404 | 410, _) => Error::not_found(format!("{answer}: no such file")),
        _ => Error::io(answer.to_owned()),
    }
}
