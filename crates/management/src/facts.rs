//! What clients want to know of a RabbitMQ beside its version: they read it, and branch on it.

/// A version of Erlang that RabbitMQ 4.2 runs on: clients read it.
pub(crate) const ERLANG_VERSION: &str = "27.3.4";

/// The same as Erlang tells it of itself.
pub(crate) const ERLANG_FULL_VERSION: &str =
    "Erlang/OTP 27 [erts-15.2.7] [source] [64-bit] [smp:2:2] [ds:2:2:10] [async-threads:1] [jit:ns]";

/// What does the cryptography.
pub(crate) fn crypto_lib_version() -> &'static str {
    "AWS-LC with rustls"
}
