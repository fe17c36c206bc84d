//! When a stream must wait, and how it ends: consumers that stop reading, rings that are stopped, stop and drop from
//! everywhere and in every order.

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use aqueduct::chunk::{AddFree, ChunkRing, ChunkRingStream};
use aqueduct::error::{Error, ErrorKind};
use aqueduct::recv::EndReason;
use aqueduct::recv::reader::BufferReader;
use aqueduct::recv::stats::Stat;
use aqueduct::ring::{GetError, Wait};
use support::rig::{HEAPS, Plan, Rig, SLOT, Seen, assert_others_go_on, pool, slot, watch};
use support::wire::{self, MemoryReader, Wire, pattern, split};

fn whole(heap_cnt: u64) -> Wire {
    Wire::whole(heap_cnt, pattern(heap_cnt, SLOT))
}

/// Heaps of which two packets each make one; `heaps` of them, as bytes.
fn packets(heaps: u64) -> Vec<Vec<u8>> {
    (0..heaps).flat_map(|i| split(i, &pattern(i, SLOT), SLOT / 2)).map(|packet| packet.encode()).collect()
}

fn check_all_present(chunks: &[Seen], heaps: u64) {
    assert_eq!(chunks.len() as u64, heaps.div_ceil(HEAPS as u64));
    for (i, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.id, i as i64);
        for index in 0..HEAPS {
            let heap_cnt = (i * HEAPS + index) as u64;
            assert_eq!(chunk.present[index], u8::from(heap_cnt < heaps));
            if heap_cnt < heaps {
                assert_eq!(chunk.data[index * SLOT..][..SLOT], pattern(heap_cnt, SLOT));
            }
        }
    }
}

/// Streams that must wait: for space in the data ring, or for a free chunk.
fn waiting_plans(pool: &Arc<aqueduct::runtime::ThreadPool>) -> [Plan; 2] {
    [Plan::new(pool).data_ring(1), Plan { chunks: 2, ..Plan::new(pool) }]
}

#[test]
fn a_stream_that_waits_holds_nobody_up_and_stops_at_once() {
    for which in 0..2 {
        let pool = pool(1);
        let rig = waiting_plans(&pool).into_iter().nth(which).unwrap().build();
        let feed = rig.udp();
        for i in 0..40 {
            feed.send(&whole(i));
        }
        rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] > 0);
        assert_others_go_on(&pool);
        assert!(rig.stream.stream().end_reason().is_none());
        let stats = rig.stop();
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::User));
        let fetched = stats[Stat::Packets];
        assert!(fetched <= 40);
        assert_eq!(stats[Stat::CompleteHeaps] + stats[Stat::PacketsAfterStop], fetched);
        let kept = stats[Stat::ChunksReady] + stats[Stat::ChunksUndelivered];
        assert_eq!(kept, if which == 0 { 3 } else { 2 }, "chunks in flight are delivered or kept");
        assert_eq!(rig.chunks().len() as u64, stats[Stat::ChunksReady]);
    }
}

#[test]
fn a_stream_that_waited_loses_nothing() {
    const HEAPS_SENT: u64 = 402;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let frames: Vec<_> = packets(HEAPS_SENT).iter().map(|packet| wire::frame(packet)).collect();
    let capture = wire::capture(frames.iter().map(|frame| (&frame[..], frame.len())));
    std::io::Write::write_all(&mut file, &capture).unwrap();
    for which in 0..2 {
        for reader in 0..3 {
            let pool = pool(1);
            let rig = waiting_plans(&pool).into_iter().nth(which).unwrap().build();
            match reader {
                0 => rig.add(Box::new(BufferReader::copy_of(&packets(HEAPS_SENT).concat()))),
                1 => rig.add(MemoryReader::of(packets(HEAPS_SENT))),
                #[cfg(feature = "pcap")]
                _ => rig.add(Box::new(aqueduct::recv::reader::PcapReader::open(file.path(), None).unwrap())),
                #[cfg(not(feature = "pcap"))]
                _ => continue,
            }
            rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] > 0);
            assert_others_go_on(&pool);
            // The consumer takes up reading again, and lets the stream wait for each chunk.
            let (stats, chunks) = rig.run_out();
            assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::SourceEnded));
            check_all_present(&chunks, HEAPS_SENT);
            assert_eq!(stats[Stat::PacketsDelivered], 2 * HEAPS_SENT);
            assert_eq!(stats[Stat::ChunksUndelivered], 0);
            assert_eq!(rig.placed.try_iter().count() as u64, HEAPS_SENT, "each heap was placed once");
        }
    }
}

#[test]
fn two_readers_of_a_stream_that_waits_take_turns() {
    let mut plan = Plan::new(&pool(1)).data_ring(1).out_of_order();
    plan.config.explicit_start = true;
    let rig = plan.build();
    let (even, odd): (Vec<_>, Vec<_>) =
        packets(64).chunks(2).map(|heap| (heap[0].clone(), heap[1].clone())).unzip();
    // Each brings one half of every heap.
    rig.stream.stream().add_reader(Box::new(MemoryReader::new(offers(even), 2))).unwrap();
    rig.stream.stream().add_reader(Box::new(MemoryReader::new(offers(odd), 2))).unwrap();
    rig.stream.stream().start();
    let (stats, _) = rig.run_out();
    assert_eq!(stats[Stat::Packets], 128);
    assert!(stats[Stat::CompleteHeaps] > 0);
}

fn offers(packets: Vec<Vec<u8>>) -> Vec<wire::Offer> {
    packets.into_iter().map(wire::Offer::Datagram).collect()
}

#[test]
fn a_stream_that_waits_and_whose_pool_stops_keeps_its_chunks() {
    for which in 0..2 {
        let pool = pool(1);
        let rig = waiting_plans(&pool).into_iter().nth(which).unwrap().build();
        rig.add(MemoryReader::of((0..40).map(|i| whole(i).encode())));
        rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] > 0);
        let done = watch("pool stop");
        pool.stop().unwrap();
        drop(done);
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::PoolStopped));
        let stats = rig.stats();
        assert_eq!(stats[Stat::Packets], 40);
        assert!(stats[Stat::ChunksReady] + stats[Stat::ChunksUndelivered] >= 2);
        assert!(rig.stream.data_ring().is_stopped(), "its only producer has ended");
        assert!(!rig.stream.free_ring().is_stopped());
        assert_eq!(rig.chunks().len() as u64, stats[Stat::ChunksReady]);
    }
}

#[test]
fn a_stream_waiting_to_flush_can_be_stopped_or_taken_from() {
    for stop in [true, false] {
        let rig = Plan::new(&pool(1)).data_ring(1).build();
        // Two chunks for a ring of one, flushed at the end of the source.
        rig.add(MemoryReader::of((0..8).map(|i| whole(i).encode())));
        rig.wait_for("the first chunk is out", |stats| stats[Stat::ChunksReady] == 1);
        assert_eq!(rig.stream.stream().end_reason(), None);
        if stop {
            let stats = rig.stop();
            assert_eq!([stats[Stat::ChunksReady], stats[Stat::ChunksUndelivered]], [1, 1]);
            assert!(rig.stream.free_ring().is_stopped());
        } else {
            let (stats, chunks) = rig.run_out();
            assert_eq!([stats[Stat::ChunksReady], stats[Stat::ChunksUndelivered]], [2, 0]);
            check_all_present(&chunks, 8);
            assert!(!rig.stream.free_ring().is_stopped());
        }
    }
}

#[test]
fn stop_from_the_place_callback_is_an_error() {
    let pool = pool(1);
    let stream: Arc<Mutex<Option<ChunkRingStream>>> = Arc::default();
    let (ours, their_pool) = (stream.clone(), Arc::downgrade(&pool));
    let (sender, errors) = channel();
    let rig = Plan::new(&pool).build_with(move |heap_cnt, _| {
        let stream = ours.lock().unwrap();
        sender.send(stream.as_ref().unwrap().stream().stop().unwrap_err()).unwrap();
        sender.send(their_pool.upgrade().unwrap().stop().unwrap_err()).unwrap();
        slot(heap_cnt)
    });
    let Rig { stream: own, placed: _placed, .. } = rig;
    let reader = MemoryReader::of([whole(0).encode()]);
    *stream.lock().unwrap() = Some(own);
    stream.lock().unwrap().as_ref().unwrap().stream().add_reader(reader).unwrap();
    for error in [errors.recv().unwrap(), errors.recv().unwrap()] {
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
    }
    let own = stream.lock().unwrap().take().unwrap();
    assert_eq!(own.data_ring().get(Wait::Forever).unwrap().id, 0, "the stream has gone on");
    own.stream().stop().unwrap();
    assert_eq!(own.stream().end_reason(), Some(EndReason::SourceEnded));
}

#[test]
fn drop_from_the_place_callback_ends_the_stream_after_it() {
    for keep_pool in [true, false] {
        let pool = pool(1);
        let stream: Arc<Mutex<Option<ChunkRingStream>>> = Arc::default();
        let ours = stream.clone();
        let plan = Plan::new(&pool);
        let (data, free) = (plan.data.clone(), plan.free.clone());
        let Rig { stream: own, placed, .. } = plan.build_with(move |heap_cnt, _| {
            drop(ours.lock().unwrap().take());
            slot(heap_cnt)
        });
        let mut slot = stream.lock().unwrap();
        own.stream().add_reader(MemoryReader::of([whole(0).encode(), whole(1).encode()])).unwrap();
        *slot = Some(own);
        drop(slot);
        // Without our handle the stream's is the last: the pool goes away on its own worker.
        let pool = keep_pool.then_some(pool);
        assert_eq!(data.get(Wait::For(support::rig::GUARD)).unwrap().id, 0, "chunks come out");
        assert_eq!(data.get(Wait::For(support::rig::GUARD)).unwrap_err(), GetError::Stopped);
        // The callback's sender goes away with the stream.
        while placed.recv_timeout(support::rig::GUARD).is_ok() {}
        if let Some(pool) = pool {
            assert!(free.is_stopped(), "it was the user who ended it");
            assert_others_go_on(&pool);
        }
    }
}

#[test]
fn a_panic_in_the_place_callback_ends_its_stream_only() {
    let pool = pool(1);
    let rig = Plan::new(&pool).build_with(|heap_cnt, _| {
        if heap_cnt == 5 {
            panic!("on purpose");
        }
        slot(heap_cnt)
    });
    rig.add(MemoryReader::of((0..8).map(|i| whole(i).encode())));
    let mut chunks = vec![];
    loop {
        match rig.stream.data_ring().get(Wait::For(support::rig::GUARD)) {
            Ok(chunk) => chunks.push(Seen::of(&chunk)),
            Err(error) => break assert_eq!(error, GetError::Stopped, "the consumer is told"),
        }
    }
    let stats = rig.stop();
    let Some(EndReason::Failed(error)) = rig.stream.stream().end_reason() else { panic!("it failed") };
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(stats[Stat::Packets], 8);
    assert_eq!([stats[Stat::CompleteHeaps], stats[Stat::PacketsAfterStop]], [5, 3]);
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].present, [1, 0, 0, 0]);
    assert_others_go_on(&pool);
}

#[test]
fn handles_can_be_dropped_in_every_order() {
    // 0: the pool, 1: the stream, 2: the data ring, 3: the free ring.
    for code in 0..256usize {
        let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3];
        if (0..4).any(|handle| !order.contains(&handle)) {
            continue;
        }
        let pool = pool(1);
        let plan = Plan::new(&pool).data_ring(2);
        let (mut data, mut free) = (Some(plan.data.clone()), Some(plan.free.clone()));
        let rig = plan.build();
        let feed = rig.udp();
        for i in 0..40 {
            feed.send(&whole(i));
        }
        let (mut pool, mut rig) = (Some(pool), Some(rig));
        let _done = watch("dropping handles");
        for handle in order {
            match handle {
                0 => drop(pool.take()),
                1 => drop(rig.take()),
                2 => drop(data.take()),
                _ => drop(free.take()),
            }
            if let Some(rig) = &rig {
                feed.send(&whole(41));
                assert!(rig.stream.stream().end_reason().is_none(), "only its own end ends it");
            }
        }
    }
}

#[test]
fn a_ring_stopped_by_the_user_ends_the_stream() {
    // Data ring or free ring; while the stream is idle, waits for space, or waits for a free chunk.
    for (stop_data, waits) in [(true, ""), (true, "space"), (true, "chunk"), (false, ""), (false, "chunk")] {
        let pool = pool(1);
        let plan = Plan::new(&pool);
        let rig = match waits {
            "space" => plan.data_ring(1).build(),
            "chunk" => Plan { chunks: 2, ..plan }.build(),
            _ => plan.build(),
        };
        let waits = !waits.is_empty();
        let feed = rig.udp();
        let first = if waits { 40 } else { 8 };
        for i in 0..first {
            feed.send(&whole(i));
        }
        match waits {
            true => rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] > 0),
            false => rig.wait_for("the window is full", |stats| stats[Stat::CompleteHeaps] == 8),
        }
        let ring = if stop_data { rig.stream.data_ring() } else { rig.stream.free_ring() };
        assert!(ring.stop());
        // A stopped data ring is noticed at once. The free ring is missed when a chunk is needed: as soon as the data ring has
        // space, and enough has come.
        if !stop_data {
            for i in first..first + 100 {
                // Refused once the stream has ended.
                let _ = feed.socket.send(&whole(i).encode());
            }
        }
        let tell = format!("stop_data {stop_data}, waits {waits}");
        support::rig::until(&tell, || rig.stream.stream().end_reason().is_some());
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::RingStopped), "{tell}");
        let stats = rig.stats();
        let chunks = rig.chunks();
        assert_eq!(stats[Stat::ChunksReady], chunks.len() as u64, "{tell}");
        let placed = stats[Stat::CompleteHeaps];
        assert!(placed >= 8, "{tell}");
        let kept = stats[Stat::ChunksReady] + stats[Stat::ChunksUndelivered];
        assert_eq!(kept, placed.div_ceil(HEAPS as u64), "chunks with data are delivered or kept: {tell}");
        if !stop_data {
            check_all_present(&chunks, placed);
            assert!(rig.stream.data_ring().is_stopped(), "its only producer has ended");
        } else {
            assert!(!rig.stream.free_ring().is_stopped(), "{tell}");
        }
        assert_others_go_on(&pool);
    }
}

/// Two streams with the same rings.
fn sharing(pool: &Arc<aqueduct::runtime::ThreadPool>) -> [Rig; 2] {
    let (data, free) = (Arc::new(ChunkRing::new(64).unwrap()), Arc::new(ChunkRing::new(64).unwrap()));
    [1, 2].map(|stream_id| {
        let mut plan = Plan { data: data.clone(), free: free.clone(), ..Plan::new(pool) };
        plan.config.stream_id = stream_id;
        plan.build()
    })
}

#[test]
fn a_shared_data_ring_stops_when_both_streams_have_ended() {
    let pool = pool(2);
    let [first, second] = sharing(&pool);
    let (feed_one, feed_two) = (first.udp(), second.udp());
    feed_one.send(&whole(0));
    feed_one.send(&Wire::stop());
    let chunk = first.chunk();
    assert_eq!((chunk.id, chunk.stream_id), (0, 1));
    support::rig::until("the first has ended", || first.stream.stream().end_reason().is_some());
    assert!(!first.stream.data_ring().is_stopped());
    assert!(!first.stream.free_ring().is_stopped());
    feed_two.send(&whole(4));
    feed_two.send(&Wire::stop());
    let ids: Vec<_> = std::iter::from_fn(|| second.stream.data_ring().get(Wait::Forever).ok())
        .map(|c| (c.stream_id, c.id))
        .collect();
    assert_eq!(ids, [(2, 0), (2, 1)], "the ring has stopped after them");
    assert!(!second.stream.free_ring().is_stopped());
    for rig in [first, second] {
        let stats = rig.stop();
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::StopItem));
        assert_eq!(stats[Stat::CompleteHeaps], 1);
    }
}

#[test]
fn a_user_who_stops_one_stream_stops_the_rings_of_both() {
    let pool = pool(2);
    let [first, second] = sharing(&pool);
    let (feed_one, feed_two) = (first.udp(), second.udp());
    for i in 0..8 {
        feed_one.send(&whole(i));
        feed_two.send(&whole(i));
    }
    for rig in [&first, &second] {
        rig.wait_for("the window is full", |stats| stats[Stat::CompleteHeaps] == 8);
    }
    let stats = first.stop();
    assert_eq!([stats[Stat::ChunksReady], stats[Stat::ChunksUndelivered]], [2, 0]);
    assert!(first.stream.data_ring().is_stopped() && first.stream.free_ring().is_stopped());
    feed_two.send(&whole(8));
    support::rig::until("the second ends", || second.stream.stream().end_reason().is_some());
    assert_eq!(second.stream.stream().end_reason(), Some(EndReason::RingStopped));
    let stats = second.stats();
    assert_eq!([stats[Stat::ChunksReady], stats[Stat::ChunksUndelivered]], [0, 2]);
    assert_eq!(first.chunks().len(), 2);
    assert!(matches!(first.stream.add_free_chunk(Plan::new(&pool).chunk()), AddFree::Stopped(_)));
}

#[test]
fn explicit_start_holds_readers_back() {
    let pool = pool(1);
    let mut plan = Plan::new(&pool);
    plan.config.explicit_start = true;
    let rig = plan.build();
    rig.add(MemoryReader::of([whole(0).encode()]));
    let feed = rig.udp();
    feed.send(&whole(1));
    // The other stream's heap comes after all that this stream would have done.
    assert_others_go_on(&pool);
    assert_eq!(rig.stream.stream().snapshot()[Stat::Packets], 0);
    assert!(rig.placed.try_recv().is_err());
    rig.stream.stream().start();
    rig.wait_placed(0);
    rig.settle(&feed);
    rig.stream.stream().start();
    let stats = rig.stop();
    assert_eq!(stats[Stat::CompleteHeaps], 2);

    // Stopped, or left alone by the pool, before it was started.
    for stop_pool in [false, true] {
        let pool = support::rig::pool(1);
        let mut plan = Plan::new(&pool);
        plan.config.explicit_start = true;
        let rig = plan.build();
        rig.add(MemoryReader::of([whole(0).encode()]));
        if stop_pool {
            pool.stop().unwrap();
        }
        let stats = rig.stop();
        assert_eq!(stats[Stat::Packets], 0);
        let ended = if stop_pool { EndReason::PoolStopped } else { EndReason::User };
        assert_eq!(rig.stream.stream().end_reason(), Some(ended));
        assert!(!rig.stream.stream().add_reader(MemoryReader::of([])).unwrap(), "too late");
    }
}

#[test]
fn a_stopped_pool_refuses_streams_and_leaves_their_rings_alone() {
    let pool = pool(1);
    pool.stop().unwrap();
    let (data, free) = (Arc::new(ChunkRing::new(1).unwrap()), Arc::new(ChunkRing::new(1).unwrap()));
    let config =
        aqueduct::chunk::ChunkStreamConfig::new(Box::new(|_: &mut aqueduct::chunk::PlaceRequest<'_>| {
            aqueduct::chunk::Placement::REJECT
        }));
    let error: Error =
        ChunkRingStream::new(&pool, Default::default(), config, data.clone(), free).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(!data.is_stopped());
    assert!(data.remove_producer().is_err(), "no producer was left behind");
}

#[test]
fn the_first_failure_of_a_reader_is_the_reason_when_all_have_ended() {
    let rig = Plan::new(&pool(1)).build();
    let feed = rig.udp();
    rig.add(Box::new(BufferReader::copy_of(b"garbage")));
    rig.wait_for("the garbage was seen", |stats| stats[Stat::MalformedTooShort] == 1);
    feed.send(&whole(0));
    rig.wait_placed(0);
    assert!(rig.stream.stream().end_reason().is_none(), "the other reader goes on");
    let stats = rig.stop();
    assert_eq!(stats[Stat::CompleteHeaps], 1);
    assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::User));
}

#[test]
fn heaps_that_the_consumer_never_saw_are_counted() {
    let rig = Plan::new(&pool(1)).data_ring(1).build();
    let feed = rig.udp();
    for i in 0..12 {
        feed.send(&whole(i));
    }
    rig.wait_for("all is placed", |stats| stats[Stat::CompleteHeaps] == 12);
    let stats = rig.stop();
    let seen: usize =
        rig.chunks().iter().map(|chunk| chunk.present.iter().filter(|&&flag| flag == 1).count()).sum();
    assert_eq!(seen as u64 + stats[Stat::HeapsUndelivered], 12, "{}", support::rig::describe(&stats));
    assert!(stats[Stat::HeapsUndelivered] > 0, "a data ring for one chunk does not take three");
}

#[test]
fn workers_leave_signals_to_the_program() {
    let pool = pool(1);
    let rig = Plan::new(&pool).build();
    let feed = rig.udp();
    rig.settle(&feed);
    let blocked = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default())
        .filter(|status| status.starts_with("Name:\taqueduct-"))
        .map(|status| {
            let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
            u64::from_str_radix(mask, 16).unwrap()
        })
        .collect::<Vec<_>>();
    assert!(!blocked.is_empty());
    for mask in blocked {
        let is_blocked = |signal: i32| mask >> (signal - 1) & 1 == 1;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM, libc::SIGCHLD]
        {
            assert!(is_blocked(signal), "{signal}");
        }
        assert!(!is_blocked(libc::SIGSEGV));
    }
}

#[test]
fn one_ring_cannot_be_both() {
    let ring = Arc::new(ChunkRing::new(4).unwrap());
    let place = |_: &mut aqueduct::chunk::PlaceRequest<'_>| aqueduct::chunk::Placement::REJECT;
    let error = aqueduct::chunk::ChunkRingStream::new(
        &pool(1),
        Default::default(),
        aqueduct::chunk::ChunkStreamConfig::new(Box::new(place)),
        ring.clone(),
        ring,
    )
    .unwrap_err();
    assert_eq!(error.message(), "data_ring and free_ring must be two rings");
}
