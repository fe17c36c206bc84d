//! Python with spead2, the peer of live tests.

use std::process::{Command, Stdio};

/// The path of a python that has the peer; `None`, with a message, where it cannot be installed. Under CI it must be there.
pub fn python() -> Option<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/peer-venv.sh");
    let made = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    if !made.status.success() {
        assert!(std::env::var_os("CI").is_none(), "tools/peer-venv.sh: {}", made.status);
        eprintln!("SKIPPED: the peer is not there (tools/peer-venv.sh: {})", made.status);
        return None;
    }
    Some(String::from_utf8(made.stdout).unwrap().trim().to_owned())
}
