//! What packages bring along beside the program, drawn from the same description as its own help.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use crate::cli::Cli;

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Generated {
    /// Manual pages, a file a command.
    Man,
    /// Completions for bash, zsh and fish, a folder a shell.
    Completions,
}

/// The shells, and the name by which each looks for the completions of a command.
const SHELLS: [(Shell, &str); 3] = [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")];

/// Writes into a folder, which is made if it is not there.
pub(crate) fn write(what: Generated, folder: &Path) -> io::Result<()> {
    match what {
        Generated::Man => manual_pages(folder),
        Generated::Completions => completions(folder),
    }
}

/// The program, and the tools that it is by other names.
fn commands() -> impl Iterator<Item = Command> {
    let tools = leveret_cli::PERSONALITIES.iter().filter_map(|name| leveret_cli::clap_command(name));
    std::iter::once(Cli::command()).chain(tools)
}

fn manual_pages(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for command in commands() {
        let page = folder.join(format!("{}.1", command.get_name()));
        clap_mangen::Man::new(command).render(&mut File::create(page)?)?;
    }
    // What it is called by as a service has no description of its own.
    fs::write(folder.join("rabbitmq-server.1"), ".so man1/leveret.1\n")
}

fn completions(folder: &Path) -> io::Result<()> {
    for (shell, name) in SHELLS {
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        for mut command in commands() {
            let name = command.get_name().to_owned();
            clap_complete::generate_to(shell, &mut command, name, &folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_page_and_its_completions() {
        let folder = tempfile::tempdir().unwrap();
        write(Generated::Man, &folder.path().join("man")).unwrap();
        write(Generated::Completions, &folder.path().join("completions")).unwrap();
        let page = fs::read_to_string(folder.path().join("man/leveret.1")).unwrap();
        assert!(page.contains("management\\-port"), "{page}");
        for file in [
            "man/rabbitmqctl.1",
            "man/rabbitmq-server.1",
            "completions/bash/rabbitmqctl.bash",
            "completions/zsh/_leveret",
        ] {
            assert!(folder.path().join(file).exists(), "{file}");
        }
    }
}
