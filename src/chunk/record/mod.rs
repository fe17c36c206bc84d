//! The chunk recorder: takes filled chunks from a data ring, writes them to files, and puts them back on the free ring; and the reader of such
//! recordings. docs/chunk-files.md has the format and what is promised of files after a crash.
//!
//! | file | what it is |
//! |---|---|
//! | [`mod@format`] | the bytes: file headers, records, ends |
//! | `config.rs`, `stats.rs` | what a recorder is told, and the ledger of its chunks |
//! | `recorder.rs` | the recorder: its threads, stop, end |
//! | `intake.rs` | chunks come: one after the other, each with its place in a file; rotation |
//! | `data_file.rs` | a chunk's bytes to disk, without a copy where that is possible |
//! | `commit.rs`, `index_file.rs` | in the order in which they came, written chunks are entered in the index, made durable and reported |
//! | [`reader`], `scan.rs` | recordings: opened, read, checked; chunks that no index knows of are found |
//!
//! A recorder has a few threads, which all do the same: take a chunk (one at a time), write it (all at the same time), commit it (one at a time,
//! in order). A chunk is *written* when its index record is: a killed program then cannot lose it any more.

mod commit;
mod config;
mod data_file;
pub mod format;
mod index_file;
mod intake;
pub mod reader;
mod recorder;
mod scan;
mod stats;

pub use config::{Direct, LedgerSource, Recorded, RecorderConfig, Report};
pub use reader::Recording;
pub use recorder::Recorder;
pub use stats::{FailReason, RecorderStats};
