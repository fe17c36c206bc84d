//! Files that are written: made, grown along their first axis, chunk by chunk as we pack them, and flushed.
//!
//! Invariant: as of [`Library`](super::Library): its holder calls. Datasets are dropped before their file is closed.

use std::ffi::{c_int, c_uint, c_void};
use std::io;
use std::mem::transmute;
use std::ptr::null;

use super::{DEFAULT, Filter, Handle, Kind, Library, c_text, check, raw};

/// A dimension without limit.
const UNLIMITED: u64 = u64::MAX;

/// An open file, to write.
#[derive(Debug)]
pub struct NewFile {
    handle: Handle,
}

impl NewFile {
    /// Makes a file, or empties the one that there is. It is not locked, where libhdf5 lets us choose: others may read what was flushed. With `swmr` it is of
    /// the format that [`start_swmr`](Self::start_swmr) needs.
    pub fn create(_library: &Library, path: &[u8], swmr: bool) -> io::Result<Self> {
        const TRUNCATE: c_uint = 2;
        const V110: c_int = 2;
        let path = c_text(path)?;
        // SAFETY: the lock is held, the class is set by H5open, the path is a C string.
        unsafe {
            let access = Handle::new(raw::H5Pcreate(raw::H5P_CLS_FILE_ACCESS_ID_g))?;
            if let Some(function) = raw::optional(c"H5Pset_file_locking") {
                let set_locking = transmute::<*mut c_void, raw::SetFileLocking>(function);
                check(set_locking(access.0, false, true))?;
            }
            if swmr {
                check(raw::H5Pset_libver_bounds(access.0, V110, V110))?;
            }
            let handle = Handle::new(raw::H5Fcreate(path.as_ptr(), TRUNCATE, DEFAULT, access.0))?;
            Ok(Self { handle })
        }
    }

    /// From now on others may read while it is written. Nothing can be added to it any more but rows.
    pub fn start_swmr(&self, _library: &Library) -> io::Result<()> {
        // SAFETY: the lock is held.
        check(unsafe { raw::H5Fstart_swmr_write(self.handle.0) }).map(drop)
    }

    /// Gives the system all that libhdf5 holds back.
    pub fn flush(&self, _library: &Library) -> io::Result<()> {
        const LOCAL: c_int = 0;
        // SAFETY: the lock is held.
        check(unsafe { raw::H5Fflush(self.handle.0, LOCAL) }).map(drop)
    }

    /// Flushes and closes it.
    pub fn close(self, _library: &Library) -> io::Result<()> {
        let id = self.handle.0;
        // Also after an error nothing can be done with it any more.
        std::mem::forget(self.handle);
        // SAFETY: the lock is held, and the id is ours.
        check(unsafe { raw::H5Fclose(id) }).map(drop)
    }

    /// Makes a dataset of no rows that can grow along its first axis, with the groups on its path. `chunk` is the shape of its chunks, whose axes but the
    /// first, the rows, are those of the dataset; `filters` are how they are packed.
    pub fn dataset(
        &self,
        _library: &Library,
        path: &str,
        kind: &Kind,
        shape: &[u64],
        chunk: &[u64],
        filters: &[Filter],
    ) -> io::Result<NewDataset> {
        const NEVER: c_int = 1;
        const OPTIONAL: c_uint = 1;
        let path = c_text(path.as_bytes())?;
        let rank = chunk.len() as c_int;
        let (mut first, mut most) = (shape.to_vec(), shape.to_vec());
        (first[0], most[0]) = (0, UNLIMITED);
        // SAFETY: the lock is held, the classes are set by H5open, lists are as long as told, texts are C strings.
        unsafe {
            let space = Handle::new(raw::H5Screate_simple(rank, first.as_ptr(), most.as_ptr()))?;
            let link = Handle::new(raw::H5Pcreate(raw::H5P_CLS_LINK_CREATE_ID_g))?;
            check(raw::H5Pset_create_intermediate_group(link.0, 1))?;
            let creation = Handle::new(raw::H5Pcreate(raw::H5P_CLS_DATASET_CREATE_ID_g))?;
            check(raw::H5Pset_chunk(creation.0, rank, chunk.as_ptr()))?;
            check(raw::H5Pset_fill_time(creation.0, NEVER))?;
            for filter in filters {
                make_known(filter)?;
                let (count, values) = (filter.values.len(), filter.values.as_ptr());
                check(raw::H5Pset_filter(creation.0, filter.id, OPTIONAL, count, values))?;
            }
            let id = raw::H5Dcreate2(
                self.handle.0,
                path.as_ptr(),
                kind.id(),
                space.0,
                link.0,
                creation.0,
                DEFAULT,
            );
            Ok(NewDataset { handle: Handle::new(id)? })
        }
    }
}

/// libhdf5 makes no dataset with a filter that it does not know. Those of plugins that are not installed are made known by a name; we pack chunks ourselves.
///
/// # Safety
/// The lock is held.
unsafe fn make_known(filter: &Filter) -> io::Result<()> {
    unsafe extern "C" fn refuse(
        _: c_uint,
        _: usize,
        _: *const c_uint,
        _: usize,
        _: *mut usize,
        _: *mut *mut c_void,
    ) -> usize {
        0
    }
    // SAFETY: the caller's promise.
    if unsafe { raw::H5Zfilter_avail(filter.id) } > 0 {
        return Ok(());
    }
    let class = raw::FilterClass {
        version: 1,
        id: filter.id,
        has_encoder: 1,
        has_decoder: 1,
        name: c"packed by libaqueduct; install the filter's plugin to read it".as_ptr(),
        can_apply: null(),
        set_local: null(),
        run: refuse,
    };
    // SAFETY: the caller's promise; libhdf5 copies the struct, and the name is static.
    check(unsafe { raw::H5Zregister((&raw const class).cast()) }).map(drop)
}

/// An open dataset, to write.
#[derive(Debug)]
pub struct NewDataset {
    handle: Handle,
}

impl NewDataset {
    /// Changes its sizes.
    pub fn set_extent(&self, _library: &Library, shape: &[u64]) -> io::Result<()> {
        // SAFETY: the lock is held; there are as many sizes as the dataset was made with, as callers see to.
        check(unsafe { raw::H5Dset_extent(self.handle.0, shape.as_ptr()) }).map(drop)
    }

    /// Writes a chunk as it is to be in the file: bit `i` of `mask` says that filter `i` was left out.
    pub fn write_chunk(&self, _library: &Library, offset: &[u64], mask: u32, data: &[u8]) -> io::Result<()> {
        // SAFETY: the lock is held; the offset has as many numbers as the dataset axes, as callers see to; the size is that of the data.
        check(unsafe {
            let from = data.as_ptr().cast();
            raw::H5Dwrite_chunk(self.handle.0, DEFAULT, mask, offset.as_ptr(), data.len(), from)
        })
        .map(drop)
    }

    /// Writes `count` elements from `start` on, along each axis, in the form of `kind`.
    pub fn write(
        &self,
        _library: &Library,
        kind: &Kind,
        start: &[u64],
        count: &[u64],
        data: &[u8],
    ) -> io::Result<()> {
        let (space, memory) = super::spaces(&self.handle, kind, start, count, data.len())?;
        let from = data.as_ptr().cast();
        // SAFETY: the lock is held; `data` has the bytes of the selection, and libhdf5 refuses one that is out of the dataset.
        check(unsafe { raw::H5Dwrite(self.handle.0, kind.id(), memory.0, space.0, DEFAULT, from) }).map(drop)
    }

    /// Adds an attribute that is a number.
    pub fn add_number(&self, library: &Library, name: &str, value: f64) -> io::Result<()> {
        let kind = Kind::float(library, 8, cfg!(target_endian = "big"))?;
        // SAFETY: `value` is of that type.
        unsafe { self.add(library, name, &kind, (&raw const value).cast()) }
    }

    /// Adds an attribute that is a text.
    pub fn add_text(&self, library: &Library, name: &str, value: &str) -> io::Result<()> {
        let kind = Kind::text(library, None)?;
        let value = c_text(value.as_bytes())?;
        let pointer = value.as_ptr();
        // SAFETY: a text of any length is a pointer to a C string, which lives until it is written.
        unsafe { self.add(library, name, &kind, (&raw const pointer).cast()) }
    }

    /// # Safety
    /// `value` points to one element of that type.
    unsafe fn add(
        &self,
        _library: &Library,
        name: &str,
        kind: &Kind,
        value: *const c_void,
    ) -> io::Result<()> {
        const SCALAR: c_int = 0;
        let name = c_text(name.as_bytes())?;
        // SAFETY: the lock is held; the name is a C string; the value is the caller's promise.
        unsafe {
            let space = Handle::new(raw::H5Screate(SCALAR))?;
            let id = raw::H5Acreate2(self.handle.0, name.as_ptr(), kind.id(), space.0, DEFAULT, DEFAULT);
            let attribute = Handle::new(id)?;
            check(raw::H5Awrite(attribute.0, kind.id(), value)).map(drop)
        }
    }
}
