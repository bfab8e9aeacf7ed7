//! What a broker is told: `rabbitmq.conf` and its companions, RabbitMQ's environment variables, Leveret's own file and flags,
//! and what they come to.
//!
//! Pure but for reading the files named: text and environment go in, [settings](settings::Settings) with the origin of each
//! and warnings come out. Must not depend on: any other crate of Leveret, so that the command-line tools can use it.
#![forbid(unsafe_code)]

mod advanced;
mod conf;
mod environment;
mod erlang;
mod guess;
pub mod keys;
mod limits;
mod load;
mod origin;
mod query;
pub mod settings;
mod toml_file;
pub mod value;

pub use environment::Environment;
pub use load::{ConfigError, Explained, Flag, Loaded, Sources, load};
pub use origin::Origin;
pub use settings::Settings;
