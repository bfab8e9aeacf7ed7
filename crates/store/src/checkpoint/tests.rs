use leveret_codec::table::FieldTable;
use leveret_engine::journal::{BindingRecord, Record, SettingKey, SettingKind};
use leveret_engine::names::QueueId;
use proptest::prelude::*;

use super::*;
use crate::record;
use crate::state::Settings;
use crate::state::tests::{Model, steps};

const TAIL: Tail = Tail { position: 123_456_512, chain: 77, epoch: 9 };

fn sealed(state: &State) -> Vec<u8> {
    let mut bytes = encode(state, TAIL, true, 4096);
    seal(&mut bytes);
    bytes
}

fn topology() -> State {
    let mut arguments = FieldTable::default();
    arguments.push(*b"x-max-length", leveret_codec::table::FieldValue::I32(7));
    let arguments = &arguments;
    let binding = |destination, destination_is_queue| BindingRecord {
        source: "x",
        destination,
        destination_is_queue,
        routing_key: b"k",
        arguments,
    };
    let (vhost, name, kind) = ("/", "x", "topic");
    let mut state = State::default();
    for record in [
        Record::ExchangeDeclared { vhost, name, kind, auto_delete: true, internal: true, arguments },
        Record::QueueDeclared { vhost, name: "q", id: QueueId(3), auto_delete: true, arguments },
        Record::Bound { vhost, binding: binding("q", true) },
        Record::Bound { vhost, binding: binding("amq.fanout", false) },
    ] {
        let mut bytes = Vec::new();
        record::encode(&record, &mut bytes);
        state.apply(0, &record::decode(&bytes).unwrap().0);
    }
    for (name, value) in [("a", &b"{\"tags\":[]}"[..]), ("b", b""), ("a", b"[]")] {
        let key = SettingKey { kind: SettingKind::User, scope: "", name };
        let mut bytes = Vec::new();
        record::encode(&Record::Setting { key, value }, &mut bytes);
        state.apply(0, &record::decode(&bytes).unwrap().0);
    }
    state.body_blobs.extend([(5, 1), (900, 2)]);
    state
}

#[test]
fn topology_comes_back() {
    let state = topology();
    let again = decode(&sealed(&state)).unwrap();
    assert_eq!((again.tail, again.clean, again.journal_file_bytes), (TAIL, true, 4096));
    assert_eq!(again.state.topology, state.topology);
    assert_eq!(again.state.body_blobs, state.body_blobs);
    let restored = again.state.restored();
    assert_eq!(restored, state.restored());
    assert_eq!((restored.exchanges.len(), restored.queues.len(), restored.bindings.len()), (1, 1, 2));
    let settings: Vec<_> = restored.settings.iter().map(|setting| (&*setting.name, &*setting.value)).collect();
    assert_eq!(settings, [("a", &b"[]"[..]), ("b", b"")]);
    assert!(restored.queues[0].arguments.get(b"x-max-length").is_some());
}

/// Version 1 ended with the queues.
#[test]
fn a_checkpoint_without_settings_is_read() {
    let mut state = topology();
    state.settings = Settings::default();
    let mut bytes = encode(&state, TAIL, true, 4096);
    assert_eq!(bytes.pop(), Some(0), "no settings");
    bytes[8] = 1;
    seal(&mut bytes);
    let again = decode(&bytes).unwrap();
    assert_eq!(again.state.topology, state.topology);
    assert_eq!(again.state.restored(), state.restored());
}

#[test]
fn another_version_is_named() {
    let mut bytes = sealed(&topology());
    bytes[8] = 200;
    bytes.truncate(bytes.len() - CRC_BYTES);
    seal(&mut bytes);
    assert!(matches!(decode(&bytes), Err(Error::Version { version: 200, known: VERSION, .. })));
}

#[test]
fn every_flipped_bit_is_found() {
    let bytes = sealed(&topology());
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(decode(&damaged), Err(Error::Corrupt { .. })), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(matches!(decode(&bytes[..len]), Err(Error::Corrupt { .. })), "{len} bytes");
    }
}

#[test]
fn many_queues_take_few_bytes_and_little_time() {
    let mut state = State::default();
    for id in 0..10_000 {
        let (name, arguments, id) = (format!("queue-{id}"), FieldTable::default(), QueueId(id));
        let mut bytes = Vec::new();
        let (vhost, name, arguments) = ("/", &*name, &arguments);
        record::encode(&Record::QueueDeclared { vhost, name, id, auto_delete: false, arguments }, &mut bytes);
        state.apply(0, &record::decode(&bytes).unwrap().0);
    }
    let bytes = sealed(&state);
    assert!(bytes.len() < 10_000 * 32, "{}", bytes.len());
    assert_eq!(decode(&bytes).unwrap().state.queues, state.queues);
}

proptest! {
    #[test]
    fn queues_come_back(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.take(step);
        }
        let again = decode(&sealed(&model.state)).unwrap();
        prop_assert_eq!(&again.state.queues, &model.state.queues);
        prop_assert_eq!(again.state.next_segment_id, model.state.next_segment_id);
        prop_assert_eq!(again.state.last_queue_id, model.state.last_queue_id);
    }

    /// Damage that the checksum does not tell, because whoever did it wrote one.
    #[test]
    fn garbage_never_panics(
        steps in steps(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut model = Model::new();
        for step in &steps {
            model.take(step);
        }
        let mut bytes = encode(&model.state, TAIL, false, 4096);
        for (index, octet) in damage {
            let at = HEAD_BYTES + index.index(bytes.len() - HEAD_BYTES);
            bytes[at] = octet;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len() - HEAD_BYTES) / 4);
        seal(&mut bytes);
        if let Ok(again) = decode(&bytes) {
            again.state.restored();
        }
    }
}
