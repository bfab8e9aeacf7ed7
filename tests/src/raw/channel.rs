//! A channel and what it sends and expects, method by method.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Connection;
use super::ids::{self, Id};
use super::methods::{self, Method, Props};
use super::socket::{Event, Frame, PATIENCE, SILENCE, assert_close, describe};
use super::wire::{Args, FRAME_BODY, FRAME_HEADER};

/// A channel of a connection. Clones are handles of the same channel.
#[derive(Clone, Debug)]
pub struct Channel {
    connection: Connection,
    number: u16,
    /// Methods that came while the reply to a request was waited for.
    asides: Rc<RefCell<VecDeque<Incoming>>>,
}

/// A method from the broker with its content.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Class and method.
    pub id: Id,
    /// The arguments.
    pub args: Args,
    /// The properties, for a method with content.
    pub props: Props,
    /// The sizes of the body frames.
    pub piece_sizes: Vec<usize>,
    /// The body.
    pub body: Vec<u8>,
}

impl Channel {
    pub(super) fn new(connection: Connection, number: u16) -> Channel {
        Channel { connection, number, asides: Rc::new(RefCell::new(VecDeque::new())) }
    }

    /// The number of the channel.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The connection it belongs to.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends channel.open and takes the answer.
    pub fn open(&self) {
        let mut args = self.rpc(methods::channel_open());
        assert_eq!(args.longstr(), b"", "channel.open-ok has an empty long string");
        args.finish();
    }

    /// Closes the channel; what came before the answer is dropped.
    pub fn close(&self) {
        self.rpc(methods::channel_close()).finish();
        self.asides.borrow_mut().clear();
    }

    /// Sends a method.
    pub fn send(&self, method: Method) {
        self.connection.send(self.number, &method);
    }

    /// Sends methods in one piece, so that nothing comes between them.
    pub fn send_together(&self, methods: &[Method]) {
        self.connection.send_together(self.number, methods);
    }

    /// Sends a synchronous method and takes its reply; deliveries that come before it wait.
    pub fn rpc(&self, method: Method) -> Args {
        let reply = ids::reply_to(method.id);
        self.send(method);
        self.reply(&[reply]).args
    }

    /// Waits until the broker has handled everything sent on this channel.
    pub fn sync(&self) {
        let mut args = self.rpc(methods::flow(true));
        assert_eq!(args.octet(), 1, "flow-ok repeats the active bit");
    }

    /// Sends a method that must close the channel with exactly this code and text, then opens the channel again.
    pub fn refuses(&self, method: Method, code: u16, explanation: &str) {
        let id = method.id;
        self.send(method);
        self.expect_close(code, explanation, id);
        self.open();
    }

    /// Takes a channel.close with exactly these arguments and answers it. The number is free then.
    pub fn expect_close(&self, code: u16, explanation: &str, blamed: Id) {
        let incoming = self.reply(&[ids::CHANNEL_CLOSE]);
        assert_close(incoming.args, code, explanation, blamed);
        self.asides.borrow_mut().clear();
        self.send(Method::new(ids::CHANNEL_CLOSE_OK));
    }

    /// Sends a method that must close the whole connection with exactly this code and text.
    pub fn kills(&self, method: Method, code: u16, explanation: &str) {
        let id = method.id;
        self.send(method);
        self.connection.expect_close(code, explanation, id);
    }

    /// The next method, in the order the broker sent them; `None` when nothing comes.
    pub fn next(&self, patience: Duration) -> Option<Incoming> {
        let aside = self.asides.borrow_mut().pop_front();
        aside.or_else(|| self.read(patience))
    }

    /// Takes the next method, which must be this one.
    pub fn expect(&self, id: Id) -> Incoming {
        let incoming = self.next(PATIENCE);
        let incoming = incoming.unwrap_or_else(|| panic!("{} expected, nothing came", ids::name(id)));
        assert_eq!(incoming.id, id, "{} expected, got {}", ids::name(id), incoming.describe());
        incoming
    }

    /// Checks that nothing more comes on this channel.
    pub fn expect_silence(&self) {
        self.sync();
        if let Some(incoming) = self.next(SILENCE) {
            panic!("nothing expected, got {}", incoming.describe());
        }
    }

    /// Takes one of these replies; deliveries and the like that come before it wait.
    pub fn reply(&self, wanted: &[Id]) -> Incoming {
        const ASYNCHRONOUS: [Id; 5] =
            [ids::BASIC_DELIVER, ids::BASIC_RETURN, ids::BASIC_ACK, ids::BASIC_NACK, ids::BASIC_CANCEL];
        loop {
            let names = || wanted.iter().map(|id| ids::name(*id)).collect::<Vec<_>>();
            let Some(incoming) = self.read(PATIENCE) else { panic!("{:?} expected, nothing came", names()) };
            if wanted.contains(&incoming.id) {
                return incoming;
            }
            let is_asynchronous = ASYNCHRONOUS.contains(&incoming.id);
            assert!(is_asynchronous, "{:?} expected, got {}", names(), incoming.describe());
            self.asides.borrow_mut().push_back(incoming);
        }
    }

    fn read(&self, patience: Duration) -> Option<Incoming> {
        let frame = self.frame(patience)?;
        let Some(id) = frame.id() else { panic!("a method frame expected, got {}", describe(&Event::Frame(frame))) };
        let mut incoming =
            Incoming { id, args: frame.args(), props: Props::default(), piece_sizes: Vec::new(), body: Vec::new() };
        if matches!(id, ids::BASIC_DELIVER | ids::BASIC_RETURN | ids::BASIC_GET_OK) {
            self.read_content(&mut incoming);
        }
        Some(incoming)
    }

    fn read_content(&self, incoming: &mut Incoming) {
        let header = self.frame(PATIENCE).expect("a content header follows");
        assert_eq!(header.kind, FRAME_HEADER, "a content header follows");
        let mut args = Args::new(&header.payload);
        assert_eq!((args.short(), args.short()), (60, 0), "class and weight of the content header");
        let body_size = usize::try_from(args.longlong()).expect("a body size fits in usize");
        incoming.props = Props::decode(&mut args);
        args.finish();
        while incoming.body.len() < body_size {
            let piece = self.frame(PATIENCE).expect("a body frame follows");
            assert_eq!(piece.kind, FRAME_BODY, "a body frame follows");
            incoming.piece_sizes.push(piece.payload.len());
            incoming.body.extend(piece.payload);
        }
        assert_eq!(incoming.body.len(), body_size, "no more body than announced");
    }

    fn frame(&self, patience: Duration) -> Option<Frame> {
        match self.connection.next_on(self.number, patience) {
            Event::Frame(frame) => Some(frame),
            Event::Silence => None,
            Event::Closed => panic!("the broker ended the connection"),
        }
    }
}

impl Incoming {
    /// The method for a failure message, with the text of a close.
    pub fn describe(&self) -> String {
        match self.id {
            ids::CHANNEL_CLOSE => {
                let mut args = self.args.clone();
                format!("channel.close {} {}", args.short(), args.shortstr())
            }
            id => format!("{} {:?}", ids::name(id), self.args.rest()),
        }
    }
}
