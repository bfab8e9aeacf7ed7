//! Links to the binary, by all of its names.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::PERSONALITIES;

/// Makes a symbolic link in a directory for each of the [names](PERSONALITIES) to the binary that runs, in place of links that are
/// there; the directory is made if need be. Gives back the paths of the links.
///
/// # Errors
/// When there is a file of such a name that is no link, or the directory cannot be written to.
pub fn install_links(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let binary = env::current_exe()?;
    fs::create_dir_all(directory)?;
    PERSONALITIES.into_iter().map(|name| link(&binary, directory.join(name))).collect()
}

fn link(binary: &Path, path: PathBuf) -> io::Result<PathBuf> {
    match fs::symlink_metadata(&path) {
        Ok(there) if there.file_type().is_symlink() => fs::remove_file(&path)?,
        Ok(_) => {
            let reason = format!("{} is there already and is no link", path.display());
            return Err(Error::new(ErrorKind::AlreadyExists, reason));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    std::os::unix::fs::symlink(binary, &path)?;
    Ok(path)
}
