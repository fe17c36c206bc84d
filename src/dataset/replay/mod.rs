//! Datasets played: as a signal stream, or as chunks into a ring, at a rate.
//!
//! | file | what it is |
//! |---|---|
//! | `params.rs` | the stream that a dataset is played as |
//! | `pace.rs` | when rows are due, and being told to stop |
//! | `player.rs` | the thread, its life and its counts |
//! | `stream.rs`, `ring.rs` | where rows go |

mod pace;
mod params;
mod player;
mod ring;
mod stream;

pub use params::stream_params;
pub use player::{Replay, ReplayConfig, ReplayStats};
