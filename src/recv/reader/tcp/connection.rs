//! One connection: from a stream of bytes to packets.
//!
//! Two ways lead to the stream's memory. Packets that are in the intake as a whole are offered like those of any other
//! reader. Where the payload of a packet is not there yet, its header is offered first, and the payload is then read
//! straight into its place, by the same system call that reads what follows it: the next header if packets are long, as much
//! as goes into the intake if they are short.
//!
//! Invariant: while a payload is on its way (`current`), the bytes held start with what has come of it, if any.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use socket2::Socket;

use super::config::OnGarbage;
use super::intake::Intake;
use crate::error::{Error, ErrorKind};
use crate::recv::reader::Timestamps;
use crate::recv::reader::udp::arrival;
use crate::recv::sink::{Arrival, Flow, Opening, PacketSink, Ticket};
use crate::recv::stats::Stat;
use crate::spead::{Header, Malformed, Packet};
use crate::sys::tcp::{self, Span};

/// Bytes of a header without its item pointers.
const HEADER: usize = 8;

/// Bytes of the intake.
const INTAKE: usize = 64 << 10;

/// Payloads from this length on are read straight into their places; shorter ones are copied there, as system calls would cost
/// more.
const LONG: u64 = 8 << 10;

/// Bytes read, or looked through, before others get their turn.
const TURN: usize = 1 << 20;

/// With fewer bytes than this per wake-up, it does not pay to let more gather.
const SLOW: usize = 4 << 10;

/// How a connection's turn ended.
pub(super) enum Turn {
    /// There may be more to read.
    More,
    /// Everything has been read.
    Idle,
    /// As `Idle`; more will have gathered after a while.
    Rest(Duration),
    /// The stream would not take a packet; or it has ended.
    Blocked,
    /// The peer closed the connection, after its last packet.
    Closed,
    /// It cannot go on.
    Failed(Error),
}

/// What connections have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) max_size: usize,
    pub(super) on_garbage: OnGarbage,
    pub(super) batch_delay: Duration,
    pub(super) timestamps: Timestamps,
}

/// A packet whose payload is on its way.
struct Current {
    /// `None` if the packet has been counted already and its payload is to be skipped.
    ticket: Option<Ticket>,
    /// Bytes of payload.
    length: usize,
    /// How many of them have come.
    done: usize,
}

/// What taking in the bytes held came to.
enum Taken {
    /// All, but the beginning of something that is taken in when so many bytes of it are held.
    Until(usize),
    /// The stream would not take a packet; or it has ended.
    Blocked,
    /// Looking for a packet has taken long enough.
    Tired,
    /// It cannot go on.
    Failed(Error),
}

/// A connection.
pub(super) struct Connection {
    socket: Socket,
    from: SocketAddr,
    rules: Rules,
    intake: Intake,
    current: Option<Current>,
    /// Header and pointers of the current packet.
    header: Vec<u8>,
    /// Length of the latest packet's header with its pointers.
    latest_header: usize,
    /// The latest packet had a long payload.
    long: bool,
    /// Looking for the next packet in what is none.
    lost: bool,
    /// Bytes in one turn above which there is no rest.
    rest_limit: usize,
}

impl Connection {
    pub(super) fn new(socket: Socket, from: SocketAddr, rules: Rules) -> Self {
        if let Err(error) = rules.timestamps.enable(&socket) {
            log::warn!("tcp reader: connection from {from}: SO_TIMESTAMPING: {error}");
        }
        // Linux tells the double of what it was asked for. Half of that may gather without slowing down the sender.
        let rest_limit = socket.recv_buffer_size().unwrap_or(0) / 4;
        Self {
            socket,
            from,
            rules,
            intake: Intake::new(INTAKE),
            current: None,
            header: Vec::new(),
            latest_header: HEADER,
            long: false,
            lost: false,
            rest_limit,
        }
    }

    /// Offers a bounded number of packets.
    pub(super) fn poll(&mut self, sink: &mut dyn PacketSink) -> Turn {
        let mut work = 0;
        let mut read = 0;
        loop {
            let need = match self.take(sink, &mut work) {
                Taken::Until(need) => need,
                Taken::Blocked => return Turn::Blocked,
                Taken::Tired => return Turn::More,
                Taken::Failed(error) => return Turn::Failed(error),
            };
            if work >= TURN {
                return Turn::More;
            }
            match self.read(sink, need) {
                Ok(0) => return self.closed(sink),
                Ok(n) => {
                    read += n;
                    work += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return match read {
                        SLOW.. if read <= self.rest_limit => Turn::Rest(self.rules.batch_delay),
                        _ => Turn::Idle,
                    };
                }
                Err(error) => return Turn::Failed(self.broken(sink, &error)),
            }
        }
    }

    /// Reads once. The bytes held are the beginning of something that needs `need` of them.
    fn read(&mut self, sink: &mut dyn PacketSink, need: usize) -> io::Result<usize> {
        let direct = self.room(sink).unwrap_or(Span::EMPTY);
        let ahead = if self.long { self.latest_header } else { INTAKE };
        let space = match &self.current {
            Some(_) if direct.len > 0 => self.intake.space(1, ahead),
            // To be skipped: any place will do.
            Some(current) => {
                let rest = current.length - current.done;
                self.intake.space(1, rest.saturating_add(ahead).min(INTAKE))
            }
            None => self.intake.space(need, ahead),
        };
        let reading = (self.rules.timestamps != Timestamps::None).then(Arrival::now);
        let mut time = None;
        let wanted = reading.is_some().then_some(&mut time);
        // SAFETY: the room is the current packet's alone until the sink is called again, and the space is the intake's; so
        // they do not overlap either.
        let n = unsafe { tcp::read(self.socket.as_fd(), direct, space, wanted) }?;
        if let Some(reading) = reading {
            sink.arrival(Some(arrival(time, reading)));
        }
        let placed = n.min(direct.len);
        if let Some(current) = &mut self.current {
            current.done += placed;
        }
        self.intake.filled(n - placed);
        Ok(n)
    }

    /// Where the rest of the current packet's payload goes; `None` if nowhere.
    fn room(&mut self, sink: &mut dyn PacketSink) -> Option<Span> {
        let current = self.current.as_ref()?;
        let ticket = current.ticket.as_ref()?;
        let header = Header::parse(&self.header).ok()?;
        let room = sink.room(ticket, &header)?;
        let offset = header.payload_offset() as usize;
        // By the contract of Room it holds all of the payload, at that offset.
        debug_assert!(offset + current.length <= room.size);
        // SAFETY: done <= length, and offset + length <= size.
        let start = unsafe { room.base.add(offset + current.done) };
        Some(Span { start, len: current.length - current.done })
    }

    /// Takes in what is held, as far as it goes.
    fn take(&mut self, sink: &mut dyn PacketSink, work: &mut usize) -> Taken {
        loop {
            if self.current.is_some() {
                if !self.take_payload(sink) {
                    return Taken::Until(1);
                }
                // That of a packet which ended the stream.
                if sink.ended() {
                    return Taken::Blocked;
                }
            } else if self.lost {
                match self.search(sink, work) {
                    Some(taken) => return taken,
                    None => self.lost = false,
                }
            } else if let Some(taken) = self.take_packet(sink) {
                return taken;
            }
        }
    }

    /// Puts what is held of the current packet's payload into its place. True when all of it is there.
    fn take_payload(&mut self, sink: &mut dyn PacketSink) -> bool {
        let direct = if self.intake.held().is_empty() { None } else { self.room(sink) };
        let Some(current) = &mut self.current else { return true };
        let held = self.intake.held();
        let n = held.len().min(current.length - current.done);
        if let Some(room) = direct {
            // SAFETY: the room holds at least n bytes, which are the current packet's alone until the sink is called again.
            unsafe { room.start.as_ptr().copy_from_nonoverlapping(held.as_ptr(), n) };
        }
        self.intake.consume(n);
        current.done += n;
        if current.done < current.length {
            return false;
        }
        // The header has been parsed before.
        if let (Some(Current { ticket: Some(ticket), .. }), Ok(header)) =
            (self.current.take(), Header::parse(&self.header))
        {
            sink.close(ticket, &header);
        }
        true
    }

    /// Takes in one packet, or begins to. `None` if there may be more to take in.
    #[inline]
    fn take_packet(&mut self, sink: &mut dyn PacketSink) -> Option<Taken> {
        let held = self.intake.held();
        match Packet::parse(held) {
            Ok(packet) if packet.size() <= self.rules.max_size => {
                self.long = packet.payload_length() >= LONG;
                self.latest_header = HEADER + packet.pointer_bytes().len();
                if sink.parsed(&packet) != Flow::Taken {
                    return Some(Taken::Blocked);
                }
                let size = packet.size();
                self.intake.consume(size);
                None
            }
            Ok(packet) => {
                let size = packet.size() as u64;
                self.too_long(sink, size)
            }
            Err(Malformed::TooShort) => Some(Taken::Until(HEADER)),
            Err(Malformed::ItemsOverflow) => {
                let size = held.first_chunk().map_or(Ok(HEADER), Header::measure).unwrap_or(HEADER);
                if size > self.rules.max_size {
                    self.too_long(sink, size as u64)
                } else {
                    Some(Taken::Until(size))
                }
            }
            Err(Malformed::PayloadOverflow) => self.begin(sink),
            Err(kind) => self.garbage(sink, kind),
        }
    }

    /// Offers the header of a packet whose payload is not all there yet.
    fn begin(&mut self, sink: &mut dyn PacketSink) -> Option<Taken> {
        let header = match Header::parse(self.intake.held()) {
            Ok(header) => header,
            Err(kind) => return self.garbage(sink, kind),
        };
        let start = HEADER + header.pointer_bytes().len();
        let size = start as u64 + header.payload_length();
        if size > self.rules.max_size as u64 {
            return self.too_long(sink, size);
        }
        let length = header.payload_length() as usize;
        self.long = length as u64 >= LONG;
        self.latest_header = start;
        let ticket = match sink.open(&header) {
            Opening::Open(ticket) => Some(ticket),
            Opening::Skip => None,
            Opening::Gather => return Some(Taken::Until(size as usize)),
            Opening::Blocked | Opening::Ended => return Some(Taken::Blocked),
        };
        self.header.clear();
        self.header.extend_from_slice(&self.intake.held()[..start]);
        self.intake.consume(start);
        self.current = Some(Current { ticket, length, done: 0 });
        None
    }

    /// Something that cannot be the start of a packet.
    #[cold]
    fn garbage(&mut self, sink: &mut dyn PacketSink, kind: Malformed) -> Option<Taken> {
        if sink.ended() {
            return Some(Taken::Blocked);
        }
        sink.malformed(kind, self.intake.held());
        self.lose(sink, || format!("malformed packet: {kind}"))
    }

    /// A packet that is longer than packets may be, or garbage that looks like one.
    #[cold]
    fn too_long(&mut self, sink: &mut dyn PacketSink, size: u64) -> Option<Taken> {
        if sink.ended() {
            return Some(Taken::Blocked);
        }
        sink.discard(Stat::Truncated);
        let max_size = self.rules.max_size;
        self.lose(sink, || format!("a packet of {size} bytes, more than max_size ({max_size})"))
    }

    fn lose(&mut self, sink: &mut dyn PacketSink, why: impl Fn() -> String) -> Option<Taken> {
        match self.rules.on_garbage {
            OnGarbage::Close => {
                self.intake.consume(usize::MAX);
                Some(Taken::Failed(self.error(ErrorKind::Format, format_args!("{}", why()))))
            }
            OnGarbage::Resync => {
                self.lost = true;
                self.skip(sink, 1);
                None
            }
        }
    }

    fn skip(&mut self, sink: &mut dyn PacketSink, bytes: usize) {
        sink.note(Stat::BytesSkipped, bytes as u64);
        self.intake.consume(bytes);
    }

    /// Skips bytes up to what may be a header. `None` if there is one.
    fn search(&mut self, sink: &mut dyn PacketSink, work: &mut usize) -> Option<Taken> {
        let held = self.intake.held();
        let mut place = 0;
        let taken = loop {
            if *work >= TURN {
                break Some(Taken::Tired);
            }
            let rest = &held[place..];
            match plausible(rest, self.rules.max_size) {
                Plausible::Yes => break None,
                Plausible::Perhaps(need) => break Some(Taken::Until(need)),
                Plausible::No(cost) => *work += cost,
            }
            place += 1;
        };
        self.skip(sink, place);
        taken
    }

    /// The peer will send no more.
    fn closed(&mut self, sink: &mut dyn PacketSink) -> Turn {
        match self.cut_off(sink) {
            Some(what) => Turn::Failed(self.error(ErrorKind::Truncated, format_args!("closed after {what}"))),
            None => Turn::Closed,
        }
    }

    /// The connection is no more.
    fn broken(&mut self, sink: &mut dyn PacketSink, reason: &io::Error) -> Error {
        match self.cut_off(sink) {
            Some(what) => self.error(ErrorKind::Truncated, format_args!("{reason}, after {what}")),
            None => self.error(ErrorKind::Io, format_args!("recvmsg: {reason}")),
        }
    }

    /// Gives up what has come of a packet, if there is anything.
    fn cut_off(&mut self, sink: &mut dyn PacketSink) -> Option<String> {
        let held = self.intake.held().len();
        if let Some(current) = self.current.take() {
            if let Some(ticket) = current.ticket {
                sink.abandon(ticket);
            }
            let start = self.header.len();
            return Some(format!(
                "{} of the {} bytes of a packet",
                start + current.done,
                start + current.length
            ));
        }
        if self.lost {
            self.skip(sink, held);
            return None;
        }
        self.intake.consume(held);
        (held > 0).then(|| {
            sink.discard(Stat::Truncated);
            format!("the first {held} bytes of a packet")
        })
    }

    fn error(&self, kind: ErrorKind, what: fmt::Arguments<'_>) -> Error {
        Error::new(kind, format!("tcp reader: connection from {}: {what}", self.from))
    }

    /// Packets of which something is held, and that have not been counted.
    pub(super) fn leftover(&mut self) -> u64 {
        let mut packets = 0;
        if let Some(current) = self.current.take() {
            packets += u64::from(current.ticket.is_some());
            self.intake.consume(current.length - current.done);
        }
        if self.lost {
            return packets;
        }
        while let Ok(packet) = Packet::parse(self.intake.held()) {
            packets += 1;
            let size = packet.size();
            self.intake.consume(size);
        }
        packets + u64::from(!self.intake.held().is_empty())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether bytes may be the start of a packet.
enum Plausible {
    Yes,
    /// That can be said when there are so many.
    Perhaps(usize),
    /// No; so many were looked at.
    No(usize),
}

fn plausible(bytes: &[u8], max_size: usize) -> Plausible {
    let Some(start) = bytes.first_chunk::<HEADER>() else {
        return match bytes.first() {
            Some(&byte) if byte != Header::MAGIC => Plausible::No(1),
            _ => Plausible::Perhaps(HEADER),
        };
    };
    match Header::measure(start) {
        Ok(size) if size > max_size => Plausible::No(1),
        Ok(size) if size > bytes.len() => Plausible::Perhaps(size),
        Ok(size) => match Header::parse(&bytes[..size]) {
            Ok(header) if size as u64 + header.payload_length() <= max_size as u64 => Plausible::Yes,
            _ => Plausible::No(size),
        },
        Err(_) => Plausible::No(1),
    }
}
