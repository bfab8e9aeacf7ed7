//! Every method a client sends, byte by byte.

use super::ids::{self, Id};
use super::wire::{Args, Table, frame, put_longstr, put_shortstr};
use super::wire::{FRAME_BODY, FRAME_HEADER, FRAME_METHOD, FRAME_OVERHEAD_BYTES};

/// The bits of the methods under one name each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Of exchange.declare and queue.declare.
    Passive,
    /// Of exchange.declare and queue.declare.
    Durable,
    /// Of queue.declare and basic.consume.
    Exclusive,
    /// Of exchange.declare and queue.declare.
    AutoDelete,
    /// Of exchange.declare.
    Internal,
    /// Of many methods.
    Nowait,
    /// Of exchange.delete and queue.delete.
    IfUnused,
    /// Of queue.delete.
    IfEmpty,
    /// Of basic.consume and basic.get.
    NoAck,
    /// Of basic.consume.
    NoLocal,
    /// Of basic.publish.
    Mandatory,
    /// Of basic.publish.
    Immediate,
    /// Of basic.ack and basic.nack.
    Multiple,
    /// Of basic.reject, basic.nack and basic.recover.
    Requeue,
    /// Of basic.qos.
    Global,
}

/// A method with its arguments and, for those that have it, its content.
#[derive(Clone, Debug)]
pub struct Method {
    /// Class and method.
    pub id: Id,
    /// The encoded arguments.
    pub args: Vec<u8>,
    /// Properties and body.
    pub content: Option<(Props, Vec<u8>)>,
}

impl Method {
    /// A method without arguments yet.
    pub fn new(id: Id) -> Method {
        Method { id, args: Vec::new(), content: None }
    }

    /// Appends an octet.
    pub fn octet(mut self, value: u8) -> Method {
        self.args.push(value);
        self
    }

    /// Appends 16 bits.
    pub fn short(mut self, value: u16) -> Method {
        self.args.extend(value.to_be_bytes());
        self
    }

    /// Appends 32 bits.
    pub fn long(mut self, value: u32) -> Method {
        self.args.extend(value.to_be_bytes());
        self
    }

    /// Appends 64 bits.
    pub fn longlong(mut self, value: u64) -> Method {
        self.args.extend(value.to_be_bytes());
        self
    }

    /// Appends a short string.
    pub fn shortstr(mut self, text: &str) -> Method {
        put_shortstr(&mut self.args, text.as_bytes());
        self
    }

    /// Appends a long string.
    pub fn longstr(mut self, bytes: &[u8]) -> Method {
        put_longstr(&mut self.args, bytes);
        self
    }

    /// Appends a table.
    pub fn table(mut self, table: &Table) -> Method {
        table.put(&mut self.args);
        self
    }

    /// Appends octets as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Method {
        self.args.extend(bytes);
        self
    }

    /// Appends the octet of the packed bits; `layout` lists them from the least significant one.
    fn bits(self, flags: &[Flag], layout: &[Flag]) -> Method {
        let mut octet = 0;
        for flag in flags {
            let position = layout.iter().position(|known| known == flag);
            let position = position.unwrap_or_else(|| panic!("{} has no bit {flag:?}", ids::name(self.id)));
            octet |= 1 << position;
        }
        self.octet(octet)
    }

    /// The payload of the method frame.
    pub fn payload(&self) -> Vec<u8> {
        let (class, method) = self.id;
        [&class.to_be_bytes(), &method.to_be_bytes(), &self.args[..]].concat()
    }

    /// All frames, the body cut to the given frame_max (0: not cut).
    pub fn frames(&self, channel: u16, frame_max: u32) -> Vec<u8> {
        let mut out = frame(FRAME_METHOD, channel, &self.payload());
        if let Some((props, body)) = &self.content {
            out.extend(frame(FRAME_HEADER, channel, &header_payload(props, body.len())));
            let piece_max = usize::try_from(frame_max).map_or(0, |max| max.saturating_sub(FRAME_OVERHEAD_BYTES));
            let piece_max = if piece_max == 0 { body.len().max(1) } else { piece_max };
            for piece in body.chunks(piece_max) {
                out.extend(frame(FRAME_BODY, channel, piece));
            }
        }
        out
    }
}

/// The payload of a content header of class basic.
pub fn header_payload(props: &Props, body_size: usize) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend((body_size as u64).to_be_bytes());
    payload.extend(props.encode());
    payload
}

/// The properties of class basic.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are the properties of the protocol under their names")]
pub struct Props {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub headers: Option<Table>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<String>,
    pub reply_to: Option<String>,
    pub expiration: Option<String>,
    pub message_id: Option<String>,
    pub timestamp: Option<u64>,
    pub type_: Option<String>,
    pub user_id: Option<String>,
    pub app_id: Option<String>,
    pub cluster_id: Option<String>,
}

impl Props {
    /// Properties with these headers alone.
    pub fn with_headers(headers: Table) -> Props {
        Props { headers: Some(headers), ..Props::default() }
    }

    /// Properties of a persistent message.
    pub fn persistent() -> Props {
        Props { delivery_mode: Some(2), ..Props::default() }
    }

    /// Flags and values.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = 0_u16;
        let mut values = Vec::new();
        let mut put = |bit: u16, value: Option<Vec<u8>>| {
            if let Some(value) = value {
                flags |= 1 << bit;
                values.extend(value);
            }
        };
        let text = |text: &Option<String>| {
            text.as_ref().map(|text| {
                let mut out = Vec::new();
                put_shortstr(&mut out, text.as_bytes());
                out
            })
        };
        put(15, text(&self.content_type));
        put(14, text(&self.content_encoding));
        put(
            13,
            self.headers.as_ref().map(|headers| {
                let mut out = Vec::new();
                headers.put(&mut out);
                out
            }),
        );
        put(12, self.delivery_mode.map(|mode| vec![mode]));
        put(11, self.priority.map(|priority| vec![priority]));
        put(10, text(&self.correlation_id));
        put(9, text(&self.reply_to));
        put(8, text(&self.expiration));
        put(7, text(&self.message_id));
        put(6, self.timestamp.map(|seconds| seconds.to_be_bytes().to_vec()));
        put(5, text(&self.type_));
        put(4, text(&self.user_id));
        put(3, text(&self.app_id));
        put(2, text(&self.cluster_id));
        [&flags.to_be_bytes()[..], &values].concat()
    }

    /// Reads flags and values to the end of a content header.
    pub fn decode(args: &mut Args) -> Props {
        let flags = args.short();
        let has = |bit: u16| flags & (1 << bit) != 0;
        assert_eq!(flags & 0b11, 0, "the lowest property bits are never set");
        Props {
            content_type: has(15).then(|| args.shortstr()),
            content_encoding: has(14).then(|| args.shortstr()),
            headers: has(13).then(|| args.table()),
            delivery_mode: has(12).then(|| args.octet()),
            priority: has(11).then(|| args.octet()),
            correlation_id: has(10).then(|| args.shortstr()),
            reply_to: has(9).then(|| args.shortstr()),
            expiration: has(8).then(|| args.shortstr()),
            message_id: has(7).then(|| args.shortstr()),
            timestamp: has(6).then(|| args.longlong()),
            type_: has(5).then(|| args.shortstr()),
            user_id: has(4).then(|| args.shortstr()),
            app_id: has(3).then(|| args.shortstr()),
            cluster_id: has(2).then(|| args.shortstr()),
        }
    }
}

const TICKET: u16 = 0;

/// connection.start-ok
pub fn start_ok(properties: &Table, mechanism: &str, response: &[u8]) -> Method {
    Method::new(ids::CONNECTION_START_OK).table(properties).shortstr(mechanism).longstr(response).shortstr("en_US")
}

/// connection.tune-ok
pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat_seconds: u16) -> Method {
    Method::new(ids::CONNECTION_TUNE_OK).short(channel_max).long(frame_max).short(heartbeat_seconds)
}

/// connection.open
pub fn connection_open(vhost: &str) -> Method {
    Method::new(ids::CONNECTION_OPEN).shortstr(vhost).shortstr("").octet(0)
}

/// connection.close
pub fn connection_close() -> Method {
    Method::new(ids::CONNECTION_CLOSE).short(200).shortstr("bye").short(0).short(0)
}

/// connection.update-secret
pub fn update_secret(secret: &str, reason: &str) -> Method {
    Method::new(ids::CONNECTION_UPDATE_SECRET).longstr(secret.as_bytes()).shortstr(reason)
}

/// channel.open
pub fn channel_open() -> Method {
    Method::new(ids::CHANNEL_OPEN).shortstr("")
}

/// channel.close
pub fn channel_close() -> Method {
    Method::new(ids::CHANNEL_CLOSE).short(200).shortstr("bye").short(0).short(0)
}

/// channel.flow
pub fn flow(is_active: bool) -> Method {
    Method::new(ids::CHANNEL_FLOW).octet(u8::from(is_active))
}

/// access.request
pub fn access_request(realm: &str) -> Method {
    Method::new(ids::ACCESS_REQUEST).shortstr(realm).octet(0b11111)
}

/// exchange.declare
pub fn exchange_declare(exchange: &str, kind: &str, flags: &[Flag], arguments: &Table) -> Method {
    use Flag::{AutoDelete, Durable, Internal, Nowait, Passive};
    Method::new(ids::EXCHANGE_DECLARE)
        .short(TICKET)
        .shortstr(exchange)
        .shortstr(kind)
        .bits(flags, &[Passive, Durable, AutoDelete, Internal, Nowait])
        .table(arguments)
}

/// exchange.delete
pub fn exchange_delete(exchange: &str, flags: &[Flag]) -> Method {
    let layout = [Flag::IfUnused, Flag::Nowait];
    Method::new(ids::EXCHANGE_DELETE).short(TICKET).shortstr(exchange).bits(flags, &layout)
}

/// exchange.bind
pub fn exchange_bind(destination: &str, source: &str, key: &str, flags: &[Flag], arguments: &Table) -> Method {
    exchange_binding(ids::EXCHANGE_BIND, destination, source, key, flags, arguments)
}

/// exchange.unbind
pub fn exchange_unbind(destination: &str, source: &str, key: &str, flags: &[Flag], arguments: &Table) -> Method {
    exchange_binding(ids::EXCHANGE_UNBIND, destination, source, key, flags, arguments)
}

fn exchange_binding(id: Id, to: &str, from: &str, key: &str, flags: &[Flag], arguments: &Table) -> Method {
    let names = Method::new(id).short(TICKET).shortstr(to).shortstr(from).shortstr(key);
    names.bits(flags, &[Flag::Nowait]).table(arguments)
}

/// queue.declare
pub fn queue_declare(queue: &str, flags: &[Flag], arguments: &Table) -> Method {
    use Flag::{AutoDelete, Durable, Exclusive, Nowait, Passive};
    Method::new(ids::QUEUE_DECLARE)
        .short(TICKET)
        .shortstr(queue)
        .bits(flags, &[Passive, Durable, Exclusive, AutoDelete, Nowait])
        .table(arguments)
}

/// queue.bind
pub fn queue_bind(queue: &str, exchange: &str, key: &str, flags: &[Flag], arguments: &Table) -> Method {
    let names = Method::new(ids::QUEUE_BIND).short(TICKET).shortstr(queue).shortstr(exchange).shortstr(key);
    names.bits(flags, &[Flag::Nowait]).table(arguments)
}

/// queue.unbind
pub fn queue_unbind(queue: &str, exchange: &str, key: &str, arguments: &Table) -> Method {
    let names = Method::new(ids::QUEUE_UNBIND).short(TICKET).shortstr(queue).shortstr(exchange).shortstr(key);
    names.table(arguments)
}

/// queue.purge
pub fn queue_purge(queue: &str, flags: &[Flag]) -> Method {
    Method::new(ids::QUEUE_PURGE).short(TICKET).shortstr(queue).bits(flags, &[Flag::Nowait])
}

/// queue.delete
pub fn queue_delete(queue: &str, flags: &[Flag]) -> Method {
    let layout = [Flag::IfUnused, Flag::IfEmpty, Flag::Nowait];
    Method::new(ids::QUEUE_DELETE).short(TICKET).shortstr(queue).bits(flags, &layout)
}

/// basic.qos
pub fn qos(prefetch_bytes: u32, prefetch_count: u16, flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_QOS).long(prefetch_bytes).short(prefetch_count).bits(flags, &[Flag::Global])
}

/// basic.consume
pub fn consume(queue: &str, consumer_tag: &str, flags: &[Flag], arguments: &Table) -> Method {
    use Flag::{Exclusive, NoAck, NoLocal, Nowait};
    Method::new(ids::BASIC_CONSUME)
        .short(TICKET)
        .shortstr(queue)
        .shortstr(consumer_tag)
        .bits(flags, &[NoLocal, NoAck, Exclusive, Nowait])
        .table(arguments)
}

/// basic.cancel
pub fn cancel(consumer_tag: &str, flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_CANCEL).shortstr(consumer_tag).bits(flags, &[Flag::Nowait])
}

/// basic.publish with its content
pub fn publish(exchange: &str, key: &str, flags: &[Flag], props: &Props, body: &[u8]) -> Method {
    let mut method = publish_alone(exchange, key, flags);
    method.content = Some((props.clone(), body.to_vec()));
    method
}

/// basic.publish without its content
pub fn publish_alone(exchange: &str, key: &str, flags: &[Flag]) -> Method {
    let names = Method::new(ids::BASIC_PUBLISH).short(TICKET).shortstr(exchange).shortstr(key);
    names.bits(flags, &[Flag::Mandatory, Flag::Immediate])
}

/// basic.get
pub fn get(queue: &str, flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_GET).short(TICKET).shortstr(queue).bits(flags, &[Flag::NoAck])
}

/// basic.ack
pub fn ack(delivery_tag: u64, flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_ACK).longlong(delivery_tag).bits(flags, &[Flag::Multiple])
}

/// basic.nack
pub fn nack(delivery_tag: u64, flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_NACK).longlong(delivery_tag).bits(flags, &[Flag::Multiple, Flag::Requeue])
}

/// basic.reject
pub fn reject(delivery_tag: u64, flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_REJECT).longlong(delivery_tag).bits(flags, &[Flag::Requeue])
}

/// basic.recover
pub fn recover(flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_RECOVER).bits(flags, &[Flag::Requeue])
}

/// basic.recover-async
pub fn recover_async(flags: &[Flag]) -> Method {
    Method::new(ids::BASIC_RECOVER_ASYNC).bits(flags, &[Flag::Requeue])
}

/// confirm.select
pub fn confirm_select(flags: &[Flag]) -> Method {
    Method::new(ids::CONFIRM_SELECT).bits(flags, &[Flag::Nowait])
}

/// tx.select
pub fn tx_select() -> Method {
    Method::new(ids::TX_SELECT)
}

/// tx.commit
pub fn tx_commit() -> Method {
    Method::new(ids::TX_COMMIT)
}

/// tx.rollback
pub fn tx_rollback() -> Method {
    Method::new(ids::TX_ROLLBACK)
}
