//! Where the broker is and who asks: `amqp://user:password@host:port/vhost`.

use anyhow::{Context, Result, bail};

/// The port that the AMQP scheme stands for.
const PORT_DEFAULT: u16 = 5672;

/// A broker's address and the account that loads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User of SASL PLAIN.
    pub user: String,
    /// Password of SASL PLAIN.
    pub password: String,
    /// Virtual host.
    pub vhost: String,
}

impl Target {
    /// Reads an AMQP URI. What it leaves out is RabbitMQ's default: guest, guest, port 5672, vhost `/`.
    ///
    /// # Errors
    /// When the scheme is not `amqp`, the port is no number, or a percent escape is broken.
    pub fn parse(url: &str) -> Result<Self> {
        let Some(rest) = url.strip_prefix("amqp://") else {
            bail!("{url:?} is not an amqp:// URL");
        };
        let rest = rest.split_once('?').map_or(rest, |(address, _)| address);
        let (authority, vhost) = match rest.split_once('/') {
            Some((authority, vhost)) => (authority, Some(vhost)),
            None => (rest, None),
        };
        let (account, address) = match authority.rsplit_once('@') {
            Some((account, address)) => (Some(account), address),
            None => (None, authority),
        };
        let (user, password) = match account.map(|account| account.split_once(':')) {
            Some(Some((user, password))) => (percent_decode(user)?, percent_decode(password)?),
            Some(None) => (percent_decode(account.unwrap_or_default())?, "guest".into()),
            None => ("guest".into(), "guest".into()),
        };
        let (host, port) = split_address(address)?;
        let vhost = vhost.map_or(Ok("/".into()), percent_decode)?;
        Ok(Self { host, port, user, password, vhost })
    }
}

fn split_address(address: &str) -> Result<(String, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').context("an IPv6 address has no closing bracket")?;
            (host, rest.strip_prefix(':'))
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().with_context(|| format!("{port:?} is not a port"))?,
        None => PORT_DEFAULT,
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Ok((host.to_owned(), port))
}

fn percent_decode(text: &str) -> Result<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next(), bytes.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        let [Some(high), Some(low)] = digits else {
            bail!("{text:?} has a broken percent escape");
        };
        decoded.push(u8::try_from(high * 16 + low)?);
    }
    String::from_utf8(decoded).with_context(|| format!("{text:?} is not UTF-8 once decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_url_gives_every_part() {
        let target = Target::parse("amqp://al%40ice:s%3Acret@broker.local:5673/te%2fam").unwrap();
        assert_eq!(
            target,
            Target {
                host: "broker.local".into(),
                port: 5673,
                user: "al@ice".into(),
                password: "s:cret".into(),
                vhost: "te/am".into(),
            }
        );
    }

    #[test]
    fn what_is_left_out_is_rabbitmqs_default() {
        let target = Target::parse("amqp://localhost").unwrap();
        assert_eq!(target, Target::parse("amqp://guest:guest@localhost:5672/%2F").unwrap());
        assert_eq!(Target::parse("amqp://me@h").unwrap().password, "guest");
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        let target = Target::parse("amqp://[::1]:5673").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 5673));
    }

    #[test]
    fn broken_urls_are_refused() {
        for url in ["http://h", "amqp://h:port", "amqp://h/%2", "amqp://h/%zz", "amqp://[::1"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
