//! Logins that a directory is asked about.
#![cfg(feature = "ldap")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use leveret_server::auth::{AuthConfig, Backend, BackendKind, LdapBind, LdapConfig, LdapQuery};
use support::{Client, Reply, Running, with_auth};

const BOB: &str = "cn=bob,ou=people,dc=example";

/// A directory of three entries, in the few words of LDAP that are spoken here.
fn directory() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| drop(thread::spawn(move || serve(stream.unwrap())))));
    address
}

/// An element of BER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).unwrap();
    assert!(len < 128, "only short ones");
    [&[tag, len], content].concat()
}

/// The element at the start, and what follows.
fn split(bytes: &[u8]) -> (u8, &[u8], &[u8]) {
    let (tag, len, rest) = (bytes[0], bytes[1], &bytes[2..]);
    let (len, rest) = match len {
        0x81 => (usize::from(rest[0]), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
        short => (usize::from(short), rest),
    };
    let (content, rest) = rest.split_at(len);
    (tag, content, rest)
}

fn serve(mut stream: TcpStream) {
    let mut bound = String::new();
    let mut buffer = [0; 2048];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        let (_, message, _) = split(&buffer[..len]);
        let (_, id, rest) = split(message);
        let (op, content, _) = split(rest);
        let result = |tag, code: u8| element(tag, &[&[10, 1, code, 4, 0, 4, 0][..]].concat());
        let answers = match op {
            // bind: version, name, password
            0x60 => {
                let (_, name, rest) = split(split(content).2);
                let (name, password) = (String::from_utf8(name.to_vec()).unwrap(), split(rest).1);
                let is_good = matches!((&*name, password), (BOB, b"secret") | ("cn=reader", b"read") | ("", b""));
                if is_good {
                    bound = name;
                }
                vec![result(0x61, if is_good { 0 } else { 49 })]
            }
            // search: base, scope, aliases, size, time, types, filter
            0x63 => {
                let (_, base, rest) = split(content);
                let filter = (0..5).fold(rest, |rest, _| split(rest).2);
                let found = search(&bound, &String::from_utf8_lossy(base), &String::from_utf8_lossy(split(filter).1));
                let entry = |dn: &&str| element(0x64, &[element(4, dn.as_bytes()), element(0x30, &[])].concat());
                let mut answers: Vec<Vec<u8>> = found.iter().map(entry).collect();
                answers.push(result(0x65, if found.is_empty() { 32 } else { 0 }));
                answers
            }
            _ => return,
        };
        for answer in answers {
            stream.write_all(&element(0x30, &[element(2, id), answer].concat())).unwrap();
        }
    }
}

/// What is found below `base` by those who may look.
fn search(bound: &str, base: &str, filter: &str) -> Vec<&'static str> {
    match (bound, base) {
        ("cn=reader", "ou=people,dc=example") if filter.contains("uid") && filter.contains("bob") => vec![BOB],
        (_, "cn=admins,dc=example") if filter.contains("member") && filter.contains(BOB) => {
            vec!["cn=admins,dc=example"]
        }
        (_, "cn=mine,ou=queues,dc=example") => vec!["cn=mine,ou=queues,dc=example"],
        _ => Vec::new(),
    }
}

fn running(change: impl FnOnce(&mut LdapConfig)) -> Running {
    let address = directory();
    let mut ldap = LdapConfig {
        servers: vec![address.ip().to_string()],
        port: address.port(),
        user_dn_pattern: "cn=${username},ou=people,dc=example".to_owned(),
        ..LdapConfig::default()
    };
    change(&mut ldap);
    let backends = vec![Backend::of(BackendKind::Ldap)];
    Running::start(&with_auth(AuthConfig { backends, ldap, ..AuthConfig::default() }))
}

fn login(running: &Running, user: &str, password: &str) -> Reply {
    Client::tcp(running.address()).plain(user, password)
}

#[test]
fn a_directory_says_who_may_log_in() {
    let running = running(|_| {});
    assert_eq!(login(&running, "bob", "secret"), Reply::Ok);
    for (user, password) in [("bob", "wrong"), ("eve", "secret"), ("bob", ""), ("bob,ou=people", "secret"), ("*", "x")]
    {
        assert!(matches!(login(&running, user, password), Reply::Closed(403, _)), "{user}");
    }
}

#[test]
fn names_may_be_looked_up() {
    let reader = LdapBind::As { user_dn: "cn=reader".to_owned(), password: "read".to_owned() };
    let running = running(|ldap| {
        ldap.dn_lookup = Some(("uid".to_owned(), "ou=people,dc=example".to_owned()));
        ldap.dn_lookup_bind = reader;
        ldap.other_bind = LdapBind::Anonymous;
    });
    assert_eq!(login(&running, "bob", "secret"), Reply::Ok);
    assert!(matches!(login(&running, "bob", "read"), Reply::Closed(403, _)));
    assert!(matches!(login(&running, "eve", "secret"), Reply::Closed(403, _)));
}

#[test]
fn queries_say_what_is_allowed() {
    let group = |dn: &str| LdapQuery::InGroup { dn: dn.to_owned(), attribute: "member".to_owned() };
    let running = running(|ldap| {
        ldap.vhost_access_query = LdapQuery::And(vec![
            group("cn=admins,dc=example"),
            LdapQuery::Not(Box::new(group("cn=nobody,dc=example"))),
        ]);
        let queue = LdapQuery::Exists("cn=${name},ou=queues,dc=example".to_owned());
        let text = LdapQuery::Match { text: "${name}".to_owned(), pattern: "^${username}-".to_owned() };
        ldap.resource_access_query = LdapQuery::For {
            variable: "permission".to_owned(),
            cases: vec![("configure".to_owned(), LdapQuery::Or(vec![queue, text]))],
        };
        ldap.tag_queries = vec![("administrator".to_owned(), group("cn=admins,dc=example"))];
    });
    let mut client = Client::tcp(running.address());
    assert_eq!(client.plain("bob", "secret"), Reply::Ok);
    assert_eq!(client.open_channel(), Reply::Ok);
    assert_eq!(client.declare("mine"), Reply::Ok);
    assert_eq!(client.declare("bob-1"), Reply::Ok);
    let refusal = "ACCESS_REFUSED - configure access to queue 'eve-1' in vhost '/' refused for user 'bob'";
    assert_eq!(client.declare("eve-1"), Reply::ChannelClosed(403, refusal.to_owned()));
}

#[test]
fn a_directory_that_is_not_there_lets_nobody_in() {
    let running = running(|ldap| ldap.port = 1);
    assert!(matches!(login(&running, "bob", "secret"), Reply::Closed(403, _)));
}
