//! What users do with a container, done with ours.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::build::Image;
use super::container::{Container, shown};

/// With a processor that others use too; alone it takes a tenth of a second.
const HEALTH_LIMIT: Duration = Duration::from_secs(120);
/// `docker stop` waits for ten seconds, and then kills.
const STOP_LIMIT: Duration = Duration::from_secs(8);
const RABBITMQ: u32 = 999;
/// A user that no file of the image belongs to.
const STRANGER: &str = "12345:12345";

/// Commands of health checks and of scripts, each as users write it, run by root as `docker exec` does.
const COMMANDS: [&str; 16] = [
    "rabbitmq-diagnostics -q ping",
    "rabbitmq-diagnostics -q check_running && rabbitmq-diagnostics -q check_local_alarms",
    "gosu rabbitmq rabbitmq-diagnostics -q ping",
    "su -s /bin/bash rabbitmq -c 'rabbitmqctl -q status'",
    "rabbitmqctl await_startup --timeout 60",
    "rabbitmqctl wait --pid 1 --timeout 60 | grep \"Applications 'rabbit_and_plugins' are running\"",
    "rabbitmqctl node_health_check",
    "rabbitmqctl authenticate_user guest guest | grep Success",
    "rabbitmqctl add_user keeper secret && rabbitmqctl set_permissions -p / keeper '.*' '.*' '.*'",
    "rabbitmq-plugins is_enabled rabbitmq_management",
    "rabbitmqadmin declare queue name=kept durable=true",
    "rabbitmqadmin queues declare --name modern --type quorum",
    "rabbitmqctl list_queues -q --no-table-headers name | grep kept",
    "test -e /plugins && test -w /var/lib/rabbitmq && test -d /etc/rabbitmq/conf.d",
    "test \"$(id -u rabbitmq):$(id -g rabbitmq)\" = 999:999",
    "exec 3<>/dev/tcp/localhost/5672",
];
/// After the container was stopped and started again with its data.
const COMMANDS_AFTER: [&str; 2] = [
    "rabbitmqctl authenticate_user keeper secret | grep Success",
    "rabbitmqctl list_queues -q --no-table-headers name | grep kept",
];
/// What the files of the derived image say.
const COMMANDS_DERIVED: [&str; 5] = [
    "rabbitmqctl authenticate_user app 'app-secret' | grep Success",
    "rabbitmqctl list_queues -q -p orders --no-table-headers name durable | grep -P '^incoming\\ttrue$'",
    "rabbitmqctl list_policies -q -p orders | grep limit",
    "rabbitmq-plugins is_enabled rabbitmq_shovel",
    "rabbitmq-plugins list -e -m | grep rabbitmq_shovel",
];

/// The image that `docker build` makes.
pub fn default_image(image: &Image, log: &Path) -> anyhow::Result<()> {
    has_metadata(image)?;
    let container = started(image, None, log)?;
    ensure!(container.user_id()? == RABBITMQ, "the broker runs as user {}", container.user_id()?);
    let mut exposed = image.ports.clone();
    exposed.sort_unstable();
    let listening = container.listening_ports()?;
    ensure!(exposed == listening, "EXPOSE says {exposed:?}, but {listening:?} listen");
    each(&container, &COMMANDS)?;
    stopped(container)?;
    let container = started(image, None, log)?;
    each(&container, &COMMANDS_AFTER)?;
    stopped(container)?;
    // `docker run --user`: nobody becomes anybody else, and what is needed can be written all the same.
    std::fs::remove_dir_all(super::root::outside(&image.root, "/var/lib/rabbitmq/mnesia"))?;
    let container = started(image, Some(STRANGER), log)?;
    ensure!(STRANGER.starts_with(&container.user_id()?.to_string()), "--user was not respected");
    stopped(container)
}

/// An image with a configuration, definitions, plugins and an archive of a plugin.
pub fn derived_image(image: &Image, log: &Path) -> anyhow::Result<()> {
    let container = started(image, None, log)?;
    each(&container, &COMMANDS_DERIVED)?;
    let archive = container.path("/opt/rabbitmq/plugins/rabbitmq_example-1.0.ez");
    ensure!(archive.exists(), "{} is not there", archive.display());
    stopped(container)
}

/// The image without a shell.
pub fn distroless_image(image: &Image, log: &Path) -> anyhow::Result<()> {
    has_metadata(image)?;
    let container = started(image, None, log)?;
    ensure!(container.user_id()? == RABBITMQ, "the broker runs as user {}", container.user_id()?);
    for words in [&["rabbitmq-diagnostics", "-q", "ping"][..], &["rabbitmqctl", "-q", "list_queues"]] {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let output = container.exec("999:999", &words)?;
        ensure!(output.status.success(), "{words:?}: {}", shown(&output));
    }
    stopped(container)
}

/// What others read without starting a container.
fn has_metadata(image: &Image) -> anyhow::Result<()> {
    let label = ("org.springframework.boot.service-connection".to_owned(), "rabbitmq".to_owned());
    ensure!(image.labels.contains(&label), "Spring Boot looks for the label {label:?}");
    ensure!(image.volumes.iter().any(|volume| volume == "/var/lib/rabbitmq"), "the data is no volume");
    let start_interval = image.health.options.iter().find(|(name, _)| name == "start-interval");
    ensure!(start_interval.is_some(), "without a start interval, others wait for us for nothing");
    Ok(())
}

fn started(image: &Image, user: Option<&str>, log: &Path) -> anyhow::Result<Container> {
    let mut container = Container::start(image, user, &[], log)?;
    let took = container.await_health(HEALTH_LIMIT)?;
    println!("   healthy after {} ms", took.as_millis());
    Ok(container)
}

fn stopped(container: Container) -> anyhow::Result<()> {
    let took = container.stop()?;
    println!("   stopped after {} ms", took.as_millis());
    ensure!(took < STOP_LIMIT, "the stop took {took:?}");
    Ok(())
}

fn each(container: &Container, commands: &[&str]) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for command in commands {
        let script = format!("set -o pipefail; {command}");
        let words = ["bash", "-c", &script].map(str::to_owned);
        let output = container.exec("0:0", &words).with_context(|| (*command).to_owned())?;
        if !output.status.success() {
            failed.push(format!("`{command}`: {}", shown(&output)));
        }
    }
    ensure!(failed.is_empty(), "{} of {} commands fail:\n{}", failed.len(), commands.len(), failed.join("\n"));
    println!("   {} commands work", commands.len());
    Ok(())
}
