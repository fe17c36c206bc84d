//! What `recv` writes to the standard output: a line per chunk or lines per heap, and the statistics at the end, for people or as JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use aqueduct::chunk::Chunk;
use aqueduct::error::Error;
use aqueduct::recv::EndReason;
use aqueduct::recv::heap::Heap;
use aqueduct::recv::stats::{Account, Snapshot, Stat, Stats};
use aqueduct::spead::group::{GroupLimits, ItemGroup};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::layout::Layout;
use crate::{heap_items, terminal};

/// The standard output, one line at a time.
pub struct Report {
    json: bool,
    /// What items mean, in heaps that are written one by one.
    items: ItemGroup,
    /// Nobody reads any more.
    closed: bool,
}

/// How a stream ended.
pub struct End<'a> {
    pub reason: EndReason,
    pub names: &'a Stats,
    pub stats: Snapshot,
    pub failures: Vec<Error>,
}

impl End<'_> {
    /// Whether every packet and every heap is in exactly one bin, and none is still on its way.
    pub fn ledger_closed(&self) -> bool {
        self.stats.ledger_closes() && self.stats[Stat::PacketsPending] == 0
    }
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, items: ItemGroup::new(GroupLimits::default()), closed: false }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes a chunk's line.
    pub fn chunk(&mut self, chunk: &Chunk, layout: Layout) -> Result<(), Failure> {
        let line = if self.json { chunk_json(chunk, layout) } else { chunk_text(chunk, layout) };
        self.write(line)
    }

    /// Writes a heap's line, or lines.
    pub fn heap(&mut self, heap: &Heap) -> Result<(), Failure> {
        let items = heap_items::read(heap, &mut self.items);
        let text = if self.json { heap_items::json(heap, &items) } else { heap_items::text(heap, &items) };
        self.write(text)
    }

    /// Writes the statistics.
    pub fn end(&mut self, end: &End<'_>) -> Result<(), Failure> {
        let text = if self.json { end_json(end) } else { end_text(end) };
        self.write(text)
    }

    /// Writes and flushes, so that whoever reads has each line as soon as there is one.
    fn write(&mut self, text: String) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let written = terminal::aside(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
        });
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::Run(format!("writing to the standard output: {error}"))),
            Ok(()) => Ok(()),
        }
    }
}

fn chunk_json(chunk: &Chunk, layout: Layout) -> String {
    let heaps: Vec<Option<&[u8]>> = layout.heaps(chunk).collect();
    let present: Vec<u8> = heaps.iter().map(|heap| heap.is_some().into()).collect();
    let sha256: Vec<Option<String>> = heaps.iter().map(|heap| heap.map(hash)).collect();
    format!("{}\n", json!({ "chunk": chunk.id, "present": present, "sha256": sha256 }))
}

fn chunk_text(chunk: &Chunk, layout: Layout) -> String {
    let (mut present, mut bytes) = (0, 0);
    for heap in layout.heaps(chunk).flatten() {
        present += 1;
        bytes += heap.len();
    }
    format!("chunk {}: {present} of {} heaps, {bytes} bytes\n", chunk.id, layout.heaps_per_chunk)
}

/// SHA-256 in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A reason's name.
fn name(reason: &EndReason) -> &'static str {
    match reason {
        EndReason::User => "user",
        EndReason::StopItem => "stop_item",
        EndReason::SourceEnded => "source_ended",
        EndReason::RingStopped => "ring_stopped",
        EndReason::PoolStopped => "pool_stopped",
        EndReason::Failed(_) => "failed",
    }
}

/// Every statistic's name and value.
fn values<'a>(end: &'a End<'_>) -> impl Iterator<Item = (&'a str, u64)> {
    (0..end.names.count()).filter_map(|index| Some((end.names.name(index)?, end.stats.get(index)?)))
}

fn end_json(end: &End<'_>) -> String {
    let stats: Map<String, Value> = values(end).map(|(name, value)| (name.into(), value.into())).collect();
    let errors: Vec<String> = end.failures.iter().map(Error::to_string).collect();
    let line = json!({
        "stats": stats,
        "ledger_closed": end.ledger_closed(),
        "end": name(&end.reason),
        "errors": errors,
    });
    format!("{line}\n")
}

/// The groups of the table, in its order.
const GROUPS: [&str; 6] = ["received", "delivered", "incomplete", "discarded", "kernel drops", "other"];

/// The group of a statistic. Whatever is a bin of the ledger and not named here is a reason to discard.
fn group(stat: Stat) -> &'static str {
    match stat {
        Stat::Packets | Stat::PacketsControl | Stat::PacketsPending | Stat::Heaps => "received",
        Stat::PacketsDelivered
        | Stat::BytesDelivered
        | Stat::CompleteHeaps
        | Stat::SinglePacketHeaps
        | Stat::ChunksReady => "delivered",
        Stat::PacketsIncomplete
        | Stat::IncompleteHeapsEvicted
        | Stat::IncompleteHeapsFlushed
        | Stat::HeapsLostStart
        | Stat::ChunksUndelivered => "incomplete",
        Stat::KernelDrops => "kernel drops",
        other if other.account() != Account::None => "discarded",
        _ => "other",
    }
}

fn end_text(end: &End<'_>) -> String {
    let mut text = format!("end: {}\n", name(&end.reason));
    for heading in GROUPS {
        let members: Vec<Stat> =
            Stat::ALL.into_iter().filter(|&stat| group(stat) == heading && end.stats[stat] > 0).collect();
        for (i, &stat) in members.iter().enumerate() {
            let heading = if i == 0 { heading } else { "" };
            let _ = writeln!(text, "{heading:<12}  {:<28} {:>14}", stat.name(), end.stats[stat]);
        }
    }
    let _ = writeln!(text, "ledger closed: {}", if end.ledger_closed() { "yes" } else { "NO" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statistic_has_a_group_and_reasons_are_named() {
        for stat in Stat::ALL {
            assert!(GROUPS.contains(&group(stat)), "{}", stat.name());
        }
        assert_eq!(group(Stat::OutOfOrder), "discarded");
        assert_eq!(group(Stat::TooOldHeaps), "discarded");
        assert_eq!(group(Stat::Batches), "other");
    }

    #[test]
    fn hashes_are_hexadecimal() {
        assert_eq!(hash(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
