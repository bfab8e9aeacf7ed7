//! The journal of systemd: a datagram a line, by its own protocol.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::format::PROCESS;
use super::outside::Entry;
use super::syslog::severity;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Who says it.
const IDENTIFIER: &str = "rabbitmq-server";

/// Sends lines to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Journal {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { path: SOCKET.into(), socket: UnixDatagram::unbound()? })
    }

    /// Sends a line. Says whether it went off.
    pub(super) fn send(&self, entry: &Entry) -> bool {
        self.socket.send_to(&datagram(entry), &self.path).is_ok()
    }
}

fn datagram(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    let process = std::process::id().to_string();
    field(&mut bytes, "MESSAGE", entry.text.trim_end());
    field(&mut bytes, "PRIORITY", &severity(entry.level).to_string());
    field(&mut bytes, "SYSLOG_IDENTIFIER", IDENTIFIER);
    field(&mut bytes, "SYSLOG_PID", &process);
    field(&mut bytes, "SYSLOG_TIMESTAMP", &entry.at.rfc3164());
    field(&mut bytes, "ERL_PID", PROCESS);
    if let Some((file, line)) = entry.source {
        field(&mut bytes, "CODE_FILE", file);
        field(&mut bytes, "CODE_LINE", &line.to_string());
    }
    bytes
}

/// A value of several lines has its length before it.
fn field(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::outside::tests::entry;
    use super::*;

    #[test]
    fn a_line_is_a_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let journal = Journal { path, socket: UnixDatagram::unbound().unwrap() };
        assert!(journal.send(&Entry { source: Some(("a.rs", 5)), ..entry("first\nsecond\n") }));
        let mut bytes = [0; 1024];
        let length = receiver.recv(&mut bytes).unwrap();
        let bytes = &bytes[..length];
        let text = String::from_utf8_lossy(bytes);
        assert!(bytes.starts_with(b"MESSAGE\n\x0c\0\0\0\0\0\0\0first\nsecond\nPRIORITY=6\n"), "{text}");
        assert!(text.ends_with("\nERL_PID=<0.1.0>\nCODE_FILE=a.rs\nCODE_LINE=5\n"), "{text}");
        drop(receiver);
        assert!(!journal.send(&entry("lost")));
    }
}
