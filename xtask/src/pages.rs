//! Keeps the pages true: every file that they lead to is there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::workspace::Workspace;

/// Pages at the root; those below `docs/` and `spec/` are found.
const ROOT_PAGES: &[&str] = &["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
/// The page whose every `path/in/backticks` is a promise, not only its links.
const MAP: &str = "docs/map.md";

/// Fails with every link, and every path on the map, that leads nowhere.
pub fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let root = &workspace.root;
    let mut pages: Vec<PathBuf> = ROOT_PAGES.iter().map(|page| root.join(page)).collect();
    pages.extend(markdown_files(&root.join("docs"))?);
    pages.extend(markdown_files(&root.join("spec"))?);
    let mut faults = Vec::new();
    for page in &pages {
        let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
        let folder = page.parent().unwrap_or(root);
        let mut targets: Vec<PathBuf> = links(&text).into_iter().map(|link| folder.join(link)).collect();
        if *page == root.join(MAP) {
            targets.extend(paths_in_backticks(&text).into_iter().map(|path| root.join(path)));
        }
        let missing = targets.iter().filter(|target| !target.exists());
        faults.extend(missing.map(|target| format!("{} leads to {}", page.display(), target.display())));
    }
    if !faults.is_empty() {
        bail!("{} dead ends:\n{}", faults.len(), faults.join("\n"));
    }
    println!("{} pages lead where they say", pages.len());
    Ok(())
}

fn markdown_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(markdown_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The files that `[text](file#part)` leads to; other sites and parts of the same page are left out.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(link, _)| link.split('#').next().unwrap_or(link))
        .filter(|link| !link.is_empty() && !link.contains("://"))
        .collect()
}

/// Code spans that look like a path from the root: a slash, and nothing that a path of ours never has.
fn paths_in_backticks(text: &str) -> Vec<&str> {
    let is_path = |span: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        span.contains('/') && !span.starts_with('/') && span.chars().all(plain)
    };
    // Between backticks is every second piece.
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(is_path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_are_found() {
        let text = "see [a](docs/a.md), [b](b.md#part), [c](#here) and [d](https://example.org/x)";
        assert_eq!(links(text), ["docs/a.md", "b.md"]);
    }

    #[test]
    fn paths_are_told_from_code() {
        let text = "| why | `crates/codec/src/frame.rs`, `tests/` | `a / b` `/x` `Vec<u8>` `word`\n`docs/x.md`";
        assert_eq!(paths_in_backticks(text), ["crates/codec/src/frame.rs", "tests/", "docs/x.md"]);
    }

    #[test]
    fn a_page_that_leads_nowhere_is_a_fault() {
        let root = std::env::temp_dir().join(format!("leveret-pages-{}", std::process::id()));
        for folder in ["docs", "spec"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for page in ROOT_PAGES {
            fs::write(root.join(page), "[map](docs/map.md)").unwrap();
        }
        fs::write(root.join(MAP), "`docs/map.md`").unwrap();
        let workspace = Workspace { root: root.clone(), target: root.join("target"), packages: Vec::new() };
        let good = check(&workspace);
        fs::write(root.join(MAP), "`docs/gone.md`").unwrap();
        let bad = check(&workspace);
        fs::remove_dir_all(&root).unwrap();
        good.unwrap();
        assert!(bad.unwrap_err().to_string().contains("gone.md"));
    }
}
