//! From a captured frame to the payload of its UDP datagram.
//!
//! Pure functions over untrusted bytes: every read is checked, nothing panics, every loop advances. The frame may be
//! shorter than it was on the wire (the capture's snaplen), so a read beyond its end is told apart by where it lands:
//! [`Skip::Truncated`] when the wire had those bytes, [`Skip::BadLength`] when a length field lies.
//!
//! Written here rather than taken from etherparse 0.21: that has no SLL2 and no NULL/LOOP, and does not tell a cut
//! frame from a lying length.

/// How the frames of a capture begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// Ethernet, with any number of 802.1Q and 802.1ad tags.
    Ethernet,
    /// Linux "cooked" capture, as of the pseudo-device `any`.
    LinuxSll,
    /// Linux "cooked" capture, version 2.
    LinuxSll2,
    /// BSD loopback: an address family of 4 bytes, in either byte order.
    Null,
    /// No link header: IPv4 or IPv6.
    Raw,
}

impl LinkType {
    /// The link type with a number from a capture file or from libpcap (`LINKTYPE_*`, `DLT_*`).
    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            0 | 108 => Some(Self::Null),
            1 => Some(Self::Ethernet),
            12 | 101 | 228 | 229 => Some(Self::Raw),
            113 => Some(Self::LinuxSll),
            276 => Some(Self::LinuxSll2),
            _ => None,
        }
    }
}

/// Why a frame has no UDP payload to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// Some other protocol.
    NotUdp,
    /// A fragment of an IP datagram; they are not reassembled.
    Fragment,
    /// The capture holds only the beginning of the datagram (its snaplen was too small).
    Truncated,
    /// A length field of IP or UDP contradicts another or the frame.
    BadLength,
}

impl Skip {
    /// Every reason, each at its own index.
    pub const ALL: [Skip; 4] = [Skip::NotUdp, Skip::Fragment, Skip::Truncated, Skip::BadLength];

    /// The name under which it is counted, in snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            Skip::NotUdp => "not_udp",
            Skip::Fragment => "fragment",
            Skip::Truncated => "truncated",
            Skip::BadLength => "bad_length",
        }
    }
}

/// The payload of the UDP datagram in `frame`, which had `original_len` bytes on the wire.
///
/// Padding after the datagram is left out. Checksums are not verified: captures of sent packets rarely have them.
#[inline]
pub fn udp_payload(link: LinkType, frame: &[u8], original_len: u32) -> Result<&[u8], Skip> {
    let frame = Frame { bytes: frame, wire_len: frame.len().max(original_len as usize) };
    match link {
        LinkType::Ethernet => frame.ether_type(12, 14),
        LinkType::LinuxSll => frame.ether_type(14, 16),
        LinkType::LinuxSll2 => frame.ether_type(0, 20),
        LinkType::Null => frame.null(),
        LinkType::Raw => match frame.array(0)? {
            [first] if first >> 4 == 4 => frame.ipv4(0),
            [first] if first >> 4 == 6 => frame.ipv6(0),
            [_] => Err(Skip::NotUdp),
        },
    }
}

const ETHER_IPV4: u16 = 0x0800;
const ETHER_IPV6: u16 = 0x86dd;
/// 802.1Q, 802.1ad, and two numbers that came before it.
const ETHER_VLAN: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

const HOP_BY_HOP: u8 = 0;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

#[derive(Clone, Copy)]
struct Frame<'a> {
    bytes: &'a [u8],
    /// Bytes that the frame had before it was captured; at least `bytes.len()`.
    wire_len: usize,
}

impl<'a> Frame<'a> {
    /// Why there is nothing up to `end`.
    #[cold]
    fn missing(self, end: usize) -> Skip {
        if end <= self.wire_len { Skip::Truncated } else { Skip::BadLength }
    }

    #[inline]
    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], Skip> {
        match self.bytes.get(at..).and_then(|bytes| bytes.first_chunk()) {
            Some(array) => Ok(*array),
            None => Err(self.missing(at.saturating_add(N))),
        }
    }

    /// Follows the EtherType at `at`; what it announces starts at `next`.
    #[inline]
    fn ether_type(self, at: usize, mut next: usize) -> Result<&'a [u8], Skip> {
        let mut ether_type = u16::from_be_bytes(self.array(at)?);
        while ETHER_VLAN.contains(&ether_type) {
            let [_, _, high, low] = self.array(next)?;
            ether_type = u16::from_be_bytes([high, low]);
            next += 4;
        }
        match ether_type {
            ETHER_IPV4 => self.ipv4(next),
            ETHER_IPV6 => self.ipv6(next),
            _ => Err(Skip::NotUdp),
        }
    }

    fn null(self) -> Result<&'a [u8], Skip> {
        let family = u32::from_le_bytes(self.array(0)?);
        // Families are small numbers: the order of the bytes that makes one is the right one.
        match family.min(family.swap_bytes()) {
            2 => self.ipv4(4),
            // Linux; NetBSD and OpenBSD; FreeBSD; macOS.
            10 | 24 | 28 | 30 => self.ipv6(4),
            _ => Err(Skip::NotUdp),
        }
    }

    #[inline]
    fn ipv4(self, at: usize) -> Result<&'a [u8], Skip> {
        let header: [u8; 20] = self.array(at)?;
        let protocol = header[9];
        if header[0] >> 4 != 4 || !(protocol == UDP || protocol == AUTHENTICATION) {
            return Err(Skip::NotUdp);
        }
        // More fragments, or an offset.
        if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
            return Err(Skip::Fragment);
        }
        let header_len = usize::from(header[0] & 15) * 4;
        let end = at + usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_len < 20 || at + header_len > end || end > self.wire_len {
            return Err(Skip::BadLength);
        }
        self.transport(protocol, at + header_len, end)
    }

    #[inline]
    fn ipv6(self, at: usize) -> Result<&'a [u8], Skip> {
        let header: [u8; 40] = self.array(at)?;
        if header[0] >> 4 != 6 {
            return Err(Skip::NotUdp);
        }
        let end = at + 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
        self.transport(header[6], at + 40, end)
    }

    /// Follows the chain of headers from `at` to UDP. The IP datagram ends at `end`.
    #[inline]
    fn transport(self, mut protocol: u8, mut at: usize, end: usize) -> Result<&'a [u8], Skip> {
        while protocol != UDP {
            if !is_extension(protocol) {
                return Err(Skip::NotUdp);
            }
            let [next, len] = self.array(at)?;
            let size = match protocol {
                AUTHENTICATION => (usize::from(len) + 2) * 4,
                FRAGMENT => {
                    let [_, _, high, low] = self.array(at)?;
                    // More fragments, or an offset; without either the datagram is whole.
                    if u16::from_be_bytes([high, low]) & 0xfff9 != 0 {
                        let may_be_udp = next == UDP || is_extension(next);
                        return Err(if may_be_udp { Skip::Fragment } else { Skip::NotUdp });
                    }
                    8
                }
                _ => (usize::from(len) + 1) * 8,
            };
            at += size;
            protocol = next;
            if at > end {
                return Err(Skip::BadLength);
            }
        }
        self.udp(at, end)
    }

    #[inline]
    fn udp(self, at: usize, end: usize) -> Result<&'a [u8], Skip> {
        if at + 8 > end || end > self.wire_len {
            return Err(Skip::BadLength);
        }
        let [_, _, _, _, high, low, _, _] = self.array(at)?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < 8 || at + len > end {
            return Err(Skip::BadLength);
        }
        self.bytes.get(at + 8..at + len).ok_or_else(|| self.missing(at + len))
    }
}

fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION)
}

#[cfg(test)]
mod tests;
