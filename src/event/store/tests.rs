//! What the store keeps, loses and gives memory to. Short enough for Miri: `cargo +nightly miri test --lib event::store`.

use super::*;
use crate::memory::HeapAllocator;
use parking_lot::Mutex;

fn memory(store: &mut Store, size: usize) {
    store.add_memory(Segment::new(&HeapAllocator, size).unwrap(), size > super::super::segment::SEGMENT_SIZE);
}

fn put(store: &mut Store, data: &[u8]) {
    while !store.put(&[data], data.len(), 1) {
        memory(store, data.len());
    }
}

fn reserve(store: &mut Store, size: usize) -> Slot {
    loop {
        if let Some(slot) = store.take_place(size, 1) {
            store.open(&slot);
            return slot;
        }
        memory(store, size);
    }
}

fn fill(slot: &Slot, byte: u8) {
    // SAFETY: the slot is open.
    unsafe { slot.data().write_bytes(byte, slot.size()) };
}

/// A store that keeps losses.
fn store() -> Store {
    let mut store = Store::default();
    store.keep_lost(true);
    store
}

/// Packets as text, losses as [how many], from a number on.
fn told(batch: &Batch, from: u64) -> String {
    let mut text = String::new();
    for item in batch.items(from) {
        match item {
            crate::event::batch::Item::Packet(packet) => {
                text += &String::from_utf8_lossy(packet.data());
            }
            crate::event::batch::Item::Lost(lost) => text += &format!("[{}]", lost.packets),
        }
    }
    text
}

fn flush(store: &mut Store) -> String {
    let end = store.take_off();
    let text = told(&store.batch(0, end, usize::MAX), 0);
    store.land(end);
    store.take_back([end]);
    text
}

#[test]
fn slots_that_are_closed_in_any_order_stay_in_theirs() {
    let mut store = store();
    put(&mut store, b"a");
    let slots: Vec<Slot> = (0..4).map(|_| reserve(&mut store, 3)).collect();
    put(&mut store, b"z");
    for (slot, byte) in slots.iter().zip(b"bcde") {
        fill(slot, *byte);
    }
    assert_eq!((store.amount().packets, store.occupied().packets), (2, 6));
    store.close(slots[2].number(), Some(1), 1);
    store.close(slots[1].number(), None, 1);
    assert_eq!(flush(&mut store), "a");
    assert_eq!(store.peek(0).map(|(_, data)| data), None);
    store.close(slots[0].number(), Some(2), 1);
    assert_eq!(flush(&mut store), "bbd");
    store.close(slots[3].number(), Some(3), 1);
    assert_eq!(flush(&mut store), "eeez");
    assert_eq!(store.occupied(), Amount::default());
}

#[test]
fn what_the_last_slot_did_not_need_is_used_again() {
    let mut store = store();
    let first = reserve(&mut store, 100);
    let last = reserve(&mut store, 1000);
    let start = last.entry.start;
    store.close(first.number(), Some(0), 1);
    store.close(last.number(), Some(1), 1);
    put(&mut store, b"x");
    assert_eq!(store.peek(2).unwrap().0.start, start + 1);
    let slot = reserve(&mut store, 1000);
    store.close(slot.number(), None, 1);
    put(&mut store, b"y");
    assert_eq!(store.peek(3).unwrap().0.start, slot.entry.start);
    assert_eq!(store.peek(3).unwrap().1, b"y");
}

#[test]
fn segments_are_used_again_when_nobody_has_them() {
    let mut store = store();
    let big = vec![7; 400 << 10];
    for _ in 0..6 {
        put(&mut store, &big);
    }
    // Two in each.
    assert_eq!((store.waiting.len(), store.spare.len()), (3, 0));
    let end = store.take_off();
    let batch = store.batch(0, end, 1);
    assert_eq!((batch.end(), batch.pieces.len()), (2, 1));
    assert_eq!(store.land(batch.end()), Amount { packets: 2, bytes: 800 << 10 });
    // The batch has it.
    assert_eq!(store.spare.len(), 0);
    drop(batch);
    store.land(4);
    assert_eq!((store.spare.len(), store.in_flight.packets), (1, 2));
    store.take_back([4, 4]);
    assert_eq!(store.occupied(), Amount { packets: 2, bytes: 800 << 10 });
    assert_eq!(store.pop().unwrap().number, 4);
    put(&mut store, &big);
    assert_eq!((store.waiting.len(), store.spare.len()), (2, 0));
    let numbers: Vec<u64> = (0..2).map(|index| store.peek(index).unwrap().0.number).collect();
    assert_eq!(numbers, [5, 6]);
    // But what was made for one large packet goes with it.
    put(&mut store, &vec![7; 3 << 20]);
    put(&mut store, b"x");
    let end = store.take_off();
    store.land(end);
    assert!(!store.spare.is_empty() && store.spare.iter().all(Segment::is_usual));
}

#[test]
fn what_comes_back_is_in_front() {
    let mut store = store();
    for byte in b"abc" {
        put(&mut store, &[*byte]);
    }
    let end = store.take_off();
    for byte in b"def" {
        put(&mut store, &[*byte]);
    }
    store.land(1);
    store.take_back([1]);
    assert_eq!(store.waiting.len(), 1, "one piece again");
    assert_eq!((end, store.evict().unwrap().number), (3, 1));
    let end = store.take_off();
    assert_eq!(told(&store.batch(1, end, 9), 1), "[1]cdef");
    assert_eq!(told(&store.batch(2, end, 9), 2), "cdef");
    assert_eq!(told(&store.batch(5, end, 9), 5), "f");
    assert_eq!(told(&store.batch(6, end, 9), 6), "");
}

#[test]
fn cancelled_packets_at_the_front_are_nothing_to_take_out() {
    let mut store = store();
    put(&mut store, b"a");
    let slot = reserve(&mut store, 1);
    store.close(slot.number(), None, 1);
    assert!(store.has_ready());
    // A sink fails behind the first.
    store.take_off();
    assert!(store.has_flight() && !store.has_ready());
    store.land(1);
    store.take_back([1]);
    assert!(!store.has_flight() && !store.has_ready());
    let slot = reserve(&mut store, 1);
    put(&mut store, b"b");
    assert!(!store.has_ready());
    store.close(slot.number(), None, 1);
    assert!(store.has_ready());
    store.pop();
    assert!(!store.has_ready());
}

#[test]
fn losses_are_told_apart_where_sinks_are() {
    let mut store = store();
    for byte in b"abcdefgh" {
        put(&mut store, &[*byte]);
    }
    let end = store.take_off();
    // Sinks at 3 and 5; the one at 3 failed.
    store.land(3);
    store.take_back([3, 5]);
    for _ in 0..4 {
        store.evict();
    }
    store.lose_newest(1, 1);
    store.lose_newest(1, 1);
    let end = end + 2;
    assert_eq!(store.take_off(), end);
    assert_eq!(told(&store.batch(3, end, 9), 3), "[2][2]h[2]");
    assert_eq!(told(&store.batch(3, end, 9), 5), "[2]h[2]");
    assert_eq!(told(&store.batch(8, end, 9), 8), "[2]");
    // What is lost from now on is for the next flush.
    store.lose_newest(1, 1);
    assert_eq!(told(&store.batch(3, end, 9), 3), "[2][2]h[2]");
}

#[test]
fn packets_are_gathered_from_where_they_lie() {
    let mut store = store();
    let big = vec![b'-'; 600 << 10];
    for data in [b"ab".as_slice(), b"c", b"", &big, &big, b"d"] {
        put(&mut store, data);
    }
    let slot = reserve(&mut store, 5);
    fill(&slot, b'e');
    store.close(slot.number(), Some(2), 1);
    put(&mut store, b"f");
    let end = store.take_off();
    let batch = store.batch(0, end, 9);
    let mut gather = crate::event::gather::Gather::new(Vec::new());
    let mut expected: Vec<u8> = Vec::new();
    for (index, item) in batch.items(0).enumerate() {
        let crate::event::batch::Item::Packet(packet) = item else { panic!("nothing was lost") };
        if index % 3 == 1 {
            gather.push_copy(b"<copied>");
            gather.push_made(|made| made.extend(b"<made>"));
            expected.extend(b"<copied><made>");
        }
        gather.push(&packet);
        expected.extend(packet.data());
    }
    let slices = gather.slices();
    let mut found = Vec::new();
    slices.iter().for_each(|slice| found.extend_from_slice(slice));
    assert!(found == expected);
    assert_eq!(gather.bytes(), expected.len() as u64);
    // ab | made | c, nothing, big | big | made | big... where a segment ends, a stretch does.
    assert!(slices.len() <= 8, "{}", slices.len());
}

/// Number and bytes of each packet, and `None` for a loss.
fn one_by_one(batch: &Batch, from: u64) -> Vec<Option<(u64, Vec<u8>)>> {
    let items = batch.items(from).map(|item| match item {
        crate::event::batch::Item::Packet(packet) => Some((packet.number, packet.data().to_vec())),
        crate::event::batch::Item::Lost(_) => None,
    });
    items.collect()
}

#[test]
fn runs_have_what_comes_one_by_one() {
    let rounds: u64 = if cfg!(miri) { 3 } else { 300 };
    let mut in_runs = 0;
    for seed in 0..rounds {
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut store = store();
        let kinds = if seed % 2 == 0 { 20 } else { 400 };
        let mut open: Vec<Slot> = Vec::new();
        for _ in 0..1 + random(400) {
            match random(kinds) {
                0 => store.lose_newest(3, 1),
                1 => open.push(reserve(&mut store, 8 * random(3) as usize)),
                3 | 4 if !open.is_empty() => {
                    let slot = open.swap_remove(random(open.len() as u64) as usize);
                    fill(&slot, b'r');
                    let size = random(slot.size() as u64 + 1) as usize;
                    store.close(slot.number(), (random(2) == 0).then_some(size), 1);
                }
                2 => put(&mut store, &[b'l'; 400 << 10]),
                _ => put(&mut store, &vec![random(256) as u8; random(100) as usize]),
            }
        }
        open.iter().for_each(|slot| store.close(slot.number(), None, 1));
        let end = store.take_off();
        let batch = store.batch(0, end, usize::MAX);
        let from = random(end / 2 + 1);
        let expected = one_by_one(&batch, from);
        let mut found = Vec::new();
        let mut items = batch.items(from);
        loop {
            let (most, more) = (random(3000), random(20) as usize);
            if let Some(run) = items.next_run(most, more) {
                assert!(run.count() > 0 && (run.size() + run.count() * more) as u64 <= most);
                let packets = run.packets().map(|packet| Some((packet.number, packet.data().to_vec())));
                found.extend(packets);
                assert_eq!(found.last().unwrap().as_ref().unwrap().0 + 1, run.end());
                in_runs += run.count();
            } else {
                match items.next() {
                    Some(crate::event::batch::Item::Packet(packet)) => {
                        found.push(Some((packet.number, packet.data().to_vec())));
                    }
                    Some(crate::event::batch::Item::Lost(_)) => found.push(None),
                    None => break,
                }
            }
        }
        assert!(found == expected, "seed {seed}");
    }
    assert!(in_runs > rounds as usize * 20, "{in_runs} packets came in runs");
}

#[test]
fn stretches_of_different_segments_are_not_one() {
    let mut store = store();
    put(&mut store, &[b'a'; 100]);
    // Does not fit behind it.
    let large = reserve(&mut store, 1 << 20);
    store.close(large.number(), None, 1);
    let slot = reserve(&mut store, 100);
    put(&mut store, b"b");
    store.close(slot.number(), None, 1);
    let end = store.take_off();
    let batch = store.batch(0, end, 9);
    let mut gather = crate::event::gather::Gather::new(Vec::new());
    for item in batch.items(0) {
        let crate::event::batch::Item::Packet(packet) = item else { panic!("nothing was lost") };
        gather.push(&packet);
    }
    let slices = gather.slices();
    // The second begins in its segment where the first ends in the other.
    assert_eq!(slices.iter().map(|slice| slice.len()).collect::<Vec<_>>(), [100, 1]);
    assert_eq!(slices[1][..], *b"b");
}

#[test]
fn writers_and_a_flush_at_the_same_time() {
    let (slots, packets) = if cfg!(miri) { (40, 60) } else { (4000, 20_000) };
    let store = Mutex::new(store());
    let mut found = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2u8)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    for i in 0..slots {
                        let slot = reserve(&mut store.lock(), 1 + i % 50);
                        fill(&slot, writer);
                        store.lock().close(slot.number(), (i % 7 != 0).then_some(1 + i % 50 / 2), 1);
                    }
                })
            })
            .collect();
        let putter =
            scope.spawn(|| (0..packets).for_each(|i| put(&mut store.lock(), &[2; 64][..1 + i % 64])));
        loop {
            let done = writers.iter().all(|writer| writer.is_finished()) && putter.is_finished();
            let end = store.lock().take_off();
            let mut from = found.last().map_or(0, |(number, _)| number + 1);
            while from < end {
                let batch = store.lock().batch(from, end, 1);
                for item in batch.items(from) {
                    let crate::event::batch::Item::Packet(packet) = item else { continue };
                    assert!(packet.data().iter().all(|&byte| byte == packet.data()[0]));
                    found.push((packet.number, packet.data()[0]));
                }
                from = batch.end();
                drop(batch);
                store.lock().land(from);
            }
            store.lock().take_back([end]);
            if done {
                break;
            }
        }
    });
    assert!(found.is_sorted_by(|a, b| a.0 < b.0));
    let kept = slots - slots.div_ceil(7);
    for writer in 0..2 {
        assert_eq!(found.iter().filter(|(_, byte)| *byte == writer).count(), kept);
    }
    assert_eq!(found.len(), packets + 2 * kept);
    assert_eq!(store.lock().occupied(), Amount::default());
}

#[test]
fn when_too_many_losses_are_told_apart_the_oldest_become_one() {
    let mut store = store();
    let rounds = MOST_LOST as u64 + 100;
    put(&mut store, b"a");
    for _ in 0..rounds {
        store.lose_newest(3, 1);
        put(&mut store, b"a");
    }
    let end = store.take_off();
    let batch = store.batch(0, end, 9);
    assert_eq!(batch.lost.len(), MOST_LOST);
    let sum: u64 = batch.lost.iter().map(|lost| lost.packets).sum();
    assert_eq!(sum, rounds);
    // Where a sink is never goes back: if it fails behind a mark, it goes on with what is behind that.
    let mut next = 0;
    for item in batch.items(0) {
        let (first, last) = match item {
            crate::event::batch::Item::Packet(packet) => (packet.number, packet.number),
            crate::event::batch::Item::Lost(lost) => (lost.first, lost.last),
        };
        assert!(next <= first && first <= last, "{next} {first} {last}");
        next = last + 1;
    }
    assert_eq!(next, end);
}

#[test]
fn losses_that_are_made_one_are_told_to_each_sink_once() {
    let mut store = store();
    for _ in 0..10 {
        store.lose_newest(1, 1);
        put(&mut store, b"a");
    }
    // A sink has all of them, another only the first packet.
    store.take_off();
    store.land(2);
    store.take_back([2, 20]);
    for _ in 0..MOST_LOST {
        store.lose_newest(1, 1);
        put(&mut store, b"a");
    }
    // While a flush tells those.
    let end = store.take_off();
    for _ in 0..MOST_LOST {
        store.lose_newest(1, 1);
        put(&mut store, b"a");
    }
    let told = |store: &Store, from: u64, end: u64| -> u64 {
        store
            .batch(from, end, 9)
            .items(from)
            .map(|item| match item {
                crate::event::batch::Item::Lost(lost) => lost.packets,
                crate::event::batch::Item::Packet(_) => 0,
            })
            .sum()
    };
    let most = MOST_LOST as u64;
    assert_eq!(told(&store, 2, end), 9 + most);
    assert_eq!(told(&store, 20, end), most);
    store.land(end);
    store.take_back([end]);
    let behind = store.take_off();
    assert_eq!(told(&store, end, behind), most);
    assert!(store.lost.len() <= MOST_LOST);
}
