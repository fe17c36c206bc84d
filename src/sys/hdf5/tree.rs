//! What is in the groups of a file: links, and what they lead to.
//!
//! As all of libhdf5, for a thread that holds [`Library`].

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::mem::transmute;

use super::raw::{self, Id};
use super::{DEFAULT, File, Handle, Library, Links, Target, c_text, check};

/// Bytes of a path that a link may name.
const LONGEST_PATH: usize = 64 << 10;

const HARD: c_int = 0;
const SOFT: c_int = 1;
const EXTERNAL: c_int = 64;

impl File {
    /// The links of a group, by name, and the address of its header, where the library tells it.
    pub fn links(&self, library: &Library, group: &str) -> io::Result<Links> {
        let group = c_text(group.as_bytes())?;
        // SAFETY: the lock is held; the path is a C string.
        let group = Handle::new(unsafe { raw::H5Oopen(self.handle.0, group.as_ptr(), DEFAULT) })?;
        let links = names(&group)?.into_iter();
        let links = links
            .map(|(name, kind)| {
                let target = target(library, &group, &name, kind);
                let target = target.unwrap_or_else(|reason| Target::Broken(reason.to_string()));
                (name.to_string_lossy().into_owned(), target)
            })
            .collect();
        Ok((group.header(library), links))
    }
}

/// Names and kinds of the links of a group.
fn names(group: &Handle) -> io::Result<Vec<(CString, c_int)>> {
    unsafe extern "C" fn add(_: Id, name: *const c_char, info: *const c_int, to: *mut c_void) -> c_int {
        // SAFETY: libhdf5 passes a C string, a struct that begins with a number, and the pointer that it was given.
        unsafe { (*to.cast::<Vec<(CString, c_int)>>()).push((CStr::from_ptr(name).to_owned(), *info)) };
        0
    }
    let function = raw::optional(c"H5Literate2").or_else(|| raw::optional(c"H5Literate"));
    let function =
        function.ok_or_else(|| io::Error::other("this libhdf5 has no function that lists groups"))?;
    let mut links: Vec<(CString, c_int)> = Vec::new();
    // SAFETY: the caller holds the lock; both functions have this type; `links` outlives the call. 0: by name, in ascending order.
    check(unsafe {
        let iter = transmute::<*mut c_void, raw::LinkIter>(function);
        iter(group.0, 0, 0, std::ptr::null_mut(), add, (&raw mut links).cast())
    })?;
    Ok(links)
}

fn target(library: &Library, group: &Handle, name: &CStr, kind: c_int) -> io::Result<Target> {
    if kind != HARD {
        let value = value(group, name)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut texts = value.split(|byte| *byte == 0);
        return Ok(match kind {
            SOFT => Target::Path(text(texts.next().unwrap_or_default())),
            // A byte for version and flags, then two texts.
            EXTERNAL => {
                let file = texts.next().and_then(|text| text.get(1..)).unwrap_or_default();
                Target::File(text(file), text(texts.next().unwrap_or_default()))
            }
            _ => Target::Other,
        });
    }
    // SAFETY: the lock is held; the name is a C string.
    let object = Handle::new(unsafe { raw::H5Oopen(group.0, name.as_ptr(), DEFAULT) })?;
    // SAFETY: the lock is held.
    Ok(match unsafe { raw::H5Iget_type(object.0) } {
        2 => Target::Group(object.header(library)),
        3 => Target::Type,
        5 => Target::Dataset,
        _ => Target::Other,
    })
}

/// What a link that is none to an object holds.
fn value(group: &Handle, name: &CStr) -> io::Result<Vec<u8>> {
    let mut value = vec![0u8; LONGEST_PATH];
    // SAFETY: the caller holds the lock; the name is a C string; there is as much memory as told.
    check(unsafe {
        raw::H5Lget_val(group.0, name.as_ptr(), value.as_mut_ptr().cast(), value.len() - 1, DEFAULT)
    })?;
    Ok(value)
}
