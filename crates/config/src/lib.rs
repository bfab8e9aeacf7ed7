//! What a broker is told: `rabbitmq.conf` and its companions, RabbitMQ's environment variables, Leveret's own file and flags,
//! and what they come to.
//!
//! Pure but for reading the files named: text and environment go in, [settings](settings::Settings) with the origin of each
//! and warnings come out. Must not depend on: any other crate of Leveret, so that the command-line tools can use it.
#![forbid(unsafe_code)]

pub mod settings;
