//! The data directory: there, readable and writable before anything else happens.

use std::fs;
use std::path::Path;

use crate::error::Error;

/// Creates the directory if need be, and tries to read it and to write to it.
pub(crate) fn prepare(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::DataDir { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(failed)?;
    fs::read_dir(path).map_err(failed)?;
    let probe = path.join(".probe");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(failed)
}
