//! Objects on other machines: HTTP servers, Hugging Face, and the object stores of clouds.
//!
//! ```text
//!  wants --coalesce--> runs --hub / cloud: address, credentials--> transport --gate--> server
//!                                                                     |
//!                                             assembly: answers checked and put together
//! ```

mod assembly;
#[cfg(feature = "cloud")]
mod cloud;
mod failure;
mod files;
mod gate;
pub(super) mod hub;
mod jobs;
mod limits;
mod process;
mod signed;
mod traffic;
mod transport;

pub(super) use files::RemoteFiles;
pub use traffic::Traffic;
