//! A chunk stream under test: heaps by number in small slots, a channel that tells when a heap was placed, and a UDP
//! sender. Waits have a limit, but only as a guard against a hang.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use aqueduct::chunk::{
    AddFree, Chunk, ChunkRing, ChunkRingStream, ChunkStreamConfig, PlaceRequest, Placement,
};
use aqueduct::memory::{Buffer, HeapAllocator};
use aqueduct::recv::StreamConfig;
use aqueduct::recv::reader::{Reader, UdpConfig, UdpReader};
use aqueduct::recv::stats::{Snapshot, Stat};
use aqueduct::ring::{GetError, Wait};
use aqueduct::runtime::ThreadPool;

use super::wire::{self, Wire};

/// Room for a heap, and heaps in a chunk.
pub const SLOT: usize = 256;
pub const HEAPS: usize = 4;

/// Longer than anything takes that does not hang.
pub const GUARD: Duration = Duration::from_secs(5);

/// The number of a heap that every place callback here refuses; it marks the end of what a test has sent.
pub const SENTINEL: u64 = 0xffff_ffff;

pub fn pool(threads: usize) -> Arc<ThreadPool> {
    Arc::new(ThreadPool::new(threads, &[]).unwrap())
}

/// Where heap `heap_cnt` goes unless a test says otherwise.
pub fn slot(heap_cnt: u64) -> Placement {
    let index = heap_cnt as usize % HEAPS;
    Placement {
        chunk_id: (heap_cnt / HEAPS as u64) as i64,
        heap_index: index,
        heap_offset: index * SLOT,
        extra_offset: 0,
        extra_size: 0,
    }
}

/// How to build a [`Rig`].
pub struct Plan {
    pub pool: Arc<ThreadPool>,
    pub config: StreamConfig,
    pub max_chunks: usize,
    pub max_jump: u64,
    pub jump_confirm: u32,
    pub presence: usize,
    pub max_heap_extra: usize,
    pub present_size: usize,
    pub extra_size: usize,
    /// Free chunks at the beginning.
    pub chunks: usize,
    pub data: Arc<ChunkRing>,
    pub free: Arc<ChunkRing>,
}

impl Plan {
    pub fn new(pool: &Arc<ThreadPool>) -> Self {
        Self {
            pool: pool.clone(),
            config: StreamConfig::default(),
            max_chunks: 2,
            max_jump: 1 << 20,
            jump_confirm: 8,
            presence: 0,
            max_heap_extra: 0,
            present_size: HEAPS,
            extra_size: 0,
            chunks: 8,
            data: Arc::new(ChunkRing::new(64).unwrap()),
            free: Arc::new(ChunkRing::new(64).unwrap()),
        }
    }

    pub fn data_ring(mut self, capacity: usize) -> Self {
        self.data = Arc::new(ChunkRing::new(capacity).unwrap());
        self
    }

    pub fn out_of_order(mut self) -> Self {
        self.config.allow_out_of_order = true;
        self
    }

    pub fn chunk(&self) -> Box<Chunk> {
        let size = SLOT * HEAPS;
        let mut chunk = Chunk::allocate(&HeapAllocator, size, self.present_size, self.extra_size).unwrap();
        chunk.data.zero();
        Box::new(chunk)
    }

    /// A stream whose heaps go where [`slot`] says.
    pub fn build(self) -> Rig {
        self.build_with(|heap_cnt, _| slot(heap_cnt))
    }

    /// A stream whose heaps go where `place` says, which gets their number and their length (or -1).
    pub fn build_with(self, mut place: impl FnMut(u64, i64) -> Placement + Send + 'static) -> Rig {
        let before = try_resident();
        let (sender, placed) = channel();
        let callback = move |request: &mut PlaceRequest<'_>| {
            let (heap_cnt, heap_length) = (request.items[0] as u64, request.items[1]);
            let placement = match heap_cnt {
                SENTINEL => Placement::REJECT,
                _ => place(heap_cnt, heap_length),
            };
            // The receiver may be gone.
            let _ = sender.send((heap_cnt, std::thread::current().id()));
            placement
        };
        let chunk_config = ChunkStreamConfig {
            items: vec![wire::HEAP_CNT, wire::HEAP_LENGTH],
            max_chunks: self.max_chunks,
            max_jump: self.max_jump,
            jump_confirm: self.jump_confirm,
            packet_presence_payload_size: self.presence,
            max_heap_extra: self.max_heap_extra,
            ..ChunkStreamConfig::new(Box::new(callback))
        };
        let stream = ChunkRingStream::new(
            &self.pool,
            self.config.clone(),
            chunk_config,
            self.data.clone(),
            self.free.clone(),
        )
        .unwrap();
        for _ in 0..self.chunks {
            assert!(matches!(stream.add_free_chunk(self.chunk()), AddFree::Added));
        }
        Rig { stream, placed, before }
    }
}

/// A chunk stream under test.
pub struct Rig {
    pub stream: ChunkRingStream,
    /// Heap numbers as the place callback gets them, and its thread.
    pub placed: Receiver<(u64, ThreadId)>,
    /// Memory of the process before there was this stream.
    pub before: Option<usize>,
}

impl Rig {
    pub fn add(&self, reader: Box<dyn Reader>) {
        assert!(self.stream.stream().add_reader(reader).unwrap());
    }

    /// Adds a UDP reader on a loopback port.
    pub fn udp(&self) -> Feed {
        self.udp_with(UdpConfig::default())
    }

    /// Adds a UDP reader with that configuration, on a loopback port unless it says otherwise.
    pub fn udp_with(&self, config: UdpConfig) -> Feed {
        let host = if config.host.is_empty() { "127.0.0.1".into() } else { config.host.clone() };
        let from = if host.contains(':') { "[::1]:0" } else { "127.0.0.1:0" };
        let reader = UdpReader::new(UdpConfig { host: host.clone(), ..config }).unwrap();
        let socket = UdpSocket::bind(from).unwrap();
        socket.connect((host.as_str(), reader.port())).unwrap();
        self.add(Box::new(reader));
        Feed { socket }
    }

    /// Waits until heap `heap_cnt` has been placed; gives the thread that did it.
    pub fn wait_placed(&self, heap_cnt: u64) -> ThreadId {
        loop {
            let (placed, thread) = self.placed.recv_timeout(GUARD).expect("no such heap came");
            if placed == heap_cnt {
                return thread;
            }
        }
    }

    /// Sends a heap that will be refused and waits for it: everything sent before has been dealt with. Gives the worker.
    pub fn settle(&self, feed: &Feed) -> ThreadId {
        feed.send(&Wire::whole(SENTINEL, vec![]));
        self.wait_placed(SENTINEL)
    }

    /// Stops the stream, which must not take long, and gives its statistics, which must close.
    pub fn stop(&self) -> Snapshot {
        let start = Instant::now();
        let done = watch("stop");
        self.stream.stream().stop().unwrap();
        drop(done);
        assert!(start.elapsed() < GUARD, "stop took {:?}", start.elapsed());
        self.stats()
    }

    /// Waits until the data ring stops without being told to, recycling chunks; gives the statistics and the chunks.
    pub fn run_out(&self) -> (Snapshot, Vec<Seen>) {
        let mut chunks = vec![];
        loop {
            match self.stream.data_ring().get(Wait::For(GUARD)) {
                Ok(chunk) => {
                    chunks.push(Seen::of(&chunk));
                    let _ = self.stream.add_free_chunk(chunk);
                }
                Err(GetError::Stopped) => break,
                Err(other) => panic!("the stream hangs: {other:?}"),
            }
        }
        (self.stop(), chunks)
    }

    /// The next chunk.
    pub fn chunk(&self) -> Box<Chunk> {
        self.stream.data_ring().get(Wait::For(GUARD)).expect("no chunk came")
    }

    /// What is in the data ring.
    pub fn chunks(&self) -> Vec<Seen> {
        std::iter::from_fn(|| self.stream.data_ring().get(Wait::No).ok())
            .map(|chunk| Seen::of(&chunk))
            .collect()
    }

    /// The statistics of a stream that has ended. Memory was bounded, whatever came (other tests of the process run meanwhile).
    pub fn stats(&self) -> Snapshot {
        assert!(self.stream.stream().end_reason().is_some());
        let stats = self.stream.stream().snapshot();
        assert!(stats.ledger_closes(), "{}", describe(&stats));
        assert_eq!(stats[Stat::PacketsPending], 0);
        if let (Some(before), Some(now)) = (self.before, try_resident()) {
            let grown = now.saturating_sub(before) >> 20;
            assert!(grown < 256, "{grown} MiB more");
        }
        stats
    }

    /// Waits for what nothing announces.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) {
        until(what, || condition(&self.stream.stream().snapshot()));
    }
}

/// The contents of a chunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: i64,
    pub data: Vec<u8>,
    pub present: Vec<u8>,
    pub extra: Vec<u8>,
}

impl Seen {
    pub fn of(chunk: &Chunk) -> Self {
        let bytes = |buffer: &Buffer| {
            // SAFETY: the chunks of a plan are initialised when they are made, and this one is ours.
            unsafe { std::slice::from_raw_parts(buffer.as_ptr(), buffer.len()) }.to_vec()
        };
        let (data, present, extra) = (bytes(&chunk.data), bytes(&chunk.present), bytes(&chunk.extra));
        Self { id: chunk.id, data, present, extra }
    }
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "chunk {}, present {:?}", self.id, self.present)
    }
}

/// The statistics that are not zero.
pub fn describe(stats: &Snapshot) -> String {
    let values = Stat::ALL.iter().filter(|&&stat| stats[stat] > 0);
    values.map(|&stat| format!("{} {}, ", stat.name(), stats[stat])).collect()
}

/// Where a UDP reader listens.
pub struct Feed {
    pub socket: UdpSocket,
}

impl Feed {
    pub fn send(&self, packet: &Wire) {
        self.send_bytes(&packet.encode());
    }

    pub fn send_bytes(&self, bytes: &[u8]) {
        self.socket.send(bytes).unwrap();
    }
}

/// A configuration for a socket that is open already, and a sender to it.
pub fn own_socket() -> (UdpSocket, Feed) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(receiver.local_addr().unwrap()).unwrap();
    (receiver, Feed { socket })
}

pub fn on_socket(socket: &UdpSocket) -> UdpConfig {
    UdpConfig { socket: Some(OwnedFd::from(socket.try_clone().unwrap())), ..UdpConfig::default() }
}

/// Another stream on the pool works: a heap sent to it arrives.
pub fn assert_others_go_on(pool: &Arc<ThreadPool>) {
    let rig = Plan::new(pool).build();
    let feed = rig.udp();
    feed.send(&Wire::whole(2, wire::pattern(2, SLOT)));
    feed.send(&Wire::stop());
    let (stats, chunks) = rig.run_out();
    assert_eq!(stats[Stat::CompleteHeaps], 1);
    assert_eq!(chunks.last().unwrap().present, [0, 0, 1, 0]);
    assert_eq!(chunks.last().unwrap().data[2 * SLOT..][..SLOT], wire::pattern(2, SLOT));
}

/// Bytes of memory that the process uses.
pub fn resident() -> usize {
    try_resident().unwrap()
}

/// The same; `None` where the process has no descriptor left to ask with.
fn try_resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    Some(line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024)
}

/// Waits for what nothing announces.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < GUARD, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Ends the process if what it gives is not dropped in time: a test that hangs says so.
#[must_use]
pub fn watch(what: &'static str) -> Sender<()> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(4 * GUARD) == Err(RecvTimeoutError::Timeout) {
            eprintln!("hangs: {what}");
            std::process::abort();
        }
    });
    sender
}
