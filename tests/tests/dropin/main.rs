//! What RabbitMQ's users have around their broker, in the shape in which they have it: their environment, their files,
//! the commands of their health checks and scripts, and what their programs wait for.

mod commands;
mod compose;
mod definitions;
mod environment;
mod host;
mod http;
mod logs;
mod packages;
mod scripts;
