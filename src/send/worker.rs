//! The thread of a stream: it takes heaps from the queue, waits until their packets may leave, and hands these to the sink in batches.
//!
//! Nothing is locked while packets are cut, paced or sent, nor while a user's function runs; what came of a batch is published once, after it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::job::{End, Entry, HeapResult, Job, Report};
use super::pace::{Pacer, cost};
use super::sink::{OutPacket, Refusal, Sink};
use super::stream::{Shared, State};
use crate::error::{Error, ErrorKind};
use crate::log::Limited;
use crate::sys::{gather::Gather, timer};

/// Bytes of a batch without a rate: several messages for a system call.
const BATCH: usize = 256 << 10;

/// Packets of a batch.
const MOST_PACKETS: usize = 1024;

/// Nanoseconds that the thread sleeps without looking whether the stream is to stop.
const NAP: u64 = 1_000_000;

/// A packet whose payload lies in more places than this is put together first.
const MOST_PARTS: usize = 16;

/// A packet of a batch: its job's index, its entry's, its own, and where it goes.
#[derive(Clone, Copy)]
struct Pick {
    job: usize,
    entry: usize,
    packet: usize,
    substream: usize,
}

struct Worker<'a> {
    shared: &'a Shared,
    sink: Box<dyn Sink>,
    jobs: VecDeque<Job>,
    pacer: Pacer,
    start: Instant,
    failures: Limited,
    picks: Vec<Pick>,
    heads: Vec<u8>,
}

/// Counts of a batch, to be published together.
#[derive(Default)]
struct Tally {
    packets_sent: u64,
    packets_failed: u64,
    packets_cancelled: u64,
    bytes: u64,
    refused: u64,
}

/// Runs until the stream is stopped.
pub(super) fn run(shared: &Shared, sink: Box<dyn Sink>) {
    timer::make_precise();
    let mut worker = Worker {
        shared,
        sink,
        jobs: VecDeque::new(),
        pacer: Pacer::new(shared.config.pace.burst_rate_ratio),
        start: Instant::now(),
        failures: Limited::new("send stream: heaps that failed"),
        picks: Vec::new(),
        heads: Vec::new(),
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| worker.work())).is_err();
    let error = panicked.then(|| Error::new(ErrorKind::Internal, "send stream: its thread panicked"));
    worker.give_up(error);
    if let Err(error) = worker.sink.finish() {
        log::error!("{error}");
    }
    shared.state.lock().ended = true;
    shared.progress.notify_all();
}

impl Worker<'_> {
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn work(&mut self) {
        while self.fetch() {
            self.abandon();
            let nanoseconds = self.pick();
            // A batch leaves as one burst: for each destination in its order, but together, so that one call takes many.
            if !self.picks.is_sorted_by_key(|pick| pick.substream) {
                self.picks.sort_by_key(|pick| pick.substream);
            }
            if self.picks.is_empty() {
                self.settle(Tally::default());
                continue;
            }
            if !self.wait_until(self.pacer.not_before()) {
                return;
            }
            self.pacer.leave(self.now(), nanoseconds);
            let tally = self.send();
            self.settle(tally);
        }
    }

    /// Takes what is in the queue, and waits for it if there is nothing to do. False when the stream is stopped.
    fn fetch(&mut self) -> bool {
        let mut state = self.shared.state.lock();
        loop {
            if state.stopped {
                return false;
            }
            self.jobs.extend(state.queue.drain(..));
            if !self.jobs.is_empty() {
                return true;
            }
            self.pacer.idle(self.start.elapsed().as_nanos() as u64);
            self.shared.work.wait(&mut state);
            self.pacer.idle(self.start.elapsed().as_nanos() as u64);
        }
    }

    /// Gives up heaps that somebody has waited for too long.
    fn abandon(&mut self) {
        let mut cancelled = 0;
        for entry in self.jobs.iter_mut().flat_map(|job| &mut job.entries) {
            if entry.is_abandoned() {
                cancelled += entry.give_up();
            }
        }
        if cancelled > 0 {
            self.publish(&Tally { packets_cancelled: cancelled, ..Tally::default() });
        }
    }

    /// Takes up the packets of a batch; the answer is how many nanoseconds they take at their rates.
    fn pick(&mut self) -> f64 {
        self.picks.clear();
        let pace = self.shared.config.pace;
        let (mut bytes, mut nanoseconds) = (0, 0.0);
        for (job_index, job) in self.jobs.iter_mut().enumerate() {
            while let Some((index, packet)) = job.take_up() {
                let Some(entry) = job.entries.get_mut(index) else { break };
                let size = entry.packets.size(packet);
                let rate = entry.request.rate.unwrap_or(pace.rate);
                let limit = if rate > 0.0 { pace.burst_size } else { pace.burst_size.max(BATCH) };
                let is_full = bytes + size > limit || self.picks.len() == MOST_PACKETS;
                if is_full && !self.picks.is_empty() {
                    entry.next = packet;
                    job.turn = index;
                    return nanoseconds;
                }
                bytes += size;
                nanoseconds += cost(size as u64, rate);
                let substream = entry.request.substream;
                self.picks.push(Pick { job: job_index, entry: index, packet, substream });
            }
        }
        nanoseconds
    }

    /// Sleeps. False when the stream is stopped meanwhile.
    fn wait_until(&self, time: u64) -> bool {
        loop {
            if self.shared.stop.is_set() {
                return false;
            }
            let ahead = time.saturating_sub(self.now());
            if ahead == 0 {
                return true;
            }
            if ahead < NAP {
                // Cheaper than to be waited for, which a stop does not mind for so short a time.
                std::thread::sleep(Duration::from_nanos(ahead));
                continue;
            }
            // The lock is for the stop's word only.
            let mut state = self.shared.state.lock();
            if state.stopped {
                return false;
            }
            self.shared.work.wait_for(&mut state, Duration::from_nanos(ahead));
        }
    }

    /// Hands the picked packets to the sink.
    fn send(&mut self) -> Tally {
        let mut tally = Tally::default();
        let mut at = 0;
        while at < self.picks.len() {
            // Up to a packet whose heap has failed.
            let has_failed =
                |pick: &Pick| self.entry(pick).is_none_or(|entry| entry.error.is_some() && !entry.goes_on);
            let run = self.picks.iter().skip(at).take_while(|pick| !has_failed(pick)).count();
            if run == 0 {
                self.note_unsent(at, &mut tally, false);
                at += 1;
                continue;
            }
            let sent = self.send_run(at..at + run);
            for index in at..at + sent.packets {
                self.note_sent(index, &mut tally);
            }
            for (about, error) in sent.news {
                tally.refused += 1;
                about.for_each(|index| self.note_error(at + index, &error, true));
            }
            at += sent.packets;
            match sent.refusal {
                None if sent.packets == run => {}
                Some(Refusal::Failed(error)) => {
                    self.note_error(at, &error, false);
                    self.note_unsent(at, &mut tally, false);
                    tally.packets_failed += self.give_up_entry(at);
                    at += 1;
                }
                // A sink that takes none without a reason would have us try for ever.
                Some(Refusal::Stopped) | None => {
                    for index in at..self.picks.len() {
                        self.note_unsent(index, &mut tally, true);
                    }
                    return tally;
                }
            }
        }
        tally
    }

    fn send_run(&mut self, range: std::ops::Range<usize>) -> super::sink::Sent {
        let picks = self.picks.get(range).unwrap_or_default();
        let mut heads = std::mem::take(&mut self.heads);
        heads.clear();
        let mut bodies: Vec<&[u8]> = Vec::with_capacity(2 * picks.len());
        // Where the head of each ends, and its body.
        let mut ends = Vec::with_capacity(picks.len());
        for pick in picks {
            let Some(entry) = entry_of(&self.jobs, pick) else { continue };
            let before = bodies.len();
            entry.packets.head(pick.packet, entry.cnt, &mut heads);
            entry.packets.body(&entry.request.heap, pick.packet, &mut bodies);
            if bodies.len() - before > MOST_PARTS {
                bodies.drain(before..).for_each(|part| heads.extend_from_slice(part));
            }
            ends.push((heads.len(), bodies.len(), pick.substream));
        }
        let (mut head, mut body) = (0, 0);
        let packets: Vec<OutPacket<'_>> = ends
            .into_iter()
            .map(|(head_end, body_end, substream)| {
                let head_bytes = heads.get(head..head_end).unwrap_or_default();
                let parts = bodies.get(body..body_end).unwrap_or_default();
                (head, body) = (head_end, body_end);
                OutPacket { bytes: Gather::new(head_bytes, parts), substream }
            })
            .collect();
        let sent = self.sink.send(&packets, &self.shared.stop);
        self.heads = heads;
        sent
    }

    fn entry(&self, pick: &Pick) -> Option<&Entry> {
        entry_of(&self.jobs, pick)
    }

    fn picked(&mut self, index: usize) -> Option<(&mut Entry, usize)> {
        let pick = *self.picks.get(index)?;
        let entry = self.jobs.get_mut(pick.job)?.entries.get_mut(pick.entry)?;
        Some((entry, pick.packet))
    }

    fn note_sent(&mut self, index: usize, tally: &mut Tally) {
        let Some((entry, packet)) = self.picked(index) else { return };
        let size = entry.packets.size(packet) as u64;
        entry.sent += 1;
        entry.bytes += size;
        tally.packets_sent += 1;
        tally.bytes += size;
    }

    fn note_unsent(&mut self, index: usize, tally: &mut Tally, cancelled: bool) {
        let Some((entry, _)) = self.picked(index) else { return };
        entry.unsent += 1;
        match cancelled {
            true => tally.packets_cancelled += 1,
            false => tally.packets_failed += 1,
        }
    }

    /// An error of a heap; one that is only news of a packet that was sent does not keep the others back.
    fn note_error(&mut self, index: usize, error: &Error, goes_on: bool) {
        let Some((entry, _)) = self.picked(index) else { return };
        if entry.error.is_none() {
            entry.error = Some(error.clone());
            entry.goes_on = goes_on;
        } else {
            entry.goes_on &= goes_on;
        }
    }

    fn give_up_entry(&mut self, index: usize) -> u64 {
        self.picked(index).map_or(0, |(entry, _)| entry.give_up())
    }

    fn publish(&self, tally: &Tally) {
        count(&mut self.shared.state.lock(), tally);
    }

    /// Publishes what came of a batch, and tells those who want to know which heaps have come to their end.
    fn settle(&mut self, tally: Tally) {
        let mut done = Vec::new();
        for job in &mut self.jobs {
            // The turn is that of an entry, and moves with it when those before it go.
            let gone = job.entries.iter().take(job.turn).filter(|entry| entry.is_done()).count();
            job.turn -= gone;
            done.extend(job.entries.extract_if(.., |entry| entry.is_done()));
        }
        self.jobs.retain(|job| !job.entries.is_empty());
        self.finish(done, &tally);
    }

    /// Heaps have come to their end.
    fn finish(&mut self, done: Vec<Entry>, tally: &Tally) {
        let results: Vec<(HeapResult, Report)> =
            done.into_iter().map(|entry| (entry.result(), entry.report)).collect();
        for (result, _) in &results {
            if let End::Failed(error) = &result.end {
                self.failures.note(|| format!("heap {}: {error}", result.cnt));
            }
        }
        // Whoever is told finds it in the counters.
        let pending = results.len() as u64;
        {
            let mut state = self.shared.state.lock();
            count(&mut state, tally);
            state.stats.batches += u64::from(!self.picks.is_empty());
            for (result, _) in &results {
                match result.end {
                    End::Sent => state.stats.heaps_sent += 1,
                    End::Failed(_) => state.stats.heaps_failed += 1,
                    End::Cancelled => state.stats.heaps_cancelled += 1,
                }
            }
            state.stats.heaps_pending -= pending;
        }
        let mut kept = Vec::new();
        for (result, report) in results {
            match report {
                Report::Nobody => {}
                Report::Call(call) => call(&result),
                Report::Keep => kept.push(result),
                Report::Waiter(waiter) => {
                    *waiter.result.lock() = Some(result);
                    waiter.came.notify_all();
                }
            }
        }
        if pending > 0 {
            let mut state = self.shared.state.lock();
            state.untold -= pending as usize;
            state.occupied -= pending as usize - kept.len();
            if !kept.is_empty() {
                state.results.extend(kept);
                self.shared.results_fd.raise();
            }
            drop(state);
            self.shared.progress.notify_all();
        }
    }

    /// Nothing more is sent: what is left is cancelled, or failed with an error.
    fn give_up(&mut self, error: Option<Error>) {
        let mut tally = Tally::default();
        {
            // From here on nothing is taken into the queue, also where a panic was the end.
            let mut state = self.shared.state.lock();
            state.stopped = true;
            self.jobs.extend(state.queue.drain(..));
        }
        for entry in self.jobs.iter_mut().flat_map(|job| &mut job.entries) {
            // Also those that were taken up and are not told about.
            let rest = entry.packets.count() as u64 - entry.sent - entry.unsent;
            entry.next = entry.packets.count();
            entry.unsent += rest;
            match &error {
                Some(error) => {
                    entry.error.get_or_insert_with(|| error.clone());
                    tally.packets_failed += rest;
                }
                None => tally.packets_cancelled += rest,
            }
        }
        self.picks.clear();
        let cancelled: usize = self.jobs.iter().map(|job| job.entries.len()).sum();
        if cancelled > 0 {
            log::warn!("send stream: {cancelled} heaps were not sent: the stream is stopped");
        }
        self.settle(tally);
    }
}

fn entry_of<'a>(jobs: &'a VecDeque<Job>, pick: &Pick) -> Option<&'a Entry> {
    jobs.get(pick.job)?.entries.get(pick.entry)
}

fn count(state: &mut State, tally: &Tally) {
    let stats = &mut state.stats;
    stats.packets_sent += tally.packets_sent;
    stats.packets_failed += tally.packets_failed;
    stats.packets_cancelled += tally.packets_cancelled;
    stats.packets_pending -= tally.packets_sent + tally.packets_failed + tally.packets_cancelled;
    stats.bytes_sent += tally.bytes;
    stats.refused += tally.refused;
}
