//! A connection that is shared by its channels.

use std::cell::{RefCell, RefMut};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::ids::{self, Id};
use super::methods::{self, Method};
use super::socket::{Event, Frame, Login, PATIENCE, Socket, Stage, assert_close, describe};
use super::wire::Args;
use crate::broker::Broker;

/// An open connection. Clones are handles of the same connection.
#[derive(Clone, Debug)]
pub struct Connection {
    inner: Rc<RefCell<Inner>>,
}

#[derive(Debug)]
struct Inner {
    socket: Socket,
    frame_max: u32,
    /// Frames that were read while another channel was waited for.
    waiting: HashMap<u16, VecDeque<Frame>>,
}

impl Connection {
    /// Logs in as an ordinary client.
    pub fn open(broker: &Broker) -> Connection {
        Connection::open_with(broker, &Login::new(broker))
    }

    /// Logs in as told.
    pub fn open_with(broker: &Broker, login: &Login) -> Connection {
        let socket = Socket::at_with(broker, Stage::Open, login);
        let inner = Inner { socket, frame_max: login.frame_max, waiting: HashMap::new() };
        Connection { inner: Rc::new(RefCell::new(inner)) }
    }

    /// Opens a channel.
    pub fn channel(&self, number: u16) -> Channel {
        let channel = self.unopened_channel(number);
        channel.open();
        channel
    }

    /// A handle of a channel that is not open yet.
    pub fn unopened_channel(&self, number: u16) -> Channel {
        Channel::new(self.clone(), number)
    }

    /// The frames below this connection.
    pub fn socket(&self) -> RefMut<'_, Socket> {
        RefMut::map(self.inner.borrow_mut(), |inner| &mut inner.socket)
    }

    /// Sends a method on any channel.
    pub fn send(&self, channel: u16, method: &Method) {
        self.send_together(channel, std::slice::from_ref(method));
    }

    /// Sends methods on any channel in one piece, so that nothing comes between them.
    pub fn send_together(&self, channel: u16, methods: &[Method]) {
        let mut inner = self.inner.borrow_mut();
        let frames: Vec<u8> = methods.iter().flat_map(|method| method.frames(channel, inner.frame_max)).collect();
        inner.socket.send(&frames);
    }

    /// Sends a method on channel 0 and takes its reply.
    pub fn rpc(&self, method: &Method) -> Args {
        self.send(0, method);
        self.expect(ids::reply_to(method.id))
    }

    /// Takes the next frame of channel 0, which must be this method.
    pub fn expect(&self, id: Id) -> Args {
        match self.next_on(0, PATIENCE) {
            Event::Frame(frame) if frame.id() == Some(id) => frame.args(),
            other => panic!("{} expected on channel 0, got {}", ids::name(id), describe(&other)),
        }
    }

    /// Takes a connection.close with exactly these arguments, answers it and waits for the end of the stream.
    pub fn expect_close(&self, code: u16, explanation: &str, blamed: Id) {
        let deadline = Instant::now() + PATIENCE;
        let event = loop {
            let event = self.socket().next_but_heartbeats(deadline.saturating_duration_since(Instant::now()));
            // Deliveries and replies of channels may be on their way when the close is decided.
            if !matches!(&event, Event::Frame(frame) if frame.channel != 0) {
                break event;
            }
        };
        match event {
            Event::Frame(frame) if frame.id() == Some(ids::CONNECTION_CLOSE) => {
                assert_close(frame.args(), code, explanation, blamed);
            }
            other => panic!("connection.close {code} {explanation} expected, got {}", describe(&other)),
        }
        self.socket().finish_close();
    }

    /// Closes the connection and waits for the answer. RabbitMQ then leaves closing the stream to the client.
    pub fn close(&self) {
        self.rpc(&methods::connection_close()).finish();
    }

    /// The next frame of one channel; frames of others wait for their own readers.
    pub fn next_on(&self, channel: u16, patience: Duration) -> Event {
        let mut inner = self.inner.borrow_mut();
        if let Some(frame) = inner.waiting.get_mut(&channel).and_then(VecDeque::pop_front) {
            return Event::Frame(frame);
        }
        let deadline = Instant::now() + patience;
        loop {
            match inner.socket.next_but_heartbeats(deadline.saturating_duration_since(Instant::now())) {
                Event::Frame(frame) if frame.channel != channel => {
                    let is_close = frame.id() == Some(ids::CONNECTION_CLOSE);
                    assert!(!is_close, "unexpected {}", describe(&Event::Frame(frame)));
                    inner.waiting.entry(frame.channel).or_default().push_back(frame);
                }
                event => return event,
            }
        }
    }
}
