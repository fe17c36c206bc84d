//! The input of a stream: chunks in order, and an exact account of the frames that are missing between them.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::chunk::Chunk;
use super::chunker::{Chunker, Length};
use super::filter::{Chain, Filter, Frames, Refused};
use super::history::{History, HistoryConfig};
use super::params::Params;
use super::transport::{NoChunk, Subscriber};
use crate::error::{Error, Result};
use crate::ring::Wait;

/// What an input is told beside what it is to be connected to.
#[derive(Debug, Clone, Default)]
pub struct InputConfig {
    /// Frames of each chunk; 0: as they were sent. In front of a gap, and at the end, chunks may be shorter.
    pub chunk_frames: usize,
}

/// A chunk, and what is missing before it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The frames.
    pub chunk: Chunk,
    /// The indices of frames that were sent, or skipped, between the chunk before and this one, and did not come, or were left
    /// out by a filter. Empty mostly.
    pub gap: Range<u64>,
}

/// What became of frames, counted as they came: before filters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InputStats {
    /// Chunks that came.
    pub chunks: u64,
    /// Frames in them.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Gaps.
    pub gaps: u64,
    /// Frames that are missing in them.
    pub missing_frames: u64,
    /// Chunks that came again, or too late, and were left out.
    pub repeated_chunks: u64,
    /// Messages that were no chunks of this stream.
    pub malformed: u64,
    /// Times that the index went back to the beginning, because the output did so.
    pub restarts: u64,
    /// Chunks that came and of which filters left nothing.
    pub filtered_chunks: u64,
    /// Chunks that came and are lost because a filter failed.
    pub filter_errors: u64,
}

/// The input of a stream. One thread uses it at a time.
pub struct Input {
    /// Of what comes.
    params: Params,
    filters: Chain,
    subscriber: Box<dyn Subscriber>,
    chunker: Chunker,
    /// Ready to be given out.
    ready: VecDeque<Received>,
    /// In front of the next chunk that gets ready.
    gap: Range<u64>,
    /// The index behind the last frame that came; `None` before the first.
    came: Option<u64>,
    /// The same behind the filters.
    next: Option<u64>,
    history: Option<History>,
    stats: InputStats,
}

impl Input {
    /// The input of the stream that `params` describe, whose chunks `subscriber` brings.
    pub fn new(params: Params, subscriber: Box<dyn Subscriber>, config: &InputConfig) -> Self {
        let length = match config.chunk_frames {
            0 => Length::Any,
            frames => Length::Exactly(frames),
        };
        Self {
            filters: Chain::new(params.clone()),
            params,
            subscriber,
            chunker: Chunker::new(length),
            ready: VecDeque::new(),
            gap: 0..0,
            came: None,
            next: None,
            history: None,
            stats: InputStats::default(),
        }
    }

    /// What is known of the stream: what filters have made of the params that it was connected with.
    pub fn params(&self) -> &Params {
        self.filters.params()
    }

    /// Adds a filter behind the others: chunks pass through all of them before they are kept, cut to a length and given out.
    ///
    /// # Errors
    /// `State`: chunks have been received, or are to be kept already ([`set_buffer`](Self::set_buffer)). Else: it does not fit what comes out of the others.
    pub fn add_filter(&mut self, filter: Box<dyn Filter>) -> Result<(), Refused> {
        if self.stats.chunks > 0 || self.history.is_some() {
            let reason =
                "input: filters must be added before the first chunk is received and before set_buffer";
            return Err(Refused { filter, error: Error::state(reason) });
        }
        self.filters.push(filter)
    }

    /// What became of frames up to now.
    pub fn stats(&self) -> InputStats {
        self.stats
    }

    /// The index behind the last frame that came; as filters have made it.
    pub fn index(&self) -> Option<u64> {
        self.next
    }

    /// Keeps the latest `frames` frames, to be looked at by their index; those that did not come are filled. Frames that were received before are not in
    /// it.
    pub fn set_buffer(
        &mut self,
        frames: usize,
        axisorder: Option<Vec<usize>>,
        fill: Option<f64>,
    ) -> Result<()> {
        let params = self.filters.params();
        let history = History::new(&HistoryConfig {
            dtype: params.dtype.clone(),
            frame_shape: params.frame_shape(),
            frames,
            axisorder: axisorder.or_else(|| params.axisorder.clone()),
            fill: fill.or(params.fill),
        })?;
        self.history = Some(history);
        Ok(())
    }

    /// The latest frames, if they are kept.
    pub fn history(&self) -> Result<&History> {
        self.history.as_ref().ok_or_else(|| Error::state("input: it keeps no frames; see set_buffer"))
    }

    /// A descriptor that is readable when it may be worth calling [`receive`](Self::receive); but not while chunks are ready that were cut out of one:
    /// receive until there is none.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.subscriber.fd()
    }

    /// Takes the next chunk.
    pub fn receive(&mut self, wait: Wait) -> Result<Received, NoChunk> {
        let deadline = match wait {
            Wait::For(time) => Instant::now().checked_add(time),
            _ => None,
        };
        loop {
            if let Some(received) = self.ready.pop_front() {
                return Ok(received);
            }
            // What came meanwhile may not have made a chunk.
            let wait = match deadline {
                Some(deadline) => match deadline.saturating_duration_since(Instant::now()) {
                    time if time.is_zero() => Wait::No,
                    time => Wait::For(time),
                },
                None => wait,
            };
            match self.subscriber.receive(wait) {
                Ok(chunk) => self.take(chunk)?,
                Err(NoChunk::Empty) if deadline.is_some() => return Err(NoChunk::TimedOut),
                Err(NoChunk::Ended) => {
                    // What was collected for a chunk that will not be full.
                    let Self { chunker, ready, gap, .. } = self;
                    chunker.flush(&mut |chunk| ready.push_back(Received { chunk, gap: std::mem::take(gap) }));
                    if ready.is_empty() {
                        return Err(NoChunk::Ended);
                    }
                }
                Err(NoChunk::Failed(error)) => {
                    self.stats.malformed += 1;
                    return Err(NoChunk::Failed(error));
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Looks where a chunk belongs.
    fn take(&mut self, chunk: Chunk) -> Result<(), NoChunk> {
        let fits = chunk.layout.shape()[1..] == *self.params.frame_shape()
            && chunk.layout.item() == self.params.dtype.size();
        if !fits {
            self.stats.malformed += 1;
            let (expected, shape) = (self.params.frame_shape(), chunk.layout.shape());
            return Err(NoChunk::Failed(Error::new(
                crate::error::ErrorKind::Format,
                format!("input: a frame must be of shape {expected:?} (got {:?})", &shape[1..]),
            )));
        }
        if chunk.frames() == 0 {
            return Ok(());
        }
        if let Some(came) = self.came
            && chunk.start() < came
        {
            // An output that begins again does so at 0; anything else is a repetition.
            if chunk.start() > 0 {
                self.stats.repeated_chunks += 1;
                return Ok(());
            }
            self.stats.restarts += 1;
            self.make_ready_what_is_collected();
            (self.came, self.next) = (None, None);
            self.filters.restart();
            if let Some(history) = &self.history {
                history.reset();
            }
        }
        if let Some(came) = self.came
            && chunk.start() > came
        {
            self.stats.gaps += 1;
            self.stats.missing_frames += chunk.start() - came;
        }
        self.came = Some(chunk.index);
        self.stats.chunks += 1;
        self.stats.frames += chunk.frames() as u64;
        self.stats.bytes += chunk.layout.size() as u64;
        let chunk = match Frames::shared(chunk).and_then(|frames| self.filters.apply(frames)) {
            Ok(Some(chunk)) => chunk,
            Ok(None) => {
                self.stats.filtered_chunks += 1;
                return Ok(());
            }
            Err(error) => {
                self.stats.filter_errors += 1;
                return Err(NoChunk::Failed(error));
            }
        };
        if let Some(next) = self.next
            && chunk.start() > next
        {
            self.make_ready_what_is_collected();
            self.gap = next..chunk.start();
        }
        self.next = Some(chunk.index);
        self.remember(&chunk)?;
        let Self { chunker, ready, gap, .. } = self;
        chunker.push(chunk, &mut |chunk| ready.push_back(Received { chunk, gap: std::mem::take(gap) }));
        Ok(())
    }

    /// Gives out what waits for more: nothing that follows it is coming.
    fn make_ready_what_is_collected(&mut self) {
        let Self { chunker, ready, gap, .. } = self;
        chunker.flush(&mut |chunk| ready.push_back(Received { chunk, gap: std::mem::take(gap) }));
    }

    /// Appends a chunk to the history.
    fn remember(&self, chunk: &Chunk) -> Result<(), NoChunk> {
        let Some(history) = &self.history else { return Ok(()) };
        let index = i64::try_from(chunk.index).map_err(|_| {
            NoChunk::Failed(Error::invalid(format!("input: index {} is too large", chunk.index)))
        })?;
        // Of a chunk that is longer than the history, the end is kept.
        let frames = chunk.frames();
        let part = chunk.part(frames.saturating_sub(history.frames()), frames);
        // SAFETY: a chunk's layout lies within its data.
        let appended = unsafe { history.append(part.data.as_ptr(), &part.layout, Some(index)) };
        appended.map(|_| ()).map_err(NoChunk::Failed)
    }

    /// Takes and forgets what has come; the history keeps it. Returns how many frames that were.
    pub fn empty_queue(&mut self) -> Result<u64, NoChunk> {
        let mut frames = 0;
        loop {
            match self.receive(Wait::No) {
                Ok(received) => frames += received.chunk.frames() as u64,
                Err(NoChunk::Empty | NoChunk::TimedOut | NoChunk::Ended) => return Ok(frames),
                Err(failed) => return Err(failed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::array::Layout;
    use crate::signal::numpy::parse_dtype;

    /// Brings what was prepared.
    struct Prepared(VecDeque<Result<Chunk, NoChunk>>);

    impl Subscriber for Prepared {
        fn receive(&mut self, _: Wait) -> Result<Chunk, NoChunk> {
            self.0.pop_front().unwrap_or(Err(NoChunk::Empty))
        }

        fn fd(&self) -> Result<BorrowedFd<'_>> {
            Err(Error::state("none"))
        }
    }

    fn chunk(start: u64, frames: usize) -> Result<Chunk, NoChunk> {
        let data: Vec<u8> = (start..start + frames as u64).map(|i| i as u8).collect();
        let layout = Layout::c_order(1, &[frames, 1]).unwrap();
        Ok(Chunk { index: start + frames as u64, layout, data: data.into() })
    }

    fn input(chunks: Vec<Result<Chunk, NoChunk>>, chunk_frames: usize) -> Input {
        let params = Params::new(parse_dtype("u1").unwrap(), &[-1, 1]);
        Input::new(params, Box::new(Prepared(chunks.into())), &InputConfig { chunk_frames })
    }

    /// Start and end of each chunk, and the gap before it.
    fn all(input: &mut Input) -> Vec<(Range<u64>, Range<u64>)> {
        let mut found = Vec::new();
        while let Ok(Received { chunk, gap }) = input.receive(Wait::No) {
            found.push((chunk.start()..chunk.index, gap));
        }
        found
    }

    #[test]
    fn gaps_are_told_exactly() {
        let mut late =
            input(vec![chunk(100, 3), chunk(103, 2), chunk(110, 5), chunk(111, 2), chunk(115, 1)], 0);
        // Where it joined is the beginning: nothing is missing before.
        assert_eq!(
            all(&mut late),
            [(100..103, 0..0), (103..105, 0..0), (110..115, 105..110), (115..116, 0..0)]
        );
        let stats = late.stats();
        assert_eq!((stats.chunks, stats.frames, stats.gaps, stats.missing_frames), (4, 11, 1, 5));
        assert_eq!(stats.repeated_chunks, 1);
    }

    #[test]
    fn chunks_of_a_length_and_their_gaps() {
        let mut input =
            input(vec![chunk(0, 3), chunk(3, 4), chunk(9, 2), chunk(11, 3), Err(NoChunk::Ended)], 5);
        let expected = [(0..5, 0..0), (5..7, 0..0), (9..14, 7..9)];
        assert_eq!(all(&mut input), expected);
        let Err(NoChunk::Empty) = input.receive(Wait::No) else { panic!() };
    }

    #[test]
    fn an_end_gives_out_the_rest() {
        let mut input = input(vec![chunk(0, 3), Err(NoChunk::Ended), Err(NoChunk::Ended)], 5);
        assert_eq!(all(&mut input), [(0..3, 0..0)]);
    }

    #[test]
    fn an_output_that_begins_again_does_not_go_unheard() {
        let mut input = input(vec![chunk(50, 3), chunk(0, 2), chunk(2, 1)], 0);
        input.set_buffer(4, None, None).unwrap();
        assert_eq!(all(&mut input), [(50..53, 0..0), (0..2, 0..0), (2..3, 0..0)]);
        assert_eq!((input.stats().restarts, input.history().unwrap().index()), (1, 3));
    }

    #[test]
    fn the_history_has_what_came_and_fills_what_did_not() {
        let mut input = input(vec![chunk(0, 20), chunk(22, 2), Err(NoChunk::TimedOut)], 0);
        assert!(input.history().is_err());
        input.set_buffer(6, None, Some(255.0)).unwrap();
        assert_eq!(input.empty_queue().unwrap(), 22);
        let mut bytes = [0; 6];
        let history = input.history().unwrap();
        history.copy(18, 24, &mut bytes).unwrap();
        assert_eq!(bytes, [18, 19, 255, 255, 22, 23]);
    }

    #[test]
    fn what_is_no_chunk_of_the_stream_is_an_error_and_the_stream_goes_on() {
        let mut wrong = chunk(0, 2).unwrap();
        wrong.layout = Layout::c_order(1, &[1, 2]).unwrap();
        let mut input = input(vec![Ok(wrong), Err(NoChunk::Failed(Error::invalid("x"))), chunk(0, 1)], 0);
        for _ in 0..2 {
            let Err(NoChunk::Failed(_)) = input.receive(Wait::Forever) else { panic!() };
        }
        assert_eq!(all(&mut input), [(0..1, 0..0)]);
        assert_eq!(input.stats().malformed, 2);
    }
}
