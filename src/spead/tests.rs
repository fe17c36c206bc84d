//! One test per rule of the wire format, with bytes written by hand.

use super::*;

/// Header with the given widths in bytes and number of pointers.
fn header(id_width: u8, address_width: u8, n: u16) -> Vec<u8> {
    let [high, low] = n.to_be_bytes();
    vec![0x53, 4, id_width, address_width, 0, 0, high, low]
}

/// An immediate pointer, put together as text of bits.
fn immediate(address_width: u8, id: u64, value: u64) -> [u8; 8] {
    pointer(address_width, '1', id, value)
}

fn addressed(address_width: u8, id: u64, address: u64) -> [u8; 8] {
    pointer(address_width, '0', id, address)
}

fn pointer(address_width: u8, flag: char, id: u64, low: u64) -> [u8; 8] {
    let low_bits = usize::from(address_width) * 8;
    let text = format!("{flag}{id:0id_bits$b}{low:0low_bits$b}", id_bits = 63 - low_bits);
    assert_eq!(text.len(), 64, "value does not fit");
    u64::from_str_radix(&text, 2).unwrap().to_be_bytes()
}

/// A packet of a flavour with the given specials and further pointers.
fn packet(address_width: u8, specials: [Option<u64>; 4], more: &[[u8; 8]], payload: &[u8]) -> Vec<u8> {
    let mut pointers = Vec::new();
    for (id, value) in (1..).zip(specials) {
        pointers.extend(value.map(|value| immediate(address_width, id, value)));
    }
    pointers.extend(more);
    let mut bytes = header(8 - address_width, address_width, pointers.len() as u16);
    bytes.extend(pointers.concat());
    bytes.extend(payload);
    bytes
}

/// Specials: HEAP_CNT 5, HEAP_LENGTH 10, PAYLOAD_OFFSET 4, PAYLOAD_LENGTH 6.
const USUAL: [Option<u64>; 4] = [Some(5), Some(10), Some(4), Some(6)];

fn malformed(bytes: &[u8]) -> Malformed {
    Packet::parse(bytes).expect_err("must be malformed")
}

#[test]
fn bytes_written_by_hand_48() {
    #[rustfmt::skip]
    let bytes = [
        0x53, 0x04, 0x02, 0x06, 0x00, 0x00, 0x00, 0x07,
        0x80, 0x01, 0x00, 0x00, 0x00, 0x00, 0x12, 0x34,
        0x80, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
        0x80, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c,
        0x80, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
        0x96, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x43, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
        0xff, 0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
        b'a', b'b', b'c', b'x', b'y',
    ];
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.heap_cnt(), 0x1234);
    assert_eq!(packet.heap_length(), Some(16));
    assert_eq!(packet.payload_offset(), 12);
    assert_eq!(packet.payload(), b"abc");
    assert_eq!(packet.size(), 67);
    assert_eq!(packet.bytes(), &bytes[..67]);
    assert_eq!(packet.pointer_bytes(), &bytes[8..64]);
    assert_eq!(packet.flavour(), Flavour { version: 4, heap_address_bits: 48 });
    assert_eq!(packet.flavour().id_bits(), 15);
    assert_eq!(packet.flavour().to_string(), "SPEAD-64-48");
    assert_eq!(packet.immediate(0x1600), Some(0xffff_ffff_ffff));
    assert_eq!(packet.immediate(0x7fff), Some(0x0102_0304_0506));
    assert_eq!(packet.immediate(0x4300), None, "addressed");
    assert_eq!(packet.immediate(id::PAYLOAD_LENGTH), Some(3));
    assert_eq!(packet.immediate(id::STREAM_CTRL), None);
    assert_eq!(packet.stream_ctrl(), None);
    let pointers: Vec<_> = packet.pointers().collect();
    assert_eq!(pointers.len(), 7);
    assert_eq!(pointers[4].immediate(), Some(0xffff_ffff_ffff));
    assert_eq!(pointers[4].address(), None);
    assert_eq!((pointers[5].id(), pointers[5].address(), pointers[5].immediate()), (0x4300, Some(16), None));
    assert_eq!(pointers[5].raw(), 0x4300_0000_0000_0010);
    assert_eq!(format!("{:?} {:?}", pointers[1], pointers[5]), "0x2=0x10 0x4300@0x10");
    let text = "Packet { flavour: SPEAD-64-48, heap_cnt: 4660, heap_length: Some(16), payload_offset: 12, \
                payload_length: 3, n_pointers: 7 }";
    assert_eq!(format!("{packet:?}"), text);
}

#[test]
fn bytes_written_by_hand_40() {
    #[rustfmt::skip]
    let bytes = [
        0x53, 0x04, 0x03, 0x05, 0xaa, 0x55, 0x00, 0x04,
        0x80, 0x00, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff,
        0x80, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x80, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x80, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x02,
    ];
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.heap_cnt(), 0xff_ffff_ffff);
    assert_eq!(packet.heap_length(), None);
    assert_eq!(packet.payload(), b"");
    assert_eq!(packet.size(), bytes.len());
    assert_eq!(packet.flavour().heap_address_bits, 40);
    assert_eq!(packet.stream_ctrl(), Some(id::STREAM_CTRL_STOP));
    assert!(packet.is_stop());
}

#[test]
fn every_flavour() {
    for address_width in 1..=7 {
        let bits = address_width * 8;
        let largest = (1u64 << bits) - 1;
        let largest_id = (1u64 << (63 - bits)) - 1;
        let more = [immediate(address_width, largest_id, largest), addressed(address_width, largest_id, 10)];
        let bytes = packet(address_width, [Some(largest), Some(10), Some(4), Some(6)], &more, b"123456");
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.flavour(), Flavour { version: 4, heap_address_bits: bits });
        assert_eq!(packet.heap_cnt(), largest);
        assert_eq!(packet.payload(), b"123456");
        assert_eq!(packet.immediate(largest_id), Some(largest));
        assert_eq!(packet.pointers().next_back().unwrap().address(), Some(10));
        assert_eq!(packet.pointers().next_back().unwrap().id(), largest_id);
    }
}

#[test]
fn all_other_widths_are_rejected() {
    for id_width in 0..=255u8 {
        for address_width in 0..=255u8 {
            let legal =
                id_width > 0 && address_width > 0 && u32::from(id_width) + u32::from(address_width) == 8;
            let reason = malformed(&header(id_width, address_width, 0));
            assert_eq!(reason, if legal { Malformed::NoHeapCnt } else { Malformed::BadWidths });
        }
    }
}

#[test]
fn too_short() {
    let bytes = header(2, 6, 0);
    for n in 0..8 {
        assert_eq!(malformed(&bytes[..n]), Malformed::TooShort);
    }
    assert_eq!(malformed(&bytes), Malformed::NoHeapCnt);
}

#[test]
fn magic_and_version() {
    let good = packet(6, USUAL, &[], b"123456");
    for value in 0..=255 {
        let mut bytes = good.clone();
        bytes[0] = value;
        assert_eq!(Packet::parse(&bytes).err(), (value != 0x53).then_some(Malformed::BadMagic));
        let mut bytes = good.clone();
        bytes[1] = value;
        assert_eq!(Packet::parse(&bytes).err(), (value != 4).then_some(Malformed::BadVersion));
    }
}

#[test]
fn reserved_bytes_are_ignored() {
    let mut bytes = packet(6, USUAL, &[], b"123456");
    (bytes[4], bytes[5]) = (0xff, 0xff);
    assert!(Packet::parse(&bytes).is_ok());
}

#[test]
fn cut_anywhere() {
    let bytes = packet(6, USUAL, &[], b"123456");
    for n in 8..bytes.len() {
        let expected = if n < 40 { Malformed::ItemsOverflow } else { Malformed::PayloadOverflow };
        assert_eq!(malformed(&bytes[..n]), expected, "{n} bytes");
    }
    let mut longer = bytes.clone();
    longer.extend(b"ignored");
    assert_eq!(Packet::parse(&longer).unwrap().bytes(), bytes);
}

#[test]
fn most_pointers() {
    let mut bytes = packet(6, USUAL, &vec![[0; 8]; 65531], b"123456");
    assert_eq!(Packet::parse(&bytes).unwrap().pointers().len(), 65535);
    bytes.truncate(8 + 65535 * 8 - 1);
    assert_eq!(malformed(&bytes), Malformed::ItemsOverflow);
}

#[test]
fn required_specials() {
    for address_width in 1..=7 {
        for (missing, reason) in [
            (0, Some(Malformed::NoHeapCnt)),
            (1, None),
            (2, Some(Malformed::NoPayloadOffset)),
            (3, Some(Malformed::NoPayloadLength)),
        ] {
            let mut specials = USUAL;
            specials[missing] = None;
            let bytes = packet(address_width, specials, &[], b"123456");
            assert_eq!(Packet::parse(&bytes).err(), reason);
            // Addressed, the identifier is an ordinary one.
            let more = [addressed(address_width, missing as u64 + 1, 1)];
            let bytes = packet(address_width, specials, &more, b"123456");
            assert_eq!(Packet::parse(&bytes).err(), reason);
        }
    }
}

#[test]
fn last_of_repeated_specials_wins() {
    for address_width in 1..=7 {
        let more = [
            immediate(address_width, 6, 0),
            immediate(address_width, 1, 9),
            immediate(address_width, 2, 3),
            immediate(address_width, 4, 2),
            immediate(address_width, 3, 1),
            immediate(address_width, 6, 2),
            addressed(address_width, 1, 3),
            addressed(address_width, 3, 3),
            addressed(address_width, 6, 3),
        ];
        let bytes = packet(address_width, [Some(5), Some(200), Some(100), Some(100)], &more, b"ab");
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.heap_cnt(), packet.heap_length()), (9, Some(3)));
        assert_eq!((packet.payload_offset(), packet.payload()), (1, &b"ab"[..]));
        assert_eq!(packet.stream_ctrl(), Some(2));
    }
}

#[test]
fn immediate_finds_the_last() {
    let more = [
        immediate(6, 0x1000, 1),
        immediate(6, 7, 8),
        immediate(6, 0x1000, 2),
        addressed(6, 0x1000, 3),
        immediate(6, 0, 4),
        immediate(6, 5, 6),
    ];
    let bytes = packet(6, USUAL, &more, b"123456");
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.immediate(0x1000), Some(2));
    assert_eq!(packet.immediate(0), Some(4));
    assert_eq!(packet.immediate(5), Some(6));
    assert_eq!(packet.immediate(6), None);
    assert_eq!(packet.immediate(7), Some(8));
    assert_eq!(packet.immediate(8), None);
    assert_eq!(packet.immediate(u64::MAX), None);
    assert_eq!(packet.immediate(1 << 32 | 1), None);
    assert_eq!(packet.immediate(id::HEAP_LENGTH), Some(10));
}

#[test]
fn stop_needs_its_value() {
    for (value, stop) in [(0, false), (1, false), (2, true), (3, false), (0x8000_0002, false)] {
        let bytes = packet(6, USUAL, &[immediate(6, 6, value)], b"123456");
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.stream_ctrl(), packet.is_stop()), (Some(value), stop));
    }
}

#[test]
fn payload_beyond_the_heap() {
    assert!(Packet::parse(&packet(6, [Some(5), Some(10), Some(4), Some(6)], &[], b"123456")).is_ok());
    for (length, offset) in [(9, 4), (10, 5), (0, 0), (10, (1 << 48) - 1), ((1 << 48) - 1, (1 << 48) - 6)] {
        let bytes = packet(6, [Some(5), Some(length), Some(offset), Some(6)], &[], b"123456");
        assert_eq!(malformed(&bytes), Malformed::HeapOverflow);
    }
    // Without HEAP_LENGTH there is nothing to exceed, whatever the offset.
    let bytes = packet(7, [Some(5), None, Some((1 << 56) - 1), Some(6)], &[], b"123456");
    assert_eq!(Packet::parse(&bytes).unwrap().payload_offset(), (1 << 56) - 1);
}

#[test]
fn item_beyond_the_heap() {
    for address_width in 1..=7 {
        for (address, expected) in [(0, None), (10, None), (11, Some(Malformed::ItemBeyondHeap))] {
            let more = [addressed(address_width, 0x50, address), addressed(address_width, 0x51, 0)];
            let bytes = packet(address_width, USUAL, &more, b"123456");
            assert_eq!(Packet::parse(&bytes).err(), expected);
            // A NULL item ends its predecessor, so its address is an address too.
            let bytes = packet(address_width, USUAL, &[addressed(address_width, 0, address)], b"123456");
            assert_eq!(Packet::parse(&bytes).err(), expected);
        }
        // Immediate values are no addresses, and an unsized heap has no end.
        let bytes = packet(address_width, USUAL, &[immediate(address_width, 0x50, 11)], b"123456");
        assert!(Packet::parse(&bytes).is_ok());
        let more = [addressed(address_width, 0x50, 255)];
        let bytes = packet(address_width, [Some(5), None, Some(4), Some(6)], &more, b"123456");
        assert!(Packet::parse(&bytes).is_ok());
    }
}

#[test]
fn back_to_back() {
    let mut bytes = Vec::new();
    for cnt in 0..5 {
        bytes.extend(packet(6, [Some(cnt), None, Some(0), Some(cnt)], &[], &b"12345"[..cnt as usize]));
    }
    let mut rest = &bytes[..];
    for cnt in 0..5 {
        let packet = Packet::parse(rest).unwrap();
        assert_eq!((packet.heap_cnt(), packet.payload().len()), (cnt, cnt as usize));
        rest = &rest[packet.size()..];
    }
    assert_eq!(rest, b"");
}

#[test]
fn reasons_are_listed_once_and_in_order() {
    for (index, reason) in Malformed::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, index);
        let mut snake = String::new();
        for c in format!("{reason:?}").chars() {
            if c.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(c.to_lowercase());
        }
        assert_eq!(reason.name(), snake);
        assert!(!reason.to_string().is_empty());
    }
}

#[test]
fn pointers_of_impossible_flavours_do_not_panic() {
    for bits in 0..=255 {
        let pointer = ItemPointer::new(u64::MAX, bits);
        let _ = (pointer.id(), pointer.value(), pointer.immediate(), pointer.address());
        let _ = Flavour { version: 4, heap_address_bits: bits }.id_bits();
    }
}
