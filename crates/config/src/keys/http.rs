//! The HTTP API, the metrics, definitions.

use super::{Key, Take};
use crate::settings::{RatesMode, Settings};

const MAX: u64 = u64::MAX;

/// Connections that wait to be accepted: systems count them with 16 bits.
const BACKLOG_MAX: u64 = 65_535;

pub(super) const KEYS: &[Key] = &[
    Key::honoured("management.tcp.port", Take::Port(|s, _, port| s.management.http.port = port)).or("15672"),
    Key::honoured("management.tcp.ip", Take::Address(|s, _, ip| s.management.http.ip = Some(ip))),
    Key::honoured("management.ssl.port", Take::Port(|s, _, port| s.management.http.tls_port = port)),
    Key::honoured("management.ssl.ip", Take::Address(|s, _, ip| s.management.http.tls_ip = Some(ip))),
    Key::honoured(
        "management.tcp.backlog",
        Take::Number(1, BACKLOG_MAX, |s, _, n| s.management.http.backlog = u32::try_from(n).ok()),
    ),
    Key::honoured(
        "management.ssl.backlog",
        Take::Number(1, BACKLOG_MAX, |s, _, n| s.management.http.tls_backlog = u32::try_from(n).ok()),
    ),
    Key::honoured(
        "prometheus.ssl.backlog",
        Take::Number(1, BACKLOG_MAX, |s, _, n| s.prometheus.http.tls_backlog = u32::try_from(n).ok()),
    ),
    Key::honoured("management.listener.port", Take::Port(|s, _, port| s.management.http.port = port)),
    Key::honoured("management.listener.ip", Take::Address(|s, _, ip| s.management.http.ip = Some(ip))),
    Key::honoured(
        "management.listener.ssl",
        // After the port and the address, which come before it in the order of keys.
        Take::Bool(|s, _, is| {
            let http = &mut s.management.http;
            if is {
                (http.tls_port, http.tls_ip) = (http.port.take(), http.ip.take());
            }
        }),
    ),
    Key::honoured(
        "management.path_prefix",
        Take::Text(|s, _, text| s.management.path_prefix = text.trim_end_matches('/').to_owned()),
    )
    .or(""),
    Key::honoured("management.cors.allow_origins", Take::None(|s, _, ()| s.management.cors_origins.clear())),
    Key::honoured(
        "management.cors.allow_origins.$number",
        Take::Text(|s, _, text| s.management.cors_origins.push(text.to_owned())),
    ),
    Key::honoured(
        "management.cors.max_age",
        Take::Number(0, MAX, |s, _, seconds| s.management.cors_max_age_s = Some(seconds)),
    ),
    Key::honoured("management.disable_stats", Take::Bool(|s, _, is| s.management.disable_stats = is)).or("false"),
    Key::honoured(
        "management_agent.disable_metrics_collector",
        Take::Bool(|s, _, is| s.management.disable_stats |= is),
    ),
    Key::honoured("management.enable_queue_totals", Take::Bool(|s, _, is| s.management.enable_queue_totals = is))
        .or("false"),
    Key::honoured("management.disable_basic_auth", Take::Bool(|s, _, is| s.management.disable_basic_auth = is))
        .or("false"),
    Key::honoured(
        "management.restrictions.operator_policy_changes.disabled",
        Take::Bool(|s, _, is| s.management.operator_policies_locked = is),
    )
    .or("false"),
    Key::honoured(
        "management.login_session_timeout",
        Take::Number(0, MAX, |s, _, minutes| s.management.login_session_timeout_min = minutes),
    )
    .or("480"),
    Key::honoured("management.http.max_body_size", Take::Bytes(|s, _, bytes| s.management.body_bytes_max = bytes))
        .or("20971520"),
    Key::honoured(
        "management.rates_mode",
        Take::Choice(&["basic", "detailed", "none"], |s, _, text| {
            s.management.rates_mode = match text {
                "detailed" => RatesMode::Detailed,
                "none" => RatesMode::None,
                _ => RatesMode::Basic,
            }
        }),
    )
    .or("basic"),
    Key::honoured("management.csp.policy", Take::Text(|s, _, text| header(s, "content-security-policy", text))),
    Key::honoured("management.hsts.policy", Take::Text(|s, _, text| header(s, "strict-transport-security", text))),
    Key::honoured(
        "management.headers.content_type_options",
        Take::Text(|s, _, text| header(s, "x-content-type-options", text)),
    ),
    Key::honoured("management.headers.xss_protection", Take::Text(|s, _, text| header(s, "x-xss-protection", text))),
    Key::honoured("management.headers.frame_options", Take::Text(|s, _, text| header(s, "x-frame-options", text))),
    Key::honoured("prometheus.tcp.port", Take::Port(|s, _, port| s.prometheus.http.port = port)).or("15692"),
    Key::honoured("prometheus.tcp.ip", Take::Address(|s, _, ip| s.prometheus.http.ip = Some(ip))),
    Key::honoured("prometheus.ssl.port", Take::Port(|s, _, port| s.prometheus.http.tls_port = port)),
    Key::honoured("prometheus.ssl.ip", Take::Address(|s, _, ip| s.prometheus.http.tls_ip = Some(ip))),
    Key::honoured("prometheus.path", Take::Text(|s, _, text| s.prometheus.path = text.to_owned())).or("/metrics"),
    Key::honoured("prometheus.return_per_object_metrics", Take::Bool(|s, _, is| s.prometheus.per_object = is))
        .or("false"),
    Key::honoured("load_definitions", Take::Path(|s, _, path| s.definitions.path = Some(path.into()))),
    Key::honoured("management.load_definitions", Take::Path(|s, _, path| s.definitions.path = Some(path.into()))),
    Key::honoured("definitions.local.path", Take::Path(|s, _, path| s.definitions.path = Some(path.into()))),
    Key::honoured("definitions.skip_if_unchanged", Take::Bool(|s, _, is| s.definitions.skip_if_unchanged = is))
        .or("false"),
];

fn header(settings: &mut Settings, name: &str, text: &str) {
    settings.management.headers.push((name.to_owned(), text.to_owned()));
}
