//! Where buffers come from: the system's heap, mmap, or the user.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;

use super::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::mmap::Mapping;

/// A source of buffers; it may be used by several threads at once.
pub trait Allocator: Send + Sync {
    /// A buffer of exactly `size` bytes, their content undefined. `packet` is the packet that the memory is wanted for,
    /// where there is one.
    fn allocate(&self, size: usize, packet: Option<&[u8]>) -> Result<Buffer>;
}

impl dyn Allocator {
    /// The allocator used where none is given.
    pub fn default_allocator() -> Arc<dyn Allocator> {
        Arc::new(HeapAllocator)
    }
}

fn no_memory(size: usize, reason: &str) -> Error {
    Error::new(ErrorKind::NoMemory, format!("cannot allocate {size} bytes: {reason}"))
}

/// The system's heap; buffers start on a cache line.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeapAllocator;

/// One cache line, and enough for any vector instruction.
const ALIGNMENT: usize = 64;

impl Allocator for HeapAllocator {
    fn allocate(&self, size: usize, _packet: Option<&[u8]>) -> Result<Buffer> {
        if size == 0 {
            return Ok(Buffer::empty());
        }
        let layout = Layout::from_size_align(size, ALIGNMENT)
            .map_err(|_| no_memory(size, "no object can be so large"))?;
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) })
            .ok_or_else(|| no_memory(size, "the system has none left"))?;
        // An address as a number, for a NonNull is not Send.
        let address = start.as_ptr() as usize;
        // SAFETY: `start` is a fresh allocation of `size` bytes; it is freed once, with its own layout.
        Ok(unsafe {
            Buffer::from_raw(start, size, move || {
                std::alloc::dealloc(address as *mut u8, layout);
            })
        })
    }
}

/// Memory straight from mmap(2): zeroed on first touch, given back to the system at once when released.
#[derive(Debug, Clone, Copy, Default)]
pub struct MmapAllocator {
    /// Flags for mmap(2) beside `MAP_PRIVATE | MAP_ANONYMOUS`, for example `MAP_POPULATE`.
    pub flags: i32,
    /// Take huge pages where the system has them.
    pub prefer_huge: bool,
    /// Take memory of this NUMA node only.
    pub node: Option<usize>,
}

impl MmapAllocator {
    /// An allocator of memory of one NUMA node; fails where there is no such node.
    pub fn on_node(node: usize, flags: i32, prefer_huge: bool) -> Result<Self> {
        let bound = Mapping::new(1, 0, false).and_then(|mapping| mapping.bind_to_node(node));
        match bound {
            Ok(()) => Ok(Self { flags, prefer_huge, node: Some(node) }),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidInput => {
                Err(Error::invalid(format!("node must be a NUMA node of this machine (got {node})")))
            }
            Err(e) => Err(Error::io(format_args!("mbind to NUMA node {node}"), &e)),
        }
    }
}

impl Allocator for MmapAllocator {
    fn allocate(&self, size: usize, _packet: Option<&[u8]>) -> Result<Buffer> {
        let mapping = Mapping::new(size, self.flags, self.prefer_huge)
            .map_err(|e| no_memory(size, &format!("mmap: {e}")))?;
        if let Some(node) = self.node {
            mapping
                .bind_to_node(node)
                .map_err(|e| no_memory(size, &format!("mbind to NUMA node {node}: {e}")))?;
        }
        let start = mapping.start();
        // SAFETY: the mapping has at least `size` bytes, which are ours until it is dropped.
        Ok(unsafe { Buffer::from_raw(start, size, move || drop(mapping)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allocator_gives_usable_memory() {
        let allocators: [Box<dyn Allocator>; 3] = [
            Box::new(HeapAllocator),
            Box::new(MmapAllocator::default()),
            Box::new(MmapAllocator { prefer_huge: true, ..MmapAllocator::default() }),
        ];
        for allocator in &allocators {
            for size in [0, 1, 4096, 3 << 20] {
                let mut buffer = allocator.allocate(size, None).unwrap();
                assert_eq!(buffer.len(), size);
                buffer.zero();
                assert!(buffer.write(0, &vec![1; size]));
            }
        }
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    fn memory_of_a_node_is_bound_to_it() {
        for (flags, prefer_huge) in [(0, false), (libc::MAP_POPULATE, false), (0, true)] {
            let allocator = match MmapAllocator::on_node(0, flags, prefer_huge) {
                // A kernel, or a container, that does not let anybody choose.
                Err(error) if error.kind() == ErrorKind::Io => return eprintln!("SKIPPED: {error}"),
                allocator => allocator.unwrap(),
            };
            let mut buffer = allocator.allocate(100_000, None).unwrap();
            buffer.zero();
            assert_eq!(crate::sys::numa::bound_to(buffer.start()).unwrap(), Some(0));
        }
        let free = MmapAllocator::default().allocate(100_000, None).unwrap();
        assert_eq!(crate::sys::numa::bound_to(free.start()).unwrap(), None);
        for node in [999, 1024, usize::MAX] {
            let error = MmapAllocator::on_node(node, 0, false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains(&format!("node of this machine (got {node})")), "{error}");
        }
    }

    #[test]
    fn too_much_is_an_error_that_names_the_size() {
        for allocator in [
            &HeapAllocator as &dyn Allocator,
            &MmapAllocator { prefer_huge: true, ..MmapAllocator::default() },
        ] {
            let error = allocator.allocate(usize::MAX - 1, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoMemory);
            assert!(error.message().contains(&(usize::MAX - 1).to_string()), "{error}");
        }
    }
}
