//! Well-formed methods and frames where they do not belong.

use leveret_tests::raw::ids::{self, Id, NO_METHOD};
use leveret_tests::raw::methods::{self, header_payload};
use leveret_tests::raw::socket::plain;
use leveret_tests::raw::wire::{FRAME_BODY, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, frame};
use leveret_tests::raw::{Method, Props, Stage, none};

use crate::Case;
use crate::outcome::Outcome;

pub fn cases() -> Vec<Case> {
    [wrong_channel(), wrong_state(), before_login(), of_the_server(), unknown_ids(), channel_life()]
        .into_iter()
        .flatten()
        .collect()
}

fn close(code: u16, explanation: &str, blamed: Id) -> Outcome {
    Outcome::Close(code, explanation.to_owned(), blamed)
}

fn wrong_channel() -> Vec<Case> {
    let header = header_payload(&Props::default(), 0);
    let unexpected = |text| close(505, text, NO_METHOD);
    let header_text = "type 2, all octets = <<0,60,0,0,0,0,0,0,0,0,0,0,0,0>>";
    vec![
        Case::new(
            "heartbeat on a channel",
            Stage::Channel,
            frame(FRAME_HEARTBEAT, 1, b""),
            unexpected("type 8, all octets = <<>>"),
        ),
        Case::new("header on channel 0", Stage::Channel, frame(FRAME_HEADER, 0, &header), unexpected(header_text)),
        Case::new(
            "body on channel 0",
            Stage::Channel,
            frame(FRAME_BODY, 0, b"ab"),
            unexpected("type 3, all octets = <<\"ab\">>"),
        ),
        Case::new(
            "channel.open before connection.open",
            Stage::Opening,
            methods::channel_open().frames(1, 0),
            unexpected("type 1, all octets = <<0,20,0,10,0>>"),
        ),
        Case::new(
            "channel.open before connection.tune-ok",
            Stage::Tuning,
            methods::channel_open().frames(1, 0),
            unexpected("type 1, all octets = <<0,20,0,10,0>>").but_on_peer(Outcome::Dropped),
        ),
        Case::new(
            "body before connection.open",
            Stage::Opening,
            frame(FRAME_BODY, 1, b"ab"),
            unexpected("type 3, all octets = <<\"ab\">>"),
        ),
    ]
}

fn wrong_state() -> Vec<Case> {
    let unexpected = |name: &str, stage: Stage, method: Method, state: &str| {
        let mut outcome = Outcome::Close(504, format!("unexpected method in connection state {state}"), method.id);
        // Of the errors while tuning RabbitMQ 3.10 tells only a refused tune-ok.
        if stage == Stage::Tuning {
            outcome = outcome.but_on_peer(Outcome::Dropped);
        }
        Case::new(name, stage, method.frames(0, 0), outcome)
    };
    let start_ok = methods::start_ok(&none(), "PLAIN", &plain("guest", "guest"));
    let tune_ok = methods::tune_ok(2047, 131_072, 0);
    let open = methods::connection_open("/");
    vec![
        unexpected("second start-ok", Stage::Tuning, start_ok.clone(), "tuning"),
        unexpected("open before tune-ok", Stage::Tuning, open.clone(), "tuning"),
        unexpected(
            "secure-ok while tuning",
            Stage::Tuning,
            Method::new(ids::CONNECTION_SECURE_OK).longstr(b""),
            "tuning",
        ),
        unexpected("second tune-ok", Stage::Opening, tune_ok.clone(), "opening"),
        unexpected("start-ok while opening", Stage::Opening, start_ok.clone(), "opening"),
        unexpected("second open", Stage::Open, open, "running"),
        unexpected("start-ok while running", Stage::Open, start_ok, "running"),
        unexpected("tune-ok while running", Stage::Open, tune_ok, "running"),
        unexpected(
            "secure-ok while running",
            Stage::Open,
            Method::new(ids::CONNECTION_SECURE_OK).longstr(b""),
            "running",
        ),
        unexpected("channel.open on channel 0", Stage::Open, methods::channel_open(), "running"),
        unexpected("queue.declare on channel 0", Stage::Channel, methods::queue_declare("q", &[], &none()), "running"),
        unexpected("basic.publish on channel 0", Stage::Channel, methods::publish_alone("", "q", &[]), "running"),
        unexpected("tx.select on channel 0", Stage::Channel, methods::tx_select(), "running"),
    ]
}

fn before_login() -> Vec<Case> {
    let early = |name: &str, method: Method| Case::new(name, Stage::Started, method.frames(0, 0), Outcome::Dropped);
    vec![
        early("tune-ok before login", methods::tune_ok(2047, 131_072, 0)),
        early("open before login", methods::connection_open("/")),
        early("secure-ok before login", Method::new(ids::CONNECTION_SECURE_OK).longstr(b"\0guest\0guest")),
        early("update-secret before login", methods::update_secret("guest", "because")),
        // RabbitMQ does not even answer a close; to answer it is no harm.
        Case::new("close before login", Stage::Started, methods::connection_close().frames(0, 0), Outcome::Ended),
        Case::new(
            "queue.declare before login",
            Stage::Started,
            methods::queue_declare("q", &[], &none()).frames(1, 0),
            Outcome::Dropped,
        ),
        Case::new(
            "basic.publish before login",
            Stage::Started,
            methods::publish("", "q", &[], &Props::default(), b"x").frames(1, 0),
            Outcome::Dropped,
        ),
    ]
}

/// Methods only a server sends.
fn of_the_server() -> Vec<Case> {
    let mut cases = Vec::new();
    let on_connection = [
        Method::new(ids::CONNECTION_START).octet(0).octet(9).table(&none()).longstr(b"PLAIN").longstr(b"en_US"),
        Method::new(ids::CONNECTION_TUNE).short(0).long(0).short(0),
        Method::new(ids::CONNECTION_OPEN_OK).shortstr(""),
        Method::new(ids::CONNECTION_SECURE).longstr(b""),
        Method::new(ids::CONNECTION_BLOCKED).shortstr("low on memory"),
        Method::new(ids::CONNECTION_UNBLOCKED),
        Method::new(ids::CONNECTION_UPDATE_SECRET_OK),
    ];
    for method in on_connection {
        let name = format!("{} from a client", ids::name(method.id));
        let outcome = close(504, "unexpected method in connection state running", method.id);
        cases.push(Case::new(name, Stage::Open, method.frames(0, 0), outcome));
    }
    let content = Some((Props::default(), b"x".to_vec()));
    let mut deliver = Method::new(ids::BASIC_DELIVER).shortstr("tag").longlong(1).octet(0).shortstr("").shortstr("q");
    deliver.content.clone_from(&content);
    let mut returned = Method::new(ids::BASIC_RETURN).short(312).shortstr("NO_ROUTE").shortstr("").shortstr("q");
    returned.content = content;
    let on_channel = [
        deliver,
        returned,
        Method::new(ids::QUEUE_DECLARE_OK).shortstr("q").long(0).long(0),
        Method::new(ids::EXCHANGE_DECLARE_OK),
        Method::new(ids::BASIC_CONSUME_OK).shortstr("tag"),
        Method::new(ids::BASIC_GET_EMPTY).shortstr(""),
        Method::new(ids::BASIC_QOS_OK),
        Method::new(ids::CONFIRM_SELECT_OK),
        Method::new(ids::TX_SELECT_OK),
        Method::new(ids::CHANNEL_OPEN_OK).longstr(b""),
        Method::new(ids::CHANNEL_FLOW_OK).octet(1),
        // A method of the connection class has no business on a channel either.
        methods::connection_open("/"),
    ];
    for method in on_channel {
        let name = format!("{} on a channel from a client", ids::name(method.id));
        let outcome = close(503, "unimplemented method", method.id);
        cases.push(Case::new(name, Stage::Channel, method.frames(1, 0), outcome));
    }
    cases
}

/// RabbitMQ drops the TCP connection without a word; a close that says what was wrong is more help.
fn unknown_ids() -> Vec<Case> {
    let refused = || Outcome::CloseWith(&[503, 540]).but_on_peer(Outcome::Dropped);
    let unknown = |name: &str, stage: Stage, channel: u16, (class, method): Id| {
        let payload = [class.to_be_bytes(), method.to_be_bytes()].concat();
        Case::new(name, stage, frame(FRAME_METHOD, channel, &payload), refused())
    };
    vec![
        unknown("class 0 method 0", Stage::Channel, 1, (0, 0)),
        unknown("class 99", Stage::Channel, 1, (99, 10)),
        unknown("class 65535 method 65535", Stage::Channel, 1, (u16::MAX, u16::MAX)),
        unknown("unknown method of basic", Stage::Channel, 1, (60, 255)),
        unknown("unknown method of queue", Stage::Channel, 1, (50, 12)),
        unknown("exchange.unbind-ok under the id one would expect", Stage::Channel, 1, (40, 41)),
        unknown("unknown class on channel 0", Stage::Open, 0, (99, 10)),
        unknown("unknown method of connection", Stage::Open, 0, (10, 99)),
        Case::new(
            "unknown method before login",
            Stage::Started,
            frame(FRAME_METHOD, 0, &[0, 99, 0, 1]),
            Outcome::Ended,
        ),
    ]
}

fn channel_life() -> Vec<Case> {
    let not_opened = |name: &str, method: Method| {
        // The error is found before the method is looked at, so that it names none.
        Case::new(name, Stage::Open, method.frames(5, 0), close(504, "expected 'channel.open'", method.id))
    };
    vec![
        not_opened("queue.declare on an unopened channel", methods::queue_declare("q", &[], &none())),
        not_opened("basic.publish on an unopened channel", methods::publish("", "q", &[], &Props::default(), b"")),
        not_opened("basic.ack on an unopened channel", methods::ack(1, &[])),
        Case::new(
            "header on an unopened channel",
            Stage::Open,
            frame(FRAME_HEADER, 5, &header_payload(&Props::default(), 0)),
            close(505, "expected method frame, got non method frame instead", NO_METHOD),
        ),
        Case::new(
            "body on channel 65535",
            Stage::Open,
            frame(FRAME_BODY, u16::MAX, b"x"),
            close(505, "expected method frame, got non method frame instead", NO_METHOD),
        ),
        Case::new(
            "second channel.open",
            Stage::Channel,
            methods::channel_open().frames(1, 0),
            close(504, "second 'channel.open' seen", ids::CHANNEL_OPEN),
        ),
    ]
}
