//! From the protocol header to connection.open-ok.

use std::thread;

use leveret_tests::prelude::*;

/// What a refused client is told before the connection ends: the version it should have asked for.
const SUPPORTED: [u8; 8] = PROTOCOL_HEADER;

fn after_header(header: &[u8]) -> Vec<u8> {
    let mut socket = Socket::connect(Broker::shared());
    socket.send(header);
    socket.read_to_end(PATIENCE).expect("the broker ends the connection")
}

#[test]
fn the_header_of_0_9_1_starts_a_connection() {
    Socket::at(Broker::shared(), Stage::Started);
}

#[test]
fn the_header_of_0_9_is_taken_for_0_9_1() {
    let mut socket = Socket::connect(Broker::shared());
    socket.send(b"AMQP\x01\x01\x00\x09");
    let mut start = socket.expect(0, ids::CONNECTION_START);
    assert_eq!((start.octet(), start.octet()), (0, 9));
}

#[test]
fn other_protocols_are_told_the_version_and_nothing_else() {
    let headers: [&[u8]; 8] = [
        b"AMQP\x00\x00\x09\x02",
        b"AMQP\x00\x00\x0A\x00",
        b"AMQP\x00\x01\x00\x00",
        b"AMQP\x02\x01\x00\x00",
        b"AMQP\x00\x00\x08\x00",
        b"GET / HT",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\0\0\0\0\0\0\0\0",
    ];
    for header in headers {
        assert_eq!(after_header(header), SUPPORTED, "after {header:?}");
    }
}

/// RabbitMQ 3.10 still speaks 0-8; without AMQP 1.0 its SASL layer is refused as well.
#[test]
fn protocols_that_only_rabbitmq_speaks_are_refused() {
    if peer() {
        return;
    }
    for header in [b"AMQP\x01\x01\x08\x00", b"AMQP\x01\x01\x09\x01", b"AMQP\x03\x01\x00\x00"] {
        assert_eq!(after_header(header), SUPPORTED, "after {header:?}");
    }
}

#[test]
fn a_long_http_request_gets_the_same_eight_octets() {
    assert_eq!(after_header(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), SUPPORTED);
}

#[test]
fn a_header_may_come_octet_by_octet() {
    let mut socket = Socket::connect(Broker::shared());
    for octet in PROTOCOL_HEADER {
        socket.send(&[octet]);
        thread::sleep(Duration::from_millis(5));
    }
    socket.expect(0, ids::CONNECTION_START);
}

#[test]
fn start_describes_the_server() {
    let mut socket = Socket::connect(Broker::shared());
    socket.send(&PROTOCOL_HEADER);
    let mut start = socket.expect(0, ids::CONNECTION_START);
    assert_eq!((start.octet(), start.octet()), (0, 9));
    let properties = start.table();
    let keys: Vec<&str> = properties.0.iter().map(|(key, _)| key.as_str()).collect();
    assert!(keys.is_sorted(), "the keys are sorted: {keys:?}");
    for key in ["cluster_name", "copyright", "information", "platform", "product", "version"] {
        let value = properties.get(key);
        assert!(matches!(value, Some(Value::Str(text)) if !text.is_empty()), "{key}: {value:?}");
    }
    assert_eq!(properties.get("product"), Some(&"RabbitMQ".into()));
    let capabilities = table([
        ("publisher_confirms", true.into()),
        ("exchange_exchange_bindings", true.into()),
        ("basic.nack", true.into()),
        ("consumer_cancel_notify", true.into()),
        ("connection.blocked", true.into()),
        ("consumer_priorities", true.into()),
        ("authentication_failure_close", true.into()),
        ("per_consumer_qos", true.into()),
        ("direct_reply_to", true.into()),
    ]);
    assert_eq!(properties.get("capabilities"), Some(&capabilities.into()));
    let mechanisms = String::from_utf8(start.longstr()).unwrap();
    let mut mechanisms: Vec<&str> = mechanisms.split(' ').collect();
    mechanisms.sort_unstable();
    // RabbitMQ has ANONYMOUS since 4.0.
    let expected: &[&str] = if peer() { &["AMQPLAIN", "PLAIN"] } else { &["AMQPLAIN", "ANONYMOUS", "PLAIN"] };
    assert_eq!(mechanisms, expected);
    assert_eq!(start.longstr(), b"en_US");
    start.finish();
}

#[test]
fn the_server_proposes_its_limits() {
    let mut socket = Socket::at(Broker::shared(), Stage::Started);
    socket.send_method(0, &Login::new(Broker::shared()).start_ok());
    let mut tune = socket.expect(0, ids::CONNECTION_TUNE);
    assert_eq!((tune.short(), tune.long(), tune.short()), (2047, 131_072, 60));
    tune.finish();
}

#[test]
fn open_is_answered_with_an_empty_string() {
    let broker = Broker::shared();
    let mut socket = Socket::at(broker, Stage::Opening);
    socket.send_method(0, &methods::connection_open(broker.vhost()));
    let mut open_ok = socket.expect(0, ids::CONNECTION_OPEN_OK);
    assert_eq!(open_ok.shortstr(), "");
    open_ok.finish();
}

#[test]
fn a_whole_handshake_may_be_sent_at_once() {
    let broker = Broker::shared();
    let login = Login::new(broker);
    let mut bytes = PROTOCOL_HEADER.to_vec();
    bytes.extend(login.start_ok().frames(0, 0));
    bytes.extend(login.tune_ok().frames(0, 0));
    bytes.extend(methods::connection_open("/").frames(0, 0));
    bytes.extend(methods::channel_open().frames(1, 0));
    let mut socket = Socket::connect(broker);
    socket.send(&bytes);
    socket.expect(0, ids::CONNECTION_START);
    socket.expect(0, ids::CONNECTION_TUNE);
    socket.expect(0, ids::CONNECTION_OPEN_OK);
    socket.expect(1, ids::CHANNEL_OPEN_OK);
}

#[test]
fn the_locale_of_the_client_does_not_matter() {
    let mut socket = Socket::at(Broker::shared(), Stage::Started);
    let start_ok = Method::new(ids::CONNECTION_START_OK).table(&none()).shortstr("PLAIN");
    socket.send_method(0, &start_ok.longstr(&plain("guest", "guest")).shortstr("xx_XX"));
    socket.expect(0, ids::CONNECTION_TUNE);
}

/// The frame before the tuning may have 4,096 octets in RabbitMQ 3.10 and 8,192 since 4.1.
#[test]
fn large_client_properties_are_taken() {
    let size = if peer() { 3_800 } else { 7_900 };
    let properties = table([("connection_name", "n".repeat(size).as_str().into())]);
    let login = Login { properties, ..Login::new(Broker::shared()) };
    Connection::open_with(Broker::shared(), &login).channel(1).sync();
}

// Authentication

fn amqplain(user: &str, password: &str) -> Vec<u8> {
    table([("LOGIN", user.into()), ("PASSWORD", password.into())]).contents()
}

fn login_by(mechanism: &str, response: Vec<u8>) -> Login {
    Login { mechanism: mechanism.to_owned(), response, ..Login::new(Broker::shared()) }
}

fn assert_refused(login: &Login) {
    let mut socket = Socket::at(Broker::shared(), Stage::Started);
    socket.send_method(0, &login.start_ok());
    let text = format!(
        "Login was refused using authentication mechanism {}. For details see the broker logfile.",
        login.mechanism
    );
    // The end comes without connection.close-ok too.
    let close = socket.expect(0, ids::CONNECTION_CLOSE);
    leveret_tests::raw::socket::assert_close(close, 403, &text, ids::NO_METHOD);
    socket.expect_end();
}

#[test]
fn amqplain_logs_in() {
    let broker = Broker::shared();
    let login = login_by("AMQPLAIN", amqplain(broker.user(), broker.password()));
    Connection::open_with(broker, &login).channel(1).sync();
}

#[test]
fn anonymous_logs_in_as_guest() {
    // RabbitMQ has ANONYMOUS since 4.0.
    if peer() {
        return;
    }
    Connection::open_with(Broker::shared(), &login_by("ANONYMOUS", Vec::new())).channel(1).sync();
}

#[test]
fn a_wrong_password_is_refused_with_a_close() {
    assert_refused(&login_by("PLAIN", plain("guest", "wrong")));
}

#[test]
fn an_unknown_user_is_refused_with_a_close() {
    assert_refused(&login_by("PLAIN", plain("leveret-nobody", "guest")));
}

#[test]
fn names_made_for_formatting_functions_are_just_unknown() {
    // Side by side: every refusal takes three seconds.
    thread::scope(|scope| {
        for user in ["~p~s%n", "{}{0}%s", "<script>", "a\r\nb"] {
            scope.spawn(move || assert_refused(&login_by("PLAIN", plain(user, "guest"))));
        }
    });
}

#[test]
fn an_empty_password_is_refused() {
    assert_refused(&login_by("PLAIN", plain("guest", "")));
}

#[test]
fn a_wrong_password_by_amqplain_is_refused() {
    assert_refused(&login_by("AMQPLAIN", amqplain("guest", "wrong")));
}

#[test]
fn a_client_without_the_capability_is_dropped_silently() {
    let broker = Broker::shared();
    let login = Login { response: plain("guest", "wrong"), ..Login::without_capabilities(broker) };
    let mut socket = Socket::at(broker, Stage::Started);
    socket.send_method(0, &login.start_ok());
    socket.expect_end();
}

#[test]
fn a_capability_counts_only_when_it_is_true() {
    let broker = Broker::shared();
    let refuse = |value: Value| {
        let capabilities = table([("authentication_failure_close", value)]);
        let properties = table([("capabilities", capabilities.into())]);
        let login = Login { response: plain("guest", "wrong"), properties, ..Login::new(broker) };
        let mut socket = Socket::at(broker, Stage::Started);
        socket.send_method(0, &login.start_ok());
        socket
    };
    let values = [Value::Bool(false), "true".into(), 1.into()];
    let sockets: Vec<Socket> = values.into_iter().map(refuse).collect();
    sockets.into_iter().for_each(|mut socket| socket.expect_end());
}

#[test]
fn an_unknown_mechanism_ends_the_connection_without_a_word() {
    let mut socket = Socket::at(Broker::shared(), Stage::Started);
    socket.send_method(0, &login_by("LEVERET", Vec::new()).start_ok());
    socket.expect_end();
}

// Tuning

fn assert_tune_refused(channel_max: u16, frame_max: u32, explanation: &str) {
    let login = Login { channel_max, frame_max, ..Login::new(Broker::shared()) };
    let mut socket = Socket::at_with(Broker::shared(), Stage::Opening, &login);
    // RabbitMQ 3.10 only writes the text to its log.
    if peer() {
        return socket.expect_end();
    }
    // It blames the method the client answers, connection.tune.
    socket.expect_close(530, explanation, ids::CONNECTION_TUNE);
}

#[test]
fn a_frame_max_below_the_minimum_is_refused() {
    for frame_max in [1, 100, 4095] {
        let text = format!("negotiated frame_max = {frame_max} is lower than the minimum allowed value (4096)");
        assert_tune_refused(2047, frame_max, &text);
    }
}

#[test]
fn a_frame_max_above_the_proposal_is_refused() {
    for frame_max in [0, 131_073, u32::MAX] {
        let text = format!("negotiated frame_max = {frame_max} is higher than the maximum allowed value (131072)");
        assert_tune_refused(2047, frame_max, &text);
    }
}

#[test]
fn a_channel_max_above_the_proposal_is_refused() {
    for channel_max in [2048, 4096, u16::MAX] {
        let text = format!("negotiated channel_max = {channel_max} is higher than the maximum allowed value (2047)");
        assert_tune_refused(channel_max, 131_072, &text);
    }
}

#[test]
fn an_unlimited_channel_max_is_refused() {
    let text = "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)";
    assert_tune_refused(0, 131_072, text);
}

#[test]
fn any_limits_within_the_proposal_are_taken() {
    for (channel_max, frame_max, heartbeat_seconds) in [(1, 4096, 0), (2047, 131_072, 60), (7, 8192, u16::MAX)] {
        let login = Login { channel_max, frame_max, heartbeat_seconds, ..Login::new(Broker::shared()) };
        Connection::open_with(Broker::shared(), &login).channel(1).sync();
    }
}

// Opening

#[test]
fn a_missing_vhost_is_refused() {
    for vhost in ["leveret-missing", "", "//"] {
        let mut socket = Socket::at(Broker::shared(), Stage::Opening);
        socket.send_method(0, &methods::connection_open(vhost));
        socket.expect_close(530, &format!("vhost {vhost} not found"), ids::CONNECTION_OPEN);
    }
}

#[test]
fn a_secret_may_be_updated() {
    let connection = open();
    let channel = connection.channel(1);
    connection.rpc(&methods::update_secret("another secret", "the old one expires")).finish();
    channel.sync();
}

// Time limits

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    let broker = Broker::shared();
    let stages = [Stage::Connected, Stage::Started, Stage::Tuning, Stage::Opening];
    thread::scope(|scope| {
        for stage in stages {
            scope.spawn(move || {
                let begin = Instant::now();
                let mut socket = Socket::at(broker, stage);
                let too_early = (HANDSHAKE_TIMEOUT - Duration::from_secs(2)).saturating_sub(begin.elapsed());
                assert_eq!(socket.next(too_early), Event::Silence, "{stage:?}");
                assert_eq!(socket.next(PATIENCE), Event::Closed, "{stage:?}");
                let elapsed = begin.elapsed();
                assert!(elapsed < HANDSHAKE_TIMEOUT + Duration::from_secs(30), "{stage:?} after {elapsed:?}");
            });
        }
    });
}
