//! The output of a stream: frames of an array go to all inputs, in chunks of at least so many frames.

use bytes::Bytes;

use super::array::Layout;
use super::chunk::Chunk;
use super::chunker::{Chunker, Length};
use super::filter::{Chain, Filter, Frames, Refused};
use super::params::Params;
use super::transport::{InputInfo, Published, Publisher};
use crate::error::{Error, Result};
use crate::ring::Wait;

/// What became of frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputStats {
    /// Chunks that were published.
    pub chunks: u64,
    /// Frames that were sent, also those that wait for more to make a chunk.
    pub frames: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frames that were dropped for inputs that were too slow, summed over these, where the transport knows that.
    pub dropped_frames: u64,
    /// Frames that were skipped by an index that was ahead.
    pub skipped_frames: u64,
    /// Times that filters left nothing of the frames that were sent at once.
    pub filtered_chunks: u64,
    /// Times that a filter failed. The frames that were to be sent then are in none of the other counts.
    pub filter_errors: u64,
}

/// The output of a stream. One thread uses it at a time.
pub struct Output {
    /// Of what is sent.
    params: Params,
    filters: Chain,
    publisher: Box<dyn Publisher>,
    chunker: Chunker,
    /// The index behind the last frame that was sent.
    index: u64,
    /// Chunks that are ready and have not been published: a slow input kept them waiting.
    waiting: std::collections::VecDeque<Chunk>,
    stats: OutputStats,
}

impl Output {
    /// An output whose chunks have at least `min_chunk_frames` frames.
    pub fn new(mut params: Params, publisher: Box<dyn Publisher>, min_chunk_frames: usize) -> Result<Self> {
        params.check()?;
        publisher.describe(&mut params);
        let chunker = Chunker::new(Length::AtLeast(min_chunk_frames));
        let (index, stats, waiting) = (0, OutputStats::default(), Default::default());
        let filters = Chain::new(params.clone());
        Ok(Self { params, filters, publisher, chunker, index, waiting, stats })
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
        Ok(())
    }

    /// What became of frames up to now.
    pub fn stats(&self) -> OutputStats {
        self.stats
    }

    /// The index behind the last frame that was sent.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inputs, where the transport knows them.
    pub fn inputs(&self) -> Vec<InputInfo> {
        self.publisher.inputs()
    }

    /// Sends frames, which are copied; the last of them gets index `index - 1`, or comes right behind those sent before.
    ///
    /// # Errors
    /// `Invalid`: they are not of this stream, or would go back.
    ///
    /// # Safety
    /// From `data` on, the bytes that `layout` tells can be read.
    pub unsafe fn send(
        &mut self,
        data: *const u8,
        layout: &Layout,
        index: Option<u64>,
        wait: Wait,
    ) -> Result<Published> {
        let index = self.check(layout, index)?;
        // SAFETY: the caller's promise; the layout has as many frames as the index was found for.
        let frames = unsafe { Frames::lent(data, layout.clone(), index) };
        self.take(frames, wait)
    }

    /// Sends frames that need not be copied.
    pub fn send_shared(
        &mut self,
        data: Bytes,
        layout: Layout,
        index: Option<u64>,
        wait: Wait,
    ) -> Result<Published> {
        let index = self.check(&layout, index)?;
        if layout.extent().end > data.len() {
            let (end, size) = (layout.extent().end, data.len());
            return Err(Error::invalid(format!("the frames reach to byte {end} of {size}")));
        }
        self.take(Frames::shared(Chunk { index, layout, data })?, wait)
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
        let least = self.index.checked_add(frames).filter(|&index| index <= i64::MAX as u64);
        let least = least.ok_or_else(|| Error::state("output: the index cannot grow any more"))?;
        match index {
            None => Ok(least),
            Some(index) if index >= least && index <= i64::MAX as u64 => Ok(index),
            Some(index) => {
                let sent = self.index;
                let rule =
                    format!("index must be at least {least}, as {sent} frames have been and {frames} come");
                Err(Error::invalid(format!("{rule} (got {index})")))
            }
        }
    }

    fn take(&mut self, sent: Frames<'_>, wait: Wait) -> Result<Published> {
        let (start, index, frames, size) = (sent.start(), sent.index(), sent.frames(), sent.layout().size());
        if frames > 0 {
            let left = self.filters.apply(sent).inspect_err(|_| self.stats.filter_errors += 1)?;
            let Self { chunker, waiting, stats, .. } = self;
            match left {
                Some(left) => chunker.push(left, &mut |chunk| waiting.push_back(chunk)),
                None => stats.filtered_chunks += 1,
            }
        }
        self.stats.skipped_frames += start - self.index;
        self.stats.frames += frames as u64;
        self.stats.bytes += size as u64;
        self.index = index;
        self.publish(wait)
    }

    /// Publishes what is ready. Also what an earlier call could not publish in its time.
    pub fn publish(&mut self, wait: Wait) -> Result<Published> {
        let mut all = Published::default();
        while let Some(chunk) = self.waiting.front() {
            let published = self.publisher.publish(chunk, wait)?;
            all.inputs = published.inputs;
            all.dropped_frames += published.dropped_frames;
            self.stats.dropped_frames += published.dropped_frames;
            if published.timed_out {
                all.timed_out = true;
                break;
            }
            self.stats.chunks += 1;
            self.waiting.pop_front();
        }
        Ok(all)
    }

    /// Publishes also frames that waited for more to make a chunk.
    pub fn flush(&mut self, wait: Wait) -> Result<Published> {
        let Self { chunker, waiting, .. } = self;
        chunker.flush(&mut |chunk| waiting.push_back(chunk));
        self.publish(wait)
    }

    /// Begins again at index 0.
    pub fn reset_index(&mut self) {
        let Self { chunker, waiting, .. } = self;
        chunker.flush(&mut |chunk| waiting.push_back(chunk));
        self.filters.restart();
        self.index = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::numpy::parse_dtype;
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// Remembers what was published; refuses as often as it is told.
    #[derive(Default)]
    struct Shelf {
        chunks: Vec<(u64, Vec<u8>)>,
        refuse: usize,
    }

    struct Remember(Arc<Mutex<Shelf>>);

    impl Publisher for Remember {
        fn publish(&mut self, chunk: &Chunk, _: Wait) -> Result<Published> {
            let mut shelf = self.0.lock();
            if shelf.refuse > 0 {
                shelf.refuse -= 1;
                return Ok(Published { timed_out: true, ..Published::default() });
            }
            assert!(chunk.layout.is_dense());
            shelf.chunks.push((chunk.index, chunk.data.to_vec()));
            Ok(Published { inputs: 1, ..Published::default() })
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

    fn send(output: &mut Output, data: &[u8], index: Option<u64>) -> Result<Published> {
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
        output.reset_index();
        send(&mut output, &[3, 3, 3, 3, 3, 3], None).unwrap();
        assert_eq!(shelf.lock().chunks[3..], [(3, vec![3; 6])]);
    }

    #[test]
    fn what_had_no_time_is_published_later() {
        let (mut output, shelf) = output(0);
        shelf.lock().refuse = 2;
        assert!(send(&mut output, &[1, 2], None).unwrap().timed_out);
        assert!(send(&mut output, &[3, 4], None).unwrap().timed_out);
        assert!(!output.publish(Wait::No).unwrap().timed_out);
        assert_eq!(shelf.lock().chunks, [(1, vec![1, 2]), (2, vec![3, 4])]);
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
