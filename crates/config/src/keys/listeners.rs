//! Where AMQP is spoken.

use super::{Key, Take};

const MAX: u64 = u64::MAX;

pub(super) const KEYS: &[Key] = &[
    Key::honoured("listeners.tcp", Take::None(|s, _, ()| s.listeners.tcp.clear())),
    Key::honoured("listeners.tcp.$name", Take::Listener(|s, _, listener| s.listeners.tcp.push(listener))),
    Key::honoured("listeners.ssl", Take::None(|s, _, ()| s.listeners.tls.clear())),
    Key::honoured("listeners.ssl.$name", Take::Listener(|s, _, listener| s.listeners.tls.push(listener))),
    Key::honoured("leveret.bind", Take::Address(|s, _, ip| s.listeners.bind = Some(ip))),
    Key::honoured("proxy_protocol", Take::Bool(|s, _, is| s.listeners.proxy_protocol = is)).or("false"),
    Key::honoured(
        "tcp_listen_options.backlog",
        Take::Number(1, 65_535, |s, _, n| s.listeners.backlog = u32::try_from(n).ok()),
    ),
    Key::honoured("tcp_listen_options.nodelay", Take::Bool(|s, _, is| s.listeners.nodelay = is)).or("true"),
    Key::honoured("tcp_listen_options.keepalive", Take::Bool(|s, _, is| s.listeners.keepalive = Some(is))),
    Key::honoured("tcp_listen_options.sndbuf", Take::Number(0, MAX, |s, _, n| s.listeners.send_buffer_bytes = Some(n))),
    Key::honoured(
        "tcp_listen_options.recbuf",
        Take::Number(0, MAX, |s, _, n| s.listeners.receive_buffer_bytes = Some(n)),
    ),
    Key::honoured("handshake_timeout", Take::NumberOrInfinity(|s, _, ms| s.listeners.handshake_timeout_ms = ms))
        .or("10000"),
    Key::honoured("ssl_handshake_timeout", Take::Number(1, MAX, |s, _, ms| s.listeners.tls_handshake_timeout_ms = ms))
        .or("5000"),
];
