//! An HDF5 file, open for us to read, and opened by libhdf5 whenever that shall tell what is in it.
//!
//! Any thread may read at any time, without a lock. Nothing is written, and no lock is set on the file that would disturb who writes it. libhdf5 keeps it
//! open only as long as a dataset needs it: what it knows of a file it does not forget before, whatever others write meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::index::Bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5::{self, Library};

/// An open HDF5 file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    file: fs::File,
    /// Device and number on it.
    identity: (u64, u64),
    /// Addresses in the file count from here.
    base: u64,
}

/// A file, and the name of a dataset in it.
type Key = ((u64, u64), String);

fn identity(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

impl File {
    /// Opens a file to read.
    ///
    /// # Errors
    /// `Io`: the system refuses. `Format`: it is no HDF5 file, or a damaged one.
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        let file =
            fs::File::open(path).map_err(|e| Error::io(format_args!("open {}", path.display()), &e))?;
        let found = file.metadata().ok().filter(fs::Metadata::is_file);
        let found = found
            .ok_or_else(|| Error::invalid(format!("path must be that of a file (got {})", path.display())))?;
        let library = hdf5::lock();
        let base = open(&library, path)?.base(&library);
        let base = base.map_err(|e| not_hdf5(path, &e))?;
        Ok(Arc::new(Self { path: path.to_owned(), file, identity: identity(&found), base }))
    }

    /// Has libhdf5 open it.
    pub(super) fn by_library(&self, library: &Library) -> Result<hdf5::File> {
        let there = fs::metadata(&self.path);
        let there = there.map_err(|e| Error::io(format_args!("stat {}", self.path.display()), &e))?;
        if identity(&there) != self.identity {
            let reason = "is another file now than the one that was opened";
            return Err(Error::state(format!("{} {reason}", self.path.display())));
        }
        open(library, &self.path)
    }

    /// Has libhdf5 open a dataset of the file that it has opened, and look at it anew.
    ///
    /// What libhdf5 knows of the chunks of a dataset it does not forget as long as two have it open, not even when it is told to. So all have the same.
    pub(super) fn dataset(
        &self,
        library: &Library,
        opened: &hdf5::File,
        name: &str,
    ) -> io::Result<Arc<hdf5::Dataset>> {
        static OPEN: Mutex<BTreeMap<Key, Weak<hdf5::Dataset>>> = Mutex::new(BTreeMap::new());
        let key = (self.identity, name.to_owned());
        let mut open = OPEN.lock();
        if let Some(handle) = open.get(&key).and_then(Weak::upgrade) {
            // One that cannot be refreshed is closed by libhdf5: the next who asks has a new one.
            return handle.refresh(library).inspect_err(|_| drop(open.remove(&key))).map(|()| handle);
        }
        let handle = Arc::new(opened.dataset(library, name)?);
        open.retain(|_, handle| handle.strong_count() > 0);
        open.insert(key, Arc::downgrade(&handle));
        Ok(handle)
    }

    /// As it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of it now.
    pub fn size(&self) -> Result<u64> {
        let found = self.file.metadata();
        found
            .map(|found| found.len())
            .map_err(|e| Error::io(format_args!("fstat {}", self.path.display()), &e))
    }

    /// Where the superblock is.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// That there are `size` bytes from `address` on, before anybody takes memory for them.
    pub(super) fn check(&self, address: u64, size: u64) -> Result<()> {
        let end = self.base.checked_add(address).and_then(|start| start.checked_add(size));
        let all = self.size()?;
        if end.is_some_and(|end| end <= all) {
            return Ok(());
        }
        let message =
            format!("{size} bytes at byte {address} must be within the file (got a file of {all} bytes)");
        Err(Error::new(ErrorKind::Truncated, message))
    }

    /// Fills `to` from `address` on, which counts from the superblock.
    pub(super) fn read_at(&self, address: u64, to: &mut [u8]) -> Result<()> {
        let start = self.base.checked_add(address).ok_or_else(|| {
            Error::new(ErrorKind::Truncated, format!("byte {address} must be within the file"))
        })?;
        self.file.read_exact_at(to, start).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                let message = format!("the file ends within {} bytes at byte {address}", to.len());
                Error::new(ErrorKind::Truncated, message)
            }
            _ => Error::io(format_args!("pread of {} bytes at byte {address}", to.len()), &e),
        })
    }
}

fn open(library: &Library, path: &Path) -> Result<hdf5::File> {
    hdf5::File::open(library, path.as_os_str().as_bytes()).map_err(|e| not_hdf5(path, &e))
}

fn not_hdf5(path: &Path, reason: &io::Error) -> Error {
    if cfg!(not(feature = "hdf5")) {
        return Error::new(ErrorKind::Unsupported, "datasets: this build is without the feature \"hdf5\"");
    }
    Error::new(ErrorKind::Format, format!("{} cannot be opened as an HDF5 file: {reason}", path.display()))
}

impl Bytes for File {
    fn read(&self, address: u64, size: usize) -> Option<Vec<u8>> {
        let start = self.base.checked_add(address)?;
        let rest = self.size().ok()?.checked_sub(start)?;
        let mut bytes = vec![0; size.min(usize::try_from(rest).unwrap_or(usize::MAX))];
        self.file.read_exact_at(&mut bytes, start).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }
}

#[cfg(all(test, feature = "hdf5"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hdf5_file_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = File::open(&folder.path().join("none.h5")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Io);
        assert!(missing.message().contains("none.h5"), "{missing}");
        assert_eq!(File::open(folder.path()).unwrap_err().kind(), ErrorKind::Invalid);
        let path = folder.path().join("text.h5");
        for content in [&b""[..], b"\x89HDF\r\n\x1a\n", &[b'x'; 5000]] {
            fs::write(&path, content).unwrap();
            let error = File::open(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format);
            assert!(error.message().contains("text.h5 cannot be opened as an HDF5 file: "), "{error}");
        }
    }
}
