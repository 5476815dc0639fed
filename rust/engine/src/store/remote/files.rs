//! [`ByteSource`] of remote objects.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::task::JoinSet;

use super::assembly::strong_etag;
use super::hub::{Hub, HubFile, commit_of};
use super::jobs::{Job, Need, cut, plan, prepare};
use super::process::Process;
use super::traffic::{Meter, Traffic};
use super::transport::{Answer, Target, Transport, bearer};
use crate::error::{Error, Result};
use crate::events::{self, Kind};
use crate::store::root::encoded;
use crate::store::{ByteSource, Extent, Fetched, Location, StorageOptions, Want};

/// Objects remembered.
const MOST_KNOWN: NonZeroUsize = NonZeroUsize::new(200_000).unwrap();
/// The hub's answer about a revision; it lists all files of the dataset.
const MAX_REVISION: u64 = 64 << 20;

/// Remote objects. Reads of one call go over the network together.
pub(in crate::store) struct RemoteFiles {
    shared: Arc<Shared>,
    meter: Arc<Meter>,
}

/// What the tasks of all reads use.
struct Shared {
    transport: Arc<Transport>,
    hub: Hub,
    #[cfg(feature = "cloud")]
    clouds: super::cloud::Clouds,
    /// For the dataset's own server alone: the token, and what else the user wants it to get.
    headers: Result<HeaderMap>,
    offline: bool,
    /// What answers told of objects; one of which they tell otherwise later is no longer the same.
    known: Mutex<LruCache<Arc<str>, ObjectState>>,
}

/// What tells the states of an object apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ObjectState {
    size: u64,
    /// Its strong ETag, if the server gives one.
    tag: Option<String>,
    told_by: Teller,
}

/// Who says what is known of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Teller {
    /// Its server.
    Answer,
    /// An earlier process, which may be wrong.
    Index,
    /// Whoever wants this state and no other.
    Listing,
}

impl RemoteFiles {
    pub(in crate::store) fn new(options: &StorageOptions) -> Self {
        let meter = Arc::new(Meter::default());
        let transport = Arc::new(Transport::new(options.policy, meter.clone()));
        let shared = Arc::new(Shared {
            hub: Hub::new(options.endpoint.as_deref()),
            #[cfg(feature = "cloud")]
            clouds: super::cloud::Clouds::new(options, transport.clone()),
            transport,
            headers: own_headers(options),
            offline: options.offline,
            known: Mutex::new(LruCache::new(MOST_KNOWN)),
        });
        Self { shared, meter }
    }

    pub(in crate::store) fn traffic(&self) -> Traffic {
        self.meter.snapshot()
    }

    /// Does jobs together; a result for each.
    fn run(&self, jobs: &[Job]) -> Result<Vec<Result<Fetched>>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        if self.shared.offline {
            return Err(Error::io(
                "offline (HF_HUB_OFFLINE, or storage_options={\"offline\": True}), and these bytes \
                 are not on this machine",
            ));
        }
        let shared = self.shared.clone();
        let wanted: Vec<(Arc<str>, Extent)> =
            jobs.iter().map(|job| (job.object.clone(), job.extent.clone())).collect();
        Process::current()?.wait_for(async move {
            let mut tasks = JoinSet::new();
            let count = wanted.len();
            for (i, (object, extent)) in wanted.into_iter().enumerate() {
                let shared = shared.clone();
                tasks.spawn(async move { (i, shared.read(&object, extent).await) });
            }
            let mut done: Vec<Option<Result<Fetched>>> = (0..count).map(|_| None).collect();
            while let Some(joined) = tasks.join_next().await {
                if let Ok((i, result)) = joined
                    && let Some(slot) = done.get_mut(i)
                {
                    *slot = Some(result);
                }
            }
            let lost = || Err(Error::internal("a download panicked; please report this"));
            done.into_iter().map(|result| result.unwrap_or_else(lost)).collect()
        })
    }

    /// What is known of an object.
    fn known(&self, object: &str) -> Option<ObjectState> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).get(object).cloned()
    }
}

impl ByteSource for RemoteFiles {
    fn read(&self, location: &Location, range: Range<u64>) -> Result<Bytes> {
        let want = Want { location: location.clone(), extent: Extent::Range(range) };
        Ok(self.fetch_one(&want)?.bytes)
    }

    fn size(&self, location: &Location) -> Result<u64> {
        let want = Want { location: location.clone(), extent: Extent::Size };
        let size = self.fetch_one(&want)?.size;
        size.ok_or_else(|| Error::internal("a store told no size").asset(location))
    }

    fn fetch_one(&self, want: &Want) -> Result<Fetched> {
        let none = || Err(Error::internal("a store gave no result"));
        self.fetch(std::slice::from_ref(want)).pop().unwrap_or_else(none)
    }

    fn fetch(&self, wants: &[Want]) -> Vec<Result<Fetched>> {
        let mut results: Vec<Option<Result<Fetched>>> = Vec::with_capacity(wants.len());
        let mut open = Vec::new();
        for (i, want) in wants.iter().enumerate() {
            results.push(match prepare(want, |object| Some(self.known(object)?.size)) {
                Ok(Need::Nothing(part)) => Some(Ok(part)),
                Ok(Need::Ask(extent)) => {
                    open.push((i, want.location.object.clone(), extent));
                    None
                }
                Err(error) => Some(Err(error)),
            });
        }
        let jobs = plan(open, self.shared.transport.policy.coalesce_gap);
        let answers =
            self.run(&jobs).unwrap_or_else(|e| jobs.iter().map(|_| Err(e.clone())).collect());
        for (job, answer) in jobs.iter().zip(answers) {
            for (i, within) in &job.serves {
                let part = answer.clone().map(|part| cut(part, within.as_ref(), &wants[*i]));
                results[*i] = Some(part);
            }
        }
        let lost = || Err(Error::internal("a store gave no result"));
        wants
            .iter()
            .zip(results)
            .map(|(want, result)| result.unwrap_or_else(lost).map_err(|e| e.asset(&want.location)))
            .collect()
    }

    fn version(&self, location: &Location) -> Result<Option<String>> {
        if HubFile::parse(&location.object).is_some_and(|file| !file.moves()) {
            // The commit is part of the name.
            return Ok(Some(String::new()));
        }
        if self.known(&location.object).is_none() && !self.shared.offline {
            self.size(&Location::whole(location.object.clone()))?;
        }
        Ok(self.known(&location.object).and_then(|known| known.tag))
    }

    fn assume(&self, location: &Location, size: u64, version: Option<&str>) {
        if location.slice.is_none() {
            let tag = version.filter(|tag| !tag.is_empty()).map(str::to_owned);
            let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
            let assumed = || ObjectState { size, tag, told_by: Teller::Index };
            known.get_or_insert(location.object.clone(), assumed);
        }
    }

    fn insist(&self, location: &Location, size: u64, version: &str) {
        let tag = Some(version).filter(|tag| !tag.is_empty()).map(str::to_owned);
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(location.object.clone(), ObjectState { size, tag, told_by: Teller::Listing });
    }

    fn pinned(&self, object: &str) -> Result<String> {
        let Some(file) = HubFile::parse(object).filter(HubFile::moves) else {
            return Ok(object.to_owned());
        };
        if !self.shared.hub.pinned(&file).moves() {
            return Ok(self.shared.hub.pinned_object(object));
        }
        // Reads bring the commit along; a hub that does not say it there is asked for it.
        let shared = self.shared.clone();
        let asked =
            Process::current()?.wait_for(async move { shared.ask_for_commit(&file).await })?;
        match asked {
            Ok(()) => Ok(self.shared.hub.pinned_object(object)),
            // A mirror of the files alone: the branch is read as it is.
            Err(error) if error.kind == crate::error::Kind::NotFound => Ok(object.to_owned()),
            Err(error) => Err(error.asset(object)),
        }
    }
}

/// The headers that only the dataset's own server may see.
fn own_headers(options: &StorageOptions) -> Result<HeaderMap> {
    let mut headers = match &options.token {
        Some(token) if !options.anonymous => bearer(token.reveal())?,
        _ => HeaderMap::new(),
    };
    let wrong = || Error::invalid_input("storage_options[\"headers\"] holds no valid header");
    for (name, value) in &options.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

impl Shared {
    /// Reads an extent of an object.
    async fn read(&self, object: &Arc<str>, extent: Extent) -> Result<Fetched> {
        let answer = if let Some(file) = HubFile::parse(object) {
            self.read_hub(&file, extent).await?
        } else if object.starts_with("http://") || object.starts_with("https://") {
            self.transport.read(&self.target(web_address(object)?)?, extent).await?
        } else {
            self.read_cloud(object, extent).await?
        };
        self.compare(object, answer.size, strong_etag(&answer.headers))?;
        Ok(Fetched { bytes: answer.bytes, size: answer.size })
    }

    /// A request to the dataset's own server.
    fn target(&self, url: Url) -> Result<Target> {
        Ok(Target { url, headers: self.headers.clone()?, sealed: false })
    }

    /// Reads a file of a hub; the first answer pins the branch, and all others are of that commit.
    async fn read_hub(&self, file: &HubFile, extent: Extent) -> Result<Answer> {
        let asked = self.hub.pinned(file);
        let answer =
            self.transport.read(&self.target(self.hub.url(&asked)?)?, extent.clone()).await?;
        let Some(commit) = answer.commit.as_ref().filter(|_| asked.moves()) else {
            return Ok(answer);
        };
        if self.hub.pin(file, commit) == *commit {
            return Ok(answer);
        }
        // The branch moved on between two answers.
        let asked = self.hub.pinned(file);
        self.transport.read(&self.target(self.hub.url(&asked)?)?, extent).await
    }

    async fn ask_for_commit(&self, file: &HubFile) -> Result<()> {
        let target = self.target(self.hub.revision_url(file)?)?;
        let answer = self.transport.read(&target, Extent::Whole(MAX_REVISION)).await?;
        self.hub.pin(file, &commit_of(&answer.bytes)?);
        Ok(())
    }

    #[cfg(feature = "cloud")]
    async fn read_cloud(&self, object: &str, extent: Extent) -> Result<Answer> {
        self.clouds.read(object, extent).await
    }

    #[cfg(not(feature = "cloud"))]
    async fn read_cloud(&self, object: &str, _: Extent) -> Result<Answer> {
        let scheme = object.split("://").next().unwrap_or_default();
        Err(Error::unsupported(format!("this build cannot read {scheme}:// datasets")))
    }

    /// Remembers an object's size and ETag; different ones later are an error. What an index told is
    /// then forgotten.
    fn compare(&self, object: &Arc<str>, size: Option<u64>, tag: Option<&str>) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = known.get_mut(object) else {
            if let Some(size) = size {
                let tag = tag.map(str::to_owned);
                events::note(Kind::Open, || format!("opened {object} ({size} bytes)"));
                let told_by = Teller::Answer;
                known.put(object.clone(), ObjectState { size, tag, told_by });
            }
            return Ok(());
        };
        let resized = size.is_some_and(|size| size != before.size);
        let retagged = matches!((&before.tag, tag), (Some(a), Some(b)) if a != b);
        if resized || retagged {
            return Err(match before.told_by {
                Teller::Index => {
                    known.pop(object);
                    Error::corrupt("the file is not the one that the index describes")
                }
                Teller::Listing => Error::corrupt(
                    "the file has changed since it was listed; list it anew with `oceanarrow \
                     catalog --update`, or write_catalog(..., update=True)",
                ),
                Teller::Answer => {
                    let found =
                        size.map_or_else(|| "is another".to_owned(), |n| format!("has {n} bytes"));
                    Error::io(format!(
                        "the file had {} bytes and now {found}: it was replaced on the server; \
                         open the dataset again",
                        before.size
                    ))
                }
            });
        }
        before.told_by = Teller::Answer;
        before.tag = before.tag.take().or_else(|| tag.map(str::to_owned));
        Ok(())
    }
}

/// The address of a plain-text object of a web server.
fn web_address(object: &str) -> Result<Url> {
    let (scheme, rest) = object.split_once("://").unwrap_or(("", object));
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Url::parse(&format!("{scheme}://{host}/{}", encoded(path)))
        .map_err(|e| Error::invalid_input(format!("no valid address: {e}")))
}
