//! What all remote stores of a process share: one runtime, its connections, one gate a host.

use std::collections::HashMap;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use reqwest::redirect;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::{self, Runtime};

use super::gate::Gate;
use crate::error::{Error, Result};
use crate::interrupt;

/// Threads that drive all connections; a core decrypts about 1 GB/s.
const THREADS: usize = 2;
/// How long a waiting thread may not notice that it is interrupted.
const TICK: Duration = Duration::from_millis(50);

/// The shared state of one process.
pub(super) struct Process {
    pid: u32,
    runtime: Runtime,
    tls: ClientConfig,
    /// By the time they take to connect, which is a client's own.
    clients: Mutex<HashMap<Duration, reqwest::Client>>,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

/// The state of the process that stored it; a forked child finds its parent's and makes its own.
/// No lock, because a thread that held one would not exist in the child.
static CURRENT: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());

impl Process {
    /// This process's state, made at the first use.
    pub(super) fn current() -> Result<&'static Self> {
        loop {
            let found = CURRENT.load(Ordering::Acquire);
            // SAFETY: whatever is stored was leaked just below, and is never freed.
            if let Some(process) = unsafe { found.as_ref() }
                && process.pid == std::process::id()
            {
                return Ok(process);
            }
            let fresh = Box::into_raw(Box::new(Self::new()?));
            let order = (Ordering::AcqRel, Ordering::Acquire);
            if CURRENT.compare_exchange(found, fresh, order.0, order.1).is_err() {
                // SAFETY: another thread was first, so nobody else has seen this pointer.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }

    fn new() -> Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("oceanarrow-net")
            .enable_all()
            .build()
            .map_err(|e| Error::io(format!("cannot start the network threads: {e}")))?;
        Ok(Self {
            pid: std::process::id(),
            runtime,
            tls: tls()?,
            clients: Mutex::default(),
            gates: Mutex::default(),
        })
    }

    /// Connections, which are kept for later requests.
    pub(super) fn client(&self, connect_timeout: Duration) -> Result<reqwest::Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connect_timeout) {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("oceanarrow/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(self.tls.clone())
            .connect_timeout(connect_timeout)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|e| Error::io(format!("cannot set up HTTP: {e}")))?;
        clients.insert(connect_timeout, client.clone());
        Ok(client)
    }

    /// The gate of a host.
    pub(super) fn gate(&self, host: &str) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.entry(host.to_owned()).or_default().clone()
    }

    /// Runs `work` on the network threads while this thread waits; it gives up when interrupted.
    pub(super) fn wait_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = bounded(1);
        let task = self.runtime.spawn(async move {
            // The waiting thread may have given up.
            let _ = sender.send(work.await);
        });
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Timeout) if interrupt::requested() => {
                    task.abort();
                    return Err(Error::cancelled("reading was interrupted"));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::internal("a download was abandoned by its thread"));
                }
            }
        }
    }
}

/// TLS that trusts what the system trusts, or Mozilla's list where the system has none.
fn tls() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal(format!("cannot set up TLS: {e}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
