//! Attributes of datasets: small values beside them, with a type and a shape of their own.
//!
//! As all of libhdf5, for a thread that holds [`Library`].

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::ptr::null_mut;

use super::raw::{self, Id};
use super::{DEFAULT, Handle, Kind, Library, check, extent};

/// An open attribute.
#[derive(Debug)]
pub struct Attribute {
    handle: Handle,
    name: String,
}

impl Attribute {
    /// All attributes of an object, by name.
    pub(super) fn all(object: &Handle) -> io::Result<Vec<Self>> {
        unsafe extern "C" fn add(_: Id, name: *const c_char, _: *const c_void, to: *mut c_void) -> c_int {
            // SAFETY: libhdf5 passes a C string, and the pointer that it was given.
            unsafe { (*to.cast::<Vec<CString>>()).push(CStr::from_ptr(name).to_owned()) };
            0
        }
        let mut names: Vec<CString> = Vec::new();
        // SAFETY: the caller holds the lock; `names` outlives the call. 0: by name, in ascending order.
        check(unsafe { raw::H5Aiterate2(object.0, 0, 0, null_mut(), add, (&raw mut names).cast()) })?;
        let open = |name: CString| {
            // SAFETY: the caller holds the lock; the name is a C string.
            let handle = Handle::new(unsafe { raw::H5Aopen(object.0, name.as_ptr(), DEFAULT) })?;
            Ok(Self { handle, name: name.to_string_lossy().into_owned() })
        };
        names.into_iter().map(open).collect()
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its sizes: none for one value; `None` if it is empty by type.
    pub fn extent(&self, _library: &Library) -> io::Result<Option<Vec<u64>>> {
        // SAFETY: the lock is held.
        let space = Handle::new(unsafe { raw::H5Aget_space(self.handle.0) })?;
        Ok(extent(&space)?.map(|(sizes, _)| sizes))
    }

    /// The type of its elements, in the file.
    pub fn kind(&self, _library: &Library) -> io::Result<Kind> {
        // SAFETY: the lock is held.
        Kind::new(unsafe { raw::H5Aget_type(self.handle.0) })
    }

    fn count(&self, library: &Library) -> io::Result<Option<usize>> {
        let sizes = self.extent(library)?.unwrap_or_else(|| vec![0]);
        Ok(sizes.iter().try_fold(1u64, |all, &n| all.checked_mul(n)).and_then(|n| n.try_into().ok()))
    }

    /// Reads all elements in the form of `kind`, which must have no variable length.
    pub fn read(&self, library: &Library, kind: &Kind, to: &mut [u8]) -> io::Result<()> {
        let size = self.count(library)?.and_then(|count| count.checked_mul(kind.size()));
        if size != Some(to.len()) {
            return Err(io::Error::other("the memory has another size than the attribute"));
        }
        // SAFETY: the lock is held; `to` has the bytes of all elements.
        check(unsafe { raw::H5Aread(self.handle.0, kind.id(), to.as_mut_ptr().cast()) })?;
        Ok(())
    }

    /// Reads its `count` elements, which are texts of variable length.
    pub fn read_texts(&self, library: &Library, count: usize) -> io::Result<Vec<String>> {
        let kind = self.kind(library)?;
        if !kind.is_variable_text(library) || self.count(library)? != Some(count) {
            return Err(io::Error::other("the attribute has other elements"));
        }
        let mut pointers: Vec<*const c_char> = vec![std::ptr::null(); count];
        // SAFETY: the lock is held; libhdf5 writes a pointer for each element, to a C string or NULL, which it frees when told.
        unsafe {
            let space = Handle::new(raw::H5Aget_space(self.handle.0))?;
            check(raw::H5Aread(self.handle.0, kind.id(), pointers.as_mut_ptr().cast()))?;
            let text = |&at: &*const c_char| match at.is_null() {
                true => String::new(),
                false => CStr::from_ptr(at).to_string_lossy().into_owned(),
            };
            let texts = pointers.iter().map(text).collect();
            check(raw::H5Dvlen_reclaim(kind.id(), space.0, DEFAULT, pointers.as_mut_ptr().cast()))?;
            Ok(texts)
        }
    }
}
