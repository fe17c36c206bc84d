//! The output of a stream: frames of an array go to all inputs, in chunks of at least so many frames.
//!
//! One thread sends at a time. What others may want to know meanwhile (params, counts, how far the inputs are behind) stands in [`OutputView`], which is
//! never locked while a call waits. Invariant: of frames that wait for a slow input the output itself holds one chunk at the most, beside those that are
//! collected for a chunk: it takes no more until that chunk is published.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::array::Layout;
use super::chunk::Chunk;
use super::chunker::{Chunker, Length};
use super::deadline::Deadline;
use super::filter::{Chain, Filter, Frames, Refused};
use super::params::Params;
use super::transport::{InputInfo, InputList, Published, Publisher};
use crate::error::{Error, Result};
use crate::ring::Wait;

/// What became of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputStats {
    /// Chunks that were published.
    pub chunks: u64,
    /// Frames that were taken: published, collected for a chunk, waiting for a slow input, or refused.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frames that were published, at least to one input if there was any.
    pub published_frames: u64,
    /// Frames that are collected for a chunk, or wait for a slow input.
    pub waiting_frames: u64,
    /// Frames of chunks that could not be published: the transport failed, or cannot carry as many at once.
    pub failed_frames: u64,
    /// Frames that were dropped for inputs that were too slow, summed over these, where the transport knows that.
    pub dropped_frames: u64,
    /// Frames that were skipped by an index that was ahead.
    pub skipped_frames: u64,
    /// The index behind the last frame that was taken.
    pub index: u64,
    /// Frames that came out of the filters; without filters those that were sent. Each is published, waits, or has failed.
    pub filtered_frames: u64,
    /// Times that a filter failed: the frames that were to be sent then are not taken.
    pub filter_errors: u64,
}

/// What became of frames that were to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// They are taken. With `timed_out` they, or the chunk that they completed, wait for a slow input: the next call goes on with it.
    Taken(Published),
    /// They are not taken, and nothing has changed: what was taken before still waits for a slow input. Send them again.
    Refused,
}

/// What can be known of an output while a thread is in a call of it.
pub struct OutputView {
    source: Arc<Params>,
    params: Mutex<Arc<Params>>,
    stats: Mutex<OutputStats>,
    inputs: Option<Arc<dyn InputList>>,
}

impl OutputView {
    /// What an input must know to find it, and what it gets.
    pub fn params(&self) -> Arc<Params> {
        self.params.lock().clone()
    }

    /// What is sent: in front of the filters.
    pub fn source(&self) -> &Arc<Params> {
        &self.source
    }

    /// What became of frames up to now.
    pub fn stats(&self) -> OutputStats {
        *self.stats.lock()
    }

    /// The inputs; `None` where the transport does not know them.
    pub fn inputs(&self) -> Option<Vec<InputInfo>> {
        self.inputs.as_ref().map(|list| list.inputs())
    }
}

/// The output of a stream. One thread uses it at a time.
pub struct Output {
    /// Of what is sent.
    params: Arc<Params>,
    filters: Chain,
    publisher: Box<dyn Publisher>,
    chunker: Chunker,
    /// Chunks that are ready and have not been published: a slow input kept them waiting.
    waiting: VecDeque<Chunk>,
    stats: OutputStats,
    view: Arc<OutputView>,
}

impl Output {
    /// An output whose chunks have at least `min_chunk_frames` frames.
    pub fn new(mut params: Params, publisher: Box<dyn Publisher>, min_chunk_frames: usize) -> Result<Self> {
        params.check()?;
        publisher.describe(&mut params);
        let params = Arc::new(params);
        let view = Arc::new(OutputView {
            source: params.clone(),
            params: Mutex::new(params.clone()),
            stats: Mutex::default(),
            inputs: publisher.input_list(),
        });
        let chunker = Chunker::new(Length::AtLeast(min_chunk_frames));
        let filters = Chain::new(Params::clone(&params));
        let (waiting, stats) = (VecDeque::new(), OutputStats::default());
        Ok(Self { params, filters, publisher, chunker, waiting, stats, view })
    }

    /// What an input must know to find it, and what it gets: what filters have made of the params.
    pub fn params(&self) -> &Params {
        self.filters.params()
    }

    /// Adds a filter behind the others: frames pass through all of them before they are collected and published. Then [`params`](Self::params) says what
    /// inputs get, which must be told of that only; frames that are sent are still of the params that the output was made with.
    ///
    /// # Errors
    /// `State`: frames have been sent. Else: it does not fit what comes out of the others, or the transport cannot have what it makes.
    pub fn add_filter(&mut self, filter: Box<dyn Filter>) -> Result<(), Refused> {
        if self.stats.frames > 0 {
            let reason = "output: filters must be added before the first frames are sent";
            return Err(Refused { filter, error: Error::state(reason) });
        }
        self.filters.push(filter)?;
        if let Err(error) = self.publisher.adapt(self.filters.params())
            && let Some(filter) = self.filters.pop()
        {
            return Err(Refused { filter, error });
        }
        self.publisher.describe(self.filters.params_mut());
        *self.view.params.lock() = Arc::new(self.filters.params().clone());
        Ok(())
    }

    /// What became of frames up to now.
    pub fn stats(&self) -> OutputStats {
        self.stats
    }

    /// The index behind the last frame that was sent.
    pub fn index(&self) -> u64 {
        self.stats.index
    }

    /// What others may look at while this is in a call.
    pub fn view(&self) -> &Arc<OutputView> {
        &self.view
    }

    /// How many inputs there are.
    pub fn input_count(&mut self) -> Result<u64> {
        self.publisher.input_count()
    }

    /// Sends frames, which are copied; the last of them gets index `index - 1`, or comes right behind those sent before.
    ///
    /// # Errors
    /// `Invalid`: they are not of this stream, or would go back, or are more than the transport can carry. They are not taken.
    ///
    /// # Safety
    /// From `data` on, the bytes that `layout` tells can be read.
    pub unsafe fn send(
        &mut self,
        data: *const u8,
        layout: &Layout,
        index: Option<u64>,
        wait: Wait,
    ) -> Result<Sent> {
        let index = self.check(layout, index)?;
        let deadline = Deadline::new(wait);
        if self.publish(deadline.left())?.timed_out {
            return Ok(Sent::Refused);
        }
        if self.filters.is_empty()
            && self.publisher.copies()
            && self.chunker.passes(layout.shape()[0])
            && !layout.is_empty()
        {
            let extent = layout.extent();
            // SAFETY: the caller's promise, until this call returns; a chunk that is left then is replaced.
            let data = unsafe { std::slice::from_raw_parts(data.add(extent.start), extent.len()) };
            let chunk = Chunk { index, layout: layout.rebased(), data: Bytes::from_static(data) };
            let sent = self.take(Frames::shared(chunk)?, deadline);
            for left in std::mem::take(&mut self.waiting) {
                // SAFETY: a chunk's layout lies within its data.
                let lent = unsafe { Frames::lent(left.data.as_ptr(), left.layout.clone(), left.index) };
                match lent.into_chunk() {
                    Ok(copy) => self.waiting.push_back(copy),
                    Err(error) => {
                        self.stats.waiting_frames -= left.frames() as u64;
                        self.stats.failed_frames += left.frames() as u64;
                        self.show();
                        return Err(error);
                    }
                }
            }
            return sent;
        }
        // SAFETY: the caller's promise; the layout has as many frames as the index was found for.
        let frames = unsafe { Frames::lent(data, layout.clone(), index) };
        self.take(frames, deadline)
    }

    /// Sends frames that need not be copied.
    pub fn send_shared(
        &mut self,
        data: Bytes,
        layout: Layout,
        index: Option<u64>,
        wait: Wait,
    ) -> Result<Sent> {
        let index = self.check(&layout, index)?;
        if layout.extent().end > data.len() {
            let (end, size) = (layout.extent().end, data.len());
            return Err(Error::invalid(format!("the frames reach to byte {end} of {size}")));
        }
        let deadline = Deadline::new(wait);
        if self.publish(deadline.left())?.timed_out {
            return Ok(Sent::Refused);
        }
        self.take(Frames::shared(Chunk { index, layout, data })?, deadline)
    }

    /// The index behind the last of these frames.
    fn check(&self, layout: &Layout, index: Option<u64>) -> Result<u64> {
        let expected = self.params.frame_shape();
        let (frames, item) = (layout.shape().first().copied().unwrap_or(0) as u64, self.params.dtype.size());
        if layout.shape().get(1..) != Some(&expected[..]) || layout.item() != item {
            let shape = layout.shape();
            return Err(Error::invalid(format!(
                "frames must be of shape {expected:?} with elements of {item} bytes, behind the axis of time (got {shape:?} of {})",
                layout.item()
            )));
        }
        if let Some(&fixed @ 1..) = self.params.shape.first()
            && frames != fixed as u64
        {
            return Err(Error::invalid(format!(
                "a chunk must have {fixed} frames, as shape says (got {frames})"
            )));
        }
        let sent = self.stats.index;
        let least = sent.checked_add(frames).filter(|&index| index <= i64::MAX as u64);
        let least = least.ok_or_else(|| Error::state("output: the index cannot grow any more"))?;
        match index {
            None => Ok(least),
            Some(index) if index >= least && index <= i64::MAX as u64 => Ok(index),
            Some(index) => {
                let rule =
                    format!("index must be at least {least}, as {sent} frames have been and {frames} come");
                Err(Error::invalid(format!("{rule} (got {index})")))
            }
        }
    }

    /// Takes frames; nothing waits to be published.
    fn take(&mut self, sent: Frames<'_>, deadline: Deadline) -> Result<Sent> {
        let (before, filtered) = (self.stats, self.filters.index());
        // Older frames are in what may fail now.
        let mixed = self.chunker.pending() > 0;
        let (start, index, frames, size) = (sent.start(), sent.index(), sent.frames(), sent.layout().size());
        let left = if frames > 0 { self.filters.apply(sent) } else { Ok(None) };
        let left = left.inspect_err(|_| {
            self.stats.filter_errors += 1;
            self.show();
        })?;
        self.stats.skipped_frames += start - before.index;
        self.stats.frames += frames as u64;
        self.stats.bytes += size as u64;
        self.stats.index = index;
        if let Some(chunk) = left {
            self.stats.filtered_frames += chunk.frames() as u64;
            self.stats.waiting_frames += chunk.frames() as u64;
            let Self { chunker, waiting, .. } = self;
            chunker.push(chunk, &mut |chunk| waiting.push_back(chunk));
        }
        let published = self.publish(deadline.left());
        if published.is_err() && !mixed {
            // Nobody has got it.
            self.stats = before;
            self.filters.go_back(filtered);
            self.show();
        }
        published.map(Sent::Taken)
    }

    /// Publishes what is ready. Also what an earlier call could not publish in its time.
    ///
    /// # Errors
    /// The transport failed, or cannot carry as many frames at once: they are counted as failed, and the stream goes on.
    pub fn publish(&mut self, wait: Wait) -> Result<Published> {
        let deadline = Deadline::new(wait);
        let mut all = Published::default();
        // To be seen while this waits.
        self.show();
        while let Some(chunk) = self.waiting.front() {
            let frames = chunk.frames() as u64;
            let published = match self.publisher.publish(chunk, deadline.left()) {
                Ok(published) => published,
                Err(error) => {
                    // It would fail again and again.
                    self.waiting.pop_front();
                    self.stats.waiting_frames -= frames;
                    self.stats.failed_frames += frames;
                    self.show();
                    return Err(error);
                }
            };
            all.inputs = published.inputs;
            all.dropped_frames += published.dropped_frames;
            self.stats.dropped_frames += published.dropped_frames;
            if published.timed_out {
                all.timed_out = true;
                break;
            }
            self.waiting.pop_front();
            self.stats.chunks += 1;
            self.stats.waiting_frames -= frames;
            self.stats.published_frames += frames;
        }
        self.show();
        Ok(all)
    }

    fn show(&self) {
        *self.view.stats.lock() = self.stats;
    }

    /// Publishes also frames that waited for more to make a chunk.
    pub fn flush(&mut self, wait: Wait) -> Result<Published> {
        let Self { chunker, waiting, .. } = self;
        chunker.flush(&mut |chunk| waiting.push_back(chunk));
        self.publish(wait)
    }

    /// Begins again at index 0. False, and nothing has changed: frames that were taken could not be published within the time.
    pub fn reset_index(&mut self, wait: Wait) -> Result<bool> {
        if self.flush(wait)?.timed_out {
            return Ok(false);
        }
        self.publisher.reset_index();
        self.filters.go_back(0);
        self.stats.index = 0;
        self.show();
        Ok(true)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // What can be published at once is; the rest nobody can wait for any more.
        match self.flush(Wait::No) {
            Ok(published) if !published.timed_out => {}
            Ok(_) => log::warn!(
                "output: {} frames are lost, which still waited for a slow input at its end",
                self.stats.waiting_frames
            ),
            Err(error) => log::warn!("output: the last frames are lost: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::filter::{Cast, Channels, Decimate, Function};
    use crate::signal::numpy::parse_dtype;

    /// Remembers what was published; refuses as often as it is told.
    #[derive(Default)]
    struct Shelf {
        chunks: Vec<(u64, Vec<u8>)>,
        refuse: usize,
        fail: usize,
        adapted: usize,
        copies: bool,
    }

    struct Remember(Arc<Mutex<Shelf>>);

    impl Publisher for Remember {
        fn copies(&self) -> bool {
            self.0.lock().copies
        }

        fn publish(&mut self, chunk: &Chunk, _: Wait) -> Result<Published> {
            let mut shelf = self.0.lock();
            if shelf.refuse > 0 {
                shelf.refuse -= 1;
                return Ok(Published { timed_out: true, ..Published::default() });
            }
            if shelf.fail > 0 {
                shelf.fail -= 1;
                return Err(Error::invalid("too large"));
            }
            assert!(chunk.layout.is_dense());
            shelf.chunks.push((chunk.index, chunk.data.to_vec()));
            Ok(Published { inputs: 1, ..Published::default() })
        }

        fn adapt(&mut self, _: &Params) -> Result<()> {
            self.0.lock().adapted += 1;
            Ok(())
        }

        fn input_count(&mut self) -> Result<u64> {
            Ok(1)
        }

        fn describe(&self, params: &mut Params) {
            params.port = "1234".into();
        }
    }

    fn output(min_chunk_frames: usize) -> (Output, Arc<Mutex<Shelf>>) {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let params = Params::new(parse_dtype("u1").unwrap(), &[-1, 2]);
        (Output::new(params, Box::new(Remember(shelf.clone())), min_chunk_frames).unwrap(), shelf)
    }

    fn send(output: &mut Output, data: &[u8], index: Option<u64>) -> Result<Sent> {
        let layout = Layout::c_order(1, &[data.len() / 2, 2]).unwrap();
        // SAFETY: the data is of that layout.
        unsafe { output.send(data.as_ptr(), &layout, index, Wait::No) }
    }

    #[test]
    fn frames_are_counted_and_collected() {
        let (mut output, shelf) = output(3);
        assert_eq!(output.params().port, "1234");
        send(&mut output, &[1, 2, 3, 4], None).unwrap();
        assert!(shelf.lock().chunks.is_empty());
        send(&mut output, &[5, 6, 7, 8], None).unwrap();
        assert_eq!(shelf.lock().chunks, [(4, vec![1, 2, 3, 4, 5, 6, 7, 8])]);
        send(&mut output, &[9, 9], None).unwrap();
        // Frames are skipped: what waits goes on alone.
        send(&mut output, &[7, 7], Some(10)).unwrap();
        assert_eq!(shelf.lock().chunks[1..], [(5, vec![9, 9])]);
        output.flush(Wait::No).unwrap();
        assert_eq!(shelf.lock().chunks[2..], [(10, vec![7, 7])]);
        let stats = output.stats();
        assert_eq!((stats.frames, stats.chunks, stats.skipped_frames, stats.bytes), (6, 3, 4, 12));
        let error = send(&mut output, &[1, 1], Some(10)).unwrap_err();
        assert!(
            error.message().contains("index must be at least 11") && error.message().contains("(got 10)")
        );
        assert!(output.reset_index(Wait::No).unwrap());
        assert_eq!((output.index(), output.view().stats()), (0, output.stats()));
        send(&mut output, &[3, 3, 3, 3, 3, 3], None).unwrap();
        assert_eq!(shelf.lock().chunks[3..], [(3, vec![3; 6])]);
    }

    #[test]
    fn what_had_no_time_is_published_later_and_no_more_is_taken() {
        late(false);
        late(true);
    }

    fn late(copies: bool) {
        let (mut output, shelf) = output(0);
        shelf.lock().copies = copies;
        shelf.lock().refuse = 3;
        let mut mine = [1, 2];
        let Sent::Taken(published) = send(&mut output, &mine, None).unwrap() else { panic!() };
        assert!(published.timed_out);
        // The caller's memory again, also with a transport that copies.
        mine.fill(9);
        assert_eq!(send(&mut output, &[3, 4], None).unwrap(), Sent::Refused);
        assert_eq!((output.stats().frames, output.stats().waiting_frames, output.index()), (1, 1, 1));
        assert!(!output.reset_index(Wait::No).unwrap());
        assert_eq!(output.index(), 1);
        let Sent::Taken(published) = send(&mut output, &[3, 4], None).unwrap() else { panic!() };
        assert!(!published.timed_out);
        assert_eq!(shelf.lock().chunks, [(1, vec![1, 2]), (2, vec![3, 4])]);
        assert_eq!((output.stats().published_frames, output.stats().waiting_frames), (2, 0));
    }

    #[test]
    fn what_fails_is_not_tried_for_ever() {
        let (mut first, shelf) = output(0);
        shelf.lock().fail = 1;
        assert!(send(&mut first, &[1, 2], None).is_err());
        // As if it had not been: nobody has got it.
        assert_eq!(first.stats(), OutputStats::default());
        send(&mut first, &[1, 2], None).unwrap();
        assert_eq!(shelf.lock().chunks, [(1, vec![1, 2])]);
        let (mut second, shelf) = output(2);
        send(&mut second, &[1, 2], None).unwrap();
        shelf.lock().fail = 1;
        assert!(send(&mut second, &[3, 4], None).is_err());
        send(&mut second, &[5, 6, 7, 8], None).unwrap();
        assert_eq!(shelf.lock().chunks, [(4, vec![5, 6, 7, 8])]);
        let stats = second.stats();
        assert_eq!((stats.frames, stats.failed_frames, stats.published_frames), (4, 2, 2));
    }

    #[test]
    fn an_end_publishes_what_was_collected() {
        let (mut output, shelf) = output(10);
        send(&mut output, &[1, 2], None).unwrap();
        drop(output);
        assert_eq!(shelf.lock().chunks, [(1, vec![1, 2])]);
    }

    #[test]
    fn filters_come_before_chunks_are_collected() {
        let (mut output, shelf) = output(2);
        output.add_filter(Box::new(Decimate::new(2).unwrap())).unwrap();
        output.add_filter(Box::new(Channels::new(&[1]))).unwrap();
        output.add_filter(Box::new(Cast::to(parse_dtype(">u2").unwrap()))).unwrap();
        let refused = output.add_filter(Box::new(Channels::new(&[1]))).unwrap_err();
        assert!(refused.error.message().starts_with("filter 4 (channels)"), "{}", refused.error);
        let params = output.params();
        assert_eq!((params.shape.as_slice(), params.sample_rate), (&[-1, 1][..], 0.5));
        assert_eq!((&params.dtype, params.port.as_str()), (&parse_dtype(">u2").unwrap(), "1234"));
        assert_eq!(*output.view().params(), *params);
        assert_eq!(shelf.lock().adapted, 3);
        // Frames 0 to 2, of which two are left; frame 3; after a gap frames 8 and 9.
        send(&mut output, &[1, 2, 3, 4, 5, 6], None).unwrap();
        assert_eq!(shelf.lock().chunks, [(2, vec![0, 2, 0, 6])]);
        send(&mut output, &[7, 8], None).unwrap();
        send(&mut output, &[9, 10, 11, 12], Some(10)).unwrap();
        output.flush(Wait::No).unwrap();
        assert_eq!(shelf.lock().chunks[1..], [(5, vec![0, 10])]);
        let stats = output.stats();
        assert_eq!((stats.frames, stats.skipped_frames, output.index()), (6, 4, 10));
        assert_eq!((stats.filtered_frames, stats.published_frames, stats.waiting_frames), (3, 3, 0));
        let refused = output.add_filter(Box::new(Cast::to_native())).unwrap_err();
        assert_eq!(refused.error.kind(), crate::error::ErrorKind::State);
        assert!(output.reset_index(Wait::No).unwrap());
        send(&mut output, &[1, 2, 3, 4, 5, 6], None).unwrap();
        assert_eq!(shelf.lock().chunks[2..], [(2, vec![0, 2, 0, 6])]);
    }

    #[test]
    fn frames_that_a_filter_refuses_are_not_taken() {
        let (mut output, shelf) = output(0);
        let fussy = Function::new(
            "fussy",
            |_| Ok(()),
            |frames, out| match frames.frames() {
                3 => Err(Error::invalid("three")),
                2 => Ok(()),
                _ => out.same(),
            },
        );
        output.add_filter(Box::new(fussy)).unwrap();
        let error = send(&mut output, &[0; 6], None).unwrap_err();
        assert_eq!(error.message(), "filter 1 (fussy): three");
        assert_eq!((output.stats().filter_errors, output.stats().frames, output.index()), (1, 0, 0));
        assert_eq!(output.view().stats(), output.stats());
        send(&mut output, &[0; 4], None).unwrap();
        assert_eq!((output.stats().frames, output.stats().filtered_frames, output.index()), (2, 0, 2));
        // What the transport refuses may be sent once more.
        shelf.lock().fail = 1;
        assert!(send(&mut output, &[1, 1], None).is_err());
        send(&mut output, &[2, 2], None).unwrap();
        assert_eq!(shelf.lock().chunks, [(3, vec![2, 2])]);
    }

    #[test]
    fn strided_frames_are_packed() {
        let (mut output, shelf) = output(0);
        let data = [1, 0, 2, 0, 3, 0, 4, 0];
        let layout = Layout::new(1, 4, &[2, 2], &[-4, 2]).unwrap();
        // SAFETY: the layout lies within the data.
        unsafe { output.send(data.as_ptr(), &layout, None, Wait::No) }.unwrap();
        assert_eq!(shelf.lock().chunks, [(2, vec![3, 4, 1, 2])]);
    }

    #[test]
    fn what_is_not_of_the_stream_is_refused() {
        let (mut output, _) = output(0);
        let wrong = Layout::c_order(1, &[2, 3]).unwrap();
        let error = output.send_shared(Bytes::from(vec![0; 6]), wrong, None, Wait::No).unwrap_err();
        assert!(
            error.message().contains("of shape [2]") && error.message().contains("got [2, 3]"),
            "{error}"
        );
        let right = Layout::c_order(1, &[2, 2]).unwrap();
        let error = output.send_shared(Bytes::from(vec![0; 3]), right, None, Wait::No).unwrap_err();
        assert!(error.message().contains("byte 4 of 3"), "{error}");
        assert_eq!(output.stats().frames, 0);
    }
}
