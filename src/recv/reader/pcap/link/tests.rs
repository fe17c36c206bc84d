//! Frames put together by hand, for every link type and every reason to skip one.

use proptest::prelude::*;

use super::*;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const PAYLOAD: &[u8] = b"payload";

/// A UDP datagram whose header claims `len` bytes.
fn udp(len: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    [&[0x1b, 0xec, 0x1b, 0xed, high, low, 0xab, 0xcd], payload].concat()
}

fn good_udp() -> Vec<u8> {
    udp(8 + PAYLOAD.len() as u16, PAYLOAD)
}

/// An IPv4 packet with header fields as given; `options` in whole words.
fn ipv4_with(total: u16, fragment: u16, protocol: u8, options: &[u8], body: &[u8]) -> Vec<u8> {
    let ([t0, t1], [f0, f1]) = (total.to_be_bytes(), fragment.to_be_bytes());
    let first = 0x45 + (options.len() / 4) as u8;
    let header = [first, 0, t0, t1, 0, 7, f0, f1, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&header, options, body].concat()
}

fn ipv4(protocol: u8, options: &[u8], body: &[u8]) -> Vec<u8> {
    ipv4_with((20 + options.len() + body.len()) as u16, 0x4000, protocol, options, body)
}

fn ipv6_with(length: u16, next: u8, body: &[u8]) -> Vec<u8> {
    let [l0, l1] = length.to_be_bytes();
    [&[0x60, 0, 0, 0, l0, l1, next, 64], &[0xfe; 16][..], &[0xfd; 16], body].concat()
}

fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    ipv6_with(body.len() as u16, next, body)
}

fn ethernet(ether_types: &[u8], body: &[u8]) -> Vec<u8> {
    [&MACS, ether_types, body].concat()
}

fn whole(link: LinkType, frame: &[u8]) -> Result<&[u8], Skip> {
    udp_payload(link, frame, frame.len() as u32)
}

/// Every way to put an IP packet into a frame.
fn carriers(version: u8, packet: &[u8]) -> Vec<(LinkType, Vec<u8>)> {
    let [h, l]: [u8; 2] = if version == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let mut carriers = vec![
        (LinkType::Ethernet, ethernet(&[h, l], packet)),
        (LinkType::Ethernet, ethernet(&[0x81, 0, 0x20, 5, h, l], packet)),
        (LinkType::Ethernet, ethernet(&[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, h, l], packet)),
        (LinkType::Ethernet, ethernet(&[0x91, 0, 0, 5, 0x92, 0, 0, 6, 0x81, 0, 0, 7, h, l], packet)),
        (LinkType::LinuxSll, [&[0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, h, l], packet].concat()),
        (
            LinkType::LinuxSll,
            [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x81, 0, 0, 9, h, l], packet].concat(),
        ),
        (
            LinkType::LinuxSll2,
            [&[h, l, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0], packet].concat(),
        ),
        (
            LinkType::LinuxSll2,
            [&[0x81, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0, 9, h, l], packet].concat(),
        ),
        (LinkType::Raw, packet.to_vec()),
    ];
    let families: &[u8] = if version == 4 { &[2] } else { &[10, 24, 28, 30] };
    for family in families {
        carriers.push((LinkType::Null, [&[*family, 0, 0, 0], packet].concat()));
        carriers.push((LinkType::Null, [&[0, 0, 0, *family], packet].concat()));
    }
    carriers
}

/// Checks a packet in every carrier; also with padding after it when it is good.
fn expect(version: u8, packet: &[u8], expected: Result<&[u8], Skip>) {
    for (link, frame) in carriers(version, packet) {
        assert_eq!(whole(link, &frame), expected, "{link:?} {frame:02x?}");
        if let Ok(payload) = expected {
            let padded = [&frame[..], &[0; 18]].concat();
            assert_eq!(whole(link, &padded), Ok(payload), "{link:?} padded");
            for captured in 0..frame.len() {
                let cut = udp_payload(link, &frame[..captured], frame.len() as u32);
                assert_eq!(cut, Err(Skip::Truncated), "{link:?} cut to {captured}");
                // The same bytes as a whole frame contradict the lengths in them.
                assert_eq!(whole(link, &frame[..captured]), Err(Skip::BadLength), "{link:?} {captured}");
            }
        }
    }
}

#[test]
fn numbers() {
    for (number, link) in [
        (0, Some(LinkType::Null)),
        (1, Some(LinkType::Ethernet)),
        (12, Some(LinkType::Raw)),
        (101, Some(LinkType::Raw)),
        (105, None),
        (108, Some(LinkType::Null)),
        (113, Some(LinkType::LinuxSll)),
        (147, None),
        (228, Some(LinkType::Raw)),
        (229, Some(LinkType::Raw)),
        (276, Some(LinkType::LinuxSll2)),
        (u32::MAX, None),
    ] {
        assert_eq!(LinkType::from_number(number), link);
    }
    for (index, skip) in Skip::ALL.into_iter().enumerate() {
        assert_eq!(skip as usize, index);
        assert_eq!(skip.name().replace('_', ""), format!("{skip:?}").to_lowercase());
    }
}

#[test]
fn udp_in_every_carrier() {
    expect(4, &ipv4(17, &[], &good_udp()), Ok(PAYLOAD));
    expect(6, &ipv6(17, &good_udp()), Ok(PAYLOAD));
    expect(4, &ipv4(17, &[], &udp(8, &[])), Ok(&[]));
}

#[test]
fn ipv4_options() {
    for words in 1..=10 {
        expect(4, &ipv4(17, &vec![1; 4 * words], &good_udp()), Ok(PAYLOAD));
    }
}

#[test]
fn ipv6_extension_headers() {
    let udp = good_udp();
    let chain = |headers: &[&[u8]]| [&headers.concat(), &udp[..]].concat();
    let long = |next: u8| [&[next, 2][..], &[0; 22]].concat();
    for header in [0, 43, 60] {
        expect(6, &ipv6(header, &chain(&[&[17, 0, 0, 0, 0, 0, 0, 0]])), Ok(PAYLOAD));
        expect(6, &ipv6(header, &chain(&[&long(17)])), Ok(PAYLOAD));
    }
    expect(6, &ipv6(51, &chain(&[&[17, 4], &[0; 22]])), Ok(PAYLOAD));
    let fragment = [51, 0, 0, 0, 0, 0, 0, 1];
    let authentication = [17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let all = chain(&[&long(60), &[43, 0, 0, 0, 0, 0, 0, 0], &long(44), &fragment, &authentication]);
    expect(6, &ipv6(0, &all), Ok(PAYLOAD));
    expect(4, &ipv4(51, &[], &chain(&[&[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])), Ok(PAYLOAD));
    // A header that reaches beyond the datagram, and one that would but for another datagram's bytes.
    let lying = chain(&[&[17, 9, 0, 0, 0, 0, 0, 0]]);
    expect(6, &ipv6(60, &lying), Err(Skip::BadLength));
    expect(6, &[ipv6(60, &lying), vec![0; 200]].concat(), Err(Skip::BadLength));
}

#[test]
fn fragments() {
    let udp = good_udp();
    let total = 20 + udp.len() as u16;
    for (fragment, skipped) in [(0x2000, true), (0x2001, true), (1, true), (0x1fff, true), (0x8000, false)] {
        let expected = if skipped { Err(Skip::Fragment) } else { Ok(PAYLOAD) };
        expect(4, &ipv4_with(total, fragment, 17, &[], &udp), expected);
        expect(4, &ipv4_with(total, fragment, 6, &[], &udp), Err(Skip::NotUdp));
    }
    for (next, offset, expected) in [
        (17, 0, Ok(PAYLOAD)), // an "atomic" fragment is whole
        (17, 1, Err(Skip::Fragment)),
        (17, 8, Err(Skip::Fragment)),
        (17, 0xfff8, Err(Skip::Fragment)),
        (17, 6, Ok(PAYLOAD)), // reserved bits
        (60, 9, Err(Skip::Fragment)),
        (6, 1, Err(Skip::NotUdp)),
    ] {
        let [high, low] = u16::to_be_bytes(offset);
        expect(6, &ipv6(44, &[&[next, 0, high, low, 0, 0, 0, 1], &udp[..]].concat()), expected);
    }
}

#[test]
fn not_udp() {
    let body = good_udp();
    for protocol in [1, 6, 41, 47, 50, 132, 255] {
        expect(4, &ipv4(protocol, &[], &body), Err(Skip::NotUdp));
        expect(6, &ipv6(protocol, &body), Err(Skip::NotUdp));
    }
    // The end of an IPv6 header chain.
    expect(6, &ipv6(59, &body), Err(Skip::NotUdp));
    expect(6, &ipv6(60, &[&[58, 0, 0, 0, 0, 0, 0, 0], &body[..]].concat()), Err(Skip::NotUdp));
    for ether_type in [[0x08, 0x06], [0x88, 0x47], [0x00, 0x2e], [0x88, 0xcc]] {
        assert_eq!(whole(LinkType::Ethernet, &ethernet(&ether_type, &[0; 46])), Err(Skip::NotUdp));
    }
    let packet = ipv4(17, &[], &body);
    assert_eq!(whole(LinkType::Null, &[&[7, 0, 0, 0], &packet[..]].concat()), Err(Skip::NotUdp));
    assert_eq!(whole(LinkType::Null, &[&[2, 0, 0, 2], &packet[..]].concat()), Err(Skip::NotUdp));
    // An IP version that the link layer denies.
    assert_eq!(
        whole(LinkType::Ethernet, &ethernet(&[0x86, 0xdd], &[packet, vec![0; 20]].concat())),
        Err(Skip::NotUdp)
    );
    assert_eq!(whole(LinkType::Ethernet, &ethernet(&[8, 0], &ipv6(17, &body))), Err(Skip::NotUdp));
    assert_eq!(whole(LinkType::Raw, &[0x50; 60]), Err(Skip::NotUdp));
}

#[test]
fn lying_lengths() {
    let udp_len = good_udp().len() as u16;
    for len in 0..8 {
        expect(4, &ipv4(17, &[], &udp(len, PAYLOAD)), Err(Skip::BadLength));
        expect(6, &ipv6(17, &udp(len, PAYLOAD)), Err(Skip::BadLength));
    }
    for len in [udp_len + 1, 65535] {
        expect(4, &ipv4(17, &[], &udp(len, PAYLOAD)), Err(Skip::BadLength));
        expect(6, &ipv6(17, &udp(len, PAYLOAD)), Err(Skip::BadLength));
        expect(4, &ipv4_with(len.saturating_add(20), 0, 17, &[], &good_udp()), Err(Skip::BadLength));
        expect(6, &ipv6_with(len, 17, &good_udp()), Err(Skip::BadLength));
    }
    // Bytes after the datagram do not make its length good.
    let padded = [ipv4(17, &[], &udp(udp_len + 1, PAYLOAD)), vec![0; 20]].concat();
    expect(4, &padded, Err(Skip::BadLength));
    // IP's length leaves no room for its own header, for options, for UDP's header.
    for total in [0, 19, 20, 27] {
        expect(4, &ipv4_with(total, 0, 17, &[], &good_udp()), Err(Skip::BadLength));
    }
    expect(4, &ipv4_with(23, 0, 17, &[1; 4], &good_udp()), Err(Skip::BadLength));
    expect(6, &ipv6_with(7, 17, &good_udp()), Err(Skip::BadLength));
    for words in 0..5 {
        let mut packet = ipv4(17, &[], &good_udp());
        packet[0] = 0x40 + words;
        expect(4, &packet, Err(Skip::BadLength));
    }
    // A UDP length below IP's is legal: the rest is not payload.
    let frame = ethernet(&[8, 0], &ipv4(17, &[], &udp(udp_len - 3, PAYLOAD)));
    assert_eq!(whole(LinkType::Ethernet, &frame), Ok(&PAYLOAD[..4]));
}

#[test]
fn cut_and_lying() {
    // The frame was cut, but its lengths exceed even what was on the wire.
    let frame = ethernet(&[8, 0], &ipv4_with(1000, 0, 17, &[], &good_udp()));
    assert_eq!(udp_payload(LinkType::Ethernet, &frame, 1013), Err(Skip::BadLength));
    let frame = ethernet(&[8, 0], &ipv4_with(1000, 0, 17, &[], &udp(980, PAYLOAD)));
    assert_eq!(udp_payload(LinkType::Ethernet, &frame, 1013), Err(Skip::BadLength));
    assert_eq!(udp_payload(LinkType::Ethernet, &frame, 1014), Err(Skip::Truncated));
    assert_eq!(udp_payload(LinkType::Ethernet, &frame, u32::MAX), Err(Skip::Truncated));
    // Only padding was cut.
    let frame = ethernet(&[8, 0], &ipv4(17, &[], &good_udp()));
    assert_eq!(udp_payload(LinkType::Ethernet, &frame, 1514), Ok(PAYLOAD));
    for link in [LinkType::Ethernet, LinkType::LinuxSll, LinkType::LinuxSll2, LinkType::Null, LinkType::Raw] {
        assert_eq!(udp_payload(link, &[], 0), Err(Skip::BadLength));
        assert_eq!(udp_payload(link, &[], 60), Err(Skip::Truncated));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes(choice in 0..5usize, frame in prop::collection::vec(any::<u8>(), 0..200), wire in 0..400u32) {
        use LinkType::*;
        let link = [Ethernet, LinuxSll, LinuxSll2, Null, Raw][choice];
        if let Ok(payload) = udp_payload(link, &frame, wire) {
            prop_assert!(payload.len() + 8 <= frame.len());
        }
    }

    /// Bytes that are nearly right get further.
    #[test]
    fn damaged(
        version in prop_oneof![Just(4), Just(6)],
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let packet = if version == 4 { ipv4(17, &[1; 8], &good_udp()) } else { ipv6(60, &[&[17, 0, 0, 0, 0, 0, 0, 0], &good_udp()[..]].concat()) };
        let carriers = carriers(version, &packet);
        let (link, mut frame) = carriers[which.index(carriers.len())].clone();
        for (at, value) in damage {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        let wire = frame.len() as u32;
        frame.truncate(cut.index(frame.len() + 1));
        if let Ok(payload) = udp_payload(link, &frame, wire) {
            prop_assert!(frame.as_ptr_range().contains(&payload.as_ptr_range().start) || payload.is_empty());
            prop_assert!(payload.len() + 8 <= frame.len());
        }
    }
}
