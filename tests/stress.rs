//! Many small streams that come and go on one pool while packets arrive: nothing hangs, every ledger closes, and
//! memory does not grow.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aqueduct::recv::EndReason;
use aqueduct::recv::stats::Stat;
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use support::rig::{Feed, Plan, SLOT, pool, resident, watch};
use support::wire::{MemoryReader, Wire, pattern, split};

/// How the life of a stream ends.
const FATES: u64 = 7;

/// One stream's life.
fn live(pool: &Arc<ThreadPool>, seed: u64) -> u64 {
    let waits = seed.is_multiple_of(3);
    let mut plan = Plan::new(pool);
    if waits {
        plan = plan.data_ring(1);
    }
    if seed.is_multiple_of(2) {
        plan = plan.out_of_order();
    }
    let (data, free) = (plan.data.clone(), plan.free.clone());
    let rig = plan.build();
    let feed: Feed = rig.udp();
    let packets: Vec<_> = (0..24)
        .flat_map(|i| split(i, &pattern(i, SLOT), 100))
        .filter(|packet| !(packet.heap_cnt * 31 + packet.offset + seed).is_multiple_of(17))
        .collect();
    if seed.is_multiple_of(5) {
        rig.add(MemoryReader::of(packets.iter().map(Wire::encode)));
    }
    let fate = seed % FATES;
    for (i, packet) in packets.iter().enumerate() {
        // Refused once the stream has ended.
        let _ = feed.socket.send(&packet.encode());
        if i == 20 {
            match fate {
                0 => drop(data.stop()),
                1 => drop(free.stop()),
                2 => rig.stream.stream().stop().unwrap(),
                _ => {}
            }
        }
        if let Ok(chunk) = data.get(Wait::No) {
            let _ = rig.stream.add_free_chunk(chunk);
        }
    }
    match fate {
        3 => {
            // Ended by the network, with a consumer that goes on.
            let _ = feed.socket.send(&Wire::stop().encode());
            let (stats, _) = rig.run_out();
            assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::StopItem));
            stats[Stat::Packets]
        }
        4 => {
            // Dropped by one thread while another one stops it, and a third one waits for chunks.
            let stream = Arc::new(rig.stream);
            std::thread::scope(|scope| {
                let other = stream.clone();
                scope.spawn(move || other.stream().stop().unwrap());
                scope.spawn(|| while data.get(Wait::Forever).is_ok() {});
                assert!(stream.stream().snapshot().ledger_closes());
                drop(stream);
            });
            packets.len() as u64
        }
        5 => {
            drop(rig);
            while data.get(Wait::Forever).is_ok() {}
            packets.len() as u64
        }
        _ => rig.stop()[Stat::Packets],
    }
}

#[test]
fn streams_come_and_go() {
    const THREADS: u64 = 4;
    const WARM_UP: u64 = 1000;
    const STREAMS: u64 = 2000;
    let _done = watch("stress");
    let pool = pool(2);
    let (packets, lives) = (AtomicU64::new(0), AtomicU64::new(0));
    let run_until = |count: u64| {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    loop {
                        let seed = lives.fetch_add(1, Ordering::Relaxed);
                        if seed >= count {
                            break;
                        }
                        packets.fetch_add(live(&pool, seed), Ordering::Relaxed);
                    }
                });
            }
        });
    };
    run_until(WARM_UP);
    let before = resident();
    run_until(WARM_UP + STREAMS);
    let after = resident();
    assert!(packets.load(Ordering::Relaxed) > STREAMS);
    // A chunk has a kilobyte of data, a stream eight of them. The allocator may keep a little.
    assert!(after < before + STREAMS as usize * 2048, "{} KiB more", after.saturating_sub(before) / 1024);
}

/// The pool stops while streams are made, fed and stopped on it.
#[test]
fn a_pool_stops_under_its_streams() {
    let _done = watch("pool stress");
    for round in 0..60 {
        let pool = pool(2);
        let rigs: Vec<_> = (0..4).map(|_| Plan::new(&pool).data_ring(1).build()).collect();
        let feeds: Vec<_> = rigs.iter().map(|rig| rig.udp()).collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..200u64 {
                    for feed in &feeds {
                        let _ = feed.socket.send(&Wire::whole(i, pattern(i, SLOT)).encode());
                    }
                }
            });
            scope.spawn(|| pool.stop().unwrap());
            scope.spawn(|| pool.stop().unwrap());
            let one = rigs[round % 4].stream.stream();
            scope.spawn(|| one.stop().unwrap());
        });
        for rig in &rigs {
            let reason = rig.stream.stream().end_reason();
            assert!(matches!(reason, Some(EndReason::PoolStopped | EndReason::User)), "{reason:?}");
            let stats = rig.stats();
            assert_eq!(rig.chunks().len() as u64, stats[Stat::ChunksReady]);
        }
    }
}
