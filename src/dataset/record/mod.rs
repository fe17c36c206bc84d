//! Writing datasets: rows, signal streams and chunks of the receiver, recorded to HDF5 files.
//!
//! | file | what it is |
//! |---|---|
//! | `config.rs` | what is recorded, and how |
//! | `recorder.rs` | blocks between those who put rows, those that pack, and the one that writes |
//! | `file.rs`, `kind.rs` | the file and the datasets in it; types of elements |
//! | `stream.rs`, `ring.rs` | recorders that take from a signal stream and from a ring of chunks |
//!
//! docs/dataset-recording.md says what is in such a file.

mod config;
mod file;
mod kind;
mod recorder;
mod ring;
mod stream;

pub use config::{Attribute, RecordConfig};
pub use recorder::{LedgerSource, NotPut, RecordStats, Recorder};
pub use ring::RingRecorder;
pub(crate) use stream::PARAMS;
pub use stream::StreamRecorder;
