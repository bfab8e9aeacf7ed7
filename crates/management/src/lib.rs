//! The HTTP API that RabbitMQ's tools speak, and the metrics that they read.
//!
//! A request is authenticated, its right is looked up, and what it asks is read from the [node](leveret_server) or carried out on
//! it; lists are cut to pages before their rows are filled. Must not depend on: the command line.
#![forbid(unsafe_code)]
