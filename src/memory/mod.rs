//! Memory that data lands in: [`Buffer`]s and the [`Allocator`]s they come from and go back to.

mod allocator;
mod buffer;
mod copy;
mod pool;
mod prefetch;

pub use allocator::{Allocator, HeapAllocator, MmapAllocator};
pub use buffer::Buffer;
pub use copy::CopyMethod;
pub use pool::{MemoryPool, PoolConfig, PoolStats};
pub use prefetch::{prefetch, prefetch_at};
