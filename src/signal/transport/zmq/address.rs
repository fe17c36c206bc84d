//! Where publisher and subscriber meet: URLs out of params, and sockets in the file system that leave nothing behind.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::{Error, Result};
use crate::signal::params::{Params, Protocol};

/// Bytes of a socket's path in the file system, at the most (unix(7)).
const MOST_PATH: usize = 107;

/// Text that others can hardly guess, of these letters.
fn random(length: usize, letters: &[u8]) -> String {
    let letter = |i: usize| {
        // A new state is seeded by the system.
        let number = RandomState::new().hash_one(i);
        char::from(letters[number as usize % letters.len()])
    };
    (0..length).map(letter).collect()
}

/// A name for a file, which begins with `prefix`.
pub(super) fn random_name(prefix: &str, length: usize) -> String {
    format!("{prefix}{}", random(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
}

/// The folder for files that nobody has named.
pub(super) fn folder(given: Option<&Path>) -> PathBuf {
    given.map_or_else(std::env::temp_dir, Path::to_owned)
}

/// The URL of a TCP port; `*` for one that the system chooses, where that is possible.
pub(in crate::signal) fn tcp_address(interface: &str, port: &str, may_choose: bool) -> Result<String> {
    let rule = |name: &str, rule: &str, got: &str| {
        let shown: String = got.chars().take(80).collect();
        Error::invalid(format!("{name} must be {rule} (got {shown:?})"))
    };
    let strange = |c: char| c.is_control() || c.is_whitespace() || c == '/' || c == ';';
    if interface.is_empty() || interface.len() > 255 || interface.contains(strange) {
        return Err(rule("interface", "an address or a name", interface));
    }
    let chosen = may_choose && (port == "*" || port == "0");
    let number = port.parse::<u16>().ok().filter(|&port| port > 0);
    let port = match number {
        Some(number) => number.to_string(),
        None if chosen => "*".to_owned(),
        None if may_choose => return Err(rule("port", "1 to 65535, or * for any", port)),
        None => return Err(rule("port", "1 to 65535", port)),
    };
    // An address of IPv6 has colons of its own.
    if interface.contains(':') && !interface.starts_with('[') {
        return Ok(format!("tcp://[{interface}]:{port}"));
    }
    Ok(format!("tcp://{interface}:{port}"))
}

/// The URL of a socket in the file system.
pub(super) fn ipc_address(path: &str) -> Result<String> {
    if path.is_empty() || path.len() > MOST_PATH || path.contains('\0') {
        let shown: String = path.chars().take(200).collect();
        let reason = format!("a socket's path must be of 1 to {MOST_PATH} bytes (got {shown:?})");
        return Err(Error::invalid(reason));
    }
    Ok(format!("ipc://{path}"))
}

/// An error if a socket cannot be made at this path: libzmq would remove whatever is there, a file or the socket of an output that lives. That of one
/// that was killed may go.
pub(super) fn check_free(path: &str) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists, and is no socket"));
        }
        Ok(_) => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where too many wait to be accepted already, this does not.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EADDRINUSE)),
    }
}

/// Where a subscriber finds the publisher that these params describe.
pub(super) fn of_params(params: &Params) -> Result<String> {
    match params.protocol {
        Protocol::Tcp => tcp_address(&params.interface, &params.port, false),
        Protocol::Ipc => ipc_address(&params.interface),
        other => Err(not_ours(other)),
    }
}

pub(super) fn not_ours(protocol: Protocol) -> Error {
    Error::invalid(format!("protocol must be tcp or ipc for ZeroMQ (got {})", protocol.name()))
}

/// The path of a socket in the file system, and the folder that was made for it. Both are gone at the end.
#[derive(Debug)]
pub(super) struct SocketPath {
    path: PathBuf,
    /// Only this user may look into it.
    folder: Option<PathBuf>,
}

impl SocketPath {
    /// The path that `given` is if it begins at the root; else one of our own, in a new folder.
    pub fn new(given: &str, parent: Option<&Path>) -> Result<Self> {
        if given.starts_with('/') {
            ipc_address(given)?;
            return Ok(Self { path: given.into(), folder: None });
        }
        let name = random_name("pyacq_pipe_", 24);
        let mut parent = folder(parent);
        // The name of the folder, that of the socket, and two strokes.
        if parent.as_os_str().len() + "aqueduct-".len() + 8 + name.len() + 2 > MOST_PATH {
            parent = "/tmp".into();
        }
        let folder = parent.join(random_name("aqueduct-", 8));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|reason| Error::io(format_args!("make folder {}", folder.display()), &reason))?;
        Ok(Self { path: folder.join(name), folder: Some(folder) })
    }

    /// As text, which it is made of unless the folder's name is none.
    pub fn text(&self) -> Result<&str> {
        self.path.to_str().ok_or_else(|| {
            Error::invalid(format!("a socket's path must be UTF-8 (got {})", self.path.display()))
        })
    }
}

impl SocketPath {
    /// Removes a socket at a path that was given. While it still listens, as then nobody else can have made one there.
    pub fn leave(&self) {
        if self.folder.is_none() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_file(&self.path);
            if let Err(error) = std::fs::remove_dir(folder) {
                log::warn!("remove folder {}: {error}", folder.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (interface, port, may_choose, expected) in [
            ("127.0.0.1", "5000", false, Some("tcp://127.0.0.1:5000")),
            ("*", "*", true, Some("tcp://*:*")),
            ("eth0", "0", true, Some("tcp://eth0:*")),
            ("::1", "1", false, Some("tcp://[::1]:1")),
            ("[::1]", "1", false, Some("tcp://[::1]:1")),
            ("127.0.0.1", "*", false, None),
            ("127.0.0.1", "0", false, None),
            ("127.0.0.1", "65536", true, None),
            ("127.0.0.1", "-1", true, None),
            ("", "1", true, None),
            ("a b", "1", true, None),
            ("a;b", "1", true, None),
            ("a\0b", "1", true, None),
        ] {
            let address = tcp_address(interface, port, may_choose);
            assert_eq!(address.as_deref().ok(), expected, "{interface:?} {port:?}");
        }
        assert!(ipc_address(&"x".repeat(107)).is_ok() && ipc_address(&"x".repeat(108)).is_err());
        assert!(ipc_address("").is_err() && ipc_address("a\0").is_err());
    }

    #[test]
    fn a_path_of_ours_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let path = SocketPath::new("127.0.0.1", Some(parent.path())).unwrap();
        let text = path.text().unwrap().to_owned();
        let name = text.rsplit('/').next().unwrap();
        assert!(name.starts_with("pyacq_pipe_") && name.len() == 35, "{name}");
        std::fs::write(&text, "").unwrap();
        drop(path);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        let long = parent.path().join("x".repeat(100));
        assert!(SocketPath::new("", Some(&long)).unwrap().text().unwrap().starts_with("/tmp/aqueduct-"));
        assert_eq!(SocketPath::new("/a/b", None).unwrap().text().unwrap(), "/a/b");
    }
}
