//! Datasets of HDF5 files: streamed, and read at random, in parallel, without libhdf5 in the way.
//!
//! libhdf5 opens a file and tells what a dataset is; its bytes we read and unpack ourselves, in as many threads as there are. What we cannot read ourselves
//! libhdf5 reads, one at a time, and [`Dataset::path_kind`] says so.
//!
//! | file | what it is |
//! |---|---|
//! | `file.rs`, `dataset.rs` | an open file; what a dataset is, and by which way it is read |
//! | `dtype.rs` | types of elements, records and their fields, byte order |
//! | `index/` | where chunks are |
//! | `codec/` | unpacking chunks |
//! | `memory.rs` | memory of a size that a file tells |
//! | `strips.rs` | from chunks to rows, and from records to columns |
//! | `reader.rs`, `cache.rs` | rows, for one thread; unpacked chunks, for several |
//! | `select.rs` | rows and parts of rows by index, slice, list and mask |
//! | `request/` | what is selected, read at random by several threads |
//! | `tree.rs`, `describe.rs` | what is in a file, and what a dataset is |
//! | `stream/` | blocks of rows, read ahead by several threads |
//! | `record/`, `packing.rs` | writing: from signal streams, chunks of the receiver, and rows; how chunks are packed |
//! | `replay/` | rows as a signal stream or as chunks, at a rate |

mod cache;
#[cfg(feature = "hdf5")]
mod codec;
#[cfg(not(feature = "hdf5"))]
#[path = "no_codec.rs"]
mod codec;
#[expect(clippy::module_inception, reason = "the module is named after its domain, the type as well")]
mod dataset;
mod describe;
mod dtype;
mod file;
mod index;
mod memory;
mod packing;
mod reader;
pub mod record;
pub mod replay;
mod request;
mod select;
mod stream;
mod strips;
mod tree;

pub use cache::ChunkCache;
pub use codec::{Decoder, Pipeline};
pub use dataset::{Dataset, PathKind};
pub use describe::{Attribute, AttributeValue, Description, Filter, Layout};
pub use dtype::{DataType, Field, Form, Swap, swap_elements};
pub use file::File;
pub use packing::{Compression, Packing};
pub use reader::{ReadStats, Reader};
pub use request::{
    Future, NoResult, ParallelReader, ReaderConfig, RequestPool, RequestStats, ResultView, Stage, StagePool,
};
pub use select::{Axis, Selection};
use stream::rows_in_order;
pub use stream::{
    Block, BlockQueue, Progress, Remainder, RowError, RowIter, StreamConfig, remainder, stream,
};
pub use tree::{Entry, Target};
