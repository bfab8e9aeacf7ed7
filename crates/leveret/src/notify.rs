//! Tells the service manager how far we are, by the protocol of `sd_notify`.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// How far we are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    Ready,
    Reloading,
    Stopping,
}

/// Tells it, if anybody asked. Nobody listening is no error.
pub(crate) fn notify(state: State) {
    let Some(target) = std::env::var_os("NOTIFY_SOCKET").and_then(|path| path.into_string().ok()) else { return };
    let _ = send(&target, text(state));
}

fn text(state: State) -> &'static str {
    match state {
        State::Ready => "READY=1\n",
        State::Reloading => "RELOADING=1\n",
        State::Stopping => "STOPPING=1\n",
    }
}

/// A path, or with an `@` before it a name that is no path.
fn send(target: &str, text: &str) -> std::io::Result<()> {
    let address = match target.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(target)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.to_str().unwrap(), text(State::Ready)).unwrap();
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1\n");
    }

    #[test]
    fn a_name_may_be_no_path() {
        let name = format!("leveret-notify-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(&format!("@{name}"), text(State::Stopping)).unwrap();
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"STOPPING=1\n");
    }
}
