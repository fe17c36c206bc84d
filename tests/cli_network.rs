//! `aqueduct recv` from interfaces of a network of its own: a multicast group, a live capture.
#![cfg(feature = "pcap")]

mod cli;
mod support;

use std::net::{Ipv4Addr, UdpSocket};

use cli::Receiver;
use support::network::in_a_network_of_its_own;
use support::wire::Wire;

/// What is sent to the group on d0 is shown; what another host sends to it is not, if only some are listened to.
fn shown(source: &str, arguments: &str, expected: &[&str]) {
    let receiver = Receiver::start_on(source, arguments);
    for (cnt, from) in [(1, "10.77.0.1"), (2, "10.77.0.2")] {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket2::SockRef::from(&socket).set_multicast_if_v4(&from.parse::<Ipv4Addr>().unwrap()).unwrap();
        socket.send_to(&Wire::whole(cnt, vec![0; 3]).encode(), "239.255.77.1:7148").unwrap();
        if cnt == 2 {
            socket.send_to(&Wire::stop().encode(), "239.255.77.1:7148").unwrap();
        }
    }
    let (status, lines, stderr) = receiver.finish();
    assert!(status.success(), "{source}: {stderr}");
    assert_eq!(lines[..expected.len()], *expected, "{source} {arguments}");
}

#[test]
fn a_multicast_group_and_a_live_capture_of_it() {
    in_a_network_of_its_own(|| {
        let both = ["heap 1: 3 bytes", "heap 2: 3 bytes", "end: stop_item"];
        let one = ["heap 2: 3 bytes", "end: stop_item"];
        shown("udp://239.255.77.1:7148", "--interface d0", &both);
        shown("udp://239.255.77.1:7148", "--interface 10.77.0.1 --from 10.77.0.2,192.0.2.0/24", &one);
        shown("live:d1", "", &both);
    });
}
