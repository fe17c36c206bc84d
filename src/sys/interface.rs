//! Network interfaces.

use std::ffi::CString;
use std::io;

/// The index of an interface, by its name.
pub fn index(name: &str) -> io::Result<u32> {
    let name = CString::new(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: a C text that lives on.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_has_an_index() {
        assert!(super::index("lo").unwrap() > 0);
        assert!(super::index("no such interface").is_err());
        assert!(super::index("a\0b").is_err());
    }
}
