//! Chunks: large blocks of memory that many heaps are placed in, by a callback, and that are handed over in rings.
//!
//! On this path no heap object is built: the header of a packet says where its payload goes, and it is copied there.

mod guard;
mod handler;
mod item;
mod place;
pub mod record;
mod stream;
mod window;

pub use item::{Chunk, Mark};
pub use place::{ChunkStreamConfig, DEFAULT_MAX_CHUNKS, Place, PlaceRequest, Placement};
pub use stream::{AddFree, ChunkRing, ChunkRingStream};
