//! Virtual environments for the suites in Python.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::command;

/// The Python of a virtual environment in `home` that holds what `requirements` lists. Made on first use, and made anew
/// when the list changes.
pub fn environment(home: &Path, requirements: &Path) -> anyhow::Result<PathBuf> {
    let wanted = fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let stamp = home.join("requirements.installed");
    let python = home.join("bin").join("python");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && command::works(&python, &["--version"])
    {
        return Ok(python);
    }
    command::run(Command::new(system_python()).args(["-m", "venv", "--clear"]).arg(home))
        .context("cannot make a virtual environment (Debian: apt-get install python3-venv)")?;
    command::run_patiently(|| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--retries", "10", "--timeout", "60", "--requirement"]);
        pip.arg(requirements);
        pip
    })
    .context("pip cannot install the requirements")?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// `PYTHON` chooses another interpreter than `python3`.
fn system_python() -> OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}
