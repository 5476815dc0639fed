//! A Hugging Face hub: addresses of a dataset's files, the token, and which commit a branch is at.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use reqwest::Url;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::store::StorageOptions;
use crate::store::root::{HUB, encoded};
use crate::store::secret::Secret;

/// A file of a dataset on a hub, out of `hf://datasets/ns/name@rev/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HubFile {
    /// `ns/name`.
    repository: String,
    /// The revision, percent-encoded.
    revision: String,
    /// The path, plain.
    path: String,
}

impl HubFile {
    /// Takes a kept form apart; `None` if it is none.
    pub(super) fn parse(object: &str) -> Option<Self> {
        let rest = object.strip_prefix("hf://datasets/")?;
        let (repository, rest) = rest.split_once('@')?;
        let (revision, path) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self { repository: repository.into(), revision: revision.into(), path: path.into() })
    }

    /// Whether the revision can move on: it is no commit's full name.
    pub(super) fn moves(&self) -> bool {
        self.revision.len() != 40 || !self.revision.bytes().all(|b| b.is_ascii_hexdigit())
    }

    fn object(&self) -> String {
        let slash = if self.path.is_empty() { "" } else { "/" };
        format!("hf://datasets/{}@{}{slash}{}", self.repository, self.revision, self.path)
    }
}

/// A hub, and the commits that branches were at when they were first read.
#[derive(Debug)]
pub(super) struct Hub {
    endpoint: String,
    /// By repository and revision.
    pins: Mutex<HashMap<(String, String), String>>,
}

/// The part of the hub's answer about a revision that is used.
#[derive(Deserialize)]
struct Revision {
    sha: String,
}

impl Hub {
    pub(super) fn new(endpoint: Option<&str>) -> Self {
        Self { endpoint: endpoint.unwrap_or(HUB).to_owned(), pins: Mutex::default() }
    }

    /// The file at the commit that its branch is pinned to, if it is.
    pub(super) fn pinned(&self, file: &HubFile) -> HubFile {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (file.repository.clone(), file.revision.clone());
        match pins.get(&key) {
            Some(commit) => HubFile { revision: commit.clone(), ..file.clone() },
            None => file.clone(),
        }
    }

    /// Pins a branch to a commit, unless it is pinned; returns what it is pinned to.
    pub(super) fn pin(&self, file: &HubFile, commit: &str) -> String {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (file.repository.clone(), file.revision.clone());
        pins.entry(key).or_insert_with(|| commit.to_owned()).clone()
    }

    /// The kept form of a file with its branch's commit.
    pub(super) fn pinned_object(&self, object: &str) -> String {
        HubFile::parse(object).map_or(object.to_owned(), |file| self.pinned(&file).object())
    }

    /// Where a file's bytes are asked for.
    pub(super) fn url(&self, file: &HubFile) -> Result<Url> {
        let HubFile { repository, revision, path } = file;
        let path = encoded(path);
        self.address(&format!("datasets/{repository}/resolve/{revision}/{path}"))
    }

    /// Where a branch's commit is asked for.
    pub(super) fn revision_url(&self, file: &HubFile) -> Result<Url> {
        let HubFile { repository, revision, .. } = file;
        self.address(&format!("api/datasets/{repository}/revision/{revision}"))
    }

    fn address(&self, path: &str) -> Result<Url> {
        Url::parse(&format!("{}/{path}", self.endpoint))
            .map_err(|e| Error::invalid_input(format!("the hub's endpoint is no address: {e}")))
    }
}

/// The commit in the hub's answer about a revision.
pub(super) fn commit_of(json: &[u8]) -> Result<String> {
    serde_json::from_slice::<Revision>(json)
        .map(|revision| revision.sha)
        .map_err(|_| Error::io("the hub's answer about the dataset's revision is not understood"))
}

/// Fills in what the environment says of the hub: HF_ENDPOINT, the token, HF_HUB_OFFLINE.
pub(in crate::store) fn resolve_environment(options: &mut StorageOptions) -> Result<()> {
    let own = variable("HF_ENDPOINT").map(|text| text.trim_end_matches('/').to_owned());
    let endpoint = options.endpoint.clone().or_else(|| own.clone()).unwrap_or(HUB.into());
    options.offline |= switch("HF_HUB_OFFLINE");
    // The user's token is for the hub that the environment names, not for whatever an address does.
    let trusted = endpoint == HUB || own.as_deref() == Some(&endpoint);
    if options.token.is_none() && !options.anonymous && trusted && is_private(&endpoint) {
        options.token = implicit_token();
    }
    options.endpoint = Some(endpoint);
    Ok(())
}

/// Whether a token sent there cannot be overheard.
fn is_private(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| {
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || loopback
    })
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn switch(name: &str) -> bool {
    variable(name).is_some_and(|text| {
        matches!(text.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
    })
}

/// The token that the hub's own tools would use.
fn implicit_token() -> Option<Secret> {
    if switch("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return None;
    }
    let stored = || {
        let path = variable("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| {
            let home = variable("HF_HOME").map(PathBuf::from).or_else(|| {
                let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
                let cache = cache.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")));
                Some(cache?.join("huggingface"))
            });
            Some(home?.join("token"))
        })?;
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    variable("HF_TOKEN")
        .or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
        .or_else(stored)
        .map(Secret::new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Hub, HubFile, commit_of};

    #[test]
    fn a_branch_is_pinned_once() {
        let hub = Hub::new(Some("http://127.0.0.1:1/mirror"));
        let file = HubFile::parse("hf://datasets/a/b@refs%2Fpr%2F1/x y/50%.nc").unwrap();
        assert!(file.moves());
        assert_eq!(
            hub.url(&file).unwrap().as_str(),
            "http://127.0.0.1:1/mirror/datasets/a/b/resolve/refs%2Fpr%2F1/x%20y/50%25.nc"
        );
        let (first, second) = ("0".repeat(40), "1".repeat(40));
        assert_eq!(hub.pin(&file, &first), first);
        assert_eq!(hub.pin(&file, &second), first);
        assert!(!hub.pinned(&file).moves());
        let kept = hub.pinned_object("hf://datasets/a/b@refs%2Fpr%2F1");
        assert_eq!(kept, format!("hf://datasets/a/b@{first}"));
        assert_eq!(hub.pinned_object("hf://datasets/a/b@main/x"), "hf://datasets/a/b@main/x");
    }

    #[test]
    fn the_commit_is_read_from_the_hubs_answer() {
        assert_eq!(commit_of(br#"{"id": "a/b", "sha": "abc"}"#).unwrap(), "abc");
        assert!(commit_of(b"<html>").is_err());
    }
}
