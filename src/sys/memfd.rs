//! Memory that processes share through a descriptor: it has no name in any file system, and is gone with the last descriptor and mapping.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// A memory object whose size nobody can change: reading within it never raises SIGBUS.
#[derive(Debug)]
pub struct MemFd(OwnedFd);

impl MemFd {
    /// An object of `size` zero bytes, all of them backed by memory; an error if that were more than half of what the system has available. `name` is for people who look into /proc.
    pub fn new(name: &CStr, size: usize) -> io::Result<Self> {
        // The kernel would go on taking memory until it kills processes, and not only this one.
        if size > most(available()) {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        let length = libc::off_t::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        // SAFETY: a live C string; a non-negative result is a descriptor that we own.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fd was just returned and is owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // Not a sparse file: where there is no memory, that is to be told here and not by SIGBUS later.
        // SAFETY: no pointers.
        let reserved = unsafe {
            libc::ftruncate(fd.as_raw_fd(), length) == 0
                && libc::fallocate(fd.as_raw_fd(), 0, 0, length.max(1)) == 0
        };
        if !reserved {
            return Err(io::Error::last_os_error());
        }
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
        // SAFETY: no pointers.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(fd))
    }

    /// An object that came from elsewhere; an error unless its size is sealed and `size` at least.
    pub fn from_other(fd: OwnedFd, size: usize) -> io::Result<Self> {
        // SAFETY: no pointers.
        let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
        if seals < 0 || seals & libc::F_SEAL_SHRINK == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its size is not sealed"));
        }
        let memory = Self(fd);
        let found = memory.size()?;
        if found < size as u64 {
            let reason = format!("it must have {size} bytes (got {found})");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        Ok(memory)
    }

    /// From now on nobody can map it for writing, punch holes into it or add seals; mappings that are there stay as they are.
    ///
    /// False where the kernel cannot do that (before Linux 5.1).
    pub fn seal_writing(&self) -> bool {
        let seals = libc::F_SEAL_FUTURE_WRITE | libc::F_SEAL_SEAL;
        // SAFETY: no pointers.
        unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_ADD_SEALS, seals) == 0 }
    }

    /// A copy of its first bytes.
    pub fn read_start<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: a live buffer of N bytes.
        let count = unsafe { libc::pread(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), N, 0) };
        match usize::try_from(count) {
            Err(_) => Err(io::Error::last_os_error()),
            Ok(count) if count < N => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(bytes),
        }
    }

    /// Its size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        // SAFETY: all zero bytes are a stat.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: a live stat to write to.
        if unsafe { libc::fstat(self.0.as_raw_fd(), &raw mut stat) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stat.st_size.cast_unsigned())
    }
}

impl AsFd for MemFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Bytes that the system could give out without killing for them; 0 if it does not say.
fn available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|number| number.trim().parse::<u64>().ok())
        .map_or(0, |number| number.saturating_mul(1024))
}

/// The largest object, with so much memory available. Where that is not known, one that does no harm.
fn most(available: u64) -> usize {
    usize::try_from((available / 2).max(16 << 20)).unwrap_or(usize::MAX)
}

/// The size of a page; offsets in objects are multiples of it.
pub fn page_size() -> usize {
    // SAFETY: no pointers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// A shared mapping of an object from its beginning, unmapped on drop.
#[derive(Debug)]
pub struct Shared {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a Shared owns its pages; nothing about them is tied to a thread.
unsafe impl Send for Shared {}
// SAFETY: a shared Shared gives out its address only.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps the first `size` bytes, and behind them the last `twice` of these once more, so that a ring there goes on behind its end with its
    /// beginning. Both numbers are multiples of the page size, and the object has as many bytes.
    pub fn new(memory: &MemFd, size: usize, twice: usize, writable: bool) -> io::Result<Self> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let len = size.checked_add(twice).filter(|_| size > 0 && twice <= size).ok_or_else(invalid)?;
        if size as u64 > memory.size()? {
            return Err(invalid());
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice: room for what follows.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // From here on dropped, that is unmapped, on any error.
        let mapping = Self { start, len };
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        for (at, offset, count) in [(0, 0, size), (size, size - twice, twice)] {
            if count == 0 {
                continue;
            }
            let flags = libc::MAP_SHARED | libc::MAP_FIXED | libc::MAP_POPULATE;
            let position = libc::off_t::try_from(offset).map_err(|_| invalid())?;
            // SAFETY: within the mapping just made, which nobody else knows.
            let part = unsafe {
                let to = start.as_ptr().add(at).cast();
                libc::mmap(to, count, protection, flags, memory.0.as_raw_fd(), position)
            };
            if part == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(mapping)
    }

    /// The first byte.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Bytes in all, the second mapping included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: start and len are those of a mapping that we made and that nobody can reach any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_mapping_is_the_same_memory() {
        let page = page_size();
        let memory = MemFd::new(c"test", 3 * page).unwrap();
        let writer = Shared::new(&memory, 3 * page, 2 * page, true).unwrap();
        assert!(memory.seal_writing());
        let reader = Shared::new(&memory, 3 * page, 2 * page, false).unwrap();
        assert_eq!((reader.len(), reader.is_empty()), (5 * page, false));
        // SAFETY: within both mappings, which nobody else uses.
        unsafe {
            writer.start().add(page + 7).write(42);
            writer.start().add(5 * page - 1).write(43);
            assert_eq!(reader.start().add(3 * page + 7).read(), 42);
            assert_eq!(reader.start().add(3 * page - 1).read(), 43);
        }
        let error = Shared::new(&memory, 3 * page, 0, true).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        assert_eq!(Shared::new(&memory, 4 * page, 0, false).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn objects_that_could_shrink_or_are_short_are_refused() {
        let copy = |memory: &MemFd| memory.0.try_clone().unwrap();
        let memory = MemFd::new(c"test", 100).unwrap();
        assert!(MemFd::from_other(copy(&memory), 100).is_ok());
        let error = MemFd::from_other(copy(&memory), 101).unwrap_err();
        assert!(error.to_string().contains("101 bytes (got 100)"), "{error}");
        let file = tempfile::tempfile().unwrap();
        assert!(MemFd::from_other(file.into(), 0).unwrap_err().to_string().contains("sealed"));
        // SAFETY: no pointers; the result is checked by the assertion below.
        let shrunk = unsafe { libc::ftruncate(memory.0.as_raw_fd(), 50) };
        assert_eq!((shrunk, memory.size().unwrap()), (-1, 100));
    }

    /// No object is made here: if the limit were broken, such a test would take the machine down.
    #[test]
    fn half_of_the_memory_is_the_limit() {
        assert_eq!((most(0), most(1 << 30), most(u64::MAX)), (16 << 20, 1 << 29, usize::MAX / 2));
        let found = available();
        assert!(found > 1 << 20 && found < 1 << 50, "{found}");
    }
}
