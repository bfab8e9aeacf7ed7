//! Where the broker is: its socket in its data directory.

use std::path::PathBuf;

use leveret_config::{Origin, Sources, load};

use crate::socket::SOCKET;

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
    /// A directory that is given counts alone, and after it one that the environment names, or the configuration; else it is
    /// the directory `leveret-data` here, or one where packages and images keep data.
    pub(crate) fn new(given: Option<&str>) -> Self {
        let named = given.map(PathBuf::from).or_else(|| configured(&Sources::of_process()));
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

/// The directory that the environment names, or the broker's files, as far as we may read them.
fn configured(sources: &Sources) -> Option<PathBuf> {
    if let Some((path, _)) = sources.environment.data_dir() {
        return Some(path);
    }
    let loaded = load(sources).ok()?;
    let is_told = loaded.origins.iter().any(|row| row.key == "leveret.data_dir" && row.origin != Origin::Default);
    is_told.then_some(loaded.settings.node.data_dir)
}

#[cfg(test)]
mod tests {
    use leveret_config::Environment;

    use super::*;

    #[test]
    fn the_broker_is_where_its_files_say() {
        let folder = tempfile::tempdir().unwrap();
        let environment = |variables: &[(&str, &str)]| {
            Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        };
        let mut sources = Sources {
            environment: environment(&[]),
            files: Vec::new(),
            flags: Vec::new(),
            etc: folder.path().to_owned(),
            own: folder.path().join("leveret.toml"),
            strict: false,
        };
        assert_eq!(configured(&sources), None);
        std::fs::write(&sources.own, "[node]\ndata_dir = \"/srv/own\"\n").unwrap();
        assert_eq!(configured(&sources), Some("/srv/own".into()));
        std::fs::write(folder.path().join("rabbitmq-env.conf"), "MNESIA_BASE=/srv/mnesia\n").unwrap();
        assert_eq!(configured(&sources), Some("/srv/mnesia/leveret".into()));
        sources.environment = environment(&[("LEVERET_DATA_DIR", "/srv/here")]);
        assert_eq!(configured(&sources), Some("/srv/here".into()));
    }

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
