//! What stands for SOURCE and for a destination on the command line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// Where packets come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `udp://HOST:PORT`
    Udp(Address),
    /// `tcp://HOST:PORT`, to listen on
    Tcp(Address),
    /// `pcap:FILE`
    Pcap(PathBuf),
    /// `live:INTERFACE`
    Live(String),
}

/// What a SOURCE looks like.
const EXPECTED: &str = "expected udp://HOST:PORT, tcp://HOST:PORT, pcap:FILE or live:INTERFACE";

/// A host and a port. An IPv6 address stands here without its brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or a numeric address; may be empty.
    pub host: String,
    pub port: u16,
}

impl Source {
    /// Reads a SOURCE. A file's path need not be UTF-8.
    pub fn parse(text: OsString) -> Result<Self, String> {
        if let Some(path) = strip_ascii_prefix(&text, "pcap:") {
            if path.is_empty() {
                return Err("no file after pcap:".into());
            }
            return Ok(Self::Pcap(path.into()));
        }
        let Some(text) = text.to_str() else {
            return Err(format!("{EXPECTED}; for a file, write pcap:{}", text.display()));
        };
        if text.starts_with("udp:") {
            return Address::parse(text, "udp").map(Self::Udp);
        }
        if text.starts_with("tcp:") {
            return Address::parse(text, "tcp").map(Self::Tcp);
        }
        match text.strip_prefix("live:") {
            Some("") => return Err("no interface after live:".into()),
            Some(device) => return Ok(Self::Live(device.into())),
            None => {}
        }
        match text.split_once(':') {
            Some((scheme, _)) if !scheme.contains('/') => {
                Err(format!("unknown scheme {scheme:?}; {EXPECTED}"))
            }
            _ => Err(format!("{EXPECTED}; for a file, write pcap:{text}")),
        }
    }
}

impl Address {
    /// Reads `udp://HOST:PORT`.
    pub fn parse_udp(text: &str) -> Result<Self, String> {
        Self::parse(text, "udp")
    }

    /// Reads `SCHEME://HOST:PORT`, with brackets around an IPv6 address.
    pub fn parse(text: &str, scheme: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")) else {
            return Err(format!("expected {scheme}://HOST:PORT"));
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, rest)) => (host, rest.strip_prefix(':')),
                None => return Err("the bracket of the IPv6 address is not closed".into()),
            },
            None => match rest.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(format!("an IPv6 address needs brackets: {scheme}://[::1]:7148"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.ok_or_else(|| format!("no port; expected {scheme}://HOST:PORT"))?;
        let port =
            port.parse().map_err(|_| format!("the port must be a number from 0 to 65535 (got {port:?})"))?;
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.as_str() {
            "" => write!(f, "0.0.0.0:{port}"),
            host if host.contains(':') => write!(f, "[{host}]:{port}"),
            host => write!(f, "{host}:{port}"),
        }
    }
}

fn strip_ascii_prefix<'a>(text: &'a OsStr, prefix: &str) -> Option<&'a OsStr> {
    use std::os::unix::ffi::OsStrExt;
    text.as_bytes().strip_prefix(prefix.as_bytes()).map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, String> {
        Source::parse(text.into())
    }

    #[test]
    fn sources_are_read_and_shown() {
        for (text, shown) in [
            ("udp://127.0.0.1:7148", "127.0.0.1:7148"),
            ("udp://[ff02::1%lo]:0", "[ff02::1%lo]:0"),
            ("udp://localhost:65535", "localhost:65535"),
            ("udp://:7148", "0.0.0.0:7148"),
        ] {
            let Ok(Source::Udp(address)) = parse(text) else { panic!("{text}") };
            assert_eq!(address.to_string(), shown);
        }
        assert!(matches!(parse("tcp://[::]:0"), Ok(Source::Tcp(_))));
        assert_eq!(parse("live:eth1.5"), Ok(Source::Live("eth1.5".into())));
        assert_eq!(parse("pcap:a:b/c.pcap"), Ok(Source::Pcap("a:b/c.pcap".into())));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("http://127.0.0.1:1", "unknown scheme \"http\""),
            ("tcp://127.0.0.1", "expected tcp://HOST:PORT"),
            ("capture.pcap", "write pcap:capture.pcap"),
            ("./a:b", "write pcap:./a:b"),
            ("pcap:", "no file"),
            ("live:", "no interface"),
            ("", "expected udp://"),
            ("udp:1.2.3.4:5", "expected udp://"),
            ("udp://1.2.3.4", "no port"),
            ("udp://1.2.3.4:", "got \"\""),
            ("udp://1.2.3.4:65536", "got \"65536\""),
            ("udp://::1:7148", "needs brackets"),
            ("udp://[::1", "not closed"),
            ("udp://[::1]", "no port"),
            ("udp://[::1]7148", "no port"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
