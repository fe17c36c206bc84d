//! Opens the two ends of a stream: the one place that knows which transport carries which params.
//!
//! | protocol | transfermode | transport | overflow policies | by default |
//! |---|---|---|---|---|
//! | inproc | plaindata | [`inproc`](super::transport::inproc) | all | block |
//! | shm | plaindata | [`shm`](super::transport::shm) | all | block |
//! | tcp, ipc | plaindata | [`zmq`](super::transport::zmq) | block, drop_newest | block |
//! | tcp, ipc | sharedmem | [`zmq`](super::transport::zmq), the frames in a file | drop_oldest | drop_oldest |
//!
//! Plain functions; any thread.

use std::path::PathBuf;
use std::time::Duration;

use super::input::Input;
use super::output::Output;
use super::params::{Compression, Params, Protocol, TransferMode};
use super::requirements::Requirements;
use super::transport::inproc::{InprocPublisher, InprocSubscriber};
use super::transport::shm::{ShmConfig, ShmPublisher, ShmSubscriber};
use super::transport::zmq::{PublisherConfig, SubscriberConfig, ZmqPublisher, ZmqSubscriber};
use super::transport::{Publisher, Subscriber};
use crate::error::{Error, Result};
use crate::ring::{Overflow, Wait};

/// How an output is opened, beside its params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputConfig {
    /// Frames of a chunk at the least; they are collected until there are as many. 0: chunks as they are sent.
    pub min_chunk_frames: usize,
    /// What happens when an input is too slow; `None`: what the table says.
    pub overflow: Option<Overflow>,
    /// Of inproc, tcp and ipc: chunks that wait for each input at the most.
    pub queue: u32,
    /// Of shm: chunks in the ring.
    pub ring_chunks: usize,
    /// Of shm: bytes in the ring.
    pub ring_bytes: usize,
    /// Of shm: inputs at the most.
    pub inputs: usize,
    /// Of tcp and ipc: how long its end waits for what still has to be sent.
    pub linger: Duration,
    /// Of tcp and ipc: where files are made; `None`: the system's folder for temporary ones.
    pub folder: Option<PathBuf>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        let (shm, zmq) = (ShmConfig::default(), PublisherConfig::default());
        Self {
            min_chunk_frames: 0,
            overflow: None,
            queue: zmq.queue,
            ring_chunks: shm.chunks,
            ring_bytes: shm.bytes,
            inputs: shm.inputs,
            linger: zmq.linger,
            folder: None,
        }
    }
}

impl Output {
    /// Opens the output of a stream with these params; those that it [has](Self::params) then tell where it is.
    ///
    /// # Errors
    /// `Invalid`: params or config. `Unsupported`: an overflow policy that the transport cannot have, a transport that this build lacks. `Io`, `NoMemory`:
    /// the system's.
    pub fn open(params: Params, config: &OutputConfig) -> Result<Self> {
        params.check()?;
        check_native(&params)?;
        let overflow = config.overflow;
        let publisher: Box<dyn Publisher> = match params.protocol {
            Protocol::Inproc => {
                Box::new(InprocPublisher::new(config.queue as usize, overflow.unwrap_or_default())?)
            }
            Protocol::Shm => Box::new(ShmPublisher::new(&ShmConfig {
                chunks: config.ring_chunks,
                bytes: config.ring_bytes,
                overflow: overflow.unwrap_or_default(),
                inputs: config.inputs,
            })?),
            Protocol::Tcp | Protocol::Ipc => {
                let default = match params.transfermode {
                    TransferMode::PlainData => Overflow::Block,
                    TransferMode::SharedMem => Overflow::DropOldest,
                };
                let config = PublisherConfig {
                    overflow: overflow.unwrap_or(default),
                    queue: config.queue,
                    linger: config.linger,
                    folder: config.folder.clone(),
                };
                Box::new(ZmqPublisher::bind(&params, &config)?)
            }
        };
        Self::new(params, publisher, config.min_chunk_frames)
    }
}

/// How an input is opened, beside the params of its output.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputConfig {
    /// Frames of each chunk; 0: as they were sent. In front of a gap, and at the end, chunks may be shorter.
    pub chunk_frames: usize,
    /// Of tcp and ipc: chunks that wait here at the most; 0: 1000.
    pub queue: u32,
    /// Of tcp and ipc: bytes of a chunk at the most; 0: 2^30.
    pub max_chunk: u64,
    /// Of tcp and ipc: how long to wait until the output has answered; `None`: the connection is made in the background.
    pub connect: Option<Wait>,
    /// What the stream must be.
    pub requirements: Requirements,
}

impl Input {
    /// Connects to the output that these params describe.
    ///
    /// # Errors
    /// `Invalid`: params or config, or the stream is not what is required. `NotFound`: there is no such output, or it
    /// has not answered in the time that it was to be waited for. `Unsupported`: a transport that
    /// this build lacks. `State`: the output has as many inputs as it may have. `Io`, `Format`, `Version`, `Truncated`: who is there is no such output.
    pub fn connect(params: Params, config: &InputConfig) -> Result<Self> {
        params.check()?;
        config.requirements.check(&params)?;
        check_native(&params)?;
        let subscriber: Box<dyn Subscriber> = match params.protocol {
            Protocol::Inproc => Box::new(InprocSubscriber::connect(&params.interface)?),
            Protocol::Shm => Box::new(ShmSubscriber::connect(&params.interface)?),
            Protocol::Tcp | Protocol::Ipc => {
                let default = SubscriberConfig::default();
                let config = SubscriberConfig {
                    queue: if config.queue == 0 { default.queue } else { config.queue },
                    max_chunk: if config.max_chunk == 0 { default.max_chunk } else { config.max_chunk },
                    connect: config.connect.unwrap_or(Wait::No),
                };
                Box::new(ZmqSubscriber::connect(&params, &config)?)
            }
        };
        Ok(Self::new(params, subscriber, config.chunk_frames))
    }
}

/// The transports of our own carry chunks as they are.
fn check_native(params: &Params) -> Result<()> {
    let protocol = params.protocol;
    if !matches!(protocol, Protocol::Inproc | Protocol::Shm) {
        return Ok(());
    }
    let name = protocol.name();
    if params.transfermode != TransferMode::PlainData {
        let mode = params.transfermode.name();
        return Err(Error::invalid(format!(
            "transfermode must be plaindata with protocol {name} (got {mode})"
        )));
    }
    if params.compression != Compression::None {
        let compression = params.compression.name();
        return Err(Error::invalid(format!(
            "compression must be none with protocol {name} (got {compression})"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::signal::array::Layout;
    use crate::signal::filter::{Cast, Channels};
    use crate::signal::numpy::parse_dtype;
    use crate::signal::output::Sent;

    const GUARD: Wait = Wait::For(Duration::from_secs(60));

    fn params(protocol: Protocol, transfermode: TransferMode) -> Params {
        let params = Params::new(parse_dtype("<u2").unwrap(), &[-1, 2]);
        Params { protocol, transfermode, buffer_size: 100, ..params }
    }

    /// What is sent at one end comes out at the other, which has only read the params' text.
    fn passes(params: Params) {
        let name = format!("{:?} {:?}", params.protocol, params.transfermode);
        let mut output = Output::open(params, &OutputConfig::default()).unwrap();
        let text = output.params().to_json();
        let mut input = Input::connect(Params::from_json(&text).unwrap(), &InputConfig::default()).unwrap();
        while output.input_count().unwrap() == 0 {
            std::thread::yield_now();
        }
        let layout = Layout::c_order(2, &[3, 2]).unwrap();
        for round in 0..3u8 {
            let data: Vec<u8> = (0..12).map(|i| 20 * round + i).collect();
            // SAFETY: the data is of that layout.
            let sent = unsafe { output.send(data.as_ptr(), &layout, None, GUARD) }.unwrap();
            let Sent::Taken(published) = sent else { panic!("{name}") };
            assert_eq!((published.inputs, published.timed_out), (1, false), "{name}");
            let received = input.receive(GUARD).unwrap();
            assert_eq!(
                (received.chunk.index, &received.chunk.data[..]),
                (3 * u64::from(round) + 3, &data[..])
            );
        }
        // Begins again, on both sides.
        assert!(output.reset_index(GUARD).unwrap());
        // SAFETY: the data is of that layout.
        unsafe { output.send([7; 12].as_ptr(), &layout, None, GUARD) }.unwrap();
        let received = input.receive(GUARD).unwrap();
        assert_eq!(
            (received.chunk.index, &received.chunk.data[..], received.gap),
            (3, &[7; 12][..], 0..0),
            "{name}"
        );
        assert_eq!(input.stats().restarts, 1);
    }

    #[test]
    fn every_transport_carries_frames() {
        passes(params(Protocol::Inproc, TransferMode::PlainData));
        passes(params(Protocol::Shm, TransferMode::PlainData));
        if cfg!(feature = "zmq") {
            for protocol in [Protocol::Tcp, Protocol::Ipc] {
                passes(params(protocol, TransferMode::PlainData));
                passes(params(protocol, TransferMode::SharedMem));
            }
        }
    }

    #[test]
    fn transports_carry_what_filters_make() {
        for (protocol, transfermode) in [
            (Protocol::Inproc, TransferMode::PlainData),
            (Protocol::Shm, TransferMode::PlainData),
            (Protocol::Ipc, TransferMode::PlainData),
            (Protocol::Ipc, TransferMode::SharedMem),
        ] {
            if protocol == Protocol::Ipc && !cfg!(feature = "zmq") {
                continue;
            }
            let mut output = Output::open(params(protocol, transfermode), &OutputConfig::default()).unwrap();
            output.add_filter(Box::new(Channels::new(&[1]))).unwrap();
            output.add_filter(Box::new(Cast::to(parse_dtype(">f8").unwrap()))).unwrap();
            let text = output.params().to_json();
            let mut input =
                Input::connect(Params::from_json(&text).unwrap(), &InputConfig::default()).unwrap();
            input.add_filter(Box::new(Cast::to(parse_dtype("|u1").unwrap()))).unwrap();
            while output.input_count().unwrap() == 0 {
                std::thread::yield_now();
            }
            let layout = Layout::c_order(2, &[2, 2]).unwrap();
            // SAFETY: the data is of that layout.
            unsafe { output.send([1, 0, 2, 0, 3, 0, 4, 0].as_ptr(), &layout, None, GUARD) }.unwrap();
            let received = input.receive(GUARD).unwrap();
            assert_eq!((received.chunk.index, &received.chunk.data[..]), (2, &[2, 4][..]), "{text}");
        }
    }

    #[test]
    fn an_output_that_does_not_answer_is_not_found() {
        if !cfg!(feature = "zmq") {
            return;
        }
        for protocol in [Protocol::Tcp, Protocol::Ipc] {
            let output =
                Output::open(params(protocol, TransferMode::PlainData), &OutputConfig::default()).unwrap();
            let there = output.params().clone();
            let config = InputConfig { connect: Some(GUARD), ..InputConfig::default() };
            Input::connect(there.clone(), &config).unwrap();
            drop(output);
            let config = InputConfig { connect: Some(Wait::For(Duration::from_millis(20))), ..config };
            let error = Input::connect(there, &config).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.message().contains("no output has answered"), "{error}");
        }
    }

    #[test]
    fn what_a_transport_cannot_do_is_refused() {
        for protocol in [Protocol::Inproc, Protocol::Shm] {
            let mode = Output::open(params(protocol, TransferMode::SharedMem), &OutputConfig::default());
            assert!(mode.err().unwrap().message().contains("transfermode must be plaindata with protocol"));
            let mut compressed = params(protocol, TransferMode::PlainData);
            compressed.compression = Compression::BloscLz4;
            let error = Output::open(compressed, &OutputConfig::default()).err().unwrap();
            assert!(error.message().contains("compression must be none with protocol"), "{error}");
            let gone = Input::connect(params(protocol, TransferMode::PlainData), &InputConfig::default());
            assert_eq!(gone.err().unwrap().kind(), ErrorKind::NotFound);
        }
    }
}
