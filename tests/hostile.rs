//! What must happen with hostile and broken input: one test per row of the table that chunk streams can reach.
//!
//! Common to all: the event is counted under its reason, the ledger closes, the worker survives and other streams of the
//! pool go on, stop is prompt, memory and log are bounded.

mod support;

use aqueduct::chunk::Placement;
use aqueduct::error::ErrorKind;
use aqueduct::recv::EndReason;
use aqueduct::recv::reader::{BufferReader, UdpConfig};
use aqueduct::recv::stats::Stat;
use support::lines::{lines_of, listen};
use support::rig::{
    GUARD, HEAPS, Plan, Rig, SENTINEL, SLOT, Seen, assert_others_go_on, pool, resident, slot,
};
#[cfg(feature = "pcap")]
use support::wire;
use support::wire::{MemoryReader, STREAM_CTRL, Wire, pattern, split};

const MIB: usize = 1 << 20;

/// Runs packets from memory through a stream to their end.
fn run(rig: &Rig, packets: impl IntoIterator<Item = Wire>) -> (aqueduct::recv::stats::Snapshot, Vec<Seen>) {
    rig.add(MemoryReader::of(packets.into_iter().map(|packet| packet.encode())));
    rig.run_out()
}

fn whole(heap_cnt: u64) -> Wire {
    Wire::whole(heap_cnt, pattern(heap_cnt, SLOT))
}

/// Heaps marked present, by number, all of which must have their bytes.
fn present(chunks: &[Seen]) -> Vec<u64> {
    let mut heaps = vec![];
    for chunk in chunks {
        for index in (0..HEAPS).filter(|&index| chunk.present[index] == 1) {
            let heap_cnt = chunk.id as u64 * HEAPS as u64 + index as u64;
            assert_eq!(chunk.data[index * SLOT..][..SLOT], pattern(heap_cnt, SLOT), "heap {heap_cnt}");
            heaps.push(heap_cnt);
        }
    }
    heaps
}

#[test]
fn huge_heap_lengths_cost_no_memory() {
    let pool = pool(1);
    let rig = Plan::new(&pool).out_of_order().build();
    let feed = rig.udp();
    rig.settle(&feed);
    let before = resident();
    for (i, bits) in [33, 36, 40, 47].into_iter().enumerate() {
        let heap_cnt = 4 + i as u64;
        feed.send(&Wire::part(heap_cnt, 1 << bits, 0, vec![1; 64]));
        feed.send(&Wire::part(heap_cnt, 1 << bits, (1 << bits) - 64, vec![1; 64]));
    }
    rig.settle(&feed);
    assert!(resident() < before + 256 * MIB, "{} MiB more", (resident() - before) / MIB);
    assert_others_go_on(&pool);
    let stats = rig.stop();
    assert_eq!(stats[Stat::HeapTooLarge], 8);
    assert_eq!(stats[Stat::OutOfBoundsHeaps], 0, "none of them has begun");
}

#[test]
fn heaps_larger_than_allowed_do_not_run_into_their_neighbours() {
    let mut plan = Plan::new(&pool(1));
    plan.config.max_heap_size = SLOT as u64;
    let rig = plan.build();
    let feed = rig.udp();
    feed.send(&whole(1));
    // It claims one byte more than its place has, and begins before heap 1 in the same chunk.
    feed.send(&Wire::whole(0, vec![0xee; SLOT + 1]));
    feed.send(&Wire::part(2, SLOT as u64 + 1, 0, vec![0xee; 8]));
    feed.send(&whole(3));
    rig.settle(&feed);
    let stats = rig.stop();
    assert_eq!(stats[Stat::HeapTooLarge], 2);
    assert_eq!(stats[Stat::CompleteHeaps], 2);
    assert_eq!(present(&rig.chunks()), [1, 3]);
}

#[test]
fn far_payload_offsets_cost_no_memory() {
    let pool = pool(1);
    let rig = Plan::new(&pool).out_of_order().build();
    let feed = rig.udp();
    rig.settle(&feed);
    let before = resident();
    let unsized_part =
        |heap_cnt, offset| Wire { heap_length: None, offset, ..Wire::whole(heap_cnt, vec![1; 64]) };
    feed.send(&unsized_part(0, 1 << 40));
    feed.send(&unsized_part(1, 0));
    feed.send(&unsized_part(1, (1 << 48) - 1));
    feed.send(&whole(2));
    rig.settle(&feed);
    assert!(resident() < before + 256 * MIB);
    assert_others_go_on(&pool);
    let stats = rig.stop();
    assert_eq!(stats[Stat::HeapTooLarge], 2);
    assert_eq!(stats[Stat::CompleteHeaps], 1);
    assert_eq!(present(&rig.chunks()), [2]);
}

/// More pieces than are kept track of: memory and time stay bounded.
#[test]
fn a_heap_in_countless_pieces_is_given_up_piece_by_piece() {
    let rig = Plan::new(&pool(1)).out_of_order().build_with(|_, _| slot(0));
    let pieces = (0..70_000u64).map(|i| Wire { heap_length: None, ..Wire::part(0, 0, 2 * i, vec![1]) });
    let before = resident();
    let (stats, _) = run(&rig, pieces);
    assert!(resident() < before + 256 * MIB);
    assert_eq!(stats[Stat::TooFragmented], 70_000 - 65_536);
    assert_eq!(stats[Stat::PacketsOutOfBounds], 65_536, "they were placed beyond their chunk");
}

#[test]
fn one_far_future_heap_does_nothing() {
    let rig = Plan::new(&pool(1)).build();
    let wild = |heap_cnt: u64| Wire::whole(heap_cnt + (1 << 40), vec![1; SLOT]);
    let packets = (0..40).flat_map(|i| [whole(i), wild(i)]);
    let (stats, chunks) = run(&rig, packets);
    assert_eq!(stats[Stat::JumpRejectedHeaps], 40, "never enough of them in a row");
    assert_eq!(stats[Stat::PacketsJumpRejected], 40);
    assert_eq!(stats[Stat::TooOldHeaps], 0);
    assert_eq!(present(&chunks), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_wild_first_heap_does_not_keep_the_window_for_ever() {
    let rig = Plan::new(&pool(1)).build_with(|heap_cnt, _| match heap_cnt {
        0 => Placement { chunk_id: 1 << 40, ..slot(0) },
        heap_cnt => slot(heap_cnt),
    });
    let (stats, chunks) = run(&rig, (0..20).map(whole));
    assert_eq!(stats[Stat::TooOldHeaps], 8, "the ninth in a row is believed");
    assert_eq!(stats[Stat::CompleteHeaps], 12);
    let ids: Vec<i64> = chunks.iter().map(|chunk| chunk.id).collect();
    let first = 9 / HEAPS as i64;
    assert!(ids.starts_with(&[(1 << 40) - 1, 1 << 40, first - 1, first]), "{ids:?}");
}

#[test]
fn enough_far_future_heaps_in_a_row_move_the_window() {
    let plan = Plan { jump_confirm: 3, max_jump: 100, ..Plan::new(&pool(1)) };
    let far = 4 * 1000;
    let (stats, chunks) = run(&plan.build(), [whole(0)].into_iter().chain((far..far + 6).map(whole)));
    assert_eq!(stats[Stat::JumpRejectedHeaps], 3);
    assert_eq!(present(&chunks), [0, far + 3, far + 4, far + 5]);
    let plan = Plan { max_jump: 0, ..Plan::new(&pool(1)) };
    let (stats, chunks) = run(&plan.build(), [whole(0), whole(1 << 47), whole(1)]);
    assert_eq!(stats[Stat::JumpRejectedHeaps], 0);
    assert_eq!(stats[Stat::TooOldHeaps], 1);
    assert_eq!(present(&chunks), [0, 1 << 47]);
}

/// Places heap 1 as told and its neighbours where they belong; only these may have changed anything.
fn placed_outside(
    tell: &str,
    plan: Plan,
    packets: Vec<Wire>,
    wild: impl Fn(Placement) -> Placement + Send + 'static,
) {
    listen();
    let count = packets.len() as u64;
    let rig = plan.build_with(move |heap_cnt, _| match heap_cnt {
        1 => wild(slot(1)),
        _ => slot(heap_cnt),
    });
    let (stats, chunks) = run(&rig, packets.into_iter().chain([whole(0), whole(2)]));
    assert_eq!(stats[Stat::OutOfBoundsHeaps], 1, "{tell}");
    assert_eq!(stats[Stat::PacketsOutOfBounds], count, "{tell}");
    assert_eq!(stats[Stat::CompleteHeaps], 2, "{tell}");
    assert_eq!(chunks.len(), 1, "{tell}");
    let chunk = &chunks[0];
    assert_eq!(chunk.data[..SLOT], pattern(0, SLOT), "{tell}");
    assert_eq!(chunk.data[SLOT..2 * SLOT], [0; SLOT], "{tell}");
    assert_eq!(chunk.data[2 * SLOT..3 * SLOT], pattern(2, SLOT), "{tell}");
    assert_eq!(chunk.data[3 * SLOT..], [0; SLOT], "{tell}");
    assert!(chunk.extra.iter().all(|&byte| byte == 0), "{tell}");
    let worker = rig.placed.try_iter().next().unwrap().1;
    let lines = lines_of(worker);
    assert_eq!(lines.len(), 1, "{tell}: {lines:?}");
    assert!(lines[0].starts_with("heaps placed outside their chunk: "), "{lines:?}");
}

#[test]
fn places_outside_the_chunk_are_refused() {
    let size = SLOT * HEAPS;
    let one = || vec![whole(1)];
    let two = || split(1, &pattern(1, SLOT), SLOT / 2);
    for packets in [one, two] {
        let check = |tell: &str, wild: fn(Placement) -> Placement| {
            placed_outside(tell, Plan::new(&pool(1)), packets(), wild);
        };
        check("index", |place| Placement { heap_index: HEAPS, ..place });
        check("largest index", |place| Placement { heap_index: usize::MAX, ..place });
        check("offset", |place| Placement { heap_offset: SLOT * HEAPS - SLOT + 1, ..place });
        check("offset at the end", |place| Placement { heap_offset: SLOT * HEAPS, ..place });
        check("largest offset", |place| Placement { heap_offset: usize::MAX, ..place });
        check("offset that overflows to 0", |place| Placement {
            heap_offset: usize::MAX - SLOT + 1,
            ..place
        });
        check("offset that overflows to 1", |place| Placement {
            heap_offset: usize::MAX - SLOT + 2,
            ..place
        });
        let extra = |tell: &str, wild: fn(Placement) -> Placement| {
            let plan = Plan { max_heap_extra: 8, extra_size: 10, ..Plan::new(&pool(1)) };
            placed_outside(tell, plan, packets(), wild);
        };
        extra("more extra than allowed", |place| Placement { extra_size: 9, ..place });
        extra("most extra", |place| Placement { extra_size: usize::MAX, ..place });
        extra("extra beyond the end", |place| Placement { extra_size: 8, extra_offset: 3, ..place });
        extra("largest extra offset", |place| Placement { extra_size: 8, extra_offset: usize::MAX, ..place });
        extra("extra offset that overflows", |place| Placement {
            extra_size: 8,
            extra_offset: usize::MAX - 7,
            ..place
        });
    }
    let unsized_heap = vec![Wire { heap_length: None, ..Wire::whole(1, vec![1; SLOT]) }];
    placed_outside("unsized", Plan::new(&pool(1)), unsized_heap, move |place| Placement {
        heap_offset: size - SLOT + 1,
        ..place
    });
}

#[test]
fn presence_flags_outside_the_chunk_are_refused() {
    // Two packets per heap.
    let plan = || Plan { presence: SLOT / 2, present_size: 2 * HEAPS, ..Plan::new(&pool(1)) };
    let both = |place: Placement| Placement { heap_index: 2 * place.heap_index, ..place };
    for wild in [2 * HEAPS - 1, 2 * HEAPS, usize::MAX] {
        let rig = plan().build_with(move |heap_cnt, _| match heap_cnt {
            1 => Placement { heap_index: wild, ..slot(1) },
            _ => both(slot(heap_cnt)),
        });
        let packets: Vec<_> = (0..4).flat_map(|i| split(i, &pattern(i, SLOT), SLOT / 2)).collect();
        let (stats, chunks) = run(&rig, packets);
        assert_eq!(stats[Stat::OutOfBoundsHeaps], 1);
        assert_eq!(stats[Stat::PacketsOutOfBounds], 2);
        assert_eq!(chunks[0].present, [1, 1, 0, 0, 1, 1, 1, 1]);
        assert_eq!(chunks[0].data[SLOT..2 * SLOT], [0; SLOT]);
    }
    // Of an unsized heap only the packets can be checked: the second is outside, and writes nothing.
    let rig = plan().build_with(move |heap_cnt, _| match heap_cnt {
        1 => Placement { heap_index: 2 * HEAPS - 1, ..slot(1) },
        _ => both(slot(heap_cnt)),
    });
    let packets =
        split(1, &[9; SLOT], SLOT / 2).into_iter().map(|packet| Wire { heap_length: None, ..packet });
    let (stats, chunks) = run(&rig, packets);
    assert_eq!(stats[Stat::OutOfBoundsHeaps], 1);
    assert_eq!(stats[Stat::PacketsOutOfBounds], 2);
    assert_eq!(chunks[0].present, [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(chunks[0].data[SLOT..SLOT + SLOT / 2], [9; SLOT / 2]);
    assert_eq!(chunks[0].data[SLOT + SLOT / 2..2 * SLOT], [0; SLOT / 2]);
}

#[test]
fn empty_packets_mark_no_packet_present() {
    let half = SLOT as u64 / 2;
    let plan = Plan { presence: SLOT / 2, present_size: 2 * HEAPS, ..Plan::new(&pool(1)) };
    let place = |heap_cnt, _| Placement { heap_index: 2 * slot(heap_cnt).heap_index, ..slot(heap_cnt) };
    let empty = |heap_cnt, offset| Wire::part(heap_cnt, SLOT as u64, offset, vec![]);
    let (stats, chunks) = run(
        &plan.out_of_order().build_with(place),
        [empty(0, 0), empty(0, half), empty(0, 2 * half), empty(3, 2 * half), Wire::whole(1, vec![])],
    );
    assert_eq!(chunks[0].present, [0, 0, 1, 0, 0, 0, 0, 0], "only the heap that is empty has come");
    assert_eq!(stats[Stat::OutOfBoundsHeaps], 0);
    assert_eq!(stats[Stat::IncompleteHeapsFlushed], 2);
    assert_eq!(stats[Stat::PacketsIncomplete], 4);
}

#[test]
fn a_flood_of_garbage_is_counted_and_hardly_logged() {
    const FLOOD: u64 = 50_000;
    listen();
    let pool = pool(1);
    let rig = Plan::new(&pool).build();
    let feed = rig.udp();
    let worker = rig.settle(&feed);
    let mut garbage = [0x53, 4, 2, 6, 0, 0, 0, 9, 1, 2, 3];
    for i in 0..FLOOD {
        garbage[0] = if i % 3 == 0 { 0x53 } else { i as u8 | 1 << 7 };
        feed.send_bytes(&garbage[..if i % 7 == 0 { 5 } else { 11 }]);
    }
    // On a busy machine the kernel may drop the sentinel; then another.
    let mut sentinels = 1;
    loop {
        feed.send(&Wire::whole(SENTINEL, vec![]));
        sentinels += 1;
        if rig.placed.recv_timeout(GUARD / 5).is_ok() {
            break;
        }
    }
    assert_others_go_on(&pool);
    let stats = rig.stop();
    assert_eq!(stats[Stat::Packets] + stats[Stat::KernelDrops], FLOOD + sentinels);
    let kinds = [Stat::MalformedTooShort, Stat::MalformedBadMagic, Stat::MalformedItemsOverflow];
    assert!(kinds.iter().all(|&kind| stats[kind] > 0));
    let malformed: u64 = kinds.iter().map(|&kind| stats[kind]).sum();
    assert_eq!(malformed + stats[Stat::RejectedHeaps], stats[Stat::Packets]);
    let lines = lines_of(worker);
    assert!((2..=10).contains(&lines.len()), "{lines:?}");
    // Every event is said, alone or in a sum.
    let said: u64 = lines
        .iter()
        .map(|line| match line.strip_suffix(" more") {
            Some(start) => start.rsplit(' ').next().unwrap().parse().unwrap(),
            None => 1,
        })
        .sum();
    assert_eq!(said, malformed, "{lines:?}");
}

/// What a row's event costs once, it must not cost for ever: each as a flood, counted to the packet.
#[test]
fn every_event_may_come_in_floods() {
    const FLOOD: u64 = 20_000;
    const OUTSIDE: u64 = 1 << 20;
    const EXTRA: u64 = 1 << 21;
    type Row = (&'static str, Stat, fn(u64) -> Vec<Wire>);
    let rows: [Row; 11] = [
        ("far future", Stat::PacketsJumpRejected, |i| vec![whole(i % 4), whole((1 << 40) + i)]),
        ("too old", Stat::PacketsTooOld, |i| match i {
            0 => vec![whole(4000)],
            _ => vec![whole(i % 4)],
        }),
        ("rejected", Stat::PacketsRejected, |_| vec![whole(SENTINEL)]),
        ("outside", Stat::PacketsOutOfBounds, |_| vec![whole(OUTSIDE)]),
        ("extra outside", Stat::PacketsOutOfBounds, |_| vec![whole(EXTRA)]),
        ("too large", Stat::HeapTooLarge, |i| vec![Wire::part(i, 1 << (33 + i % 14), 0, vec![1; 64])]),
        ("far offset", Stat::HeapTooLarge, |i| {
            vec![Wire { heap_length: None, ..Wire::part(i, 0, 1 << 40, vec![1; 64]) }]
        }),
        ("duplicate", Stat::Duplicate, |_| vec![Wire::part(1, SLOT as u64, 0, vec![1; 100])]),
        ("overlap", Stat::Overlap, |i| match i {
            0 => vec![Wire::part(1, SLOT as u64, 0, vec![1; 100])],
            _ => vec![Wire::part(1, SLOT as u64, 50, vec![1; 100])],
        }),
        ("lost start", Stat::OutOfOrder, |i| vec![Wire::part(i, SLOT as u64, 50, vec![1; 100])]),
        ("item beyond", Stat::MalformedItemBeyondHeap, |i| vec![whole(i).item(false, 0x1600, 1 << 40)]),
    ];
    listen();
    let pool = pool(1);
    for (name, stat, packets) in rows {
        let plan = Plan { max_heap_extra: 8, extra_size: 8, ..Plan::new(&pool) };
        let rig = plan.build_with(|heap_cnt, _| match heap_cnt {
            OUTSIDE => Placement { heap_offset: usize::MAX, ..slot(0) },
            EXTRA => Placement { extra_size: 9, ..slot(0) },
            heap_cnt => slot(heap_cnt),
        });
        let feed = rig.udp();
        let worker = rig.settle(&feed);
        let lines_before = lines_of(worker).len();
        let before = resident();
        rig.add(MemoryReader::of((0..FLOOD).flat_map(packets).map(|packet| packet.encode())));
        rig.wait_for(name, |stats| stats[stat] >= FLOOD - 1);
        let (stats, grown) = (rig.stop(), resident().saturating_sub(before) / MIB);
        assert!((FLOOD - 1..=FLOOD + 1).contains(&stats[stat]), "{name}: {}", stats[stat]);
        assert!(grown < 64, "{name}: {grown} MiB more");
        // The first, a sum once a second, and one at the end.
        let lines = lines_of(worker).split_off(lines_before);
        assert!(lines.len() < 10, "{name}: {lines:#?}");
        assert_others_go_on(&pool);
    }
}

#[test]
fn a_buffer_with_garbage_ends_with_an_error_that_says_where() {
    let rig = Plan::new(&pool(1)).build();
    let good = whole(1).encode();
    let bytes = [&good[..], b"garbage!", &good].concat();
    rig.add(Box::new(BufferReader::copy_of(&bytes)));
    let (stats, chunks) = rig.run_out();
    assert_eq!(present(&chunks), [1]);
    assert_eq!(stats[Stat::Packets], 2);
    assert_eq!(stats[Stat::MalformedBadMagic], 1);
    let Some(EndReason::Failed(error)) = rig.stream.stream().end_reason() else { panic!("it failed") };
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains(&format!("byte {} of {}", good.len(), bytes.len())), "{error}");
}

#[test]
fn overlaps_and_duplicates_are_told_apart() {
    let rig = Plan::new(&pool(1)).out_of_order().build();
    let payload = pattern(1, SLOT);
    let part =
        |start: usize, end: usize| Wire::part(1, SLOT as u64, start as u64, payload[start..end].to_vec());
    let packets = [part(0, 100), part(50, 150), part(20, 60), part(0, 100), part(200, SLOT), part(90, 210)];
    let (stats, chunks) = run(&rig, packets.into_iter().chain([part(100, 200)]));
    assert_eq!(stats[Stat::Overlap], 2);
    assert_eq!(stats[Stat::Duplicate], 2);
    assert_eq!(stats[Stat::PacketsDelivered], 3);
    assert_eq!(present(&chunks), [1]);

    let rig = Plan::new(&pool(1)).build();
    let packets = [part(0, 100), part(50, 150), part(20, 60), part(0, 100), part(150, SLOT)];
    let (stats, chunks) = run(&rig, packets.into_iter().chain([part(100, SLOT)]));
    assert_eq!([stats[Stat::Overlap], stats[Stat::Duplicate], stats[Stat::OutOfOrder]], [1, 2, 1]);
    assert_eq!(present(&chunks), [1]);
}

#[test]
fn an_overlap_does_not_overwrite_what_was_received() {
    let rig = Plan::new(&pool(1)).out_of_order().build();
    let [first, second] = &split(1, &pattern(1, SLOT), SLOT / 2)[..] else { panic!("two packets") };
    let forged = |offset, len| Wire::part(1, SLOT as u64, offset, vec![0xee; len]);
    let packets = [first.clone(), forged(0, SLOT / 2), forged(10, SLOT / 2), second.clone(), forged(0, 9)];
    let (stats, chunks) = run(&rig, packets);
    assert_eq!([stats[Stat::Overlap], stats[Stat::Duplicate]], [1, 2]);
    assert_eq!(present(&chunks), [1]);
}

#[test]
fn a_duplicate_of_the_last_packet_starts_no_ghost() {
    for config in [Plan::new(&pool(1)), Plan::new(&pool(1)).out_of_order()] {
        let rig = config.build();
        let packets: Vec<_> = (0..4).flat_map(|i| split(i, &pattern(i, SLOT), 100)).collect();
        let late: Vec<_> = packets.iter().filter(|packet| packet.offset == 200).cloned().collect();
        let (stats, chunks) = run(&rig, packets.into_iter().chain(late));
        assert_eq!(stats[Stat::Duplicate], 4);
        assert_eq!(stats[Stat::Heaps], 4);
        assert_eq!(stats[Stat::CompleteHeaps], 4);
        assert_eq!(stats[Stat::HeapsLostStart], 0);
        assert_eq!(rig.placed.try_iter().count(), 4);
        assert_eq!(present(&chunks), [0, 1, 2, 3]);
    }
}

#[test]
fn heaps_without_their_beginning_are_counted_once() {
    let mut plan = Plan::new(&pool(1));
    plan.config.substreams = 3;
    plan.config.max_heaps = 1;
    let rig = plan.build();
    let mut packets: Vec<_> = (1..4).flat_map(|i| split(i, &pattern(i, SLOT), 50)).collect();
    packets.retain(|packet| packet.offset != 0);
    packets.sort_by_key(|packet| packet.offset);
    let count = packets.len() as u64;
    let (stats, chunks) = run(&rig, packets.into_iter().chain([whole(0)]));
    assert_eq!(stats[Stat::HeapsLostStart], 3);
    assert_eq!(stats[Stat::OutOfOrder], count);
    assert_eq!(stats[Stat::Heaps], 1, "they never started");
    assert_eq!(present(&chunks), [0]);
}

#[test]
fn item_pointers_beyond_the_heap_are_malformed() {
    let rig = Plan::new(&pool(1)).build();
    let (stats, chunks) = run(
        &rig,
        [
            whole(0).item(false, 0x1000, SLOT as u64 + 1),
            whole(1).item(false, 0x1000, (1 << 48) - 1),
            whole(2).item(false, 0x1000, SLOT as u64),
            whole(3).item(false, 0x1000, 0).item(false, 0x1001, 0).item(false, 0x1002, 0),
        ],
    );
    assert_eq!(stats[Stat::MalformedItemBeyondHeap], 2);
    assert_eq!(
        present(&chunks),
        [2, 3],
        "an item of no bytes at the end, and several at one place, are fine"
    );
}

#[test]
fn as_many_items_as_there_can_be() {
    let pool = pool(1);
    let mut packet = whole(1);
    packet.items = (0..65_535 - 4).map(|i| (i % 2 == 0, 0x1000 + i % 100, i % SLOT as u64)).collect();
    let rig = Plan::new(&pool).build();
    let (stats, chunks) = run(&rig, [packet.clone()]);
    assert_eq!(stats[Stat::CompleteHeaps], 1);
    assert_eq!(present(&chunks), [1]);
    // 20 packets with 8000 pointers each, over UDP.
    let rig = Plan::new(&pool).build();
    let feed = rig.udp_with(UdpConfig { max_size: 65_535, ..UdpConfig::default() });
    let parts = split(2, &pattern(2, SLOT), 13);
    assert_eq!(parts.len(), 20);
    for mut part in parts {
        part.items = packet.items[..8000].to_vec();
        feed.send(&part);
    }
    rig.settle(&feed);
    assert_others_go_on(&pool);
    let stats = rig.stop();
    assert_eq!(stats[Stat::PacketsDelivered], 20);
    assert_eq!(present(&rig.chunks()), [2]);
}

#[test]
fn a_stop_item_ends_the_stream_unless_told_otherwise() {
    let stop = || Wire::whole(1, pattern(1, SLOT)).item(true, STREAM_CTRL, 2);
    let rig = Plan::new(&pool(1)).build();
    let (stats, chunks) = run(&rig, [whole(0), stop(), whole(2), whole(3)]);
    assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::StopItem));
    assert_eq!(stats[Stat::PacketsControl], 1);
    assert_eq!(stats[Stat::PacketsAfterStop], 2);
    assert_eq!(stats[Stat::Heaps], 1);
    assert_eq!(present(&chunks), [0], "the heap with the stop item is not among them");

    let mut plan = Plan::new(&pool(1));
    plan.config.stop_on_stop_item = false;
    let rig = plan.build();
    let (stats, chunks) = run(&rig, [whole(0), stop(), whole(2), whole(3).item(true, STREAM_CTRL, 0)]);
    assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::SourceEnded));
    assert_eq!(stats[Stat::PacketsControl], 0);
    assert_eq!(stats[Stat::CompleteHeaps], 4);
    assert_eq!(present(&chunks), [0, 1, 2, 3]);
}

#[test]
fn oversize_datagrams_are_counted_and_hardly_logged() {
    listen();
    let rig = Plan::new(&pool(1)).build();
    let limit = whole(1).encode().len();
    let feed = rig.udp_with(UdpConfig { max_size: limit, ..UdpConfig::default() });
    feed.send(&whole(1));
    for i in 0..100 {
        let mut bytes = whole(2).encode();
        bytes.resize(if i % 2 == 0 { limit + 1 } else { 60_000 }, 0);
        feed.send_bytes(&bytes);
        if i % 10 == 9 {
            // Not more than fit in the socket's buffer.
            rig.settle(&feed);
        }
    }
    feed.send(&whole(3));
    let worker = rig.settle(&feed);
    let stats = rig.stop();
    assert_eq!(stats[Stat::Truncated], 100);
    assert_eq!(present(&rig.chunks()), [1, 3]);
    assert!((1..=10).contains(&lines_of(worker).len()), "{:?}", lines_of(worker));
}

#[cfg(feature = "pcap")]
mod pcap {
    use super::*;
    use aqueduct::recv::reader::PcapReader;
    use std::io::Write;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_broken_capture_gives_what_comes_before_and_says_where_it_broke() {
        let frames: Vec<_> = (0..3).map(|i| wire::frame(&whole(i).encode())).collect();
        let bytes = wire::capture(frames.iter().map(|frame| (&frame[..], frame.len())));
        let record = 16 + frames[0].len();
        let third = 24 + 2 * record;
        let mut impossible = bytes.clone();
        impossible[third + 8..third + 12].copy_from_slice(&u32::MAX.to_le_bytes());
        let broken = [
            (bytes[..bytes.len() - 1].to_vec(), ErrorKind::Truncated),
            (bytes[..third + 7].to_vec(), ErrorKind::Truncated),
            (impossible, ErrorKind::Format),
        ];
        for (bytes, kind) in broken {
            let file = file(&bytes);
            let rig = Plan::new(&pool(1)).build();
            rig.add(Box::new(PcapReader::open(file.path(), None).unwrap()));
            let (stats, chunks) = rig.run_out();
            assert_eq!(stats[Stat::Packets], 2);
            assert_eq!(present(&chunks), [0, 1]);
            let Some(EndReason::Failed(error)) = rig.stream.stream().end_reason() else {
                panic!("it failed")
            };
            assert_eq!(error.kind(), kind);
            assert!(error.message().contains(&format!("record 3 at byte {third}")), "{error}");
        }
    }

    #[test]
    fn frames_that_carry_no_whole_datagram_are_counted() {
        let good = wire::frame(&whole(1).encode());
        let changed = |at: usize, value: u8| {
            let mut frame = good.clone();
            frame[at] = value;
            frame
        };
        let frames = [
            (good.clone(), good.len()),
            (changed(20, 0x20), good.len()),
            (changed(13, 6), good.len()),
            (changed(23, 6), good.len()),
            // The UDP header tells more than the IP packet has.
            (changed(38, 0x7f), good.len()),
            (good[..100].to_vec(), good.len()),
            (vec![], 0),
        ];
        let file = file(&wire::capture(frames.iter().map(|(frame, original)| (&frame[..], *original))));
        let rig = Plan::new(&pool(1)).build();
        rig.add(Box::new(PcapReader::open(file.path(), None).unwrap()));
        let (stats, chunks) = rig.run_out();
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::SourceEnded));
        assert_eq!(stats[Stat::Packets], 7);
        assert_eq!([stats[Stat::Fragment], stats[Stat::NotUdp], stats[Stat::Truncated]], [1, 4, 1]);
        assert_eq!(present(&chunks), [1]);
    }

    /// A capture of nothing but what cannot be used, and one that claims the longest record that there can be.
    #[test]
    fn a_flood_of_frames_without_a_datagram_is_counted_and_hardly_logged() {
        const FLOOD: usize = 20_000;
        listen();
        let good = wire::frame(&whole(1).encode());
        let mut fragment = good.clone();
        fragment[20] = 0x20;
        let mut lying = good.clone();
        lying[38] = 0x7f;
        let kinds = [&fragment[..], &lying, &good[..100], &[]];
        let frames =
            (0..4 * FLOOD).map(|i| (kinds[i % 4], if i % 4 == 2 { good.len() } else { kinds[i % 4].len() }));
        let mut bytes = wire::capture(frames);
        bytes.extend([0, 0, 262_144, 262_144u32].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend([0; 1000]);
        let file = file(&bytes);
        let pool = pool(1);
        let rig = Plan::new(&pool).build();
        let worker = rig.settle(&rig.udp());
        let (before, lines_before) = (resident(), lines_of(worker).len());
        rig.add(Box::new(PcapReader::open(file.path(), None).unwrap()));
        let expected = [Stat::Fragment, Stat::Truncated];
        rig.wait_for("all is read", |stats| stats[Stat::NotUdp] == 2 * FLOOD as u64);
        let stats = rig.stop();
        assert!(expected.iter().all(|&stat| stats[stat] == FLOOD as u64), "{stats:?}");
        assert!(resident() < before + 32 * MIB);
        let lines = lines_of(worker).split_off(lines_before);
        assert!((1..10).contains(&lines.len()), "{lines:#?}");
        assert_others_go_on(&pool);
    }

    #[test]
    fn what_is_no_capture_is_refused_when_it_is_opened() {
        for (bytes, kind) in
            [(&b""[..], ErrorKind::Truncated), (b"not a capture, not at all", ErrorKind::Format)]
        {
            assert_eq!(PcapReader::open(file(bytes).path(), None).err().unwrap().kind(), kind);
        }
    }
}
