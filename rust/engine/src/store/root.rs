//! How users write the place of a dataset, and the one form the engine keeps of it.
//!
//! ```text
//!  data/ocean, file:///data/ocean                          /data/ocean
//!  https://host/my%20ocean/                                https://host/my ocean
//!  https://huggingface.co/datasets/ns/name/tree/main/x     hf://datasets/ns/name@main/x
//!  hf://datasets/ns/name                                   hf://datasets/ns/name@main
//!  s3://bucket/ocean/                                      s3://bucket/ocean
//! ```
//!
//! The kept form is plain text, so that names may be joined to it.

use std::path;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

use crate::error::{Error, Result};

/// The hub that `hf://` means unless told otherwise.
pub(super) const HUB: &str = "https://huggingface.co";
const HUB_HOSTS: [&str; 2] = ["huggingface.co", "hf.co"];
const SCHEMES: [&str; 9] = ["http", "https", "hf", "s3", "s3a", "gs", "az", "abfs", "abfss"];

/// What a path segment must not hold in a URL.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Whether an object is read over the network.
pub fn is_remote(object: &str) -> bool {
    object.contains("://")
}

/// The kept form of a root: an absolute path or an address, without a trailing slash.
pub fn normalise(root: &str) -> Result<String> {
    Ok(Root::parse(root)?.object)
}

/// A root and what its text says about the store.
#[derive(Debug, PartialEq)]
pub(super) struct Root {
    /// The kept form.
    pub(super) object: String,
    /// The hub that a `resolve` or `tree` address names, if not the default one.
    pub(super) endpoint: Option<String>,
}

impl Root {
    pub(super) fn parse(root: &str) -> Result<Self> {
        if root.is_empty() || root.contains('\0') {
            return Err(invalid(root, "is no path of a dataset"));
        }
        let Some((scheme, rest)) = root.split_once("://") else { return local(root) };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => local(&file_path(root, rest)?),
            "http" | "https" => web(root),
            "hf" => hub(root, rest).map(Self::plain),
            "s3" | "s3a" => bucket(root, "s3", rest).map(Self::plain),
            scheme @ ("gs" | "az" | "abfs" | "abfss") => {
                bucket(root, scheme, rest).map(Self::plain)
            }
            _ => Err(invalid(
                root,
                &format!("has an unknown scheme; known are paths, file, {}", SCHEMES.join(", ")),
            )),
        }
    }

    fn plain(object: String) -> Self {
        Self { object, endpoint: None }
    }
}

/// The text shown is cut before a query string: that may hold a signature.
fn invalid(root: &str, problem: &str) -> Error {
    let shown = root.split(['?', '#']).next().unwrap_or_default();
    let shown = match shown.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("{scheme}://{host}/{path}")
        }
        None => shown.to_owned(),
    };
    Error::invalid_input(format!("{:?} {problem}", shown.trim_end_matches('/')))
}

/// Locations outlive the working directory.
fn local(root: &str) -> Result<Root> {
    let absolute = path::absolute(root)
        .map_err(|e| invalid(root, &format!("is no path of a dataset: {e}")))?;
    let absolute = absolute.to_string_lossy();
    let trimmed = absolute.trim_end_matches('/');
    Ok(Root::plain(if trimmed.is_empty() { "/" } else { trimmed }.to_owned()))
}

fn file_path(root: &str, rest: &str) -> Result<String> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(invalid(root, "names another host; a file address is file:///path"));
    }
    decoded(root, path)
}

fn decoded(root: &str, text: &str) -> Result<String> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| invalid(root, "is not UTF-8 when percent-decoded"))?;
    if text.contains('\0') {
        return Err(invalid(root, "holds a zero byte"));
    }
    Ok(text.into_owned())
}

/// The segments of a path as plain text.
fn segments(root: &str, path: &str) -> Result<Vec<String>> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/')
        .map(|segment| {
            let segment = decoded(root, segment)?;
            match segment.as_str() {
                "" => Err(invalid(root, "has an empty path segment (//)")),
                "." | ".." => Err(invalid(root, "has a path segment `.` or `..`")),
                _ if segment.contains('/') => Err(invalid(root, "has %2F in its path")),
                _ => Ok(segment),
            }
        })
        .collect()
}

fn joined(base: &str, segments: &[String]) -> String {
    segments.iter().fold(base.to_owned(), |text, segment| format!("{text}/{segment}"))
}

fn web(root: &str) -> Result<Root> {
    // The address that the engine keeps is text, in which `?` and `#` are part of a name; here they
    // begin what a root cannot have.
    if root.contains(['?', '#']) {
        return Err(invalid(
            root,
            "has a query string or fragment: give the address of the dataset's folder; tokens go \
             into storage_options",
        ));
    }
    let url = Url::parse(root).map_err(|e| invalid(root, &format!("is no address: {e}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            root,
            "holds a user name or password: put an Authorization header into storage_options",
        ));
    }
    let origin = url.origin().ascii_serialization();
    // The library's parser resolves `..`; the text the user gave must not have any.
    let path = root.splitn(4, '/').nth(3).unwrap_or_default();
    if let Some(found) = hub_page(root, &url, &origin, path)? {
        return Ok(found);
    }
    Ok(Root::plain(joined(&origin, &segments(root, path)?)))
}

/// A page of a dataset on a hub: `[prefix/]datasets/ns/name[/(resolve|tree|blob|raw)/rev[/path]]`.
fn hub_page(root: &str, url: &Url, origin: &str, path: &str) -> Result<Option<Root>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let is_hub = url.host_str().is_some_and(|host| HUB_HOSTS.contains(&host));
    let Some(at) = parts.iter().position(|&part| part == "datasets") else { return Ok(None) };
    let (prefix, rest) = parts.split_at(at);
    let (namespace, name, revision, rest) = match rest {
        [_, namespace, name] if is_hub => (namespace, name, "main".to_owned(), &[][..]),
        [_, namespace, name, "resolve" | "tree" | "blob" | "raw", rest @ ..] => {
            let (revision, rest) = revision(root, rest)?;
            (namespace, name, revision, rest)
        }
        _ => return Ok(None),
    };
    let object = repository(root, namespace, name, &revision, &rest.join("/"))?;
    let endpoint = match prefix {
        [] => origin.to_owned(),
        _ => format!("{origin}/{}", prefix.join("/")),
    };
    Ok(Some(Root { object, endpoint: (!is_hub).then_some(endpoint) }))
}

/// A revision, as plain text, and what follows it. `refs/pr/1` and the like are taken whole.
fn revision<'a, 'b>(root: &str, parts: &'b [&'a str]) -> Result<(String, &'b [&'a str])> {
    let (revision, rest) = match parts {
        ["refs", kind @ ("convert" | "pr"), name, rest @ ..] => {
            (format!("refs/{kind}/{}", decoded(root, name)?), rest)
        }
        [revision, rest @ ..] => (decoded(root, revision)?, rest),
        [] => (String::new(), &[][..]),
    };
    if revision.is_empty() {
        return Err(invalid(root, "names no revision"));
    }
    Ok((revision, rest))
}

fn repository(
    root: &str,
    namespace: &str,
    name: &str,
    revision: &str,
    path: &str,
) -> Result<String> {
    for part in [namespace, name] {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if part.is_empty() || part.starts_with('.') || !part.chars().all(fine) {
            return Err(invalid(root, "is no dataset: expected hf://datasets/namespace/name"));
        }
    }
    if revision.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(invalid(root, "names no valid revision"));
    }
    // A revision's own slashes stay encoded, so that the kept form can be taken apart again.
    let revision = revision.replace('%', "%25").replace('/', "%2F");
    let base = format!("hf://datasets/{namespace}/{name}@{revision}");
    Ok(joined(&base, &segments(root, path)?))
}

fn hub(root: &str, rest: &str) -> Result<String> {
    let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    let ["datasets", namespace, name, rest @ ..] = parts.as_slice() else {
        return Err(invalid(root, "is no dataset: expected hf://datasets/namespace/name[@rev]"));
    };
    let (name, revision, rest) = match name.split_once('@') {
        None => (*name, "main".to_owned(), rest),
        Some((name, first)) => {
            let parts = [&[first], rest].concat();
            let (found, left) = revision(root, &parts)?;
            (name, found, &rest[rest.len() - left.len()..])
        }
    };
    // The rest of a kept form is plain text already; a `%` in it is a `%`.
    repository(root, namespace, name, &revision, &encoded(&rest.join("/")))
}

fn bucket(root: &str, scheme: &str, rest: &str) -> Result<String> {
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(invalid(root, "names no bucket"));
    }
    if bucket.contains(['?', '#', ':']) || (bucket.contains('@') && !scheme.starts_with("abfs")) {
        return Err(invalid(root, "names no valid bucket; keys go into storage_options"));
    }
    Ok(joined(&format!("{scheme}://{bucket}"), &segments(root, &encoded(path))?))
}

/// The path of a URL for a plain-text path.
pub(super) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Root, normalise};
    use crate::error::Kind;

    #[test]
    fn every_form_has_one_kept_form() {
        let cases = [
            ("/data/ocean/", "/data/ocean"),
            ("file:///data/my%20ocean", "/data/my ocean"),
            ("file://localhost/data", "/data"),
            ("http://host:8080/a%20b/c/", "http://host:8080/a b/c"),
            ("HTTPS://Host:443/x", "https://host/x"),
            ("https://host", "https://host"),
            ("hf://datasets/ns/name", "hf://datasets/ns/name@main"),
            ("hf://datasets/ns/name/", "hf://datasets/ns/name@main"),
            ("hf://datasets/ns/name@v1/sub/x", "hf://datasets/ns/name@v1/sub/x"),
            ("hf://datasets/ns/name@refs/pr/3/sub", "hf://datasets/ns/name@refs%2Fpr%2F3/sub"),
            ("hf://datasets/ns/name@a%2Fb", "hf://datasets/ns/name@a%2Fb"),
            ("https://huggingface.co/datasets/ns/name", "hf://datasets/ns/name@main"),
            ("https://huggingface.co/datasets/ns/n/tree/dev/a%20b", "hf://datasets/ns/n@dev/a b"),
            (
                "https://hf.co/datasets/ns/n/resolve/refs%2Fpr%2F1/",
                "hf://datasets/ns/n@refs%2Fpr%2F1",
            ),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("s3a://bucket", "s3://bucket"),
            ("gs://bucket/50%", "gs://bucket/50%"),
            ("az://container/x", "az://container/x"),
        ];
        for (given, kept) in cases {
            assert_eq!(normalise(given).unwrap(), kept, "{given}");
        }
    }

    #[test]
    fn pages_of_other_hubs_name_their_endpoint() {
        let root = Root::parse("http://127.0.0.1:8000/mirror/datasets/a/b/resolve/main/x").unwrap();
        assert_eq!(root.object, "hf://datasets/a/b@main/x");
        assert_eq!(root.endpoint.as_deref(), Some("http://127.0.0.1:8000/mirror"));
        // A folder of that name is no page.
        let root = Root::parse("http://host/datasets/a/b").unwrap();
        assert_eq!(root, Root::plain("http://host/datasets/a/b".into()));
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_telling_secrets() {
        for given in [
            "",
            "a\0b",
            "ftp://host/x",
            "file://other/x",
            "http://",
            "https://u:hunter2@host/x",
            "https://host/x?sig=hunter2",
            "https://host/a//b",
            "https://host/a/../b",
            "https://host/a%2Fb",
            "https://host/%00",
            "hf://ns/name",
            "hf://datasets/ns/name@",
            "hf://datasets/ns",
            "hf://datasets/ns/name/../x",
            "hf://datasets/ns/na me",
            "https://huggingface.co/datasets/ns/name/resolve/",
            "s3://",
            "s3://key:hunter2@b/x",
            "s3://b/../x",
        ] {
            let error = normalise(given).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidInput, "{given}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
