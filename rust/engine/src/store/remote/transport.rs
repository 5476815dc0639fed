//! The transport policy: one read is as many requests as it takes, within a budget of time.
//!
//! Each request passes the gate of its host. Redirects are followed here, one by one, because
//! credentials must stay with the server of the dataset and signed addresses are worth keeping.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, Url};
use tokio::time::{Instant, sleep, timeout};

use super::assembly::Assembly;
use super::failure::{Failure, Origin, Outcome, broken, refused, shown};
use super::gate::Permit;
use super::limits::{asked_wait, exhausted, in_words};
use super::process::Process;
use super::signed::Redirections;
use super::traffic::Meter;
use crate::error::{Error, Result};
use crate::events::{self, Kind};
use crate::store::{Extent, Policy};

/// Redirects of one request; a hub needs two.
const MOST_HOPS: usize = 5;
/// Longer bodies of refusals and redirects are not read to their end.
const MOST_DRAINED: u64 = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// To connect for credentials, which are close by or nowhere.
#[cfg(feature = "cloud")]
const ASIDE_TIME: Duration = Duration::from_secs(2);
/// New bytes that make a failed try count as the first again.
const PROGRESS: u64 = 256 << 10;

/// Reads byte ranges over HTTP.
#[derive(Debug)]
pub(super) struct Transport {
    pub(super) policy: Policy,
    pub(super) meter: Arc<Meter>,
    redirections: Redirections,
}

/// What is asked, of whom, with which credentials.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The address.
    pub(super) url: Url,
    /// Headers for this server alone; they are dropped when a redirect leaves it.
    pub(super) headers: HeaderMap,
    /// Whether the request is signed as it is: neither its range nor its address may change.
    pub(super) sealed: bool,
}

impl Target {
    /// The address as it may be told: without its query string.
    fn named(&self) -> String {
        self.named_at(&self.url)
    }

    /// The same for an address that a redirect led to, where even the path may be a secret.
    fn named_at(&self, url: &Url) -> String {
        let path = if same_server(url, &self.url) { url.path() } else { "/…" };
        format!("{}{path}", shown(url))
    }
}

/// What a read brought.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Bytes,
    pub(super) size: Option<u64>,
    /// Headers of the last answer, which clients of clouds look into.
    #[cfg_attr(not(feature = "cloud"), allow(dead_code))]
    pub(super) headers: HeaderMap,
    /// The commit that the dataset's own server says the file is of.
    pub(super) commit: Option<String>,
}

/// An answer that is no redirect, with the right to read it.
struct Open {
    response: Response,
    permit: Permit,
    url: Url,
}

/// Notes that all tries of one read share.
#[derive(Default)]
struct Notes {
    commit: Option<String>,
    headers: HeaderMap,
}

/// The time left for a read. Waits that a server asks for, or for a permit, do not count.
struct Budget {
    left: Duration,
}

impl Budget {
    /// Does `work` within the time left and `most`; `None` if it takes longer.
    async fn within<T>(&mut self, most: Duration, work: impl Future<Output = T>) -> Option<T> {
        let start = Instant::now();
        let done = timeout(most.min(self.left), work).await.ok();
        self.left = self.left.saturating_sub(start.elapsed());
        done
    }
}

impl Transport {
    pub(super) fn new(policy: Policy, meter: Arc<Meter>) -> Self {
        Self { policy, meter, redirections: Redirections::default() }
    }

    /// Reads an extent of an object.
    pub(super) async fn read(&self, target: &Target, extent: Extent) -> Result<Answer> {
        let mut assembly = Assembly::new(extent);
        let mut notes = Notes::default();
        let mut budget = Budget { left: self.policy.timeout };
        let (mut tries, mut renewed) = (0, false);
        while !assembly.complete() {
            let before = assembly.received();
            let failure = match self.try_once(target, &mut assembly, &mut notes, &mut budget).await
            {
                Ok(()) => continue,
                Err(failure) => failure,
            };
            let (error, asked) = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Expired(error) if renewed => return Err(error),
                Failure::Expired(error) => {
                    events::note(Kind::Retry, || {
                        format!("{}: asks again where it lies: {}", target.named(), error.message)
                    });
                    self.redirections.forget(&target.url);
                    self.meter.retry();
                    renewed = true;
                    continue;
                }
                Failure::Again(error, asked) => (error, asked),
            };
            tries = if assembly.received() >= before + PROGRESS { 1 } else { tries + 1 };
            self.pause(target, error, asked, tries, &mut budget).await?;
            if target.sealed {
                assembly.restart();
            }
        }
        let (bytes, size) = assembly.finish();
        Ok(Answer { bytes, size, headers: notes.headers, commit: notes.commit })
    }

    /// Sends one request that is no read, such as for credentials, and waits briefly.
    #[cfg(feature = "cloud")]
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(reqwest::StatusCode, HeaderMap, Bytes)> {
        let client = Process::current()?.client(ASIDE_TIME)?;
        let host = shown(&url);
        let work = async {
            let response = client.request(method, url).headers(headers).body(body).send().await?;
            Ok((response.status(), response.headers().clone(), response.bytes().await?))
        };
        self.meter.request();
        events::note(Kind::Request, || format!("asks {host} for credentials"));
        let failed = |why: String| {
            Error::io(format!(
                "no credentials from {host}: {why}; set the cloud's own variables, or \
                 storage_options={{\"anonymous\": True}} for public data"
            ))
        };
        match timeout(2 * ASIDE_TIME, work).await {
            Ok(answered) => {
                answered.map_err(|e: reqwest::Error| failed(e.without_url().to_string()))
            }
            Err(_) => Err(failed("no answer".into())),
        }
    }

    /// Waits before the next try; an error if there is none.
    async fn pause(
        &self,
        target: &Target,
        error: Error,
        asked: Option<Duration>,
        tries: u32,
        budget: &mut Budget,
    ) -> Result<()> {
        let gave_up = |why: String| {
            Err(Error::io(format!("gave up after {tries} tries ({why}): {}", error.message)))
        };
        if let Some(wait) = asked.filter(|&wait| wait > self.policy.rate_limit_wait) {
            return gave_up(format!("the server asks to wait {}", in_words(wait)));
        }
        if tries >= self.policy.tries {
            return gave_up("all that are allowed".into());
        }
        let again = |wait: Duration| {
            events::note(Kind::Retry, || {
                let (name, wait, next) = (target.named(), wait.as_secs_f64(), tries + 1);
                format!("{name}: try {next} after {wait:.3} s: {}", error.message)
            });
        };
        // A wait that the server asked for is the gate's, and everyone's.
        if let Some(wait) = asked {
            again(wait);
        } else {
            let longest = self.policy.backoff * 2u32.saturating_pow(tries - 1);
            let longest = longest.min(self.policy.backoff_max);
            let wait = longest.mul_f64(0.5 + 0.5 * fastrand::f64());
            again(wait);
            budget.within(wait * 2, sleep(wait)).await;
        }
        if budget.left.is_zero() {
            return gave_up(format!("more than {} s", self.policy.timeout.as_secs_f64()));
        }
        self.meter.retry();
        Ok(())
    }

    /// One request with its redirects; its answer's bytes go into `assembly`.
    async fn try_once(
        &self,
        target: &Target,
        assembly: &mut Assembly,
        notes: &mut Notes,
        budget: &mut Budget,
    ) -> Outcome<()> {
        let Some(open) = self.follow(target, assembly, notes, budget).await? else {
            return Ok(());
        };
        let gathered = self.gather(open.response, &open.url, assembly, notes, budget);
        let outcome = gathered.await;
        match &outcome {
            Ok(()) => open.permit.succeeded(),
            Err(Failure::Again(..)) => open.permit.failed(),
            Err(_) => {}
        }
        outcome
    }

    /// Sends the request and follows redirects; nothing is left to read if a redirect told enough.
    async fn follow(
        &self,
        target: &Target,
        assembly: &mut Assembly,
        notes: &mut Notes,
        budget: &mut Budget,
    ) -> Outcome<Option<Open>> {
        let mut url = target.url.clone();
        let mut origin = Origin::Given;
        if let Some(known) = self.redirections.get(&url).filter(|_| !target.sealed) {
            (url, origin) = (known, Origin::Remembered);
        }
        let mut seen = Vec::new();
        loop {
            let range = assembly.range_header();
            let (response, permit) = self.send(target, &url, range, budget).await?;
            if same_server(&url, &target.url)
                && let Some(commit) = response.headers().get("x-repo-commit")
            {
                notes.commit = commit.to_str().ok().map(str::to_owned);
            }
            if !response.status().is_redirection() {
                let checked = self.check_status(&response, &url, origin, &permit);
                if let Err(failure) = checked {
                    drain(response, budget).await;
                    return Err(failure);
                }
                return Ok(Some(Open { response, permit, url }));
            }
            let next = next_hop(&response, &url)?;
            seen.push(url);
            if target.sealed {
                return Err(Failure::Final(moved(&response, &next)));
            }
            if seen.len() > MOST_HOPS || seen.contains(&next) {
                return Err(Failure::Final(Error::io(format!(
                    "{} redirects in a circle, or more than {MOST_HOPS} times",
                    shown(&target.url)
                ))));
            }
            permit.succeeded();
            self.redirections.put(&target.url, &next);
            if let Some(size) = linked_size(&response).filter(|_| assembly.only_size()) {
                assembly.learn_size(size);
                return Ok(None);
            }
            drain(response, budget).await;
            (url, origin) = (next, Origin::Redirect);
        }
    }

    /// Sends one request, when the host's gate lets it pass.
    async fn send(
        &self,
        target: &Target,
        url: &Url,
        range: Option<String>,
        budget: &mut Budget,
    ) -> Outcome<(Response, Permit)> {
        let process = Process::current().map_err(Failure::Final)?;
        let gate = process.gate(&shown(url));
        let closed = gate.closed_for();
        if closed > self.policy.rate_limit_wait {
            return Err(Failure::Final(Error::io(format!(
                "{} asked to wait another {}",
                shown(url),
                in_words(closed)
            ))));
        }
        let permit = gate.enter(self.policy.concurrency).await;
        let client = process.client(self.policy.connect_timeout).map_err(Failure::Final)?;
        let asked_for = range.clone();
        let mut request = client.request(Method::GET, url.clone());
        if same_server(url, &target.url) {
            request = request.headers(target.headers.clone());
        }
        if !target.sealed {
            request = request.header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
        }
        self.meter.request();
        let most = self.policy.connect_timeout + self.policy.read_timeout;
        let start = Instant::now();
        let noted = |outcome: &str| {
            events::note(Kind::Request, || {
                let (name, seconds) = (target.named_at(url), start.elapsed().as_secs_f64());
                let range = asked_for.as_deref().unwrap_or("all bytes");
                format!("GET {name} {range}: {outcome} after {seconds:.3} s")
            });
        };
        let failure = match budget.within(most, request.send()).await {
            Some(Ok(response)) => {
                noted(response.status().as_str());
                return Ok((response, permit));
            }
            Some(Err(error)) => broken(error, url),
            None => Failure::again(format!("{} did not answer in time", shown(url))),
        };
        noted("no answer");
        permit.failed();
        Err(failure)
    }

    /// Lets answers with content pass; heeds what the server asks for.
    fn check_status(
        &self,
        response: &Response,
        url: &Url,
        origin: Origin,
        permit: &Permit,
    ) -> Outcome<()> {
        let (status, headers) = (response.status(), response.headers());
        if status.is_success() {
            if let Some(wait) = exhausted(headers) {
                close(permit, wait.min(self.policy.rate_limit_wait), url);
            }
            return Ok(());
        }
        if status.as_u16() == 416 {
            return Ok(());
        }
        let wait = match status.as_u16() {
            429 | 503 => asked_wait(headers, SystemTime::now()),
            _ => None,
        };
        if let Some(wait) = wait {
            close(permit, wait, url);
        }
        let failure = refused(status, headers, url, origin, wait);
        if matches!(failure, Failure::Again(..)) {
            permit.failed();
        }
        Err(failure)
    }

    /// Reads an answer's body into `assembly`.
    async fn gather(
        &self,
        mut response: Response,
        url: &Url,
        assembly: &mut Assembly,
        notes: &mut Notes,
        budget: &mut Budget,
    ) -> Outcome<()> {
        let plan = assembly.accept(response.status(), response.headers())?;
        notes.headers = response.headers().clone();
        assembly.reserve(plan.end);
        let mut skip = plan.skip;
        loop {
            let piece = match budget.within(self.policy.read_timeout, response.chunk()).await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Err(broken(error, url)),
                None => {
                    return Err(Failure::again(format!("{} stopped sending", shown(url))));
                }
            };
            let Some(piece) = piece else { break };
            self.meter.received(piece.len());
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            skip -= skipped as u64;
            let rest = piece.get(skipped..).unwrap_or_default();
            if assembly.take(rest, plan.end)? && plan.surplus {
                return Ok(());
            }
        }
        if plan.end.is_some_and(|end| end > assembly.reached()) {
            return Err(Failure::again(format!("{} sent less than it announced", shown(url))));
        }
        assembly.ended();
        Ok(())
    }
}

/// Leaves a host alone for so long.
fn close(permit: &Permit, wait: Duration, url: &Url) {
    if !wait.is_zero() {
        events::note(Kind::Wait, || {
            format!("{} asks to be left alone for {:.3} s", shown(url), wait.as_secs_f64())
        });
    }
    permit.gate().close_for(wait);
}

/// Reads the short body of an answer that is not wanted, so that the connection can be used again.
async fn drain(mut response: Response, budget: &mut Budget) {
    let short = response.content_length().is_some_and(|length| length <= MOST_DRAINED);
    let work = async { while short && matches!(response.chunk().await, Ok(Some(_))) {} };
    budget.within(DRAIN_TIME, work).await;
}

/// Same scheme, host and port.
fn same_server(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

fn next_hop(response: &Response, url: &Url) -> Outcome<Url> {
    let wrong = |why: &str| Failure::Final(Error::io(format!("{} {why}", shown(url))));
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| wrong("redirects without saying where to"))?;
    let next = url.join(location).map_err(|_| wrong("redirects to what is no address"))?;
    if !matches!(next.scheme(), "http" | "https") {
        return Err(wrong("redirects to another protocol"));
    }
    if url.scheme() == "https" && next.scheme() == "http" {
        return Err(wrong("redirects from https to http; refused"));
    }
    Ok(next)
}

/// The size that a hub tells with a redirect.
fn linked_size(response: &Response) -> Option<u64> {
    response.headers().get("x-linked-size")?.to_str().ok()?.parse().ok()
}

/// A signed request cannot be sent elsewhere.
fn moved(response: &Response, next: &Url) -> Error {
    let region = response.headers().get("x-amz-bucket-region").and_then(|v| v.to_str().ok());
    match region {
        Some(region) => Error::invalid_input(format!(
            "the bucket lies in another region: pass storage_options={{\"region\": {region:?}}}"
        )),
        None => Error::io(format!("the request was redirected to {}", shown(next))),
    }
}

/// An `Authorization` header that logs do not show.
pub(super) fn bearer(token: &str) -> Result<HeaderMap> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Error::invalid_input("the token holds characters that no token has"))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}
