//! The input of a stream: chunks in order, and an exact account of the frames that are missing between them.
//!
//! One thread receives at a time. What others may want to know meanwhile (counts, the history) stands in [`InputView`], which is never locked while a call
//! waits.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use parking_lot::Mutex;

use super::chunk::Chunk;
use super::chunker::{Chunker, Length};
use super::deadline::Deadline;
use super::filter::{Chain, Filter, Frames, Refused};
use super::history::{History, HistoryConfig};
use super::params::Params;
use super::transport::{NoChunk, Subscriber};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;

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
    /// Frames that came out of the filters; without filters those that came.
    pub filtered_frames: u64,
    /// Chunks that came and are lost because a filter failed.
    pub filter_errors: u64,
}

/// What can be known of an input while a thread is in a call of it.
pub struct InputView {
    params: Mutex<Arc<Params>>,
    seen: Mutex<Seen>,
    history: Mutex<Option<Arc<History>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    stats: InputStats,
    index: Option<u64>,
}

impl InputView {
    /// What is known of the stream.
    pub fn params(&self) -> Arc<Params> {
        self.params.lock().clone()
    }

    /// What became of frames up to now.
    pub fn stats(&self) -> InputStats {
        self.seen.lock().stats
    }

    /// The index behind the last frame that came; `None` before the first.
    pub fn index(&self) -> Option<u64> {
        self.seen.lock().index
    }

    /// The latest frames, if they are kept.
    pub fn history(&self) -> Result<Arc<History>> {
        let history = self.history.lock().clone();
        history.ok_or_else(|| Error::state("input: it keeps no frames; see set_buffer"))
    }
}

/// The input of a stream. One thread uses it at a time.
pub struct Input {
    /// Of what comes.
    params: Arc<Params>,
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
    history: Option<Arc<History>>,
    stats: InputStats,
    view: Arc<InputView>,
}

impl Input {
    /// The input of the stream that `params` describe, whose chunks `subscriber` brings. It gives out chunks of `chunk_frames` frames, but in front of a
    /// gap and at the end, where they may be shorter; with 0 as they were sent.
    pub fn new(params: Params, subscriber: Box<dyn Subscriber>, chunk_frames: usize) -> Self {
        let length = match chunk_frames {
            0 => Length::Any,
            frames => Length::Exactly(frames),
        };
        let params = Arc::new(params);
        let view = Arc::new(InputView {
            params: Mutex::new(params.clone()),
            seen: Mutex::default(),
            history: Mutex::default(),
        });
        Self {
            filters: Chain::new(Params::clone(&params)),
            params,
            subscriber,
            chunker: Chunker::new(length),
            ready: VecDeque::new(),
            gap: 0..0,
            came: None,
            next: None,
            history: None,
            stats: InputStats::default(),
            view,
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
        self.filters.push(filter)?;
        *self.view.params.lock() = Arc::new(self.filters.params().clone());
        Ok(())
    }

    /// What became of frames up to now.
    pub fn stats(&self) -> InputStats {
        self.stats
    }

    /// The index behind the last frame that came; as filters have made it.
    pub fn index(&self) -> Option<u64> {
        self.next
    }

    /// What others may look at while this is in a call.
    pub fn view(&self) -> &Arc<InputView> {
        &self.view
    }

    /// Keeps the latest `frames` frames, to be looked at by their index; those that did not come are filled. Frames that were received before are not in
    /// it.
    pub fn set_buffer(
        &mut self,
        frames: usize,
        axisorder: Option<Vec<usize>>,
        fill: Option<f64>,
    ) -> Result<()> {
        let config = self.history_config(frames, axisorder, fill);
        self.keep(Some(History::new(&config)?));
        Ok(())
    }

    /// What a history of so many frames of this stream is made with.
    pub fn history_config(
        &self,
        frames: usize,
        axisorder: Option<Vec<usize>>,
        fill: Option<f64>,
    ) -> HistoryConfig {
        let params = self.filters.params();
        HistoryConfig {
            dtype: params.dtype.clone(),
            frame_shape: params.frame_shape(),
            frames,
            axisorder: axisorder.or_else(|| params.axisorder.clone()),
            fill: fill.or(params.fill),
        }
    }

    /// Appends what comes from now on to this history, or to none.
    pub fn keep(&mut self, history: Option<History>) {
        self.history = history.map(Arc::new);
        self.view.history.lock().clone_from(&self.history);
    }

    /// The latest frames, if they are kept.
    pub fn history(&self) -> Result<Arc<History>> {
        self.view.history()
    }

    /// A descriptor that is readable when it may be worth calling [`receive`](Self::receive); but not while chunks are ready that were cut out of one:
    /// receive until there is none.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.subscriber.fd()
    }

    /// Takes the next chunk.
    pub fn receive(&mut self, wait: Wait) -> Result<Received, NoChunk> {
        self.poll(wait)?;
        // There is one: that is what poll has waited for.
        self.ready.pop_front().ok_or(NoChunk::Empty)
    }

    /// Waits until there is a chunk, which the next [`receive`](Self::receive) takes at once. It is counted already, and in the history.
    pub fn poll(&mut self, wait: Wait) -> Result<(), NoChunk> {
        let found = self.fetch(Deadline::new(wait));
        *self.view.seen.lock() = Seen { stats: self.stats, index: self.next };
        match found {
            // It could wait a little, and then no more.
            Err(NoChunk::Empty) if wait != Wait::No => Err(NoChunk::TimedOut),
            found => found,
        }
    }

    /// Has the transport bring chunks until one is ready.
    fn fetch(&mut self, deadline: Deadline) -> Result<(), NoChunk> {
        while self.ready.is_empty() {
            match self.subscriber.receive(deadline.left()) {
                Ok(chunk) => self.take(chunk)?,
                Err(NoChunk::Ended) => {
                    // What was collected for a chunk that will not be full.
                    self.make_ready_what_is_collected();
                    if self.ready.is_empty() {
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
        Ok(())
    }

    /// Looks where a chunk belongs.
    fn take(&mut self, chunk: Chunk) -> Result<(), NoChunk> {
        let fits = chunk.layout.shape()[1..] == *self.params.frame_shape()
            && chunk.layout.item() == self.params.dtype.size();
        if !fits {
            self.stats.malformed += 1;
            let (expected, shape) = (self.params.frame_shape(), chunk.layout.shape());
            return Err(NoChunk::Failed(Error::new(
                ErrorKind::Format,
                format!("input: a frame must be of shape {expected:?} (got {:?})", &shape[1..]),
            )));
        }
        if chunk.index > i64::MAX as u64 || chunk.frames() as u64 > chunk.index {
            self.stats.malformed += 1;
            let reason =
                format!("input: a chunk of {} frames cannot end at index {}", chunk.frames(), chunk.index);
            return Err(NoChunk::Failed(Error::new(ErrorKind::Format, reason)));
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
            self.filters.go_back(0);
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
            Ok(None) => return Ok(()),
            Err(error) => {
                self.stats.filter_errors += 1;
                return Err(NoChunk::Failed(error));
            }
        };
        self.stats.filtered_frames += chunk.frames() as u64;
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
        // Of a chunk that is longer than the history, the end is kept.
        let frames = chunk.frames();
        let part = chunk.part(frames.saturating_sub(history.frames()), frames);
        // SAFETY: a chunk's layout lies within its data.
        let appended = unsafe { history.append(part.data.as_ptr(), &part.layout, Some(chunk.index as i64)) };
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

    /// Begins again: the next chunk is the first, wherever it begins, and the history goes on at index 0. Frames of chunks that were not given out are
    /// forgotten.
    pub fn reset_index(&mut self) {
        self.make_ready_what_is_collected();
        self.ready.clear();
        (self.came, self.next, self.gap) = (None, None, 0..0);
        self.filters.go_back(0);
        if let Some(history) = &self.history {
            history.reset();
        }
        self.view.seen.lock().index = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::array::Layout;
    use crate::signal::filter::{Cast, Decimate, Function};
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
        Input::new(params, Box::new(Prepared(chunks.into())), chunk_frames)
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
    fn filters_come_before_gaps_lengths_and_the_history() {
        let mut input = input(
            vec![
                chunk(1, 4),
                chunk(5, 1),
                chunk(7, 5),
                chunk(20, 2),
                chunk(22, 3),
                Err(NoChunk::Ended),
                Err(NoChunk::Ended),
                chunk(0, 3),
            ],
            2,
        );
        input.add_filter(Box::new(Decimate::new(2).unwrap())).unwrap();
        input.add_filter(Box::new(Cast::to(parse_dtype(">u2").unwrap()))).unwrap();
        assert_eq!((input.params().sample_rate, input.params().dtype.size()), (0.5, 2));
        assert_eq!(*input.view().params(), *input.params());
        input.set_buffer(5, None, Some(7.0)).unwrap();
        let refused = input.add_filter(Box::new(Cast::to_native())).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::State);
        // 2 and 4, none, 8 and 10: 6 is missing. 20, 22 and 24: 12 to 18 are.
        assert_eq!(all(&mut input), [(1..3, 0..0), (4..6, 3..4), (10..12, 6..10), (12..13, 0..0)]);
        let stats = input.stats();
        assert_eq!((stats.frames, stats.gaps, stats.missing_frames, stats.filtered_frames), (15, 2, 9, 7));
        assert_eq!(input.index(), Some(13));
        let mut bytes = [0; 10];
        input.history().unwrap().copy(8, 13, &mut bytes).unwrap();
        assert_eq!(bytes, [0, 7, 0, 7, 0, 20, 0, 22, 0, 24]);
        // The output began again.
        assert_eq!(all(&mut input), [(0..2, 0..0)]);
    }

    #[test]
    fn chunks_that_a_filter_cannot_take_are_told_and_the_stream_goes_on() {
        let mut input = input(vec![chunk(0, 2), chunk(2, 3), chunk(5, 1)], 0);
        let fussy = Function::new(
            "fussy",
            |_| Ok(()),
            |frames, out| if frames.frames() == 3 { Err(Error::invalid("three")) } else { out.same() },
        );
        input.add_filter(Box::new(fussy)).unwrap();
        assert_eq!(all(&mut input), [(0..2, 0..0)]);
        assert_eq!(all(&mut input), [(5..6, 2..5)]);
        let stats = input.stats();
        assert_eq!((stats.filter_errors, stats.malformed, stats.missing_frames), (1, 0, 0));
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

    #[test]
    fn polling_takes_nothing_and_others_may_look() {
        let mut input = input(vec![chunk(0, 3), chunk(5, 1), Err(NoChunk::Ended)], 2);
        let view = input.view().clone();
        assert_eq!((view.index(), view.history().is_err()), (None, true));
        input.set_buffer(4, None, None).unwrap();
        for _ in 0..3 {
            assert_eq!(input.poll(Wait::No), Ok(()));
        }
        assert_eq!((view.index(), view.stats().chunks, view.history().unwrap().index()), (Some(3), 1, 3));
        assert_eq!(all(&mut input), [(0..2, 0..0), (2..3, 0..0), (5..6, 3..5)]);
        assert_eq!((view.stats(), view.stats().missing_frames), (input.stats(), 2));
        assert_eq!(input.poll(Wait::No), Err(NoChunk::Empty));
    }

    #[test]
    fn a_reset_begins_anywhere() {
        let mut input = input(vec![chunk(0, 3), chunk(10, 2)], 2);
        input.set_buffer(4, None, None).unwrap();
        input.poll(Wait::No).unwrap();
        input.reset_index();
        assert_eq!((input.history().unwrap().index(), input.index()), (0, None));
        assert_eq!(all(&mut input), [(10..12, 0..0)]);
        assert_eq!((input.stats().gaps, input.history().unwrap().index()), (0, 12));
    }

    #[test]
    fn indices_that_cannot_be_are_no_chunks() {
        let mut far = chunk(0, 2).unwrap();
        far.index = u64::MAX;
        let mut early = chunk(0, 2).unwrap();
        early.index = 1;
        let mut input = input(vec![Ok(far), Ok(early)], 0);
        for _ in 0..2 {
            let Err(NoChunk::Failed(error)) = input.receive(Wait::No) else { panic!() };
            assert!(error.message().contains("cannot end at index"), "{error}");
        }
        assert_eq!(input.stats().malformed, 2);
    }
}
