//! Attributes of datasets: those that are one number or one text.
//!
//! Invariant: as of [`Library`](super::Library): its holder calls.

use std::ffi::{CStr, c_char};
use std::io;
use std::ptr::null_mut;

use super::{Class, DEFAULT, Dataset, Handle, Kind, Library, c_text, check, raw};

impl Dataset {
    /// An attribute that is one number; `None`: there is none of that name, or it is something else.
    pub fn number(&self, library: &Library, name: &str) -> io::Result<Option<f64>> {
        let Some((attribute, kind)) = self.attribute(library, name)? else { return Ok(None) };
        if !matches!(kind.class(library)?, Class::Integer | Class::Float) {
            return Ok(None);
        }
        let native = Kind::float(library, 8, cfg!(target_endian = "big"))?;
        let mut value = 0f64;
        // SAFETY: the lock is held; it is one element, of that type.
        check(unsafe { raw::H5Aread(attribute.0, native.id(), (&raw mut value).cast()) })?;
        Ok(Some(value))
    }

    /// An attribute that is one text; `None`: there is none of that name, or it is something else.
    pub fn text(&self, library: &Library, name: &str) -> io::Result<Option<String>> {
        let Some((attribute, kind)) = self.attribute(library, name)? else { return Ok(None) };
        let bytes = match kind.class(library)? {
            Class::Text => {
                let mut bytes = vec![0; kind.size()];
                // SAFETY: the lock is held; it is one element, of as many bytes.
                check(unsafe { raw::H5Aread(attribute.0, kind.id(), bytes.as_mut_ptr().cast()) })?;
                bytes.into_iter().take_while(|&byte| byte != 0).collect()
            }
            // SAFETY: the lock is held. A text of any length is read as a pointer to a C string, which is ours to free.
            _ if unsafe { raw::H5Tis_variable_str(kind.id()) } > 0 => unsafe {
                let mut text: *mut c_char = null_mut();
                check(raw::H5Aread(attribute.0, kind.id(), (&raw mut text).cast()))?;
                if text.is_null() {
                    return Ok(None);
                }
                let bytes = CStr::from_ptr(text).to_bytes().to_vec();
                raw::H5free_memory(text.cast());
                bytes
            },
            _ => return Ok(None),
        };
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// An attribute of one element, and its type.
    fn attribute(&self, _library: &Library, name: &str) -> io::Result<Option<(Handle, Kind)>> {
        let name = c_text(name.as_bytes())?;
        // SAFETY: the lock is held; the name is a C string.
        unsafe {
            if check(raw::H5Aexists(self.handle.0, name.as_ptr()))? == 0 {
                return Ok(None);
            }
            let attribute = Handle::new(raw::H5Aopen(self.handle.0, name.as_ptr(), DEFAULT))?;
            let space = Handle::new(raw::H5Aget_space(attribute.0))?;
            let kind = Kind::new(raw::H5Aget_type(attribute.0))?;
            Ok((raw::H5Sget_simple_extent_npoints(space.0) == 1).then_some((attribute, kind)))
        }
    }
}
