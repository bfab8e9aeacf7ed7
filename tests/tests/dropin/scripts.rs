//! Entry scripts: what people start in place of the server.

use leveret_tests::broker::skip_without_process;
use leveret_tests::prelude::*;

use crate::host::{Host, text};

#[test]
fn a_script_may_seed_the_server_that_it_becomes() {
    if skip_without_process("a_script_may_seed_the_server_that_it_becomes") {
        return;
    }
    let host = Host::new();
    let script = "(rabbitmqctl wait --pid $$ --timeout 120 && rabbitmqctl add_user app secret \
                  && rabbitmqctl set_user_tags app administrator && rabbitmqctl set_permissions -p / app '.*' '.*' '.*' \
                  && rabbitmqctl delete_user guest) & exec rabbitmq-server";
    let mut server = host.spawn(&["bash", "-c", script]);
    server.wait_until(|_| host.knows("app", "secret") && !host.knows("guest", "guest"), "the script has seeded it");
    server.stop();
}

#[test]
fn a_detached_server_is_stopped_by_its_command() {
    if skip_without_process("a_detached_server_is_stopped_by_its_command") {
        return;
    }
    let host = Host::new();
    let started = host.run(&["rabbitmq-server", "-detached"]);
    assert!(started.status.success(), "{}", text(&started));
    let up = host.run(&["rabbitmqctl", "await_startup", "--timeout", "120"]);
    assert!(up.status.success(), "{}", text(&up));
    let imported =
        host.shell("echo '{\"vhosts\":[{\"name\":\"v\"}]}' > d.json && rabbitmqctl import_definitions d.json");
    assert!(imported.status.success(), "{}", text(&imported));
    let stopped = host.run(&["rabbitmqctl", "stop"]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    let begin = Instant::now();
    while host.run(&["rabbitmq-diagnostics", "-q", "ping"]).status.success() {
        assert!(begin.elapsed() < PATIENCE, "it still runs");
    }
    // And again in the foreground, with what was imported.
    let server = host.start();
    let vhosts = text(&host.run(&["rabbitmqctl", "-q", "list_vhosts"]));
    assert!(vhosts.lines().any(|line| line == "v"), "{vhosts}");
    server.stop();
}

#[test]
fn a_background_server_is_replaced_by_one_in_the_foreground() {
    if skip_without_process("a_background_server_is_replaced_by_one_in_the_foreground") {
        return;
    }
    let host = Host::new();
    let script = "rabbitmq-server & rabbitmqctl await_startup --timeout 120 && rabbitmqctl add_vhost v \
                  && rabbitmqctl stop && wait && exec rabbitmq-server";
    let mut server = host.spawn(&["bash", "-c", script]);
    let started_twice = |server: &crate::host::Server| server.output().matches("Server startup complete").count() == 2;
    server.wait_until(started_twice, "the second server is up");
    let vhosts = text(&host.run(&["rabbitmqctl", "-q", "list_vhosts"]));
    assert!(vhosts.lines().any(|line| line == "v"), "{vhosts}");
    server.stop();
}

#[test]
fn an_application_is_stopped_reset_and_started() {
    if skip_without_process("an_application_is_stopped_reset_and_started") {
        return;
    }
    let host = Host::new();
    let server = host.start();
    assert!(host.run(&["rabbitmqctl", "add_vhost", "v"]).status.success());
    let reset =
        host.shell("rabbitmqctl stop_app && rabbitmqctl reset && rabbitmqctl start_app && rabbitmqctl await_startup");
    assert!(reset.status.success(), "{}", text(&reset));
    let vhosts = text(&host.run(&["rabbitmqctl", "-q", "list_vhosts"]));
    assert!(!vhosts.lines().any(|line| line == "v"), "{vhosts}");
    assert!(host.knows("guest", "guest"));
    server.stop();
}
