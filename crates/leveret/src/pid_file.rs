//! The files that say which process this is: `leveret.pid` in the data directory, and one that somebody asked for.

use std::fs;
use std::path::PathBuf;

/// Files that go with this value.
#[derive(Debug, Default)]
pub(crate) struct PidFiles {
    paths: Vec<PathBuf>,
    keep: bool,
}

impl PidFiles {
    /// Writes them. One that cannot be written is no reason not to serve.
    pub(crate) fn write(paths: impl IntoIterator<Item = PathBuf>, keep: bool) -> Self {
        let mut written = Self { paths: Vec::new(), keep };
        for path in paths {
            if let Some(folder) = path.parent() {
                let _ = fs::create_dir_all(folder);
            }
            match fs::write(&path, format!("{}\n", std::process::id())) {
                Ok(()) => written.paths.push(path),
                Err(error) => tracing::warn!("cannot write the pid file {}: {error}", path.display()),
            }
        }
        written
    }
}

impl Drop for PidFiles {
    fn drop(&mut self) {
        if !self.keep {
            for path in &self.paths {
                let _ = fs::remove_file(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_the_pid_and_go_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/x.pid");
        let files = PidFiles::write([path.clone()], false);
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), std::process::id().to_string());
        drop(files);
        assert!(!path.exists());
        drop(PidFiles::write([path.clone()], true));
        assert!(path.exists());
    }
}
