//! A payload that the stream would not take yet, for sources whose own copy is gone once they go on.

use crate::recv::sink::{Arrival, Flow, PacketSink};

/// Offers payloads, and keeps the one that was not taken.
#[derive(Debug, Default)]
pub(super) struct Held {
    payload: Vec<u8>,
    /// When it came; `None` if nothing is held.
    arrival: Option<Arrival>,
}

impl Held {
    /// Offers what is held, if anything is. False if it is not taken.
    pub(super) fn offer_again(&mut self, sink: &mut dyn PacketSink) -> bool {
        if self.arrival.is_some() {
            sink.arrival(self.arrival);
            if sink.packet(&self.payload) != Flow::Taken {
                return false;
            }
            self.arrival = None;
        }
        true
    }

    /// Offers a payload while nothing is held. False if it is not taken, and now held.
    #[inline]
    pub(super) fn offer(&mut self, payload: &[u8], arrival: Arrival, sink: &mut dyn PacketSink) -> bool {
        sink.arrival(Some(arrival));
        let taken = sink.packet(payload) == Flow::Taken;
        if !taken {
            self.payload.clear();
            self.payload.extend_from_slice(payload);
            self.arrival = Some(arrival);
        }
        taken
    }

    /// Forgets what is held, and tells whether that was a packet.
    pub(super) fn forget(&mut self) -> bool {
        self.arrival.take().is_some()
    }
}
