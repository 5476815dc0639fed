//! `_engine.Stream`: the batches of one epoch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use arrow_array::{ArrayRef, StructArray};
use arrow_schema::{ArrowError, Field};
use oceanarrow_engine::error::Error;
use oceanarrow_engine::stream;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};

use crate::batch::Batch;
use crate::error::raise;

/// How long to wait before Python gets to see a signal.
const TICK: Duration = Duration::from_millis(50);

/// An iterator over the batches of one epoch. Threads work ahead of it; it belongs to the process
/// that made it. Any thread may close it, also while another waits for a batch.
#[pyclass(frozen, module = "oceanarrow._engine")]
pub struct Stream {
    /// Locked without the GIL, and for a tick at a time.
    inner: Mutex<Option<stream::Stream>>,
    /// The thread that closed it.
    closed: Mutex<Option<ThreadId>>,
    pid: u32,
}

impl Stream {
    /// Wraps a stream of this process.
    pub fn new(inner: stream::Stream) -> Self {
        let pid = std::process::id();
        Self { inner: Mutex::new(Some(inner)), closed: Mutex::default(), pid }
    }

    fn lock(&self) -> MutexGuard<'_, Option<stream::Stream>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a tick for the next batch.
    fn poll(&self) -> Result<stream::Poll, Error> {
        let mut inner = self.lock();
        let Some(stream) = inner.as_mut() else {
            // Whoever closed it knows; to others an end would look like that of the epoch.
            let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
            return match *closed {
                Some(thread) if thread != thread::current().id() => {
                    Err(Error::cancelled("the loader was closed by another thread"))
                }
                _ => Ok(stream::Poll::End),
            };
        };
        let polled = stream.poll(TICK)?;
        if matches!(polled, stream::Poll::End) {
            *inner = None;
        }
        Ok(polled)
    }

    fn check_process(&self) -> PyResult<()> {
        if self.pid == std::process::id() {
            return Ok(());
        }
        Err(raise(Error::invalid_input(
            "a running loader cannot be used in a forked process: its threads stayed behind; \
             start iterating in the process that consumes the batches",
        )))
    }
}

#[pymethods]
impl Stream {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        self.check_process()?;
        loop {
            match py.detach(|| self.poll()).map_err(raise)? {
                stream::Poll::Batch(batch) => return Ok(Some(Batch::new(batch))),
                stream::Poll::Pending => py.check_signals()?,
                stream::Poll::End => return Ok(None),
            }
        }
    }

    /// Stops the work. The stream is then at its end; to other threads it gives a `CancelledError`.
    /// Nothing is stopped by a forked process.
    fn close(&self, py: Python<'_>) {
        if self.check_process().is_err() {
            return;
        }
        py.detach(|| {
            // An end that was reached stays one.
            if let Some(stream) = self.lock().take() {
                let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
                *closed = Some(thread::current().id());
                drop(stream);
            }
        });
    }

    /// Hands the rest of the batches to a consumer of the Arrow C stream interface.
    fn export_arrow_c_stream<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        self.check_process()?;
        let Some(mut stream) = py.detach(|| self.lock().take()) else {
            return Err(raise(Error::invalid_input("the stream has ended")).into());
        };
        let schema = stream.schema().clone();
        let field = Field::new_struct("", schema.fields().clone(), false)
            .with_metadata(schema.metadata().clone());
        // A panic must not cross the C interface.
        let batches = std::iter::from_fn(move || {
            catch_unwind(AssertUnwindSafe(|| next_struct(&mut stream)))
                .unwrap_or_else(|_| Some(Err(ArrowError::ExternalError("a batch panicked".into()))))
        });
        let reader = ArrayIterator::new(batches, Arc::new(field));
        to_stream_pycapsule(py, Box::new(reader), requested_schema)
    }
}

/// The next batch as a struct array, the form of the C stream interface.
fn next_struct(stream: &mut stream::Stream) -> Option<Result<ArrayRef, ArrowError>> {
    loop {
        match stream.poll(TICK) {
            Ok(stream::Poll::Batch(batch)) => return Some(Ok(Arc::new(StructArray::from(batch)))),
            Ok(stream::Poll::Pending) => {
                if Python::attach(|py| py.check_signals()).is_err() {
                    // The reader's own error hides this one; Python raises it again right after.
                    // SAFETY: only sets a flag, from any thread.
                    unsafe { pyo3::ffi::PyErr_SetInterrupt() };
                    let error = Error::cancelled("interrupted");
                    return Some(Err(ArrowError::ExternalError(Box::new(error))));
                }
            }
            Ok(stream::Poll::End) => return None,
            Err(error) => return Some(Err(ArrowError::ExternalError(Box::new(error)))),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            // The threads exist in the parent only; joining them here would wait for ever.
            let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(inner.take());
        }
    }
}
