//! A disk that fails ends the broker: it confirms nothing any more, says why, and keeps what it confirmed before.
#![cfg(target_os = "linux")]

use leveret_tests::prelude::*;

/// Enough for journal files, which are 64 MiB each.
const FILE_BYTES_MAX: u64 = 65 << 20;
/// More than fits a file.
const BODY_BYTES: usize = 80 << 20;

#[test]
fn a_failed_write_ends_the_broker_with_its_reason_and_loses_nothing_confirmed() {
    if skip_without_process("a_failed_write_ends_the_broker_with_its_reason_and_loses_nothing_confirmed") {
        return;
    }
    let home = Home::new();
    let mut broker = home.start_with_file_limit(FILE_BYTES_MAX).expect("a broker");
    let channel = Connection::open(&broker).channel(1);
    channel.declare("kept", &[Durable], &none());
    channel.rpc(methods::confirm_select(&[]));
    channel.publish_with("", "kept", &[], &Props::persistent(), "confirmed");
    assert_eq!(channel.reply(&[ids::BASIC_ACK]).args.longlong(), 1);

    let mut socket = Socket::at(&broker, Stage::Channel);
    socket.send_method(1, &methods::confirm_select(&[]));
    socket.expect(1, ids::CONFIRM_SELECT_OK);
    let publish = methods::publish("", "kept", &[], &Props::persistent(), &vec![b'x'; BODY_BYTES]);
    // The broker may be gone before it has read all of it.
    socket.send(&publish.frames(1, 131_072));
    let status = broker.wait_for_exit(PATIENCE).expect("the broker ends by itself");
    assert!(!status.success(), "{status}");
    let output = broker.output();
    for told in ["the store has failed", "write blobs/", "cannot be written any more"] {
        assert!(output.contains(told), "{told:?} is not in:\n{output}");
    }
    drop(broker);

    let broker = home.start();
    assert_eq!(Connection::open(&broker).channel(1).drain("kept"), ["confirmed"]);
    broker.end(Stop::Term);
}
