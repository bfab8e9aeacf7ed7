//! Bounds of what comes in before AMQP does, and of what others are asked.

/// Longest line of version 1 of the PROXY protocol, by its specification.
pub const PROXY_LINE_BYTES_MAX: usize = 107;

/// Most octets behind the fixed part of a header of version 2: addresses, and what else proxies tell.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;

/// Most answers of a back end that are kept: of each connection about rights, and of the cache about logins.
pub const AUTH_ANSWERS_MAX: usize = 4096;

/// Largest body that a server may answer with who is asked about logins or keys.
pub const WEB_BODY_BYTES_MAX: usize = 1024 * 1024;
