//! A RabbitMQ node on a directory of its own, to prove what tests expect of a restart.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::broker::Broker;
use crate::ports::free_ports;

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const NODE: &str = "leveret-home@localhost";
const PORT_FILE: &str = "port-mapper";

/// Starts a node on the directory, new or used.
pub fn start(home: &Path) -> Result<Broker> {
    fs::create_dir_all(home.join("mnesia"))?;
    fs::create_dir_all(home.join("log"))?;
    fs::write(home.join("enabled_plugins"), "[].\n")?;
    let [amqp, distribution, port_mapper] = free_ports();
    // The port mapper outlives its nodes, so that the nodes of a directory have one in common.
    let port_file = home.join(PORT_FILE);
    if !port_file.exists() {
        fs::write(&port_file, port_mapper.to_string())?;
    }
    let port_mapper = fs::read_to_string(&port_file)?;
    let mut command = Command::new(SERVER);
    command
        // Then the shell becomes the node, and its process can be killed.
        .env("RABBITMQ_ALLOW_INPUT", "1")
        .current_dir(home)
        .env("HOME", home)
        .env("RABBITMQ_BASE", home)
        .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", home.join("log"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
        .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq"))
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", amqp.to_string())
        .env("RABBITMQ_DIST_PORT", distribution.to_string())
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-noinput -kernel inet_dist_use_interface {127,0,0,1}")
        .env("ERL_EPMD_PORT", port_mapper)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1");
    Broker::spawn_at(command, SocketAddr::from((Ipv4Addr::LOCALHOST, amqp)))
}

/// Ends what a node leaves running.
pub fn clean_up(home: &Path) {
    if let Ok(port) = fs::read_to_string(home.join(PORT_FILE)) {
        let _ = Command::new("epmd").args(["-port", &port, "-kill"]).output();
    }
}
