//! The examples that receive heaps: receive_heaps.c, receive_epoll.c, receive_multicast.c, custom_allocator.c.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::Output;

use aqueduct_c_tests::Program;

use crate::running::{command, payloads, variants, Running, PATIENCE};

/// The items of the first heap of items_48.pcap, as receive_heaps.c prints them; tests/items.rs compares the values.
const FIRST_HEAP: [&str; 11] = [
    "heap 10: 5115 bytes",
    "  0x2000 f32_matrix: <f4 [37, 11], the first is -0.690292",
    "  0x2001 be_i16: <i2 [100]",
    "  0x2002 c64_fortran: <c8 [5, 6, 7]",
    "  0x2003 text: |S1 [13]",
    "  0x2006 record: [('a', '<u2'), ('b', '<f8')] [9]",
    "  0x2007 bits12: <u2 [10]",
    "  0x2008 variable_rows: <u2 [1, 3]",
    "  0x2009 mixed_fields: [('f0', '|u1'), ('f1', '<i2'), ('f2', '<f4')] [4]",
    "  0x2005 scalar_i32: <i4 = -694833170",
    "  0x2004 scalar_u48: <u8 = 69103368074",
];
const LAST_LINE: &str = "a stop item came: 6 heaps complete, 0 incomplete, 25 of 26 packets delivered";

fn check_items(lines: &[String], said: &str) {
    assert_eq!(lines[..11], FIRST_HEAP, "{said}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("heap ")).count(), 6, "{said}");
    assert_eq!(lines.last().map(String::as_str), Some(LAST_LINE), "{said}");
}

fn run(program: &Program, arguments: &[&str]) -> (Output, Vec<String>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = command(&program.build(folder.path())).args(arguments).output().expect("it starts");
    let lines = String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect();
    (output, lines)
}

#[test]
fn items_of_a_capture() {
    for program in variants("../examples/receive_heaps.c") {
        let (output, lines) = run(&program, &["pcap", "../tests/data/items_48.pcap"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        check_items(&lines, &format!("{output:?}"));
    }
}

#[test]
fn items_over_udp_and_tcp() {
    let packets = payloads("items_48.pcap");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Program::new("../examples/receive_heaps.c").build(folder.path());
    for transport in ["udp", "tcp"] {
        let running = Running::start(&program, [transport, "127.0.0.1", "0"], 1);
        if transport == "udp" {
            running.send(0, &packets);
        } else {
            let mut connection = TcpStream::connect(("127.0.0.1", running.ports[0])).expect("it listens");
            connection.write_all(&packets.concat()).expect("sent");
        }
        let (status, stdout, stderr) = running.end();
        let said = format!("{transport}: {stdout:?} {stderr:?}");
        assert_eq!(status.code(), Some(0), "{said}");
        check_items(&stdout, &said);
    }
}

#[test]
fn losses_are_told_as_incomplete_heaps() {
    let program = Program::new("../examples/receive_heaps.c");
    let (output, lines) = run(&program, &["pcap", "../tests/data/chunks_lossy.pcap"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let incomplete = lines.iter().filter(|line| line.contains(": incomplete, ")).count();
    assert_eq!(
        (incomplete, lines.iter().filter(|line| line.starts_with("heap ")).count()),
        (9, 64),
        "{lines:?}"
    );
    assert_eq!(
        lines.last().unwrap(),
        "a stop item came: 55 heaps complete, 9 incomplete, 330 of 376 packets delivered"
    );
}

#[test]
fn without_arguments_the_usage_is_told() {
    for name in ["receive_heaps", "receive_epoll", "receive_multicast", "custom_allocator"] {
        let source: &'static str = format!("../examples/{name}.c").leak();
        let (output, _) = run(&Program::new(source), &[]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("usage: "), "{output:?}");
    }
}

#[test]
fn two_streams_in_one_epoll_loop() {
    let packets = payloads("chunks_1472_48.pcap");
    let (stop, heaps) = packets.split_last().expect("the stop item comes last");
    for program in variants("../examples/receive_epoll.c") {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let running = Running::start(&program.build(folder.path()), ["127.0.0.1", "0", "0"], 2);
        // The first ends at a stop item, the second at a signal, with all that came before it.
        running.send(0, &heaps[..6 * 3]);
        running.send(1, &heaps[..6 * 5]);
        running.send(0, std::slice::from_ref(stop));
        // Eight heaps, and the end of the first stream.
        let mut seen: Vec<String> =
            (0..9).map(|_| running.stdout.recv_timeout(PATIENCE).expect("a heap")).collect();
        let id = i32::try_from(running.child.id()).expect("a process id");
        // SAFETY: a signal to our own child, which has not been waited for.
        assert_eq!(unsafe { libc::kill(id, libc::SIGINT) }, 0);
        let (status, stdout, stderr) = running.end();
        assert_eq!(status.code(), Some(0), "{stdout:?} {stderr:?}");
        let last =
            |stream, reason, heaps| format!("stream {stream}: {reason}, {heaps} heaps, ledger closed: yes");
        let first_end = last(0, "a stop item came", 3);
        assert!(seen.contains(&first_end), "{seen:?}");
        seen.retain(|line| *line != first_end);
        seen.sort();
        let expected = |stream: u8, heaps: std::ops::RangeInclusive<u8>| {
            heaps.map(move |cnt| format!("stream {stream}: heap {cnt}, 8192 bytes"))
        };
        assert_eq!(seen, expected(0, 1..=3).chain(expected(1, 1..=5)).collect::<Vec<_>>());
        assert_eq!(stdout, [last(1, "it was stopped", 5)]);
    }
}

/// Has what a socket sends to multicast groups leave by the interface with that address.
fn send_multicast_on(socket: &UdpSocket, interface: Ipv4Addr) {
    let address = libc::in_addr { s_addr: u32::from_ne_bytes(interface.octets()) };
    // SAFETY: the option's value is an in_addr, which is read during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_MULTICAST_IF,
            (&raw const address).cast(),
            size_of::<libc::in_addr>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn multicast_groups_with_times() {
    let packets = payloads("chunks_1472_48.pcap");
    let (stop, heaps) = packets.split_last().expect("the stop item comes last");
    for program in variants("../examples/receive_multicast.c") {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let groups = ["239.255.98.1", "239.255.98.2"];
        // The loopback interface: nothing leaves this host.
        let arguments = ["127.0.0.1", "0", groups[0], groups[1]];
        let running = Running::start(&program.build(folder.path()), arguments, 1);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        send_multicast_on(&socket, Ipv4Addr::LOCALHOST);
        for (i, packet) in heaps[..6 * 4].iter().chain([stop]).enumerate() {
            let group = groups[i / 6 % 2];
            socket.send_to(packet, (group, running.ports[0])).expect("sent");
            if i % 6 == 5 {
                let line = running.stdout.recv_timeout(PATIENCE).expect("a heap");
                assert!(line.starts_with(&format!("heap {}: 8192 bytes at 1", i / 6 + 1)), "{line}");
                assert!(line.contains(" s (kernel), all there "), "{line}");
            }
        }
        let (status, stdout, stderr) = running.end();
        assert_eq!(status.code(), Some(0), "{stdout:?} {stderr:?}");
        assert_eq!(stdout, ["4 heaps, 25 packets, 0 dropped by the kernel"]);
    }
}

#[test]
fn heaps_in_memory_of_the_programs_own() {
    for program in variants("../examples/custom_allocator.c") {
        let (output, lines) = run(&program, &["../tests/data/items_48.pcap"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(lines.len(), 8, "{lines:?}");
        for (line, cnt) in lines.iter().zip([10, 13, 16, 19, 22, 25]) {
            assert!(
                line.starts_with(&format!("heap {cnt}: ")) && line.ends_with(", the same in the file"),
                "{line}"
            );
        }
        assert_eq!(lines[6], "6 heaps complete, 0 without memory");
        assert_eq!(lines[7], lines[5]);
    }
}
