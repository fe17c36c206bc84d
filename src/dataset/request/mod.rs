//! Reading at random, in parallel: requests of a selection are read by threads into bounded memory, and their results are taken from futures.
//!
//! | file | what it is |
//! |---|---|
//! | `stage.rs` | the memory that results are read into |
//! | `future.rs` | a result that is there or will be |
//! | `reader.rs` | the threads, and what they have to do |
//! | `pool.rs` | futures in the order in which they were asked for |
//!
//! A request has memory before it is put to the threads, so that there are never more of them than stages. Invariant: each request ends once: with a result, with
//! an error, or stopped; its memory goes back when the result was taken, when there is none, and when nobody can take it any more.

mod future;
mod pool;
mod reader;
mod stage;

pub use future::{Future, NoResult, ResultView};
pub use pool::RequestPool;
pub use reader::{ParallelReader, ReaderConfig, RequestStats};
pub use stage::{Stage, StagePool};
