//! What the lapin tests and the tutorial programs share.
//!
//! The tests are in `tests/`, one file a topic, and are meant to be read: each shows how a messaging pattern is written
//! with [lapin](https://docs.rs/lapin) and says what the broker does in return. `examples/` holds the seven RabbitMQ
//! tutorials as programs to run by hand:
//!
//! ```text
//! cargo run -p leveret-interop-lapin --example receive
//! cargo run -p leveret-interop-lapin --example send
//! ```

pub mod program;
pub mod refusal;
pub mod scenario;
pub mod tutorial;
