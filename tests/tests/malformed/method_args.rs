//! Arguments of every method, one octet too short and one too long, and strings that are no text.

use leveret_tests::raw::ids;
use leveret_tests::raw::methods::{self, Props};
use leveret_tests::raw::socket::plain;
use leveret_tests::raw::{Flag, Method, Stage, none, table};

use crate::Case;
use crate::outcome::Outcome;

pub fn cases() -> Vec<Case> {
    [cut_and_trailing(), before_login(), not_utf8(), wrong_lengths()].into_iter().flatten().collect()
}

/// Every method a client sends on an open connection, in a form that would be well.
fn well_formed() -> Vec<(u16, Method)> {
    let arguments = table([("key", "value".into())]);
    let mut methods: Vec<(u16, Method)> = vec![
        (0, methods::connection_close()),
        (0, methods::update_secret("secret", "reason")),
        (0, Method::new(ids::CONNECTION_CLOSE_OK)),
    ];
    let on_channel = [
        methods::channel_close(),
        Method::new(ids::CHANNEL_CLOSE_OK),
        methods::flow(true),
        methods::access_request("/data"),
        methods::exchange_declare("x", "direct", &[], &arguments),
        methods::exchange_delete("x", &[]),
        methods::exchange_bind("to", "from", "key", &[], &arguments),
        methods::exchange_unbind("to", "from", "key", &[], &arguments),
        methods::queue_declare("q", &[], &arguments),
        methods::queue_bind("q", "x", "key", &[], &arguments),
        methods::queue_unbind("q", "x", "key", &arguments),
        methods::queue_purge("q", &[]),
        methods::queue_delete("q", &[]),
        methods::qos(0, 1, &[]),
        methods::consume("q", "tag", &[], &arguments),
        methods::cancel("tag", &[]),
        methods::publish_alone("x", "key", &[]),
        methods::get("q", &[]),
        methods::ack(1, &[]),
        methods::nack(1, &[]),
        methods::reject(1, &[]),
        methods::recover(&[Flag::Requeue]),
        methods::recover_async(&[Flag::Requeue]),
        methods::confirm_select(&[]),
        methods::tx_select(),
        methods::tx_commit(),
        methods::tx_rollback(),
    ];
    methods.extend(on_channel.map(|method| (1, method)));
    methods
}

fn cut_and_trailing() -> Vec<Case> {
    let mut cases = Vec::new();
    for (channel, method) in well_formed() {
        let name = ids::name(method.id);
        if !method.args.is_empty() {
            let mut cut = method.clone();
            cut.args.pop();
            cases.push(undecodable(&format!("{name} one octet too short"), channel, cut));
            cases.push(undecodable(&format!("{name} without arguments"), channel, Method::new(method.id)));
        }
        cases.push(undecodable(&format!("{name} one octet too long"), channel, method.octet(7)));
    }
    cases
}

fn undecodable(name: &str, channel: u16, method: Method) -> Case {
    let octets: Vec<String> = method.args.iter().map(u8::to_string).collect();
    let text = format!("cannot decode <<{}>>", octets.join(","));
    let mut outcome = Outcome::Close(501, text, method.id);
    // On channel 0 RabbitMQ 3.10 takes the failed decoding for a fault of its own.
    if channel == 0 {
        outcome = outcome.but_on_peer(Outcome::CloseWith(&[541]));
    }
    Case::new(name, Stage::Channel, method.frames(channel, 0), outcome)
}

fn before_login() -> Vec<Case> {
    let start_ok = methods::start_ok(&none(), "PLAIN", &plain("guest", "guest"));
    let mut cut = start_ok.clone();
    cut.args.pop();
    let dropped = |name: &str, method: Method| Case::new(name, Stage::Started, method.frames(0, 0), Outcome::Dropped);
    let sasl =
        |name: &str, mechanism: &str, response: &[u8]| dropped(name, methods::start_ok(&none(), mechanism, response));
    let mut cases = vec![
        dropped("start-ok one octet too short", cut),
        dropped("start-ok one octet too long", start_ok.octet(7)),
        dropped("start-ok without arguments", Method::new(ids::CONNECTION_START_OK)),
        sasl("PLAIN with an empty response", "PLAIN", b""),
        sasl("PLAIN without NUL", "PLAIN", b"guest guest"),
        sasl("PLAIN with one NUL", "PLAIN", b"\0guest"),
        sasl("PLAIN of NULs", "PLAIN", &[0; 64]),
        sasl("PLAIN on behalf of another", "PLAIN", b"guest\0guest\0guest"),
        sasl("AMQPLAIN with an empty response", "AMQPLAIN", b""),
        sasl("AMQPLAIN without a password", "AMQPLAIN", &table([("LOGIN", "guest".into())]).contents()),
        sasl("AMQPLAIN without a login", "AMQPLAIN", &table([("PASSWORD", "guest".into())]).contents()),
        sasl("AMQPLAIN that is no table", "AMQPLAIN", b"\x05LOGINS\xff\xff\xff\xff"),
        sasl("AMQPLAIN of nested tables", "AMQPLAIN", &crate::tables::nested_contents(b'F', 600)),
        sasl("unknown mechanism", "NO-SUCH-MECHANISM", b""),
        sasl("empty mechanism", "", b""),
        sasl("mechanism of line breaks", "PLAIN\r\nPLAIN", b""),
    ];
    for (name, contents) in crate::tables::hostile_contents() {
        if contents.len() > 4_000 {
            continue;
        }
        let args = [&u32::try_from(contents.len()).unwrap().to_be_bytes()[..], &contents].concat();
        let method = Method::new(ids::CONNECTION_START_OK).raw(&args);
        let method = method.shortstr("PLAIN").longstr(&plain("guest", "guest")).shortstr("en_US");
        let name = format!("client properties: {name}");
        cases.push(Case::new(name, Stage::Started, method.frames(0, 0), Outcome::AcceptedOrClose));
    }
    cases
}

/// Names in methods without content must be text; what is published may have any key.
fn not_utf8() -> Vec<Case> {
    const EXCLUSIVE: u8 = 0b100;
    let refused = || Outcome::Close(501, "Malformed UTF-8 in shortstr".to_owned(), ids::NO_METHOD);
    let declare = |name: &[u8]| {
        let declare = Method::new(ids::QUEUE_DECLARE).short(0).octet(u8::try_from(name.len()).unwrap()).raw(name);
        declare.octet(EXCLUSIVE).table(&none())
    };
    let malformed = |name: &str, method: Method| Case::new(name, Stage::Channel, method.frames(1, 0), refused());
    let mut publish = Method::new(ids::BASIC_PUBLISH).short(0).octet(0).octet(2).raw(&[0xFF, 0xFE]).octet(0);
    publish.content = Some((Props::default(), b"x".to_vec()));
    vec![
        malformed("queue name of two stray octets", declare(&[0xFF, 0xFE])),
        malformed("queue name with an overlong slash", declare(&[0xC0, 0xAF])),
        malformed("queue name cut inside a character", declare(&[b'a', 0xE2, 0x82])),
        // RabbitMQ 3.10 does not mind surrogates, which are no text either.
        Case::new(
            "queue name with a surrogate",
            Stage::Channel,
            declare(b"leveret-\xED\xA0\x80").frames(1, 0),
            refused().but_on_peer(Outcome::Accepted),
        ),
        malformed(
            "consumer tag that is no text",
            Method::new(ids::BASIC_CONSUME).short(0).shortstr("q").octet(1).raw(&[0x80]).octet(0).table(&none()),
        ),
        malformed(
            "exchange type that is no text",
            Method::new(ids::EXCHANGE_DECLARE).short(0).shortstr("x").octet(1).raw(&[0xF8]).octet(0).table(&none()),
        ),
        Case::new("published key that is no text", Stage::Channel, publish.frames(1, 0), Outcome::Accepted),
    ]
}

/// Lengths inside the arguments that promise more than there is.
fn wrong_lengths() -> Vec<Case> {
    let raw = |name: &str, id: ids::Id, args: &[u8]| undecodable(name, 1, Method::new(id).raw(args));
    vec![
        raw("queue name longer than the frame", ids::QUEUE_DECLARE, &[0, 0, 255, b'q']),
        raw("consumer tag longer than the frame", ids::BASIC_CANCEL, &[200, b't', 0]),
        // Octets are told as numbers, even when all of them are letters.
        raw("letters where a length should be", ids::BASIC_CANCEL, b"letters"),
        raw("arguments of 4 GiB", ids::QUEUE_DECLARE, &[0, 0, 1, b'q', 0, 255, 255, 255, 255]),
        raw("arguments one octet too long", ids::QUEUE_DECLARE, &[0, 0, 1, b'q', 0, 0, 0, 0, 1]),
        undecodable("secret of 4 GiB", 0, Method::new(ids::CONNECTION_UPDATE_SECRET).raw(&[255; 4])),
    ]
}
