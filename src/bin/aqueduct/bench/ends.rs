//! One try of `aqueduct bench`: a sender and a receiver, heaps at a rate for a while, and what became of every packet.
//!
//! The caller's thread submits heaps; the sending stream, the receiving one and whoever takes heaps out of that have threads of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct::recv::StreamConfig;
use aqueduct::recv::heap::{HeapRingStream, RingConfig};
use aqueduct::recv::reader::{InprocQueue, InprocReader, Reader, TcpConfig, TcpReader, UdpConfig, UdpReader};
use aqueduct::recv::stats::{Snapshot, Stat};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use aqueduct::send::heap::flavour;
use aqueduct::send::pace::Pace;
use aqueduct::send::sink::{Destination, InprocSink, Sink, TcpSendConfig, TcpSink, UdpSendConfig, UdpSink};
use aqueduct::send::{Report, Request, SendConfig, SendHeap, SendStats, SendStream, SendValue, SubmitError};
use serde_json::{Map, Value, json};

use super::{Options, Transport, cpu};
use crate::failure::Failure;

/// What a sender must get of the rate that it is asked for.
const KEPT: f64 = 0.98;

/// A sender that cannot keep up may take so many times longer.
const OVERTIME: f64 = 1.5;

/// When nothing has come for so long, nothing comes any more.
const SILENCE: Duration = Duration::from_millis(300);

/// How often to look whether all has come.
const LOOK: Duration = Duration::from_millis(2);

/// The item of data.
const DATA: u64 = 0x1000;

/// What came of a try.
#[derive(Debug)]
pub struct Outcome {
    /// Bits per second that were asked for.
    asked: f64,
    /// From the first heap until all were handed over.
    time: Duration,
    sent: SendStats,
    received: Snapshot,
    cpu: Option<cpu::Sides>,
}

impl Outcome {
    /// Bits of packets per second that were sent.
    pub fn bits_per_second(&self) -> f64 {
        8.0 * self.sent.bytes_sent as f64 / self.time.as_secs_f64().max(1e-9)
    }

    /// Packets that were sent, and did not end in a complete heap.
    fn lost(&self) -> u64 {
        self.sent.packets_sent.saturating_sub(self.received[Stat::PacketsDelivered])
    }

    /// Whether the rate was kept and nothing got lost.
    pub fn is_kept(&self) -> bool {
        self.lost() == 0
            && self.sent.heaps_sent == self.sent.heaps
            && self.received[Stat::CompleteHeaps] == self.sent.heaps
            && self.bits_per_second() >= KEPT * self.asked
    }

    /// Whether either side accounts for all that it had.
    pub fn ledgers_close(&self) -> bool {
        self.sent.ledger_closes() && self.received.ledger_closes()
    }

    /// CPU seconds of sender and receiver for 10^9 bytes of packets.
    fn cpu_per_gigabyte(&self) -> Option<(f64, f64)> {
        let gigabytes = self.sent.bytes_sent as f64 / 1e9;
        let cpu = self.cpu.filter(|_| gigabytes > 0.0)?;
        Some((cpu.sender.as_secs_f64() / gigabytes, cpu.receiver.as_secs_f64() / gigabytes))
    }

    /// A row of the table.
    pub fn row(&self) -> String {
        let cpu = match self.cpu_per_gigabyte() {
            Some((sender, receiver)) => format!("{sender:12.3} {receiver:13.3}"),
            None => format!("{:>12} {:>13}", "-", "-"),
        };
        let (asked, got) = (self.asked / 1e9, self.bits_per_second() / 1e9);
        let verdict = match (self.is_kept(), self.lost()) {
            (true, _) => "",
            (false, 0) => "  not kept",
            (false, _) => "  loss",
        };
        format!("{asked:12.3} {got:10.3} {cpu} {:11} {:11}{verdict}", self.sent.packets_sent, self.lost())
    }

    /// Every counter that is not 0, of both sides.
    pub fn ledger(&self) -> String {
        let mut text = String::from("\nledger at the highest rate\n");
        let mut line = |side: &str, name: &str, value: u64| {
            if value > 0 {
                text += &format!("  {side:<9} {name:<28} {value:>14}\n");
            }
        };
        for (name, value) in sender_stats(&self.sent) {
            line("sender", name, value);
        }
        for stat in Stat::ALL {
            line("receiver", stat.name(), self.received[stat]);
        }
        text += &format!("  ledgers closed: {}", if self.ledgers_close() { "yes" } else { "NO" });
        text
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let sent: Map<String, Value> =
            sender_stats(&self.sent).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let received: Map<String, Value> =
            Stat::ALL.into_iter().map(|stat| (stat.name().into(), self.received[stat].into())).collect();
        let cpu = self.cpu_per_gigabyte();
        json!({
            "asked_bits_per_s": self.asked,
            "bits_per_s": self.bits_per_second(),
            "seconds": self.time.as_secs_f64(),
            "kept": self.is_kept(),
            "lost": self.lost(),
            "sender_cpu_s_per_gb": cpu.map(|cpu| cpu.0),
            "receiver_cpu_s_per_gb": cpu.map(|cpu| cpu.1),
            "sender": sent,
            "receiver": received,
            "ledgers_closed": self.ledgers_close(),
        })
    }
}

fn sender_stats(stats: &SendStats) -> [(&'static str, u64); 12] {
    [
        ("heaps", stats.heaps),
        ("heaps_sent", stats.heaps_sent),
        ("heaps_failed", stats.heaps_failed),
        ("heaps_cancelled", stats.heaps_cancelled),
        ("packets", stats.packets),
        ("packets_sent", stats.packets_sent),
        ("packets_failed", stats.packets_failed),
        ("packets_cancelled", stats.packets_cancelled),
        ("bytes_sent", stats.bytes_sent),
        ("refused", stats.refused),
        ("batches", stats.batches),
        ("queue_full", stats.queue_full),
    ]
}

/// What reads, and a function that makes what sends to it.
fn ends(options: &Options) -> Result<(Box<dyn Reader>, MakeSink), Failure> {
    let Options { host, buffer_size, .. } = options;
    let to = |port| vec![Destination { host: host.clone(), port }];
    let largest = options.packet_size.max(1);
    Ok(match options.transport {
        Transport::Udp => {
            let reader = UdpReader::new(UdpConfig {
                host: host.clone(),
                max_size: largest,
                buffer_size: *buffer_size,
                ..UdpConfig::default()
            })?;
            let config = UdpSendConfig { destinations: to(reader.port()), ..UdpSendConfig::default() };
            (Box::new(reader), Box::new(move || Ok(Box::new(UdpSink::new(&config)?))))
        }
        Transport::Tcp => {
            let reader = TcpReader::new(TcpConfig {
                host: host.clone(),
                max_size: largest,
                buffer_size: (*buffer_size).max(largest),
                ..TcpConfig::default()
            })?;
            let connect_timeout = Duration::from_secs(10);
            let config = TcpSendConfig { destinations: to(reader.port()), connect_timeout, buffer_size: 0 };
            (Box::new(reader), Box::new(move || Ok(Box::new(TcpSink::new(&config)?))))
        }
        Transport::Mem => {
            let queue = Arc::new(InprocQueue::new(*buffer_size)?);
            let reader = InprocReader::new(queue.clone())?;
            (Box::new(reader), Box::new(move || Ok(Box::new(InprocSink::new(vec![queue])?))))
        }
    })
}

type MakeSink = Box<dyn FnOnce() -> Result<Box<dyn Sink>, Failure>>;

/// Sends heaps at a rate for a while, and waits for what comes of them.
pub fn transfer(options: &Options, rate: f64, time: Duration) -> Result<Outcome, Failure> {
    let mut heap = SendHeap::new(flavour(48)?, false);
    heap.add(DATA, SendValue::Addressed(vec![0x5a; options.heap_size].into()))?;
    let heap = Arc::new(heap);

    let (reader, make_sink) = ends(options)?;
    let pool = Arc::new(ThreadPool::new(1, &[])?);
    let config =
        StreamConfig { max_heap_size: options.heap_size.max(1 << 20) as u64, ..StreamConfig::default() };
    let receiver = HeapRingStream::new(&pool, config, RingConfig { heaps: 16, ..RingConfig::default() })?;
    receiver.stream().add_reader(reader)?;
    let pace = Pace { rate: rate / 8.0, ..Pace::default() };
    let config = SendConfig { max_packet_size: options.packet_size, pace, ..SendConfig::default() };
    let sender = SendStream::new(config, make_sink()?)?;

    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("bench-consumer".into())
            // Heaps that were looked at go back to the stream, as they do in programs that keep up.
            .spawn_scoped(scope, || while receiver.get(Wait::Forever).is_ok() {})
            .map_err(|error| Failure::Run(format!("starting a thread: {error}")))?;
        let outcome = measure(&sender, &receiver, &heap, rate, time);
        // Also after a failure: the consumer waits for it.
        receiver.stream().stop()?;
        let (time, cpu) = outcome?;
        sender.stop()?;
        Ok(Outcome { asked: rate, time, sent: sender.stats(), received: receiver.stream().snapshot(), cpu })
    })
}

/// The heaps' way. The answer is the time that sending took, and CPU times.
fn measure(
    sender: &SendStream,
    receiver: &HeapRingStream,
    heap: &Arc<SendHeap>,
    rate: f64,
    time: Duration,
) -> Result<(Duration, Option<cpu::Sides>), Failure> {
    let before = cpu::now();
    let start = Instant::now();
    let bytes_of_all = rate / 8.0 * time.as_secs_f64();
    let latest = start + time.mul_f64(OVERTIME);
    loop {
        match sender.submit(Request::new(heap.clone()), Report::Nobody, Wait::Forever) {
            Ok(_) => {}
            Err(SubmitError::Invalid(error)) => return Err(error.into()),
            Err(other) => return Err(Failure::Run(format!("{other:?}"))),
        }
        // Packets but the last of each heap are full.
        let bytes = sender.stats().packets as f64 * sender.config().max_packet_size as f64;
        if bytes >= bytes_of_all || Instant::now() >= latest || crate::interrupt::requested() {
            break;
        }
    }
    sender.flush(Wait::Forever)?;
    let sending = start.elapsed();
    wait_for_the_rest(sender.stats().packets_sent, receiver);
    Ok((sending, before.zip(cpu::now()).map(|(before, now)| now.since(before))))
}

/// Until all packets have come, or nothing comes any more.
fn wait_for_the_rest(packets: u64, receiver: &HeapRingStream) {
    let (mut received, mut since) = (0, Instant::now());
    while since.elapsed() < SILENCE {
        let now = receiver.stream().snapshot()[Stat::PacketsDelivered];
        if now >= packets {
            return;
        }
        if now > received {
            (received, since) = (now, Instant::now());
        }
        std::thread::sleep(LOOK);
    }
}
