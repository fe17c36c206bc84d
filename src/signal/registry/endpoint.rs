//! `HOST:PORT`, as users write where a registry is. Plain functions; any thread.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::error::{Error, ErrorKind, Result};

/// Longer texts are no endpoints: a name of DNS has at most 253 bytes.
const MOST: usize = 300;

/// Takes an endpoint apart; an address of IPv6 stands in brackets. Port 0 is for servers.
fn parse(endpoint: &str, any_port: bool) -> Result<(&str, u16)> {
    let wrong = || {
        let shown: String = endpoint.chars().take(80).collect();
        let ports = if any_port { "a port of 0 to 65535" } else { "a port of 1 to 65535" };
        Error::invalid(format!("endpoint must be HOST:PORT with {ports} (got {shown:?})"))
    };
    let (host, port) = endpoint.rsplit_once(':').filter(|_| endpoint.len() <= MOST).ok_or_else(wrong)?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']').ok_or_else(wrong)?,
        None if host.contains(':') => return Err(wrong()),
        None => host,
    };
    let strange = |c: char| c.is_control() || c.is_whitespace() || "[]/\"".contains(c);
    // parse would take a sign.
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse::<u16>().ok().filter(|&port| digits && (any_port || port > 0)).ok_or_else(wrong)?;
    if host.is_empty() || host.contains(strange) { Err(wrong()) } else { Ok((host, port)) }
}

/// The addresses that an endpoint stands for, at least one. A name is asked for at the system's resolver, which has time limits of its own.
pub(super) fn addresses(endpoint: &str, any_port: bool) -> Result<Vec<SocketAddr>> {
    let found = parse(endpoint, any_port)?
        .to_socket_addrs()
        .map_err(|reason| Error::io(format_args!("registry {endpoint}: look up the host"), &reason))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Io, format!("registry {endpoint}: the host has no address")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, any_port, expected) in [
            ("127.0.0.1:7145", false, Some(("127.0.0.1", 7145))),
            ("127.0.0.1:0", true, Some(("127.0.0.1", 0))),
            ("[::1]:80", false, Some(("::1", 80))),
            ("lab-pc.example:1", false, Some(("lab-pc.example", 1))),
            ("127.0.0.1:0", false, None),
            ("127.0.0.1:65536", true, None),
            ("127.0.0.1:+80", true, None),
            ("127.0.0.1:", true, None),
            ("127.0.0.1", true, None),
            (":80", true, None),
            ("::1:80", true, None),
            ("[::1:80", true, None),
            ("tcp://a:80", true, None),
            ("a b:80", true, None),
            ("a\0:80", true, None),
            ("", true, None),
        ] {
            assert_eq!(parse(text, any_port).ok(), expected, "{text:?}");
        }
        assert!(parse(&format!("{}:80", "x".repeat(300)), true).is_err());
        let error = addresses("127.0.0.1:http", false).unwrap_err();
        assert_eq!(
            error.message(),
            r#"endpoint must be HOST:PORT with a port of 1 to 65535 (got "127.0.0.1:http")"#
        );
        assert_eq!(addresses("127.0.0.1:9", false).unwrap(), ["127.0.0.1:9".parse().unwrap()]);
    }
}
