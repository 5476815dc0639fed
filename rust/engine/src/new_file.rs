//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Kind, Result};

/// A file in the making: under another name, beside where it will lie, and gone unless kept.
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
    what: &'static str,
}

impl NewFile {
    /// Begins the file; `what` it is says what an error is about.
    ///
    /// # Errors
    /// `Unwritable` or `Io`: there is no writing there.
    pub fn create(path: &Path, what: &'static str) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        // As any file of the user.
        let permissions = fs::Permissions::from_mode(0o666);
        let file = fs::create_dir_all(folder).and_then(|()| {
            tempfile::Builder::new().prefix(".new-").permissions(permissions).tempfile_in(folder)
        });
        let file = file.map_err(|e| failed(&e, what, path))?;
        Ok(Self { file, path: path.to_owned(), what })
    }

    /// Names the file in an error that came of writing it: one that names no other.
    pub fn blame(path: &Path, error: Error) -> Error {
        let of_writing = matches!(error.kind, Kind::Io | Kind::Unwritable);
        if of_writing && error.asset.is_none() { error.asset(path.display()) } else { error }
    }

    /// Gives the file its name, once its bytes are on the disk; returns their number.
    ///
    /// # Errors
    /// `Unwritable` or `Io`: it could not be.
    pub fn keep(self) -> Result<u64> {
        let Self { file, path, what } = self;
        let keep = || -> io::Result<u64> {
            file.as_file().sync_all()?;
            let bytes = file.as_file().metadata()?.len();
            file.persist(&path)?;
            Ok(bytes)
        };
        keep().map_err(|e| failed(&e, what, &path))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn failed(error: &io::Error, what: &str, path: &Path) -> Error {
    Error::writing(&format!("cannot write the {what}"), error).asset(path.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_file_appears_when_it_is_kept() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("a/b");
        let names = || fs::read_dir(path.parent().unwrap()).unwrap().count();
        let mut new = NewFile::create(&path, "text").unwrap();
        new.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(new);
        assert_eq!(names(), 0);
        let mut new = NewFile::create(&path, "text").unwrap();
        new.write_all(b"whole").unwrap();
        assert_eq!(new.keep().unwrap(), 5);
        assert_eq!((fs::read(&path).unwrap().as_slice(), names()), (&b"whole"[..], 1));
        let error = NewFile::create(&path.join("c"), "text").err().unwrap();
        assert!(error.to_string().starts_with("cannot write the text"), "{error}");
    }
}
