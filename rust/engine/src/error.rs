//! The one error type of the engine.
//!
//! An error says what a handler can do about it (`kind`), which stage met it, and names the asset,
//! the variable and the query as far as they are known. The Python package maps each kind to one
//! exception class (`python/oceanarrow/exceptions.py`); a test keeps the two lists equal.

use std::borrow::Cow;
use std::collections::TryReserveError;
use std::{fmt, io};

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

/// What a handler can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An argument of the caller's is wrong; the message says what is right.
    InvalidInput,
    /// A dataset, file or variable does not exist.
    NotFound,
    /// A server refuses access; a token or other credentials are missing or wrong.
    AccessDenied,
    /// The dataset's metadata break the TACO specification.
    InvalidDataset,
    /// A granule's bytes are damaged, truncated, or not what the metadata say.
    CorruptGranule,
    /// A granule is sound but uses something the engine does not read.
    Unsupported,
    /// Reading failed for a reason outside the data; trying again may help.
    Io,
    /// A file cannot be written, and trying again will not help: the disk is full, say.
    Unwritable,
    /// What is asked for needs more memory than there is.
    OutOfMemory,
    /// A saved state belongs to another plan; the message names the fields that differ.
    PlanMismatch,
    /// The loader was closed or interrupted.
    Cancelled,
    /// A defect of oceanarrow's own.
    Internal,
}

impl Kind {
    /// Every kind, in declaration order.
    pub const ALL: [Kind; 12] = [
        Kind::InvalidInput,
        Kind::NotFound,
        Kind::AccessDenied,
        Kind::InvalidDataset,
        Kind::CorruptGranule,
        Kind::Unsupported,
        Kind::Io,
        Kind::Unwritable,
        Kind::OutOfMemory,
        Kind::PlanMismatch,
        Kind::Cancelled,
        Kind::Internal,
    ];

    /// The stable name of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::InvalidInput => "invalid_input",
            Kind::NotFound => "not_found",
            Kind::AccessDenied => "access_denied",
            Kind::InvalidDataset => "invalid_dataset",
            Kind::CorruptGranule => "corrupt_granule",
            Kind::Unsupported => "unsupported",
            Kind::Io => "io",
            Kind::Unwritable => "unwritable",
            Kind::OutOfMemory => "out_of_memory",
            Kind::PlanMismatch => "plan_mismatch",
            Kind::Cancelled => "cancelled",
            Kind::Internal => "internal",
        }
    }
}

/// An error with its context: `message`, then the asset, variable and query it concerns.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Error {
    /// What a handler can do about it.
    pub kind: Kind,
    /// What happened, and what to do.
    pub message: Cow<'static, str>,
    /// The file concerned: a path, with `[offset+size]` when it lies in an archive.
    pub asset: Option<String>,
    /// The variable concerned.
    pub variable: Option<String>,
    /// The query concerned, in words.
    pub query: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (label, value) in
            [("file", &self.asset), ("variable", &self.variable), ("query", &self.query)]
        {
            if let Some(value) = value {
                write!(f, "; {label}: {value}")?;
            }
        }
        Ok(())
    }
}

impl Error {
    /// Whether it is about one file's contents, so that others may be read all the same.
    pub fn concerns_one_file(&self) -> bool {
        matches!(self.kind, Kind::CorruptGranule | Kind::NotFound | Kind::Unsupported)
    }
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        impl Error {
            $(
                #[doc = concat!("An error of kind [`Kind::", stringify!($kind), "`].")]
                pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                    Self::new(Kind::$kind, message)
                }
            )*
        }
    };
}

constructors! {
    invalid_input => InvalidInput,
    not_found => NotFound,
    access_denied => AccessDenied,
    invalid_dataset => InvalidDataset,
    corrupt => CorruptGranule,
    unsupported => Unsupported,
    io => Io,
    unwritable => Unwritable,
    out_of_memory => OutOfMemory,
    plan_mismatch => PlanMismatch,
    cancelled => Cancelled,
    internal => Internal,
}

impl Error {
    /// Of an allocation whose size a user or a file decides.
    #[allow(clippy::needless_pass_by_value)]
    pub fn no_room(error: TryReserveError) -> Self {
        Self::out_of_memory(format!("there is not enough memory: {error}"))
    }

    fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), asset: None, variable: None, query: None }
    }

    /// The error of writing a file; `what` begins its message, such as "cannot write the index".
    pub fn writing(what: &str, error: &io::Error) -> Self {
        use io::ErrorKind as Cause;
        let why = match error.kind() {
            Cause::StorageFull => "the disk is full; make room and run this again".into(),
            Cause::QuotaExceeded => {
                "the disk quota is used up; make room and run this again".into()
            }
            Cause::FileTooLarge => "the file would be larger than its file system, or a limit of \
                                    this process (ulimit -f), allows"
                .into(),
            Cause::ReadOnlyFilesystem => {
                "the file system is read-only; choose another place".into()
            }
            Cause::PermissionDenied
            | Cause::AlreadyExists
            | Cause::NotADirectory
            | Cause::IsADirectory
            | Cause::InvalidFilename => error.to_string(),
            _ => return Self::io(format!("{what}: {error}")),
        };
        Self::unwritable(format!("{what}: {why}"))
    }

    /// Names the file, unless a deeper stage has done so.
    #[must_use]
    pub fn asset(mut self, asset: impl fmt::Display) -> Self {
        self.asset.get_or_insert_with(|| asset.to_string());
        self
    }

    /// Names the variable, unless a deeper stage has done so.
    #[must_use]
    pub fn variable(mut self, variable: impl fmt::Display) -> Self {
        self.variable.get_or_insert_with(|| variable.to_string());
        self
    }

    /// Names the query, unless a deeper stage has done so.
    #[must_use]
    pub fn query(mut self, query: impl fmt::Display) -> Self {
        self.query.get_or_insert_with(|| query.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_as_it_is_is_not_called_transient() {
        use io::ErrorKind::{
            FileTooLarge, Interrupted, NotADirectory, PermissionDenied, QuotaExceeded,
            ReadOnlyFilesystem, StorageFull, TimedOut,
        };
        // The numbers of Linux.
        for (number, cause, words) in [
            (28, StorageFull, "the disk is full"),
            (122, QuotaExceeded, "quota"),
            (27, FileTooLarge, "ulimit -f"),
            (30, ReadOnlyFilesystem, "read-only"),
            (13, PermissionDenied, ""),
            (20, NotADirectory, ""),
        ] {
            let found = io::Error::from_raw_os_error(number);
            if cfg!(target_os = "linux") {
                assert_eq!(found.kind(), cause);
            }
            let error = Error::writing("cannot write it", &io::Error::from(cause)).asset("x/y");
            assert_eq!(error.kind, Kind::Unwritable);
            let text = error.to_string();
            assert!(
                text.starts_with("cannot write it: ") && text.ends_with("; file: x/y"),
                "{text}"
            );
            assert!(text.contains(words), "{text}");
        }
        for cause in [Interrupted, TimedOut] {
            assert_eq!(Error::writing("cannot write", &cause.into()).kind, Kind::Io);
        }
    }
}
