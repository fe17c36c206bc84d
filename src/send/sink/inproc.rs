//! Packets into queues of this process, one per substream.

use std::sync::Arc;

use super::{OutPacket, PATIENCE, Refusal, Sent, Sink, StopFlag};
use crate::error::{Error, Result};
use crate::recv::reader::InprocQueue;
use crate::ring::{PutError, Wait};

/// Adds packets to queues.
pub struct InprocSink {
    queues: Vec<Arc<InprocQueue>>,
    scratch: Vec<u8>,
}

impl InprocSink {
    /// A sink for at least one queue.
    pub fn new(queues: Vec<Arc<InprocQueue>>) -> Result<Self> {
        if queues.is_empty() {
            return Err(Error::invalid("there must be at least 1 queue (got 0)"));
        }
        Ok(Self { queues, scratch: Vec::new() })
    }
}

impl Sink for InprocSink {
    fn send(&mut self, packets: &[OutPacket<'_>], stop: &StopFlag) -> Sent {
        let mut sent = Sent::default();
        for packet in packets {
            let Some(queue) = self.queues.get(packet.substream) else { break };
            self.scratch.clear();
            self.scratch.extend_from_slice(packet.bytes.head);
            packet.bytes.body.iter().for_each(|part| self.scratch.extend_from_slice(part));
            loop {
                match queue.add_packet(&self.scratch, Wait::For(PATIENCE)) {
                    Ok(()) => break,
                    Err(PutError::Stopped(())) => {
                        let error =
                            Error::state("queue: it is stopped, or the stream that reads it has ended");
                        sent.refusal = Some(Refusal::Failed(error));
                    }
                    Err(_) if stop.is_set() => sent.refusal = Some(Refusal::Stopped),
                    Err(_) => continue,
                }
                return sent;
            }
            sent.packets += 1;
        }
        sent
    }

    fn substreams(&self) -> usize {
        self.queues.len()
    }
}
