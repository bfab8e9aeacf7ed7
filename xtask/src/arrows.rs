//! Keeps the direction of the dependencies between the crates: codec <- engine <- {session, store} <- server <- management <-
//! leveret; config <- {cli, leveret}.
//!
//! Two things are compared with the table below: what each `Cargo.toml` asks for, and, in the pure crates, which parts
//! of the standard library the source names. A new package needs a row here first.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::workspace::{Dependency, Package, Workspace};

/// What one package may rely on.
struct Rule {
    package: &'static str,
    /// The packages of this workspace it may depend on.
    below: &'static [&'static str],
    /// A pure crate has no socket, file, clock, thread or task, and no source of randomness.
    pure: bool,
    /// What a pure crate may take all the same, behind a feature that is off by default.
    optional: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule { package: "leveret-codec", below: &[], pure: true, optional: &["tokio-util"] },
    Rule { package: "leveret-engine", below: &["leveret-codec"], pure: true, optional: &[] },
    Rule { package: "leveret-session", below: &["leveret-codec", "leveret-engine"], pure: true, optional: &[] },
    Rule { package: "leveret-store", below: &["leveret-codec", "leveret-engine"], pure: false, optional: &[] },
    Rule {
        package: "leveret-server",
        below: &["leveret-codec", "leveret-engine", "leveret-session", "leveret-store"],
        pure: false,
        optional: &[],
    },
    Rule {
        package: "leveret",
        below: &[
            "leveret-bench",
            "leveret-cli",
            "leveret-codec",
            "leveret-config",
            "leveret-engine",
            "leveret-management",
            "leveret-session",
            "leveret-server",
        ],
        pure: false,
        optional: &[],
    },
    Rule {
        package: "leveret-management",
        below: &["leveret-codec", "leveret-engine", "leveret-session", "leveret-server"],
        pure: false,
        optional: &[],
    },
    Rule { package: "leveret-config", below: &[], pure: false, optional: &[] },
    Rule { package: "leveret-cli", below: &["leveret-config"], pure: false, optional: &[] },
    Rule { package: "leveret-bench", below: &["leveret-codec"], pure: false, optional: &[] },
    Rule { package: "leveret-tests", below: &["leveret", "leveret-codec"], pure: false, optional: &[] },
    Rule { package: "leveret-interop-amqprs", below: &[], pure: false, optional: &[] },
    Rule { package: "leveret-interop-lapin", below: &["leveret-tests"], pure: false, optional: &[] },
    Rule { package: "xtask", below: &["leveret-bench"], pure: false, optional: &[] },
];

/// What a crate that is not pure does without all the same: the store has threads of its own.
const NEVER: &[(&str, &str)] = &[("leveret-store", "tokio"), ("leveret-store", "tokio-util")];

/// Crates that give sockets, tasks, clocks or randomness.
const IMPURE_CRATES: &[&str] = &[
    "async-io",
    "async-std",
    "chrono",
    "getrandom",
    "jiff",
    "libc",
    "mio",
    "rand",
    "rustix",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tokio-util",
];

/// The same in source text. `std::time::Duration` is a value and stays allowed.
const IMPURE_PATHS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "tokio::",
    "Instant::now",
    "SystemTime::now",
    "UNIX_EPOCH",
];

/// Fails with every arrow that points the wrong way.
pub fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let ours: Vec<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in &workspace.packages {
        match RULES.iter().find(|rule| rule.package == package.name) {
            None => faults.push(format!("{} has no row in xtask/src/arrows.rs", package.name)),
            Some(rule) => {
                faults.extend(dependency_faults(rule, package, &ours));
                if rule.pure {
                    faults.extend(source_faults(workspace, package)?);
                }
            }
        }
    }
    if !faults.is_empty() {
        bail!("{} faults:\n{}", faults.len(), faults.join("\n"));
    }
    println!("{} packages keep to their arrows", ours.len());
    Ok(())
}

fn dependency_faults(rule: &Rule, package: &Package, ours: &[&str]) -> Vec<String> {
    let wrong = |dependency: &&Dependency| {
        let name = dependency.name.as_str();
        if ours.contains(&name) {
            // Tests obey too: a lower crate that needs a higher one for its tests has them in the wrong place.
            // Asking for itself with a feature on, for its tests, is no arrow.
            return name != rule.package && !rule.below.contains(&name);
        }
        if NEVER.contains(&(rule.package, name)) {
            return true;
        }
        let for_tests = dependency.kind.as_deref() == Some("dev");
        let allowed = dependency.optional && rule.optional.contains(&name);
        rule.pure && !for_tests && !allowed && IMPURE_CRATES.contains(&name)
    };
    package
        .dependencies
        .iter()
        .filter(wrong)
        .map(|dependency| format!("{} must not depend on {}", package.name, dependency.name))
        .collect()
}

fn source_faults(workspace: &Workspace, package: &Package) -> anyhow::Result<Vec<String>> {
    let folder = package.manifest_path.with_file_name("src");
    let mut faults = Vec::new();
    for file in rust_files(&folder)? {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let shown = file.strip_prefix(&workspace.root).unwrap_or(&file).display().to_string();
        faults.extend(
            impure_lines(&text)
                .into_iter()
                .map(|(line, path)| format!("{shown}:{line} names {path}, but the crate is pure")),
        );
    }
    Ok(faults)
}

/// The sources below a folder without those that hold only tests.
fn rust_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if stem == "tests" {
            continue;
        }
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Line numbers and what they name, up to the tests at the end of the file; comments may say what they like.
fn impure_lines(text: &str) -> Vec<(usize, &'static str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter_map(|(index, line)| {
            let code = line.split("//").next().unwrap_or_default();
            let path = IMPURE_PATHS.iter().find(|path| code.contains(**path))?;
            Some((index + 1, *path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>, bool)]) -> Package {
        Package {
            name: name.to_owned(),
            manifest_path: PathBuf::new(),
            dependencies: dependencies
                .iter()
                .map(|&(name, kind, optional)| Dependency {
                    name: name.to_owned(),
                    kind: kind.map(str::to_owned),
                    optional,
                })
                .collect(),
        }
    }

    fn faults(name: &str, dependencies: &[(&str, Option<&str>, bool)]) -> Vec<String> {
        let ours: Vec<&str> = RULES.iter().map(|rule| rule.package).collect();
        let rule = RULES.iter().find(|rule| rule.package == name).unwrap();
        dependency_faults(rule, &package(name, dependencies), &ours)
    }

    #[test]
    fn this_workspace_keeps_to_its_arrows() {
        check(&Workspace::load().unwrap()).unwrap();
    }

    #[test]
    fn a_lower_crate_may_not_use_a_higher_one() {
        assert_eq!(
            faults("leveret-engine", &[("leveret-session", None, false), ("leveret-codec", None, false)]),
            ["leveret-engine must not depend on leveret-session"]
        );
        assert_eq!(faults("leveret-engine", &[("leveret-session", Some("dev"), false)]).len(), 1);
        assert_eq!(faults("leveret-bench", &[("leveret-server", None, false)]).len(), 1);
    }

    #[test]
    fn pure_crates_take_no_runtime() {
        assert_eq!(faults("leveret-session", &[("tokio", None, false)]).len(), 1);
        assert_eq!(faults("leveret-session", &[("tokio", None, true)]).len(), 1);
        assert_eq!(faults("leveret-session", &[("tokio", Some("dev"), false)]).len(), 0);
        assert_eq!(faults("leveret-codec", &[("tokio-util", None, false)]).len(), 1);
        assert_eq!(faults("leveret-codec", &[("tokio-util", None, true)]).len(), 0);
        assert_eq!(faults("leveret-server", &[("tokio", None, false)]).len(), 0);
    }

    #[test]
    fn impure_paths_are_found_in_code_only() {
        let text = "// std::fs is for others\nuse std::time::Duration;\nuse std::net::TcpStream;\n\
                    let now = Instant::now(); // clock\n#[cfg(test)]\nuse std::thread;\n";
        assert_eq!(impure_lines(text), [(3, "std::net"), (4, "Instant::now")]);
    }
}
