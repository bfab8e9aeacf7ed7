//! The files of an image: a folder that programs see as the root of the file system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::command;

/// What `debian:*-slim` leaves out, and what nobody in an image needs.
const LEFT_OUT: [&str; 5] =
    ["/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info", "/usr/share/lintian"];

/// A folder like `debian:*-slim`, of the packages of the Debian that runs here: those that every Debian has.
pub fn debian(root: &Path) -> anyhow::Result<()> {
    fresh(root)?;
    for name in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        symlink(Path::new("usr").join(name), root.join(name))?;
    }
    let list = root.with_extension("list");
    fs::write(&list, files_of(&required_packages()?)?.join("\n"))?;
    let copy = "tar --create --directory / --no-recursion --files-from \"$1\" | \
                tar --extract --directory \"$2\" --keep-directory-symlink";
    command::run(Command::new("sh").args(["-c", copy, "sh"]).arg(&list).arg(root))?;
    for name in ["dev", "proc", "root", "tmp", "var/lib"] {
        fs::create_dir_all(root.join(name))?;
    }
    for name in ["passwd", "group"] {
        fs::copy(format!("/usr/share/base-passwd/{name}.master"), root.join("etc").join(name))?;
    }
    // Which modules ask for a password is put together by scripts of the packages.
    command::run(Command::new("cp").args(["--recursive", "/etc/pam.d"]).arg(root.join("etc")))?;
    command::run(Command::new("chmod").arg("1777").arg(root.join("tmp")))
}

/// An empty one.
pub fn scratch(root: &Path) -> anyhow::Result<()> {
    fresh(root)?;
    for name in ["dev", "proc"] {
        fs::create_dir_all(root.join(name))?;
    }
    Ok(())
}

/// The same files once more, for a container or a stage that goes on from there.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fresh(to)?;
    let content = from.join(".");
    command::run(Command::new("cp").args(["--archive", "--reflink=auto"]).arg(content).arg(to))
}

/// Where a path of an image is for us: links in it mean what they mean there.
pub fn outside(root: &Path, path: &str) -> PathBuf {
    let mut inside = PathBuf::new();
    for name in path.split('/').filter(|name| !name.is_empty()) {
        inside.push(name);
        if let Ok(link) = fs::read_link(root.join(&inside))
            && let Ok(target) = link.strip_prefix("/")
        {
            inside = target.to_owned();
        }
    }
    root.join(inside)
}

fn fresh(root: &Path) -> anyhow::Result<()> {
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| root.display().to_string())?;
    }
    fs::create_dir_all(root).with_context(|| root.display().to_string())
}

/// Packages of priority `required` with all they need.
fn required_packages() -> anyhow::Result<Vec<String>> {
    let listed = output("dpkg-query", &["--show", "--showformat=${Package} ${Priority}\\n"])?;
    let required: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(" required")).collect();
    ensure!(!required.is_empty(), "dpkg knows no required package");
    let mut arguments = vec!["depends", "--recurse", "--installed", "--no-recommends", "--no-suggests"];
    arguments.extend(["--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"]);
    arguments.extend(&required);
    // Names at the begin of a line; what they depend on is indented, and comes again as a name.
    let depends = output("apt-cache", &arguments)?;
    let is_name = |line: &&str| line.starts_with(|first: char| first.is_ascii_alphanumeric());
    let mut names: Vec<String> = depends.lines().filter(is_name).map(str::to_owned).collect();
    names.extend(required.into_iter().map(str::to_owned));
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn files_of(packages: &[String]) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for package in packages {
        // A name that only others provide has no files.
        let Ok(listed) = output("dpkg", &["--listfiles", package]) else { continue };
        let wanted = |path: &&str| path.len() > 1 && !LEFT_OUT.iter().any(|left_out| path.starts_with(left_out));
        let there = |path: &&str| fs::symlink_metadata(path).is_ok();
        files.extend(listed.lines().filter(wanted).filter(there).map(|path| path.trim_start_matches('/').to_owned()));
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().context(program.to_owned())?;
    ensure!(output.status.success(), "{program} ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let root = std::env::temp_dir().join(format!("leveret-root-{}", std::process::id()));
        fresh(&root).unwrap();
        symlink("/opt/plugins", root.join("plugins")).unwrap();
        let found = outside(&root, "/plugins/x.ez");
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, root.join("opt/plugins/x.ez"));
    }
}
