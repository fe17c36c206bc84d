//! UDP over loopback: both families, generic receive offload, sockets that the caller made, what the kernel dropped,
//! and everything that can be wrong with an address or a descriptor.

mod support;

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use aqueduct::error::ErrorKind;
use aqueduct::recv::EndReason;
use aqueduct::recv::reader::{Coalesce, UdpConfig, UdpReader};
use aqueduct::recv::stats::Stat;
use aqueduct::ring::{Ring, Wait};
use aqueduct::runtime::ThreadPool;
use support::lines::{lines_of, listen};
use support::rig::{
    Feed, GUARD, HEAPS, Plan, Rig, SENTINEL, SLOT, Seen, assert_others_go_on, describe, on_socket,
    own_socket, pool, until,
};
use support::wire::{Wire, pattern, split};

fn whole(heap_cnt: u64) -> Wire {
    Wire::whole(heap_cnt, pattern(heap_cnt, SLOT))
}

#[test]
fn both_families() {
    for host in ["127.0.0.1", "::1", "localhost"] {
        if host == "::1" && UdpSocket::bind("[::1]:0").is_err() {
            eprintln!("no IPv6 here");
            continue;
        }
        let rig = Plan::new(&pool(1)).build();
        let feed = rig.udp_with(UdpConfig { host: host.into(), ..UdpConfig::default() });
        for i in 0..8 {
            for packet in split(i, &pattern(i, SLOT), 100) {
                feed.send(&packet);
            }
        }
        rig.settle(&feed);
        let stats = rig.stop();
        assert_eq!(stats[Stat::CompleteHeaps], 8, "{host}");
        let chunks = rig.chunks();
        for (id, chunk) in chunks.iter().enumerate() {
            let payload: Vec<_> = (0..HEAPS).flat_map(|i| pattern((id * HEAPS + i) as u64, SLOT)).collect();
            assert_eq!(chunk.data, payload);
        }
        assert_eq!(chunks.len(), 2);
    }
}

#[test]
fn a_multicast_group_is_joined() {
    let rig = Plan::new(&pool(1)).build();
    let group = Ipv4Addr::new(239, 255, 71, 48);
    let reader = match UdpReader::new(UdpConfig { host: group.to_string(), ..UdpConfig::default() }) {
        Ok(reader) => reader,
        // Without a route for it the system refuses; the error says what was tried.
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Io);
            return assert!(error.message().contains("joining group 239.255.71.48"), "{error}");
        }
    };
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = reader.port();
    rig.add(Box::new(reader));
    if socket.send_to(&whole(1).encode(), (group, port)).is_err() {
        return eprintln!("no multicast here");
    }
    rig.wait_placed(1);
    assert_eq!(rig.stop()[Stat::CompleteHeaps], 1);
}

/// Takes the chunks that are there, and gives them back to be filled again.
fn take_chunks(rig: &Rig, seen: &mut Vec<Seen>) {
    while let Ok(chunk) = rig.stream.data_ring().get(Wait::No) {
        seen.push(Seen::of(&chunk));
        // After the end nobody needs it.
        let _ = rig.stream.add_free_chunk(chunk);
    }
}

/// A fast sender and, on the same worker, one that sends now and then: whichever way datagrams gather, all arrive, in order, also when
/// the sender pauses in the middle (the last ones must not be left waiting for more).
#[test]
fn gathering_loses_nothing_and_leaves_nothing_waiting() {
    let longest = Coalesce::Fixed(Duration::from_millis(1));
    for coalesce in [Coalesce::Adaptive, longest, Coalesce::Fixed(Duration::ZERO)] {
        let pool = pool(1);
        let rigs = [Plan::new(&pool).build(), Plan::new(&pool).build()];
        let feeds = [0, 1].map(|i: usize| rigs[i].udp_with(UdpConfig { coalesce, ..UdpConfig::default() }));
        let mut seen = Vec::new();
        for i in 0..512 {
            for packet in split(i, &pattern(i, SLOT), 20) {
                feeds[0].send(&packet);
            }
            if i % 64 == 0 {
                feeds[1].send(&whole(i / 64));
                rigs[1].wait_placed(i / 64);
            }
            if i % 8 == 7 {
                rigs[0].wait_placed(i);
                take_chunks(&rigs[0], &mut seen);
            }
        }
        for (rig, feed) in rigs.iter().zip(&feeds) {
            rig.settle(feed);
        }
        let [fast, slow] = rigs.each_ref().map(|rig| rig.stop());
        assert_eq!(fast[Stat::CompleteHeaps], 512, "{coalesce:?}");
        assert_eq!(slow[Stat::CompleteHeaps], 8, "{coalesce:?}");
        take_chunks(&rigs[0], &mut seen);
        assert_eq!(seen.len(), 512 / HEAPS);
        for (id, chunk) in seen.iter().enumerate() {
            let payload: Vec<_> = (0..HEAPS).flat_map(|i| pattern((id * HEAPS + i) as u64, SLOT)).collect();
            assert_eq!(chunk.data, payload);
        }
    }
}

#[test]
fn a_time_to_gather_has_a_limit() {
    let coalesce = Coalesce::Fixed(Duration::from_millis(2));
    let error = UdpReader::new(UdpConfig { coalesce, ..UdpConfig::default() }).err().unwrap();
    assert_eq!(error.message(), "coalesce must be at most 1ms (got 2ms)");
}

/// Sends `bytes` as datagrams of `segment` bytes in one go (the last may be shorter).
fn send_segmented(feed: &Feed, bytes: &[u8], segment: usize) -> bool {
    let size = segment as libc::c_int;
    // SAFETY: the kernel reads the size of an int from a live int.
    let set = unsafe {
        libc::setsockopt(
            feed.socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            size_of_val(&size) as u32,
        )
    };
    set == 0 && feed.socket.send(bytes).is_ok_and(|sent| sent == bytes.len())
}

#[test]
fn coalesced_datagrams_are_taken_apart() {
    for last in [0, 1, 50, 100] {
        let rig = Plan::new(&pool(1)).out_of_order().build();
        let feed = rig.udp();
        // Heaps in two packets, all datagrams equally long but the last, which is garbage of `last` bytes.
        let datagrams: Vec<_> = (0..16)
            .flat_map(|i| split(i, &pattern(i, SLOT), SLOT / 2))
            .map(|packet| packet.encode())
            .collect();
        let segment = datagrams[0].len();
        assert!(datagrams.iter().all(|datagram| datagram.len() == segment));
        let mut bytes = datagrams.concat();
        bytes.extend(vec![0xee; last]);
        if !send_segmented(&feed, &bytes, segment) {
            return eprintln!("no UDP_SEGMENT here");
        }
        assert!(send_segmented(&feed, &[], 0), "back to ordinary datagrams");
        rig.settle(&feed);
        let stats = rig.stop();
        // 32 of the heaps, the rest, the empty one, the sentinel.
        assert_eq!(stats[Stat::Packets], 32 + u64::from(last > 0) + 2);
        assert_eq!(stats[Stat::PacketsDelivered], 32);
        assert_eq!(stats[Stat::CompleteHeaps], 16);
        assert_eq!(stats[Stat::MalformedTooShort], 1 + u64::from(last == 1));
        assert_eq!(stats[Stat::MalformedBadMagic], u64::from(last > 1));
        let chunks = rig.chunks();
        assert_eq!(chunks.iter().map(|chunk| chunk.id).collect::<Vec<_>>(), [0, 1, 2, 3]);
        for chunk in chunks {
            for index in 0..HEAPS {
                let heap_cnt = (chunk.id as usize * HEAPS + index) as u64;
                assert_eq!(chunk.data[index * SLOT..][..SLOT], pattern(heap_cnt, SLOT));
            }
        }
    }
}

/// A coalesced message in whose middle the stream has to wait, or ends.
#[test]
fn a_wait_or_an_end_in_the_middle_of_a_coalesced_message_loses_nothing() {
    for end in ["consumer", "stop", "stop item"] {
        let rig = Plan::new(&pool(1)).data_ring(1).build();
        let feed = rig.udp();
        let mut datagrams: Vec<_> = (0..40).map(|i| whole(i).item(true, 6, 0).encode()).collect();
        if end == "stop item" {
            datagrams[5] = whole(5).item(true, 6, 2).encode();
        }
        if !send_segmented(&feed, &datagrams.concat(), datagrams[0].len()) {
            return eprintln!("no UDP_SEGMENT here");
        }
        let stats = match end {
            "consumer" => {
                let mut chunks = vec![];
                while chunks.len() < 8 {
                    let chunk = rig.chunk();
                    chunks.push(chunk.id);
                    rig.stream.add_free_chunk(chunk);
                }
                assert_eq!(chunks, [0, 1, 2, 3, 4, 5, 6, 7]);
                rig.wait_for("all heaps", |stats| stats[Stat::CompleteHeaps] == 40);
                rig.stop()
            }
            "stop" => {
                rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] == 1);
                let stats = rig.stop();
                assert_eq!(stats[Stat::CompleteHeaps], 12);
                assert_eq!(stats[Stat::PacketsAfterStop], 28);
                stats
            }
            _ => {
                let (stats, _) = rig.run_out();
                assert_eq!(stats[Stat::CompleteHeaps], 5);
                assert_eq!(stats[Stat::PacketsControl], 1);
                assert_eq!(stats[Stat::PacketsAfterStop], 34);
                stats
            }
        };
        assert_eq!(stats[Stat::Packets], 40, "{end}");
    }
}

/// Floods the socket of a stream that waits; gives how many datagrams were sent, or `None` without UDP_SEGMENT.
fn flood(rig: &Rig, segmented: bool, gro: bool) -> Option<(Feed, u64)> {
    let (socket, feed) = own_socket();
    rig.add(Box::new(UdpReader::new(UdpConfig { buffer_size: 65_536, gro, ..on_socket(&socket) }).unwrap()));
    for i in 0..40 {
        feed.send(&whole(i));
    }
    rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] > 0);
    let packet = whole(40).encode();
    if !segmented {
        (0..2000).for_each(|_| feed.send_bytes(&packet));
        return Some((feed, 2040));
    }
    for _ in 0..100 {
        if !send_segmented(&feed, &packet.repeat(20), packet.len()) {
            eprintln!("no UDP_SEGMENT here");
            return None;
        }
    }
    assert!(send_segmented(&feed, &[], 0), "back to ordinary datagrams");
    Some((feed, 2041))
}

#[test]
fn what_the_kernel_dropped_is_counted() {
    for (segmented, gro) in [(false, true), (true, true), (true, false)] {
        let rig = Plan::new(&pool(1)).data_ring(1).build();
        let Some((feed, mut sent)) = flood(&rig, segmented, gro) else { return };
        // Take up reading until the socket is empty; a sentinel may be dropped as well.
        let mut settled = false;
        while !settled {
            feed.send(&Wire::whole(SENTINEL, vec![]));
            sent += 1;
            let start = Instant::now();
            while !settled && start.elapsed() < GUARD / 10 {
                if let Ok(chunk) = rig.stream.data_ring().get(Wait::For(Duration::from_millis(1))) {
                    rig.stream.add_free_chunk(chunk);
                }
                settled = rig.placed.try_iter().any(|(heap_cnt, _)| heap_cnt == SENTINEL);
            }
        }
        // The kernel tells about drops with the next datagram.
        rig.settle(&feed);
        sent += 1;
        let stats = rig.stop();
        assert!(stats[Stat::KernelDrops] > 0, "it was a flood");
        let known = stats[Stat::Packets] + stats[Stat::KernelDrops];
        let unknown = sent - known;
        // A kernel that counts a bunch of 20 as one hides 19 with each; without GRO there are no bunches.
        let hidden = if segmented && gro { 19 * stats[Stat::KernelDrops] } else { 0 };
        assert!(unknown <= hidden && unknown.is_multiple_of(19), "{unknown} of {sent}, {}", describe(&stats));
    }
}

#[test]
fn drops_are_counted_also_when_nothing_comes_after_them() {
    let rig = Plan::new(&pool(1)).data_ring(1).build();
    let Some((_feed, sent)) = flood(&rig, false, true) else { return };
    let stats = rig.stop();
    assert!(stats[Stat::KernelDrops] > 0);
    assert!(stats[Stat::Packets] + stats[Stat::KernelDrops] < sent, "the rest is in the socket");
}

#[test]
fn a_socket_of_the_caller_can_be_used_again_and_again() {
    let pool = pool(1);
    let (socket, feed) = own_socket();
    for round in 0..3 {
        let rig = Plan::new(&pool).build();
        rig.add(Box::new(UdpReader::new(on_socket(&socket)).unwrap()));
        feed.send(&whole(round));
        rig.wait_placed(round);
        let stats = rig.stop();
        assert_eq!(rig.stream.stream().end_reason(), Some(EndReason::User), "round {round}");
        assert_eq!(stats[Stat::CompleteHeaps], 1);
    }
    // It is still the caller's.
    feed.send_bytes(b"hello");
    let mut bytes = [0; 16];
    // The reader has made it non-blocking, and loopback delivers before the send returns.
    assert_eq!(socket.recv(&mut bytes).unwrap(), 5);
}

#[test]
fn a_receive_buffer_that_the_kernel_refuses_is_a_warning() {
    listen();
    let ours = std::thread::current().id();
    let open = |buffer_size| {
        let before = lines_of(ours).len();
        UdpReader::new(UdpConfig { host: "127.0.0.1".into(), buffer_size, ..UdpConfig::default() }).unwrap();
        lines_of(ours).split_off(before)
    };
    assert!(open(0).is_empty());
    assert!(open(4096).is_empty());
    // Not even root gets more than an i32 of bytes, halved for bookkeeping.
    let lines = open(usize::MAX);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(&format!("a receive buffer of {} bytes", usize::MAX)), "{lines:?}");
}

#[test]
fn what_cannot_be_listened_to_is_an_error_with_the_reason() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let at = |host: &str, port| UdpConfig { host: host.into(), port, ..UdpConfig::default() };
    let fd = |fd: OwnedFd| UdpConfig { socket: Some(fd), ..UdpConfig::default() };
    let stream_socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let cases = [
        (at("127.0.0.1", port), ErrorKind::Io, format!("bind to 127.0.0.1:{port}: Address already in use")),
        (at("192.0.2.1", 0), ErrorKind::Io, "bind to 192.0.2.1:0: ".into()),
        (at("no-such-host.invalid", 0), ErrorKind::Io, "resolving host \"no-such-host.invalid\": ".into()),
        (at("not an address", 0), ErrorKind::Io, "\"not an address\"".into()),
        (at("nul\0inside", 0), ErrorKind::Io, "nul".into()),
        (fd(stream_socket.into()), ErrorKind::Invalid, "socket_fd must be a datagram socket".into()),
        (fd(UnixDatagram::unbound().unwrap().into()), ErrorKind::Invalid, "IPv4 or IPv6".into()),
        (fd(file.into()), ErrorKind::Io, "SO_TYPE".into()),
        (UdpConfig { max_size: 0, ..at("", 0) }, ErrorKind::Invalid, "max_size must be".into()),
        (UdpConfig { max_size: 65_536, ..at("", 0) }, ErrorKind::Invalid, "(got 65536)".into()),
    ];
    for (config, kind, text) in cases {
        let tell = format!("{config:?}");
        let error = UdpReader::new(config).err().expect(&tell);
        assert_eq!(error.kind(), kind, "{tell}: {error}");
        assert!(error.message().contains(&text), "{tell}: {error}");
    }
}

/// In a network without a route, and without any privilege: each refusal names the call, the address and the reason, and leaves nothing open.
#[test]
fn what_the_system_refuses_is_told_and_nothing_stays_open() {
    let test = || {
        // SAFETY: changes this thread only.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            assert!(std::env::var_os("CI").is_none(), "no network namespace");
            return eprintln!("SKIPPED: no network namespace: {}", std::io::Error::last_os_error());
        }
        support::network::ip("link set lo up");
        let refused = |config: UdpConfig, text: &str, reason: &str| {
            let error = UdpReader::new(config).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.message().contains(text) && error.message().contains(reason), "{error}");
            // The sockets of this namespace, below a heading.
            for table in ["udp", "udp6", "tcp", "packet"] {
                let open =
                    std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
                assert!(open.lines().count() <= 1, "{open}");
            }
        };
        let at = |host: &str, port| UdpConfig { host: host.into(), port, ..UdpConfig::default() };
        refused(at("239.255.71.48", 0), "joining group 239.255.71.48", "No such device");
        let on = |interface: &str| UdpConfig { interface: interface.into(), ..at("239.255.71.48", 0) };
        refused(on("gone0"), "\"gone0\"", "No such");
        // SAFETY: the system call, other than libc's function, changes the calling thread only. Nobody has no privileges.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534) };
        if changed != 0 {
            return eprintln!("SKIPPED: privileges cannot be dropped: {}", std::io::Error::last_os_error());
        }
        refused(at("127.0.0.1", 80), "bind to 127.0.0.1:80", "Permission denied");
        let tcp =
            aqueduct::recv::reader::TcpConfig { host: "127.0.0.1".into(), port: 80, ..Default::default() };
        let error = aqueduct::recv::reader::TcpReader::new(tcp).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.message().contains("bind to 127.0.0.1:80: Permission denied"), "{error}");
        #[cfg(feature = "pcap")]
        {
            use aqueduct::recv::reader::{PcapLiveConfig, PcapLiveReader};
            let config = PcapLiveConfig { device: "lo".into(), ..PcapLiveConfig::default() };
            let error = PcapLiveReader::new(config).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.message().contains("\"lo\"") && error.message().contains("ermi"), "{error}");
        }
    };
    if let Err(panic) = std::thread::spawn(test).join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_port_is_free_again_when_its_stream_has_stopped() {
    let pool = pool(1);
    let mut port = 0;
    for _ in 0..5 {
        let rig = Plan::new(&pool).build();
        let config = UdpConfig { host: "127.0.0.1".into(), port, ..UdpConfig::default() };
        let reader = UdpReader::new(config).unwrap();
        port = reader.port();
        rig.add(Box::new(reader));
        rig.stop();
    }
}

const CHILD: &str = "AQUEDUCT_TEST_FD_CHILD";

/// Runs [`in_a_process_without_descriptors`] in a process of its own: the limit is the whole process's.
#[test]
fn without_descriptors_everything_is_an_error_and_nothing_is_left_behind() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_without_descriptors", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn in_a_process_without_descriptors() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let pool = pool(1);
    // What is open stays open; the next to be opened is refused.
    let limit = std::fs::File::open("/dev/null").unwrap().as_raw_fd() as u64;
    let open = || std::fs::read_dir("/proc/self/fd").map(|entries| entries.count());
    let before = open().unwrap();
    let set_limit = |limit| {
        let limit = libc::rlimit { rlim_cur: limit, rlim_max: 4096 };
        // SAFETY: the kernel reads a live rlimit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    };
    // One after the other, so that every call on the way is the one that is refused.
    for more in 0..4 {
        set_limit(limit + more);
        if more == 0 {
            let error = UdpReader::new(UdpConfig::default()).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.message().contains("Too many open files"), "{error}");
            assert!(Ring::<u8>::new(1).unwrap().data_fd().is_err());
        }
        if let Err(error) = ThreadPool::new(8, &[]) {
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            assert!(error.message().contains("Too many open files"), "{error}");
        } else {
            panic!("8 workers need more than {more} descriptors");
        }
    }
    set_limit(4096);
    until("what was opened on the way is closed", || open().unwrap() == before);
    assert_others_go_on(&pool);
}

#[test]
fn what_is_in_the_socket_at_the_end_is_counted() {
    let rig = Plan::new(&pool(1)).data_ring(1).build();
    let feed = rig.udp();
    for i in 0..40 {
        feed.send(&whole(i));
    }
    rig.wait_for("the stream waits", |stats| stats[Stat::WorkerBlocked] > 0);
    let packet = whole(40).encode();
    (0..500).for_each(|_| feed.send_bytes(&packet));
    let stats = rig.stop();
    let known = stats[Stat::Packets] + stats[Stat::KernelDrops];
    assert_eq!(known, 540, "{}", describe(&stats));
    assert!(stats[Stat::PacketsAfterStop] > 0);
}
