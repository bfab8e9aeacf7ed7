//! Which steps make up each command.

use crate::broker::{self, Broker};
use crate::command;
use crate::plan::Plan;
use crate::workspace::Workspace;
use crate::{arrows, codegen, deny, dropin, image, interop, package, pages, torture};

const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

/// What a developer runs after each change: minutes, no broker.
pub fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let mut plan = Plan::default();
    text_steps(&mut plan, workspace);
    plan.step("clippy", || clippy(workspace, &["--workspace"]));
    plan.step("unit tests of the libraries", || cargo_test(workspace, workspace.libraries(), &["--lib"]));
    plan.finish()
}

/// What must hold before a change is handed in; CI runs this.
pub fn test(workspace: &Workspace) -> anyhow::Result<()> {
    let mut plan = Plan::default();
    text_steps(&mut plan, workspace);
    plan.step("clippy", || clippy(workspace, &["--workspace", "--all-targets", "--all-features"]));
    plan.step("docs", || {
        command::run(workspace.cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    });
    plan.step("unit and property tests", || {
        let packages = workspace.libraries().chain(["xtask"]);
        cargo_test(workspace, packages, &["--lib", "--bins", "--tests", "--features", "leveret/ldap"])
    });
    plan.step("crash points of the store", || crash_model(workspace));
    plan.step("documentation tests", || cargo_test(workspace, workspace.libraries(), &["--doc"]));
    if plan.step("build the broker", || broker::build(workspace)) {
        let broker = Broker::Built(workspace.broker_binary());
        broker_steps(&mut plan, workspace, &broker);
    } else {
        let why = "there is no broker to test";
        plan.skip(BLACKBOX, why);
        plan.skip(TORTURE, why);
        package::step_names().into_iter().chain(image::step_names()).for_each(|name| plan.skip(name, why));
        interop::step_names(workspace).into_iter().for_each(|name| plan.skip(name, why));
    }
    deny::steps(&mut plan, workspace);
    plan.finish()
}

/// The protocol tests alone.
pub fn blackbox(workspace: &Workspace, peer: bool) -> anyhow::Result<()> {
    let broker = Broker::ready(workspace, peer)?;
    let mut plan = Plan::default();
    plan.step(BLACKBOX, || run_blackbox(workspace, &broker));
    plan.finish()
}

const BLACKBOX: &str = "black-box tests";
const TORTURE: &str = "kill -9 under load";

/// The steps that need no build of the broker's crates.
fn text_steps(plan: &mut Plan, workspace: &Workspace) {
    plan.step("format", || command::run(&mut workspace.cargo(&["fmt", "--all", "--check"])));
    plan.step("generated code", || codegen::run(true));
    plan.step("arrows between crates", || arrows::check(workspace));
    plan.step("links of the pages", || pages::check(workspace));
    plan.step("proofs of docs/drop-in.md", || dropin::check(workspace));
}

fn broker_steps(plan: &mut Plan, workspace: &Workspace, broker: &Broker) {
    plan.step(BLACKBOX, || run_blackbox(workspace, broker));
    package::steps(plan, workspace, &workspace.broker_binary());
    image::steps(plan, workspace, &workspace.broker_binary());
    interop::steps(plan, workspace, workspace.broker_binary());
    plan.step(TORTURE, || torture::rounds(workspace, broker, &torture::TortureArgs::short()));
}

/// The store on a simulated disk that fails at every point. Optimized: there are very many.
fn crash_model(workspace: &Workspace) -> anyhow::Result<()> {
    let args = ["test", "--release", "--package", "leveret-store", "--test", "crash", "--", "--include-ignored"];
    command::run(&mut workspace.cargo(&args))
}

fn run_blackbox(workspace: &Workspace, broker: &Broker) -> anyhow::Result<()> {
    let mut suite = workspace.cargo(&["test", "--no-fail-fast", "--package", "leveret-tests"]);
    broker.tell(&mut suite);
    command::run(&mut suite)
}

fn clippy(workspace: &Workspace, scope: &[&str]) -> anyhow::Result<()> {
    command::run(workspace.cargo(&["clippy"]).args(scope).args(DENY_WARNINGS))
}

fn cargo_test<'a>(
    workspace: &Workspace,
    packages: impl Iterator<Item = &'a str>,
    kinds: &[&str],
) -> anyhow::Result<()> {
    let mut test = workspace.cargo(&["test", "--no-fail-fast"]);
    for package in packages {
        test.args(["--package", package]);
    }
    command::run(test.args(kinds))
}
