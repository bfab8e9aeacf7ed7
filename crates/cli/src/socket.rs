//! The broker's socket in its data directory, for brokers and for tools.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// What it is called.
pub const SOCKET: &str = "leveret.sock";

/// The longest path that the system takes for a socket.
const PATH_BYTES_MAX: usize = 107;

/// A way to a socket. One whose path is too long for the system is reached by its directory, which is open as long as this
/// is kept.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    _directory: Option<File>,
}

impl Socket {
    /// The way to the socket of this path, which need not be there.
    ///
    /// # Errors
    /// When the path is too long, and its directory cannot be opened.
    pub fn at(path: &Path) -> io::Result<Self> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _directory: None });
        }
        let directory = File::open(directory)?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _directory: Some(directory) })
    }

    /// The path to bind or to connect to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_path_may_be_long() {
        let place = tempfile::tempdir().unwrap();
        for length in [1, 200] {
            let directory = place.path().join("d".repeat(length));
            std::fs::create_dir(&directory).unwrap();
            let path = directory.join(SOCKET);
            let socket = Socket::at(&path).unwrap();
            let _listener = UnixListener::bind(socket.path()).unwrap();
            assert!(path.exists());
            UnixStream::connect(Socket::at(&path).unwrap().path()).unwrap();
        }
    }
}
