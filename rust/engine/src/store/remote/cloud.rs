//! The object stores of clouds. `object_store` finds credentials and signs requests; each request
//! then goes through our own transport, so that one policy holds for every server.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, RetryConfig};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, StatusCode, Url};

use super::jobs::outside;
use super::transport::{Answer, Target, Transport};
use crate::error::{Error, Result};
use crate::store::{Extent, StorageOptions};

/// Where machines of a cloud get their credentials; elsewhere nobody answers.
const CREDENTIAL_HOSTS: [&str; 4] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal"];

/// Stores by `scheme://bucket`, made at their first use.
pub(super) struct Clouds {
    options: StorageOptions,
    connector: Connector,
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Clouds {
    pub(super) fn new(options: &StorageOptions, transport: Arc<Transport>) -> Self {
        let connector = Connector { transport };
        Self { options: options.clone(), connector, stores: Mutex::default() }
    }

    /// Reads an extent of an object.
    pub(super) async fn read(&self, object: &str, extent: Extent) -> Result<Answer> {
        let (scheme, rest) = object.split_once("://").unwrap_or(("", object));
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = Path::parse(path)
            .map_err(|_| Error::invalid_input("the name holds characters that no key may have"))?;
        let store = self.store(scheme, bucket)?;
        let range = match &extent {
            Extent::Range(range) => Some(GetRange::Bounded(range.clone())),
            Extent::Start(most) => Some(GetRange::Bounded(0..*most)),
            Extent::Size => Some(GetRange::Bounded(0..1)),
            Extent::Whole(_) => None,
        };
        let options = GetOptions { range, ..GetOptions::default() };
        let got = store.get_opts(&path, options).await.map_err(|e| explain(&e))?;
        let size = got.meta.size;
        match extent {
            Extent::Whole(limit) if size > limit => {
                let message = format!("has {size} bytes; at most {limit} are read");
                return Err(Error::invalid_dataset(message));
            }
            Extent::Range(range) if range.end > size => {
                return Err(outside(&range, Some(size)));
            }
            _ => {}
        }
        let bytes = got.bytes().await.map_err(|e| explain(&e))?;
        let bytes = if matches!(extent, Extent::Size) { bytes.slice(0..0) } else { bytes };
        Ok(Answer { bytes, size: Some(size), headers: HeaderMap::new(), commit: None })
    }

    fn store(&self, scheme: &str, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{scheme}://{bucket}");
        if let Some(store) = stores.get(&key) {
            return Ok(store.clone());
        }
        let store = self.make(scheme, bucket)?;
        stores.insert(key, store.clone());
        Ok(store)
    }

    fn make(&self, scheme: &str, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
        match scheme {
            #[cfg(feature = "s3")]
            "s3" => self.s3(bucket),
            #[cfg(feature = "gcs")]
            "gs" => self.gcs(bucket),
            #[cfg(feature = "azure")]
            "az" | "abfs" | "abfss" => self.azure(scheme, bucket),
            _ => Err(Error::unsupported(format!("this build cannot read {scheme}:// datasets"))),
        }
    }

    /// Repeating is the transport's business.
    fn no_retries() -> RetryConfig {
        RetryConfig { max_retries: 0, ..RetryConfig::default() }
    }

    fn client_options() -> ClientOptions {
        // A service on this machine or in a cluster may do without TLS; the clouds' own never do.
        ClientOptions::new().with_allow_http(true)
    }

    #[cfg(feature = "s3")]
    fn s3(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
        use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};
        let StorageOptions { endpoint, region, anonymous, s3_keys, .. } = &self.options;
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(Self::client_options())
            .with_retry(Self::no_retries())
            .with_http_connector(self.connector.clone());
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        if *anonymous {
            builder = builder.with_skip_signature(true);
        }
        let names = [Key::AccessKeyId, Key::SecretAccessKey, Key::Token];
        for (name, secret) in names.into_iter().zip(s3_keys) {
            if let Some(secret) = secret {
                builder = builder.with_config(name, secret.reveal());
            }
        }
        Ok(Arc::new(builder.build().map_err(|e| unusable(&e))?))
    }

    #[cfg(feature = "gcs")]
    fn gcs(&self, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
        use object_store::gcp::GoogleCloudStorageBuilder;
        let StorageOptions { endpoint, anonymous, .. } = &self.options;
        let mut builder = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(Self::client_options())
            .with_retry(Self::no_retries())
            .with_http_connector(self.connector.clone());
        if let Some(endpoint) = endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if *anonymous {
            builder = builder.with_skip_signature(true);
        }
        Ok(Arc::new(builder.build().map_err(|e| unusable(&e))?))
    }

    #[cfg(feature = "azure")]
    fn azure(&self, scheme: &str, container: &str) -> Result<Arc<dyn ObjectStore>> {
        use object_store::azure::MicrosoftAzureBuilder;
        let StorageOptions { endpoint, account, anonymous, .. } = &self.options;
        let mut builder = MicrosoftAzureBuilder::from_env()
            .with_url(format!("{scheme}://{container}"))
            .with_client_options(Self::client_options())
            .with_retry(Self::no_retries())
            .with_http_connector(self.connector.clone());
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(account) = account {
            builder = builder.with_account(account);
        }
        if *anonymous {
            builder = builder.with_skip_signature(true);
        }
        Ok(Arc::new(builder.build().map_err(|e| unusable(&e))?))
    }
}

fn unusable(error: &object_store::Error) -> Error {
    Error::invalid_input(format!("the options of the store do not do: {error}"))
}

/// Our own error, which `object_store` has wrapped, or its own in our words.
fn explain(error: &object_store::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(ours) = inner.downcast_ref::<Error>() {
            return ours.clone();
        }
        cause = inner.source();
    }
    Error::io(format!("the store's client failed: {error}"))
}

/// Makes `object_store` send its requests through our transport.
#[derive(Clone)]
struct Connector {
    transport: Arc<Transport>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        self.answer(request).await.map_err(|e| HttpError::new(HttpErrorKind::Unknown, e))
    }
}

impl Connector {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|_| Error::internal("object_store asked for what is no address"))?;
        let aside = parts.method != Method::GET
            || url.host_str().is_some_and(|host| CREDENTIAL_HOSTS.contains(&host));
        if aside {
            let body = body.as_bytes().cloned().unwrap_or_default();
            let sent = self.transport.exchange(parts.method, url, parts.headers, body);
            let (status, headers, bytes) = sent.await?;
            return Ok(response(status, headers, bytes));
        }
        let extent = match parts.headers.get(RANGE).and_then(|value| value.to_str().ok()) {
            None => Extent::Whole(u64::MAX),
            Some(text) => asked_range(text)
                .ok_or_else(|| Error::internal(format!("object_store asked for {text:?}")))?,
        };
        let ranged = parts.headers.contains_key(RANGE);
        let target = Target { url, headers: parts.headers, sealed: true };
        let Answer { bytes, size, mut headers, .. } =
            self.transport.read(&target, extent.clone()).await?;
        let start = if let Extent::Range(range) = &extent { range.start } else { 0 };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        if !ranged {
            return Ok(response(StatusCode::OK, headers, bytes));
        }
        let end = (start + bytes.len() as u64).max(1) - 1;
        let size = size.map_or("*".to_owned(), |size| size.to_string());
        let said = HeaderValue::from_str(&format!("bytes {start}-{end}/{size}"));
        headers.insert(CONTENT_RANGE, said.map_err(|_| Error::internal("no header"))?);
        Ok(response(StatusCode::PARTIAL_CONTENT, headers, bytes))
    }
}

fn response(status: StatusCode, headers: HeaderMap, bytes: Bytes) -> HttpResponse {
    let mut response = HttpResponse::new(bytes.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// `bytes=a-b`. From the first byte on, an object may be shorter than asked for.
fn asked_range(text: &str) -> Option<Extent> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, end): (u64, u64) = (first.parse().ok()?, last.parse::<u64>().ok()? + 1);
    Some(if first == 0 { Extent::Start(end) } else { Extent::Range(first..end) })
}
