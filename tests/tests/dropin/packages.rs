//! What systemd is told, and whether what packages and images bring along says what is so.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use leveret_tests::broker::{self, skip_without_process};
use leveret_tests::prelude::*;

use crate::host::Host;

const UNIT: &str = "../packaging/debian/leveret.service";

/// The next words for the service manager.
fn told(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).expect("the service manager is told something in time");
    String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned()
}

fn told_until(socket: &UnixDatagram, word: &str) {
    while !told(socket).lines().any(|line| line == word) {}
}

#[test]
fn the_service_manager_is_told_of_the_start_a_reload_and_the_end() {
    if skip_without_process("the_service_manager_is_told_of_the_start_a_reload_and_the_end") {
        return;
    }
    let mut host = Host::new();
    let socket = UnixDatagram::bind(host.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    host.set("NOTIFY_SOCKET", &host.shown("notify"));
    let server = host.spawn(&["rabbitmq-server"]);
    told_until(&socket, "READY=1");
    // By then it serves.
    assert!(host.run(&["rabbitmq-diagnostics", "-q", "check_port_connectivity"]).status.success());
    broker::send_signal(server.pid(), "HUP").unwrap();
    told_until(&socket, "READY=1");
    broker::send_signal(server.pid(), "TERM").unwrap();
    told_until(&socket, "STOPPING=1");
    let mut server = server;
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn the_unit_is_sound() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join(UNIT);
    let text = std::fs::read_to_string(&unit).unwrap();
    for line in ["Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "Alias=rabbitmq-server.service", "User=rabbitmq"]
    {
        assert!(text.lines().any(|other| other == line), "{line} is not in the unit");
    }
    let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&unit).output() else {
        println!("there is no systemd-analyze here: the unit's text alone was looked at");
        return;
    };
    // What is not installed is no fault of the unit's.
    let excused = ["not executable", "is not installed", "does not exist", "Failed to", "man"];
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let faults: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("leveret.service") && !excused.iter().any(|excuse| line.contains(excuse)))
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn image_tags_have_rabbitmqs_shapes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker-bake.hcl");
    let text = std::fs::read_to_string(file).unwrap();
    for tag in ["latest", "management", "4", "4-management", "4-management-alpine", "3.13-management", "4-alpine"] {
        assert!(text.contains(&format!("\"{tag}\"")), "no image is tagged {tag}");
    }
}
