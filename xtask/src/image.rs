//! `cargo xtask image`: does what the Dockerfile says without a container engine, starts the result in namespaces of its
//! own, and does with it what users do.
//!
//! The broker is not built again: the one that is there stands for stage `compile`. The folder of a Debian image is made
//! of the packages of the Debian that runs here.

mod build;
mod container;
mod dockerfile;
mod root;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::plan::Plan;
use crate::workspace::Workspace;
use build::{Build, Image};

/// The stage whose work the built broker stands for, and where it would leave it.
const COMPILE_STAGE: &str = "compile";
const COMPILED: &str = "out/leveret";
/// What a program is looked for in when an image does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What people build on the image.
const DERIVED: &str = "packaging/image/derived";

const STEP: &str = "image";
const STEP_DERIVED: &str = "image: built upon";
const STEP_DISTROLESS: &str = "image: distroless";

/// The command.
pub fn image(workspace: &Workspace) -> anyhow::Result<()> {
    let binary = crate::broker::binary(workspace)?;
    let mut plan = Plan::default();
    steps(&mut plan, workspace, &binary);
    plan.finish()
}

/// The image as part of the full test.
pub fn steps(plan: &mut Plan, workspace: &Workspace, binary: &Path) {
    if let Err(why) = possible() {
        step_names().into_iter().for_each(|name| plan.skip(name, &format!("{why:#}")));
        return;
    }
    let home = workspace.target.join("image");
    let Some(images) = plan.attempt(STEP, true, || default_image(workspace, &home, binary)) else {
        let why = "there is no image";
        [STEP_DERIVED, STEP_DISTROLESS].into_iter().for_each(|name| plan.skip(name, why));
        return;
    };
    plan.step(STEP_DERIVED, || derived_image(workspace, &home, &images));
    plan.step_unless(STEP_DISTROLESS, || distroless_image(workspace, &home, images, binary));
    // Hundreds of megabytes; the logs beside them are kept.
    for entry in fs::read_dir(&home).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The names of all that [`steps`] runs.
pub fn step_names() -> [&'static str; 3] {
    [STEP, STEP_DERIVED, STEP_DISTROLESS]
}

fn possible() -> anyhow::Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "only root can make namespaces and users");
    ensure!(container::possible(), "needs a Debian with python3, and the right to make namespaces");
    Ok(())
}

fn stages(workspace: &Workspace) -> anyhow::Result<Vec<dockerfile::Stage>> {
    let path = workspace.root.join("Dockerfile");
    dockerfile::parse(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())
}

/// Builds the stages that `docker build` would build, and tries the last.
fn default_image(workspace: &Workspace, home: &Path, binary: &Path) -> anyhow::Result<Vec<(String, Image)>> {
    let stages = stages(workspace)?;
    let compiled = compiled(home, binary)?;
    let mut build = Build { context: &workspace.root, home, images: vec![(COMPILE_STAGE.to_owned(), compiled)] };
    let last = stages.last().context("no stage")?;
    let base = stages.iter().find(|stage| stage.name.as_deref() == Some(&last.base)).context("no stage it is from")?;
    build.stage(base)?;
    let image = build.stage(last)?;
    trial::default_image(&image, &home.join("default.log"))?;
    Ok(build.images)
}

/// The broker where the stage that compiles it would leave it.
fn compiled(home: &Path, binary: &Path) -> anyhow::Result<Image> {
    let root = home.join(COMPILE_STAGE);
    let place = root.join(COMPILED);
    fs::create_dir_all(place.parent().context("a place without a folder")?)?;
    fs::copy(binary, &place).with_context(|| binary.display().to_string())?;
    Ok(Image { root, ..Image::default() })
}

/// What people build on the image, as they build it on RabbitMQ's.
fn derived_image(workspace: &Workspace, home: &Path, images: &[(String, Image)]) -> anyhow::Result<()> {
    let context = workspace.root.join(DERIVED);
    let stages = dockerfile::parse(&fs::read_to_string(context.join("Dockerfile"))?)?;
    let [stage] = &stages[..] else { anyhow::bail!("one stage is wanted") };
    let (_, image) = images.last().context("no image")?;
    let mut build = Build { context: &context, home, images: vec![("leveret".to_owned(), image.clone())] };
    let image = build.stage(stage)?;
    trial::derived_image(&image, &home.join("derived.log"))
}

/// The image without a shell; the broker has to be a static program.
fn distroless_image(
    workspace: &Workspace,
    home: &Path,
    images: Vec<(String, Image)>,
    binary: &Path,
) -> anyhow::Result<Option<String>> {
    let Some(binary) = static_binary(workspace, binary) else {
        return Ok(Some("there is no static broker; packaging/build-static.sh makes one".to_owned()));
    };
    let stages = stages(workspace)?;
    let stage = stages.iter().find(|stage| stage.base == "scratch").context("no stage from scratch")?;
    let mut build = Build { context: &workspace.root, home, images };
    let image = build.stage(stage)?;
    let broker = root::outside(&image.root, "/usr/local/bin/leveret");
    fs::copy(&binary, &broker).with_context(|| binary.display().to_string())?;
    trial::distroless_image(&image, &home.join("distroless.log"))?;
    Ok(None)
}

/// The broker that was built, if it needs no interpreter; else one that was built for that.
fn static_binary(workspace: &Workspace, binary: &Path) -> Option<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let own = workspace.target.join(target).join("release").join("leveret");
    [binary.to_owned(), own].into_iter().find(|path| is_static(path))
}

/// A dynamic program names its interpreter within its first kilobytes.
fn is_static(path: &Path) -> bool {
    const HEAD_BYTES: usize = 4096;
    const INTERPRETER: &[u8] = b"/ld-";
    fs::read(path).is_ok_and(|bytes| {
        let head = bytes.get(..HEAD_BYTES.min(bytes.len())).unwrap_or_default();
        !head.windows(INTERPRETER.len()).any(|window| window == INTERPRETER)
    })
}
