//! The loop of `tail` and `plot`: chunks as they come, until the stream or the user ends it, and what it came to.

use std::time::Duration;

use aqueduct::ring::Wait;
use aqueduct::signal::input::{Input, InputStats, Received};
use aqueduct::signal::open::InputConfig;
use aqueduct::signal::transport::NoChunk;

use super::{Found, dtype, rate, shape};
use crate::failure::Failure;
use crate::heap_items::plain;
use crate::{interrupt, terminal, units};

/// Between two looks whether the user wants to go on.
const LOOK: Duration = Duration::from_millis(100);

/// Messages in a row that are no chunks of the stream, after which it is none.
const MOST_FAILURES: u32 = 1000;

/// What happens to a stream.
pub enum News<'a> {
    /// Frames, and the gap before them.
    Chunk(&'a Received),
    /// The output begins again: what follows has indices from 0 on.
    Restart,
    /// Nothing has come for a moment.
    Quiet,
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Go {
    On,
    Enough,
}

/// Connects to a stream, and says so.
pub fn connect(found: &Found) -> Result<Input, Failure> {
    let input = Input::connect(found.params.clone(), &InputConfig::default())?;
    let params = &found.params;
    terminal::say(format_args!(
        "connected to {} at {}: {} {}, {}",
        plain(&found.title),
        plain(&params.address()),
        dtype(params),
        shape(params),
        rate(params)
    ));
    Ok(input)
}

/// Tells `each` what happens, until it has enough, the stream ends, or the user does.
pub fn receive(
    input: &mut Input,
    mut each: impl FnMut(News<'_>) -> Result<Go, Failure>,
) -> Result<(), Failure> {
    let (mut restarts, mut failures) = (0, 0);
    while !interrupt::requested() {
        let received = match input.receive(Wait::No) {
            Err(NoChunk::Empty) => {
                if each(News::Quiet)? == Go::Enough {
                    return Ok(());
                }
                input.receive(Wait::For(LOOK))
            }
            received => received,
        };
        match received {
            Ok(received) => {
                failures = 0;
                if input.stats().restarts > restarts {
                    restarts = input.stats().restarts;
                    each(News::Restart)?;
                }
                if each(News::Chunk(&received))? == Go::Enough {
                    return Ok(());
                }
            }
            Err(NoChunk::Empty | NoChunk::TimedOut) => {}
            Err(NoChunk::Ended) => {
                terminal::say(format_args!("the stream has ended"));
                return Ok(());
            }
            Err(NoChunk::Failed(error)) => {
                failures += 1;
                if failures == 1 {
                    terminal::say(format_args!("aqueduct: warning: {error}"));
                }
                if failures >= MOST_FAILURES {
                    return Err(Failure::Run(format!(
                        "{failures} messages in a row were no chunks: {error}"
                    )));
                }
            }
        }
    }
    Ok(())
}

/// What became of frames, in a line.
pub fn summary(stats: &InputStats) -> String {
    let mut text = format!("received {} frames in {} chunks", stats.frames, stats.chunks);
    text += &format!(", {}B; ", units::short(stats.bytes as f64));
    text += &format!("{} gaps, {} frames missing", stats.gaps, stats.missing_frames);
    for (count, what) in [
        (stats.restarts, "restarts"),
        (stats.repeated_chunks, "chunks repeated"),
        (stats.malformed, "messages malformed"),
    ] {
        if count > 0 {
            text += &format!("; {count} {what}");
        }
    }
    text
}
