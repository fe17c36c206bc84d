//! Packets from a TCP connection, or from one after the other.
//!
//! The reader listens, takes one connection, and watches that instead of the listening socket until it ends. All of it
//! runs on the stream's worker. When the stream waits for its consumer, nothing is read, and TCP itself slows the sender
//! down: nothing is lost.

mod config;
mod connection;
mod intake;
mod listener;

pub use config::{OnGarbage, TcpConfig};

use std::os::fd::{AsFd, BorrowedFd};

use self::connection::{Connection, Rules, Turn};
use self::listener::Listener;
use super::{Leftover, Polled, Reader, SourceFilter};
use crate::error::{Error, Result};
use crate::log::Limited;
use crate::recv::sink::PacketSink;
use crate::recv::stats::Stat;

/// Reads packets from TCP connections.
pub struct TcpReader {
    /// `None` once the only connection has been accepted.
    listener: Option<Listener>,
    connection: Option<Connection>,
    /// The descriptor to wait for is the connection's.
    connected: bool,
    port: u16,
    reconnect: bool,
    rules: Rules,
    source_filter: Option<SourceFilter>,
    failures: Limited,
    accepted: Limited,
    refused: Limited,
}

impl TcpReader {
    /// Listens as `config` says.
    pub fn new(mut config: TcpConfig) -> Result<Self> {
        config.check()?;
        let listener = Listener::new(&mut config)?;
        let TcpConfig { max_size, batch_delay, reconnect, on_garbage, source_filter, timestamps, .. } =
            config;
        Ok(Self {
            port: listener.address().port(),
            listener: Some(listener),
            connection: None,
            connected: false,
            reconnect,
            rules: Rules { max_size, on_garbage, batch_delay, timestamps },
            source_filter,
            failures: Limited::new("connections that ended with an error"),
            accepted: Limited::debug("connections"),
            refused: Limited::debug("connections refused"),
        })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn accept(&mut self, sink: &mut dyn PacketSink) -> Polled {
        let Some(listener) = &mut self.listener else { return Polled::Ended };
        match listener.accept() {
            Ok(Some((_, from))) if self.source_filter.as_ref().is_some_and(|f| !f.accepts(from.ip())) => {
                self.refused.note(|| format!("from {from}"));
                sink.note(Stat::ConnectionsRejected, 1);
                Polled::More
            }
            Ok(Some((socket, from))) => {
                self.accepted.note(|| format!("from {from}"));
                sink.note(Stat::Connections, 1);
                self.connection = Some(Connection::new(socket, from, self.rules));
                Polled::Moving
            }
            Ok(None) => Polled::Idle,
            Err(error) => Polled::Failed(error),
        }
    }

    /// The connection has ended.
    fn ended(&mut self, error: Option<Error>) -> Polled {
        if self.reconnect {
            if let Some(error) = error {
                self.failures.note(|| error.to_string());
            }
            return Polled::Moving;
        }
        error.map_or(Polled::Ended, Polled::Failed)
    }
}

impl Reader for TcpReader {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.connection {
            Some(connection) if self.connected => Some(connection.as_fd()),
            _ => self.listener.as_ref().map(|listener| listener.as_fd()),
        }
    }

    fn poll(&mut self, sink: &mut dyn PacketSink) -> Polled {
        let Some(connection) = &mut self.connection else { return self.accept(sink) };
        match connection.poll(sink) {
            Turn::More => Polled::More,
            Turn::Idle => Polled::Idle,
            Turn::Rest(delay) => Polled::Rest(delay),
            Turn::Blocked => Polled::Blocked,
            Turn::Closed => self.ended(None),
            Turn::Failed(error) => self.ended(Some(error)),
        }
    }

    fn move_on(&mut self) {
        if self.connected {
            self.connection = None;
        } else if !self.reconnect {
            self.listener = None;
        }
        self.connected = self.connection.is_some();
    }

    fn leftover(&mut self) -> Leftover {
        let packets = self.connection.as_mut().map_or(0, Connection::leftover);
        Leftover { packets, kernel_drops: 0 }
    }
}
