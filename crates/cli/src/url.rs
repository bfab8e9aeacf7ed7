//! Paths and addresses.

use std::fmt::Write as _;

/// A part of a path, in which everything is escaped that could mean something else: `/` is `%2F`.
pub(crate) fn part(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// A path of several parts below `/api`.
pub(crate) fn path(parts: &[&str]) -> String {
    parts.iter().map(|name| part(name)).collect::<Vec<_>>().join("/")
}

/// What was escaped by percent signs.
pub(crate) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'%').then(|| after.get(..2)).flatten();
        let code =
            code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What comes before `/api` in a path, with a slash before it; nothing if nothing does.
pub(crate) fn prefix(path: &str) -> String {
    let path = path.trim_matches('/');
    let before = path.strip_suffix("api").filter(|before| before.is_empty() || before.ends_with('/'));
    let prefix = before.unwrap_or(path).trim_end_matches('/');
    if prefix.is_empty() { String::new() } else { format!("/{prefix}") }
}

/// An address of an HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) is_tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What comes before `/api`.
    pub(crate) prefix: String,
    pub(crate) user: Option<(String, String)>,
}

impl Address {
    /// Such as `http://user:password@host:15672/prefix`.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (is_tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return None,
            None => (false, url),
        };
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                (Some((unescaped(name), unescaped(password))), host)
            }
            None => (None, authority),
        };
        let default_port = if is_tls { 15671 } else { 15672 };
        let (host, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()?),
            _ => (host, default_port),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        Some(Self { is_tls, host, port, prefix: self::prefix(prefix), user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_path_is_escaped() {
        assert_eq!(path(&["queues", "/", "a b+ü"]), "queues/%2F/a%20b%2B%C3%BC");
        assert_eq!(unescaped("%2F%zz%C3%BC%"), "/%zzü%");
    }

    #[test]
    fn only_a_whole_word_is_the_api() {
        for (path, expected) in
            [("", ""), ("/", ""), ("api/", ""), ("/x/api", "/x"), ("x/y/", "/x/y"), ("/myapi/", "/myapi")]
        {
            assert_eq!(prefix(path), expected, "{path}");
        }
    }

    #[test]
    fn addresses_are_understood() {
        let address = Address::parse("https://u%40:p:w@h:1/x/api/").unwrap();
        assert_eq!((address.is_tls, address.host.as_str(), address.port), (true, "h", 1));
        assert_eq!((address.prefix.as_str(), address.user), ("/x", Some(("u@".to_owned(), "p:w".to_owned()))));
        let address = Address::parse("[::1]").unwrap();
        assert_eq!((address.host.as_str(), address.port, address.user), ("::1", 15672, None));
        assert_eq!(Address::parse("ftp://h"), None);
    }
}
