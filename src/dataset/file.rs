//! An HDF5 file, open twice: by libhdf5, which tells what is in it, and by us, who read it.
//!
//! Any thread may read at any time, without a lock. Nothing is written, and no lock is set on the file that would disturb who writes it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::Bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::hdf5;

/// An open HDF5 file.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    file: fs::File,
    /// Addresses in the file count from here.
    base: u64,
    pub(super) library: hdf5::File,
}

impl File {
    /// Opens a file to read.
    ///
    /// # Errors
    /// `Io`: the system refuses. `Format`: it is no HDF5 file, or a damaged one.
    pub fn open(path: &Path) -> Result<Arc<Self>> {
        let file =
            fs::File::open(path).map_err(|e| Error::io(format_args!("open {}", path.display()), &e))?;
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(Error::invalid(format!("path must be that of a file (got {})", path.display())));
        }
        let library = hdf5::lock();
        let opened = hdf5::File::open(&library, path.as_os_str().as_bytes());
        let opened = opened.and_then(|file| Ok((file.base(&library)?, file)));
        let (base, library) = opened.map_err(|e| {
            if cfg!(not(feature = "hdf5")) {
                return Error::new(
                    ErrorKind::Unsupported,
                    "datasets: this build is without the feature \"hdf5\"",
                );
            }
            Error::new(ErrorKind::Format, format!("{} cannot be opened as an HDF5 file: {e}", path.display()))
        })?;
        Ok(Arc::new(Self { path: path.to_owned(), file, base, library }))
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
            std::io::ErrorKind::UnexpectedEof => {
                let message = format!("the file ends within {} bytes at byte {address}", to.len());
                Error::new(ErrorKind::Truncated, message)
            }
            _ => Error::io(format_args!("pread of {} bytes at byte {address}", to.len()), &e),
        })
    }
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
