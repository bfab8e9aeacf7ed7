//! Small file systems, for tests of what happens when one is full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::raw::names::unique;

const FILL_BYTES: usize = 64 * 1024;

/// A file system in memory with room for so many bytes; unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one, for which one has to be root.
    pub fn mount(size_bytes: u64) -> Result<SmallDisk> {
        let path = std::env::temp_dir().join(unique("disk"));
        fs::create_dir_all(&path)?;
        let disk = SmallDisk { path };
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size_bytes}"), "tmpfs"]).arg(&disk.path))?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are free.
    pub fn free_bytes(&self) -> Result<u64> {
        let output = Command::new("df").args(["--output=avail", "--block-size=1"]).arg(&self.path).output()?;
        let text = String::from_utf8(output.stdout)?;
        let figure = text.lines().nth(1).context("df tells nothing")?;
        Ok(figure.trim().parse()?)
    }

    /// Takes all the room there is, but for `left_bytes`.
    pub fn fill(&self, left_bytes: u64) -> Result<Ballast> {
        let path = self.path.join(unique("ballast"));
        let mut file = File::create(&path)?;
        let piece = vec![0xAA; FILL_BYTES];
        let mut wanted = self.free_bytes()?.saturating_sub(left_bytes);
        while wanted > 0 {
            let count = usize::try_from(wanted)?.min(FILL_BYTES);
            match file.write(piece.get(..count).unwrap_or_default()) {
                Ok(written) => wanted -= written as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Ballast { path })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a broker of a failed test may still have files open.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.path));
        let _ = fs::remove_dir(&self.path);
    }
}

/// A file that only takes room; it goes with this value.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
}

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
