//! From whom packets are taken: a list of addresses and networks.

use std::fmt;
use std::net::IpAddr;

use crate::error::{Error, Result};

/// The most entries; each packet is compared with all of them.
const MAX_ENTRIES: usize = 256;

/// Senders that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFilter {
    /// Addresses and how many of their first bits count. Never empty.
    networks: Vec<(IpAddr, u8)>,
}

impl SourceFilter {
    /// Reads a list like `10.1.0.0/16, 192.0.2.7, fd00::/8`; `None` for an empty one, which accepts everybody.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let entries = text.split([',', ' ']).filter(|entry| !entry.is_empty());
        let networks: Vec<_> = entries.map(network).collect::<Result<_>>()?;
        if networks.len() > MAX_ENTRIES {
            let message =
                format!("source_filter must have at most {MAX_ENTRIES} entries (got {})", networks.len());
            return Err(Error::invalid(message));
        }
        Ok((!networks.is_empty()).then_some(Self { networks }))
    }

    /// Whether packets of this sender are taken.
    pub fn accepts(&self, sender: IpAddr) -> bool {
        // A socket for both families sees IPv4 senders as IPv6 addresses.
        let sender = sender.to_canonical();
        self.networks.iter().any(|&(network, bits)| match (network, sender) {
            (IpAddr::V4(network), IpAddr::V4(sender)) => {
                let differ = u32::from(network) ^ u32::from(sender);
                differ.leading_zeros() >= u32::from(bits)
            }
            (IpAddr::V6(network), IpAddr::V6(sender)) => {
                let differ = u128::from(network) ^ u128::from(sender);
                differ.leading_zeros() >= u32::from(bits)
            }
            _ => false,
        })
    }
}

fn network(entry: &str) -> Result<(IpAddr, u8)> {
    let wrong =
        || Error::invalid(format!("source_filter: {entry:?} is no address, and no network like 10.1.0.0/16"));
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        None => longest,
        Some(bits) => bits.parse().ok().filter(|&bits| bits <= longest).ok_or_else(wrong)?,
    };
    Ok((address, bits))
}

impl fmt::Display for SourceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (address, bits)) in self.networks.iter().enumerate() {
            write!(f, "{}{address}/{bits}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_accept_their_members() {
        let filter = SourceFilter::parse("10.1.0.0/16, 192.0.2.7 fd00::/8").unwrap().unwrap();
        assert_eq!(filter.to_string(), "10.1.0.0/16, 192.0.2.7/32, fd00::/8");
        for (sender, accepted) in [
            ("10.1.255.3", true),
            ("10.2.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.6", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:10.2.2.3", false),
            ("fd12::1", true),
            ("fe80::1", false),
        ] {
            assert_eq!(filter.accepts(sender.parse().unwrap()), accepted, "{sender}");
        }
        let all = SourceFilter::parse("0.0.0.0/0").unwrap().unwrap();
        assert!(all.accepts("1.2.3.4".parse().unwrap()) && !all.accepts("::1".parse().unwrap()));
        assert_eq!(SourceFilter::parse(" , ").unwrap(), None);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in
            ["localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0", "1.2.3.4/8/8"]
        {
            let error = SourceFilter::parse(text).unwrap_err();
            assert!(error.message().contains(&format!("{text:?} is no address")), "{error}");
        }
        assert!(SourceFilter::parse(&"::1,".repeat(257)).unwrap_err().message().contains("at most 256"));
    }
}
