//! Where the broker is: its socket in its data directory.

use std::path::PathBuf;

use leveret_config::Environment;

/// The socket in a data directory.
const SOCKET: &str = "leveret.sock";
/// Where brokers that are installed keep their data.
const INSTALLED: [&str; 3] = ["/var/lib/leveret", "/var/lib/rabbitmq/mnesia/leveret", "/var/lib/rabbitmq"];
/// Where a broker keeps its data that was told nothing.
const DEFAULT: &str = "leveret-data";

/// Where to look for the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// In the order in which they count.
    directories: Vec<PathBuf>,
}

impl Places {
    /// A directory that is given counts alone, and after it one that the environment names; else it is the directory
    /// `leveret-data` here, or one where packages and images keep data.
    pub(crate) fn new(given: Option<&str>) -> Self {
        let named = given.map(PathBuf::from).or_else(|| Environment::of_process().data_dir().map(|(path, _)| path));
        match named {
            Some(named) => Self { directories: vec![named] },
            None => Self { directories: [DEFAULT].into_iter().chain(INSTALLED).map(PathBuf::from).collect() },
        }
    }

    /// The socket of the broker, if there is one.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(SOCKET)).find(|path| path.exists())
    }

    /// Where the socket would be.
    pub(crate) fn expected(&self) -> PathBuf {
        self.directories.first().map_or_else(|| PathBuf::from(SOCKET), |directory| directory.join(SOCKET))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_given_counts_alone() {
        let places = Places::new(Some("/d"));
        assert_eq!(places.directories, [PathBuf::from("/d")]);
        assert_eq!(places.expected(), PathBuf::from("/d/leveret.sock"));
    }

    #[test]
    fn the_socket_is_where_it_exists() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::new(directory.path().to_str());
        assert_eq!(places.socket(), None);
        std::fs::write(directory.path().join(SOCKET), "").unwrap();
        assert_eq!(places.socket(), Some(directory.path().join(SOCKET)));
    }
}
