//! What must happen to the connection that misbehaves.

use leveret_tests::broker;
use leveret_tests::raw::ids::{self, Id};
use leveret_tests::raw::socket::{PATIENCE, assert_close, describe};
use leveret_tests::raw::{Event, Method, Socket, Stage, methods};

#[derive(Clone)]
pub enum Outcome {
    /// connection.close with this code, explanation and blamed method.
    Close(u16, String, Id),
    /// connection.close with this code and explanation, whichever method it blames.
    CloseText(u16, String),
    /// connection.close with one of these codes, whatever it explains.
    CloseWith(&'static [u16]),
    /// channel.close with this code, explanation and blamed method; the connection lives on.
    ChannelClose(u16, String, Id),
    /// The end of the stream without a word.
    Dropped,
    /// The connection works on.
    Accepted,
    /// Accepted, or refused by connection.close: a limit of our own that RabbitMQ may not have.
    AcceptedOrClose,
    /// The end of the stream with or without connection.close, or an answered connection.close.
    Ended,
    /// The second when the broker is the peer, else the first.
    OnPeer(Box<Outcome>, Box<Outcome>),
}

impl Outcome {
    /// The same outcome but for RabbitMQ 3.10.
    pub fn but_on_peer(self, peer: Outcome) -> Outcome {
        Outcome::OnPeer(Box::new(self), Box::new(peer))
    }

    pub fn check(&self, socket: &mut Socket, stage: Stage) {
        match self {
            Outcome::OnPeer(ours, peers) => {
                let outcome = if broker::peer() { peers } else { ours };
                outcome.check(socket, stage);
            }
            Outcome::Close(code, explanation, blamed) => socket.expect_close(*code, explanation, *blamed),
            Outcome::CloseText(code, explanation) => {
                let mut close = socket.expect(0, ids::CONNECTION_CLOSE);
                let got = (close.short(), close.shortstr());
                assert_eq!(got, (*code, ids::reply_text(*code, explanation)));
                socket.finish_close();
            }
            Outcome::CloseWith(codes) => {
                let code = socket.expect(0, ids::CONNECTION_CLOSE).short();
                assert!(codes.contains(&code), "{code} is none of {codes:?}");
                socket.finish_close();
            }
            Outcome::ChannelClose(code, explanation, blamed) => {
                socket.expect_channel_close(1, *code, explanation, *blamed);
                check_alive(socket, 1);
            }
            Outcome::Dropped => socket.expect_end(),
            Outcome::Accepted => check_alive(socket, 2),
            Outcome::AcceptedOrClose => check_alive_or_closed(socket, stage),
            Outcome::Ended => match socket.next_but_heartbeats(PATIENCE) {
                Event::Closed => (),
                Event::Frame(frame) if frame.id() == Some(ids::CONNECTION_CLOSE_OK) => socket.expect_end(),
                event => finish_after_close(socket, &event),
            },
        }
    }
}

/// Opens a channel, which a connection that works on allows; replies to the case itself may come first.
fn check_alive(socket: &mut Socket, channel: u16) {
    socket.send_method(channel, &methods::channel_open());
    let wanted = (channel, Some(ids::CHANNEL_OPEN_OK));
    loop {
        match socket.next_but_heartbeats(PATIENCE) {
            Event::Frame(frame) if (frame.channel, frame.id()) == wanted => return,
            Event::Frame(frame) if frame.channel != 0 && frame.id() != Some(ids::CHANNEL_CLOSE) => (),
            other => panic!("the connection does not work on: {}", describe(&other)),
        }
    }
}

fn check_alive_or_closed(socket: &mut Socket, stage: Stage) {
    if stage >= Stage::Open {
        socket.send_method(2, &methods::channel_open());
    }
    loop {
        match socket.next_but_heartbeats(PATIENCE) {
            Event::Frame(frame) if frame.id() == Some(ids::CHANNEL_OPEN_OK) => return,
            Event::Frame(frame) if stage < Stage::Open && frame.id() == Some(ids::CONNECTION_TUNE) => {
                return;
            }
            Event::Frame(frame) if frame.channel != 0 => (),
            // Before the tuning errors have no words.
            Event::Closed if stage < Stage::Tuning => return,
            event => return finish_after_close(socket, &event),
        }
    }
}

fn finish_after_close(socket: &mut Socket, event: &Event) {
    match event {
        Event::Frame(frame) if frame.id() == Some(ids::CONNECTION_CLOSE) => {
            socket.send_method(0, &Method::new(ids::CONNECTION_CLOSE_OK));
            socket.expect_end();
        }
        other => panic!("connection.close expected, got {}", describe(other)),
    }
}

/// Shows that the explanation of a close is compared as a whole.
#[test]
#[should_panic(expected = "FRAME_ERROR - another")]
fn a_close_with_another_text_is_not_accepted() {
    let close = Method::new(ids::CONNECTION_CLOSE).short(501).shortstr("FRAME_ERROR - another").short(0).short(0);
    let mut args = leveret_tests::raw::Args::new(&close.payload());
    args.long();
    assert_close(args, 501, "the expected one", ids::NO_METHOD);
}
