//! The command-line tools: `leveretctl`, and `rabbitmqctl`, `rabbitmq-diagnostics`, `rabbitmqadmin` and their like by name.
//!
//! A command is a few requests to a broker's HTTP API, by its local socket or by TCP, and a way to print the answer as RabbitMQ's
//! tools do. Must not depend on: the broker's crates; it works with a broker that runs.
#![forbid(unsafe_code)]
