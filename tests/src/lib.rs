//! What the black-box tests stand on: a broker to test and a client that can say anything, right or wrong.
//!
//! Without `AMQP_URL` the tests start the built binary (`LEVERET_BIN`, or the one under `target/`). With it they use the
//! broker it names; `LEVERET_PEER=rabbitmq` then says that this is RabbitMQ 3.10, against which the tests themselves are
//! proved.

pub mod broker;
pub mod disk;
pub mod home;
pub mod ports;
pub mod prelude;
pub mod raw;
pub mod speed;
pub mod stream;

pub use broker::Broker;
pub use home::Home;
