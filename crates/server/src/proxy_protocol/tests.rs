#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;

use super::*;

/// What is read from these bytes, and how many are left.
fn read_from(bytes: &[u8]) -> Result<(Option<Proxied>, usize), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut rest = bytes;
    let proxied = runtime.block_on(read(&mut rest)).map_err(|error| error.to_string())?;
    Ok((proxied, rest.len()))
}

fn proxied(source: &str, destination: &str) -> Option<Proxied> {
    Some(Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() })
}

fn binary_header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &len, rest].concat()
}

#[test]
fn lines_are_read_up_to_their_end() {
    let read = |line: &str| read_from(format!("{line}AMQP").as_bytes());
    let expected = proxied("192.168.0.1:56324", "192.168.0.11:443");
    assert_eq!(read("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), Ok((expected, 4)));
    assert_eq!(read("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), Ok((proxied("[2001:db8::1]:1", "[::1]:65535"), 4)));
    assert_eq!(read("PROXY UNKNOWN\r\n"), Ok((None, 4)));
    assert_eq!(read("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), Ok((None, 4)));
}

#[test]
fn what_is_wrong_with_a_line_is_said() {
    let wrong = |line: &str| read_from(line.as_bytes()).unwrap_err();
    assert_eq!(wrong("AMQP\0\0\x09\x01and more"), "no PROXY header");
    assert_eq!(wrong("PROXY TCP4 ::1 ::1 1 2\r\n"), "malformed PROXY header: an address is wrong");
    assert_eq!(wrong("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), "malformed PROXY header: a port is wrong");
    assert_eq!(wrong("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), "malformed PROXY header: there is too much of it");
    assert_eq!(wrong("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"), "malformed PROXY header: an unknown family");
    assert_eq!(wrong(&format!("PROXY UNKNOWN {}", "x".repeat(200))), "malformed PROXY header: the line is too long");
    assert_eq!(wrong("PROXY TCP4 1.2.3"), "early eof");
}

#[test]
fn the_longest_line_is_taken() {
    let address = "ffff:f...f:ffff".replace("f...f", "ffff:ffff:ffff:ffff:ffff:ffff");
    let line = format!("PROXY TCP6 {address} {address} 65535 65535\r\n");
    assert_eq!(line.len(), 104);
    assert_eq!(read_from(line.as_bytes()).unwrap().1, 0);
}

#[test]
fn binary_headers_are_read_up_to_their_end() {
    let v4 = [&[10, 0, 0, 1, 10, 0, 0, 2, 0x1F, 0x90, 0x16, 0x28][..], b"\x04\0\x03abc"].concat();
    let mut header = binary_header(0x21, 0x11, &v4);
    header.extend_from_slice(b"AMQP");
    assert_eq!(read_from(&header), Ok((proxied("10.0.0.1:8080", "10.0.0.2:5672"), 4)));
    let mut v6 = [0; 36];
    v6[15] = 1;
    v6[31] = 2;
    v6[33] = 7;
    v6[35] = 9;
    assert_eq!(read_from(&binary_header(0x21, 0x21, &v6)), Ok((proxied("[::1]:7", "[::2]:9"), 0)));
    // A proxy that looks whether we are there, and a client whose address it does not know.
    assert_eq!(read_from(&binary_header(0x20, 0x00, &[])), Ok((None, 0)));
    assert_eq!(read_from(&binary_header(0x20, 0x11, &v4)), Ok((None, 0)));
    assert_eq!(read_from(&binary_header(0x21, 0x00, b"whatever")), Ok((None, 0)));
    assert_eq!(read_from(&binary_header(0x21, 0x31, &[0; 216])), Ok((None, 0)));
}

#[test]
fn what_is_wrong_with_a_binary_header_is_said() {
    let wrong = |header: &[u8]| read_from(header).unwrap_err();
    let malformed = |what: &str| format!("malformed PROXY header: {what}");
    assert_eq!(wrong(&binary_header(0x11, 0x11, &[0; 12])), malformed("an unknown version or command"));
    assert_eq!(wrong(&binary_header(0x22, 0x11, &[0; 12])), malformed("an unknown version or command"));
    assert_eq!(wrong(&binary_header(0x21, 0x41, &[0; 12])), malformed("an unknown family"));
    assert_eq!(wrong(&binary_header(0x21, 0x11, &[0; 11])), malformed("it is too short for its addresses"));
    assert_eq!(wrong(&binary_header(0x21, 0x11, &[0; PROXY_HEADER_BYTES_MAX + 1])), malformed("it is too long"));
    assert_eq!(wrong(&binary_header(0x21, 0x11, &[0; 12])[..20]), "early eof");
}

fn line_of(proxied: Proxied) -> Vec<u8> {
    let Proxied { source, destination } = proxied;
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn binary_of(proxied: Proxied, more: &[u8]) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let Proxied { source, destination } = proxied;
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let rest = [octets(source.ip()), octets(destination.ip()), ports, more.to_vec()].concat();
    binary_header(0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, &rest)
}

fn any_proxied() -> impl Strategy<Value = Proxied> {
    let ends = |a: IpAddr, b: IpAddr, ports: [u16; 2]| Proxied {
        source: SocketAddr::new(a, ports[0]),
        destination: SocketAddr::new(b, ports[1]),
    };
    let v4 = (any::<Ipv4Addr>(), any::<Ipv4Addr>(), any::<[u16; 2]>());
    let v6 = (any::<Ipv6Addr>(), any::<Ipv6Addr>(), any::<[u16; 2]>());
    prop_oneof![
        v4.prop_map(move |(a, b, ports)| ends(a.into(), b.into(), ports)),
        v6.prop_map(move |(a, b, ports)| ends(a.into(), b.into(), ports)),
    ]
}

proptest! {
    /// No bytes make it panic, or read more than the longest header.
    #[test]
    fn anything_may_come(start in prop_oneof![Just(&b""[..]), Just(&SIGNATURE[..]), Just(LINE_START)], bytes: Vec<u8>) {
        let all = [start, &bytes].concat();
        let _ = read_from(&all);
        if let Ok(Step::Need(more)) = step(&all) {
            prop_assert!(more > 0 && more <= PROXY_HEADER_BYTES_MAX);
        }
    }

    /// What a proxy writes is what is read, and what follows is left where it is.
    #[test]
    fn headers_are_read_as_they_were_meant(proxied in any_proxied(), more in prop::collection::vec(any::<u8>(), 0..64), rest: Vec<u8>) {
        for header in [line_of(proxied), binary_of(proxied, &more)] {
            let all = [&header[..], &rest].concat();
            prop_assert_eq!(read_from(&all), Ok((Some(proxied), rest.len())));
        }
    }
}
