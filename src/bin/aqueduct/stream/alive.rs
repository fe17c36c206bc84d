//! Whether somebody is where a stream's params say. That its output is there is not sure then, but likely.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use aqueduct::signal::params::{Params, Protocol};
use aqueduct::sys::local::Connection;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Streams that are asked at the same time.
const AT_ONCE: usize = 32;

/// For each stream: `None` where that cannot be known from here.
pub fn all(params: &[Option<Params>]) -> Vec<Option<bool>> {
    let mut alive = Vec::with_capacity(params.len());
    for some in params.chunks(AT_ONCE) {
        std::thread::scope(|scope| {
            let asked: Vec<_> =
                some.iter().map(|params| scope.spawn(|| params.as_ref().and_then(is_alive))).collect();
            alive.extend(asked.into_iter().map(|thread| thread.join().unwrap_or(None)));
        });
    }
    alive
}

fn is_alive(params: &Params) -> Option<bool> {
    match params.protocol {
        Protocol::Tcp => {
            let port: u16 = params.port.parse().ok()?;
            let host = params.interface.trim_start_matches('[').trim_end_matches(']');
            let mut addresses = (host, port).to_socket_addrs().ok()?;
            Some(addresses.any(|address| TcpStream::connect_timeout(&address, PATIENCE).is_ok()))
        }
        Protocol::Ipc => Some(UnixStream::connect(&params.interface).is_ok()),
        Protocol::Shm => Some(Connection::new(&params.interface, PATIENCE).is_ok()),
        // It is in a process, and who asks is another one.
        Protocol::Inproc => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_or_nobody() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let read = |text: String| Some(Params::from_json(&text).unwrap());
        let streams = [
            read(format!(r#"{{"port":"{port}"}}"#)),
            read(r#"{"port":"*"}"#.into()),
            read(r#"{"protocol":"ipc","interface":"/nowhere/at/all"}"#.into()),
            read(r#"{"protocol":"shm","interface":"aqueduct-nobody"}"#.into()),
            read(r#"{"protocol":"inproc","interface":"x"}"#.into()),
            None,
        ];
        assert_eq!(all(&streams), [Some(true), None, Some(false), Some(false), None, None]);
        drop(listener);
        assert_eq!(all(&streams[..1]), [Some(false)]);
    }
}
