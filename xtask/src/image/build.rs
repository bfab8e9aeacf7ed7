//! Does what a Dockerfile says, instruction by instruction, in folders.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::dockerfile::{Copy, Health, Instruction, Stage};
use super::{container, root};
use crate::command;

/// An image: its files, and what a container of it begins with.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub root: PathBuf,
    pub env: Vec<(String, String)>,
    pub user: Option<String>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub ports: Vec<u16>,
    pub volumes: Vec<String>,
    pub labels: Vec<(String, String)>,
    pub health: Health,
    pub stop_signal: String,
}

/// What the instructions work with.
pub struct Build<'a> {
    /// The folder that COPY copies from.
    pub context: &'a Path,
    /// Where the folders of the stages are.
    pub home: &'a Path,
    /// Images and stages by their names: those that are not built here are given.
    pub images: Vec<(String, Image)>,
}

impl Build<'_> {
    /// Builds a stage and keeps it by its name.
    pub fn stage(&mut self, stage: &Stage) -> anyhow::Result<Image> {
        let name = stage.name.clone().unwrap_or_else(|| stage.base.replace(['/', ':'], "-") + "-derived");
        println!("   stage {name}, from {}", stage.base);
        let mut image = self.begin(stage, &name)?;
        for instruction in &stage.instructions {
            self.apply(&mut image, instruction).with_context(|| format!("stage {name}: {instruction:?}"))?;
        }
        self.images.push((name, image.clone()));
        Ok(image)
    }

    fn begin(&self, stage: &Stage, name: &str) -> anyhow::Result<Image> {
        let folder = self.home.join(name);
        if let Some(base) = self.known(&stage.base) {
            root::copy(&base.root, &folder)?;
            return Ok(Image { root: folder, ..base.clone() });
        }
        match stage.base.as_str() {
            "scratch" => root::scratch(&folder)?,
            base if base.starts_with("debian:") => root::debian(&folder)?,
            base => bail!("{base} cannot be made here"),
        }
        Ok(Image { root: folder, ..Image::default() })
    }

    fn known(&self, name: &str) -> Option<&Image> {
        self.images.iter().find(|(known, _)| known == name).map(|(_, image)| image)
    }

    fn apply(&self, image: &mut Image, instruction: &Instruction) -> anyhow::Result<()> {
        match instruction {
            // As root: that is the user of that moment in all of ours.
            Instruction::Run(script) => container::run_in(image, &["/bin/sh", "-c", script])?,
            Instruction::Copy(copy) => self.copy(image, copy)?,
            Instruction::Env(pairs) => {
                for (name, value) in pairs {
                    image.env.retain(|(known, _)| known != name);
                    image.env.push((name.clone(), value.clone()));
                }
            }
            Instruction::Label(pairs) => image.labels.extend(pairs.iter().cloned()),
            Instruction::User(user) => image.user = Some(user.clone()),
            Instruction::Workdir(folder) => fs::create_dir_all(root::outside(&image.root, folder))?,
            Instruction::Volume(path) => image.volumes.push(path.clone()),
            Instruction::Expose(ports) => image.ports.extend(ports),
            Instruction::StopSignal(signal) => image.stop_signal.clone_from(signal),
            Instruction::Healthcheck(health) => image.health.clone_from(health),
            Instruction::Entrypoint(words) => {
                image.entrypoint.clone_from(words);
                // What the base would have run is none of this entrypoint's.
                image.command.clear();
            }
            Instruction::Cmd(words) => image.command.clone_from(words),
        }
        Ok(())
    }

    fn copy(&self, image: &Image, copy: &Copy) -> anyhow::Result<()> {
        let from = match &copy.from {
            None => self.context,
            Some(name) => &self.known(name).with_context(|| format!("there is no stage {name}"))?.root,
        };
        let target = root::outside(&image.root, &copy.target);
        for source in &copy.sources {
            let source = from.join(source.trim_start_matches('/'));
            let to = place(&source, &target, copy)?;
            // A folder's content is copied, not the folder.
            let what = if source.is_dir() { source.join(".") } else { source };
            let mut copying = Command::new("cp");
            copying.args(["--recursive", "--no-dereference", "--preserve=mode", "--remove-destination"]);
            command::run(copying.arg(what).arg(&to))?;
            if let Some(owner) = &copy.owner {
                let owner = owner_ids(&image.root, owner)?;
                command::run(Command::new("chown").args(["--recursive", "--no-dereference", &owner]).arg(&to))?;
            }
        }
        Ok(())
    }
}

/// The numbers of an owner: names mean what the image's own files say.
fn owner_ids(root: &Path, owner: &str) -> anyhow::Result<String> {
    let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
    Ok(format!("{}:{}", id(root, "etc/passwd", user)?, id(root, "etc/group", group)?))
}

fn id(root: &Path, file: &str, name: &str) -> anyhow::Result<String> {
    if name.parse::<u32>().is_ok() {
        return Ok(name.to_owned());
    }
    let text = fs::read_to_string(root.join(file))?;
    let fields =
        text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&name));
    let id = fields.as_ref().and_then(|fields| fields.get(2)).with_context(|| format!("{file} has no {name}"))?;
    Ok((*id).to_owned())
}

/// Where a source goes: into a folder when the target is one or must be.
fn place(source: &Path, target: &Path, copy: &Copy) -> anyhow::Result<PathBuf> {
    let into = source.is_dir() || copy.sources.len() > 1 || copy.target.ends_with('/') || target.is_dir();
    if !into {
        fs::create_dir_all(target.parent().context("a target without a folder")?)?;
        return Ok(target.to_owned());
    }
    fs::create_dir_all(target)?;
    if source.is_dir() {
        return Ok(target.to_owned());
    }
    Ok(target.join(source.file_name().context("a source without a name")?))
}
