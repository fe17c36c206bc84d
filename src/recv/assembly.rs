//! From packets to heaps: the rules of reassembly, and the count of every packet.
//!
//! An [`Assembler`] belongs to its stream's worker. It knows nothing of where packets come from ([`Reader`]s call it
//! through [`PacketSink`]) or where payloads go (a [`HeapHandler`] places them).
//!
//! Invariant, between two calls: every packet taken is in exactly one statistic, or in a heap of `table` and therefore
//! in `pending`.
//!
//! [`Reader`]: super::reader::Reader

use std::collections::VecDeque;

use super::config::StreamConfig;
use super::copy::{Copier, Room};
use super::end::EndReason;
use super::handler::{Begin, Discard, HeapHandler};
use super::heaps::{Found, Partial, Progress, Table};
use super::sink::{Arrival, Flow, Opened, Opening, PacketSink, Ticket};
use super::stats::{Batch, Stat};
use crate::log::Limited;
use crate::spead::{Header, Malformed, Packet};

/// Heaps without a beginning that are remembered at the most: they are searched one by one, for packets that may be
/// anyone's.
const LOST_STARTS_LIMIT: usize = 1024;

/// What the table keeps about a heap: the handler's state, or why the heap is discarded.
type Fate<T> = Result<T, Discard>;

/// Assembles a stream's packets into heaps.
pub struct Assembler<H: HeapHandler> {
    handler: H,
    table: Table<Fate<H::Heap>>,
    /// Heaps of one packet whose payload is being read into its place.
    opened: Vec<Option<H::Heap>>,
    batch: Batch,
    copier: Copier,
    allow_out_of_order: bool,
    allow_unsized_heaps: bool,
    max_heap_size: u64,
    stop_on_stop_item: bool,
    /// Packets in heaps in progress.
    pending: u64,
    /// Numbers of heaps whose beginning was missed, the latest last; at most `max_lost_starts`.
    lost_starts: VecDeque<u64>,
    max_lost_starts: usize,
    end: Option<EndReason>,
    malformed_log: Limited,
    truncated_log: Limited,
    discard_log: Limited,
}

/// A packet that has passed the checks that need no heap.
enum Kind {
    Whole,
    Part,
}

impl<H: HeapHandler> Assembler<H> {
    /// An assembler that counts into `batch`.
    pub fn new(config: &StreamConfig, handler: H, batch: Batch) -> Self {
        Self {
            handler,
            table: Table::new(config.max_heaps, config.substreams),
            opened: Vec::new(),
            batch,
            copier: config.copy.clone(),
            allow_out_of_order: config.allow_out_of_order,
            allow_unsized_heaps: config.allow_unsized_heaps,
            max_heap_size: config.max_heap_size,
            stop_on_stop_item: config.stop_on_stop_item,
            pending: 0,
            lost_starts: VecDeque::new(),
            max_lost_starts: (config.max_heaps * config.substreams).min(LOST_STARTS_LIMIT),
            end: None,
            malformed_log: Limited::new("malformed packets"),
            truncated_log: Limited::new("truncated packets"),
            discard_log: Limited::new("heaps for which there was no room"),
        }
    }

    /// The heaps' consumer.
    pub fn handler(&mut self) -> &mut H {
        &mut self.handler
    }

    /// What has been counted since the last publication.
    pub fn batch(&mut self) -> &mut Batch {
        self.batch[Stat::PacketsPending] = self.pending;
        &mut self.batch
    }

    /// Why packets are no longer taken, if that is so.
    pub fn end(&self) -> Option<&EndReason> {
        self.end.as_ref()
    }

    /// There are no more packets for now: the consumer gets what is ready.
    pub fn end_batch(&mut self) {
        self.handler.end_batch(&mut self.batch);
    }

    /// Gives up the heaps in progress and hands out what is there. False if it must wait for the consumer.
    pub fn flush(&mut self) -> bool {
        self.opened.clear();
        for heap in self.table.drain() {
            self.give_up(heap, Stat::IncompleteHeapsFlushed);
        }
        self.handler.flush(&mut self.batch)
    }

    /// The last call: lets go of the consumer.
    pub fn close(&mut self, reason: &EndReason) {
        self.handler.close(reason, &mut self.batch);
        self.malformed_log.summarise();
        self.truncated_log.summarise();
        self.discard_log.summarise();
    }

    fn count(&mut self, stat: Stat) -> Flow {
        self.batch[Stat::Packets] += 1;
        self.batch[stat] += 1;
        Flow::Taken
    }

    fn count_discarded_heap(&mut self, discard: Discard) {
        self.batch[Stat::Heaps] += 1;
        self.batch[discard.heaps()] += 1;
        if self.handler.is_closed() {
            self.end.get_or_insert(EndReason::RingStopped);
        }
        if let Discard::NoMemory | Discard::TooManyItems | Discard::TooLarge = discard {
            self.discard_log.note(|| discard.heaps().name().into());
        }
    }

    fn give_up(&mut self, heap: Partial<Fate<H::Heap>>, why: Stat) {
        let packets = heap.progress.packets();
        self.pending -= packets;
        match heap.state {
            Ok(state) => {
                self.batch[Stat::Heaps] += 1;
                self.batch[why] += 1;
                self.batch[Stat::PacketsIncomplete] += packets;
                self.handler.incomplete(state, &heap.progress, &mut self.batch);
            }
            Err(discard) => self.batch[discard.packets()] += packets,
        }
    }

    /// Everything that can be said of a packet without its heap. An error is the answer to the reader.
    #[inline]
    fn judge(&mut self, packet: &Header<'_>) -> Result<Kind, Flow> {
        if self.end.is_some() {
            return Err(Flow::Ended);
        }
        if self.stop_on_stop_item && packet.is_stop() {
            self.end = Some(EndReason::StopItem);
            if packet.is_whole_heap() {
                // The last heap that an older one is given up for.
                self.make_room(packet.heap_cnt());
            }
            return Err(self.count(Stat::PacketsControl));
        }
        if !self.handler.is_ready(&mut self.batch) {
            return Err(if self.handler.is_closed() {
                self.end.get_or_insert(EndReason::RingStopped);
                Flow::Ended
            } else {
                Flow::Blocked
            });
        }
        // What is known of the heap's length: a checked packet's offset has at most 56 bits, so the sum cannot overflow.
        let length = packet.heap_length().unwrap_or(packet.payload_offset() + packet.payload_length());
        if length > self.max_heap_size {
            return Err(self.count(Stat::HeapTooLarge));
        }
        match packet.heap_length() {
            Some(_) if packet.is_whole_heap() => Ok(Kind::Whole),
            None if !self.allow_unsized_heaps => Err(self.count(Stat::Unsized)),
            _ => Ok(Kind::Part),
        }
    }

    /// Begins a heap in one packet. It goes by the table, but is one more after which older ones are given up.
    #[inline]
    fn begin_whole(&mut self, packet: &Header<'_>) -> Begin<H::Heap> {
        if self.table.is_vacant() {
            return self.handler.begin(packet, &mut self.batch);
        }
        self.make_room(packet.heap_cnt());
        let begin = self.handler.begin(packet, &mut self.batch);
        if !matches!(begin, Begin::Blocked) {
            self.table.pass(packet.heap_cnt());
        }
        begin
    }

    fn make_room(&mut self, heap_cnt: u64) {
        if let Some(evicted) = self.table.make_room(heap_cnt) {
            self.give_up(evicted, Stat::IncompleteHeapsEvicted);
        }
    }

    /// A heap in one packet: no table, no state.
    #[inline]
    fn whole(&mut self, packet: &Packet<'_>) -> Flow {
        let mut heap = match self.begin_whole(packet) {
            Begin::Blocked => return Flow::Blocked,
            Begin::Discarded(discard) => return self.end_whole(packet, Err(discard)),
            Begin::Placed(heap) => heap,
        };
        let written = match self.handler.room(&mut heap, packet) {
            Ok(room) => {
                // SAFETY: the room was made for this packet, just now.
                unsafe { self.copier.copy(room, packet) };
                self.handler.wrote(&mut heap, packet)
            }
            Err(discard) => Err(discard),
        };
        self.end_whole(packet, written.map(|()| heap))
    }

    /// The end of a heap in one packet.
    #[inline]
    fn end_whole(&mut self, packet: &Header<'_>, heap: Fate<H::Heap>) -> Flow {
        self.batch[Stat::SinglePacketHeaps] += 1;
        let done =
            heap.and_then(|heap| self.handler.complete(heap, &Progress::whole(packet), &mut self.batch));
        match done {
            Ok(()) => {
                self.count_complete_heap(packet.payload_length());
                self.count(Stat::PacketsDelivered)
            }
            Err(discard) => {
                self.count_discarded_heap(discard);
                self.count(discard.packets())
            }
        }
    }

    #[inline]
    fn count_complete_heap(&mut self, bytes: u64) {
        self.batch[Stat::Heaps] += 1;
        self.batch[Stat::CompleteHeaps] += 1;
        self.batch[Stat::BytesDelivered] += bytes;
    }

    /// Where in the table the heap of a packet is that has more packets. It is begun if it is new. An error is the
    /// answer to the reader.
    #[inline]
    fn locate(&mut self, packet: &Header<'_>) -> Result<usize, Flow> {
        match self.table.find(packet.heap_cnt(), &mut self.batch[Stat::SearchDist]) {
            Found::Live(place) => Ok(place),
            Found::Done => Err(self.count(Stat::Duplicate)),
            Found::Unknown => self.start(packet),
        }
    }

    fn start(&mut self, packet: &Header<'_>) -> Result<usize, Flow> {
        let heap_cnt = packet.heap_cnt();
        if !self.allow_out_of_order && packet.payload_offset() != 0 {
            self.note_lost_start(heap_cnt);
            return Err(self.count(Stat::OutOfOrder));
        }
        self.make_room(heap_cnt);
        let fate = match self.handler.begin(packet, &mut self.batch) {
            Begin::Blocked => return Err(Flow::Blocked),
            Begin::Placed(heap) => Ok(heap),
            Begin::Discarded(discard) => {
                self.count_discarded_heap(discard);
                Err(discard)
            }
        };
        Ok(self.table.insert(heap_cnt, Partial::new(packet, self.allow_out_of_order, fate)))
    }

    fn note_lost_start(&mut self, heap_cnt: u64) {
        if !self.lost_starts.contains(&heap_cnt) {
            self.batch[Stat::HeapsLostStart] += 1;
            self.lost_starts.push_back(heap_cnt);
            if self.lost_starts.len() > self.max_lost_starts {
                self.lost_starts.pop_front();
            }
        }
    }

    /// A packet of a heap that has more.
    #[inline]
    fn part(&mut self, packet: &Packet<'_>) -> Flow {
        let place = match self.locate(packet) {
            Ok(place) => place,
            Err(flow) => return flow,
        };
        let Some(heap) = self.table.get(place) else { return self.count(Stat::Inconsistent) };
        if let Err(reason) = heap.progress.accept(packet) {
            return self.count(reason);
        }
        let mut written = Ok(());
        if let Ok(state) = &mut heap.state {
            written = self.handler.room(state, packet).and_then(|room| {
                // SAFETY: the room was made for this packet, just now.
                unsafe { self.copier.copy(room, packet) };
                self.handler.wrote(state, packet)
            });
        }
        self.accepted(place, written)
    }

    /// A packet of the heap at `place` has been accepted; was it written?
    #[inline]
    fn accepted(&mut self, place: usize, written: Result<(), Discard>) -> Flow {
        self.pending += 1;
        self.batch[Stat::Packets] += 1;
        if let Err(discard) = written {
            if let Some(heap) = self.table.get(place) {
                heap.state = Err(discard);
            }
            self.count_discarded_heap(discard);
        }
        if self.table.get(place).is_some_and(|heap| heap.progress.is_complete())
            && let Some(heap) = self.table.complete(place)
        {
            let packets = heap.progress.packets();
            self.pending -= packets;
            let done = match heap.state {
                Ok(state) => {
                    let done = self.handler.complete(state, &heap.progress, &mut self.batch);
                    if let Err(discard) = done {
                        self.count_discarded_heap(discard);
                    }
                    done
                }
                Err(discard) => Err(discard),
            };
            match done {
                Ok(()) => {
                    self.count_complete_heap(heap.progress.received());
                    self.batch[Stat::PacketsDelivered] += packets;
                }
                Err(discard) => self.batch[discard.packets()] += packets,
            }
        }
        Flow::Taken
    }

    fn open_whole(&mut self, header: &Header<'_>) -> Opening {
        let heap = match self.begin_whole(header) {
            Begin::Blocked => return Opening::Blocked,
            Begin::Discarded(discard) => {
                let _ = self.end_whole(header, Err(discard));
                return Opening::Skip;
            }
            Begin::Placed(heap) => heap,
        };
        let free = self.opened.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.opened.push(None);
            self.opened.len() - 1
        });
        self.opened[number] = Some(heap);
        Opening::Open(Ticket(Opened::Whole(number)))
    }

    fn open_part(&mut self, header: &Header<'_>) -> Opening {
        let place = match self.locate(header) {
            Ok(place) => place,
            Err(flow) => return flow.into(),
        };
        let Some(heap) = self.table.get(place) else { return self.count(Stat::Inconsistent).into() };
        let checked = match heap.state {
            Ok(_) => heap.progress.check(header),
            Err(_) => heap.progress.accept(header),
        };
        match (checked, &heap.state) {
            (Err(reason), _) => self.count(reason).into(),
            (Ok(()), Ok(_)) => Opening::Open(Ticket(Opened::Part { place, serial: heap.serial })),
            (Ok(()), Err(_)) => self.accepted(place, Ok(())).into(),
        }
    }

    fn close_part(&mut self, place: usize, serial: u64, header: &Header<'_>) -> Flow {
        if self.table.get(place).is_none_or(|heap| heap.serial != serial) {
            // Its heap was given up, or completed by others, while the payload was on its way.
            let completed = matches!(self.table.find(header.heap_cnt(), &mut 0), Found::Done);
            return self.count(if completed { Stat::Duplicate } else { Stat::PacketsIncomplete });
        }
        let Some(heap) = self.table.get(place) else { return self.count(Stat::Inconsistent) };
        if let Err(reason) = heap.progress.accept(header) {
            return self.count(reason);
        }
        let written = match &mut heap.state {
            Ok(state) => self.handler.wrote(state, header),
            Err(_) => Ok(()),
        };
        self.accepted(place, written)
    }
}

impl From<Flow> for Opening {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Taken => Self::Skip,
            Flow::Blocked => Self::Blocked,
            Flow::Ended => Self::Ended,
        }
    }
}

impl<H: HeapHandler> PacketSink for Assembler<H> {
    fn packet(&mut self, data: &[u8]) -> Flow {
        match Packet::parse(data) {
            Ok(packet) => self.parsed(&packet),
            Err(kind) => {
                self.malformed(kind, data);
                Flow::Taken
            }
        }
    }

    fn parsed(&mut self, packet: &Packet<'_>) -> Flow {
        match self.judge(packet) {
            Ok(Kind::Whole) => self.whole(packet),
            Ok(Kind::Part) => self.part(packet),
            Err(flow) => flow,
        }
    }

    fn open(&mut self, header: &Header<'_>) -> Opening {
        if self.copier.user.is_some() && self.end.is_none() {
            return Opening::Gather;
        }
        match self.judge(header) {
            Ok(Kind::Whole) => self.open_whole(header),
            Ok(Kind::Part) => self.open_part(header),
            Err(flow) => flow.into(),
        }
    }

    fn room(&mut self, ticket: &Ticket, header: &Header<'_>) -> Option<Room> {
        match ticket.0 {
            Opened::Whole(number) => {
                let heap = self.opened.get_mut(number)?.as_mut()?;
                self.handler.room(heap, header).ok()
            }
            Opened::Part { place, serial } => {
                let heap = self.table.get(place).filter(|heap| heap.serial == serial)?;
                // Another reader may have brought some of it meanwhile: what has been accepted is not written over.
                heap.progress.check(header).ok()?;
                let state = heap.state.as_mut().ok()?;
                match self.handler.room(state, header) {
                    Ok(room) => Some(room),
                    Err(discard) => {
                        heap.state = Err(discard);
                        self.count_discarded_heap(discard);
                        None
                    }
                }
            }
        }
    }

    fn close(&mut self, ticket: Ticket, header: &Header<'_>) {
        let _ = match ticket.0 {
            Opened::Part { place, serial } => self.close_part(place, serial, header),
            Opened::Whole(number) => match self.opened.get_mut(number).and_then(Option::take) {
                Some(mut heap) => {
                    // A chunk may have left its window while the payload was on its way.
                    let written = self
                        .handler
                        .room(&mut heap, header)
                        .and_then(|_| self.handler.wrote(&mut heap, header));
                    self.end_whole(header, written.map(|()| heap))
                }
                None => self.count(Stat::PacketsAfterStop),
            },
        };
    }

    fn abandon(&mut self, ticket: Ticket) {
        if let Opened::Whole(number) = ticket.0
            && let Some(heap) = self.opened.get_mut(number)
        {
            *heap = None;
        }
        self.discard(Stat::Truncated);
    }

    fn arrival(&mut self, arrival: Option<Arrival>) {
        self.handler.arrival(arrival);
    }

    fn malformed(&mut self, kind: Malformed, data: &[u8]) {
        let _ = self.count(kind.into());
        self.malformed_log.note(|| {
            let start: String = data.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            format!("{} ({} bytes, starting {start})", kind.name(), data.len())
        });
    }

    fn discard(&mut self, reason: Stat) {
        let _ = self.count(reason);
        if reason == Stat::Truncated {
            self.truncated_log.note(|| "longer than the reader's max_size, or cut off".into());
        }
    }

    fn note(&mut self, stat: Stat, count: u64) {
        self.batch[stat] += count;
    }

    fn ended(&self) -> bool {
        self.end.is_some()
    }
}
