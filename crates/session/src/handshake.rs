//! From the protocol header to an open connection.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use leveret_codec::erlang::Binary;
use leveret_codec::method::{
    ConnectionOpen, ConnectionOpenOk, ConnectionStart, ConnectionStartOk, ConnectionTune, ConnectionTuneOk,
};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::reply_code::ReplyCode;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::admission::Admission;
use leveret_engine::user::User;

use crate::connection::{Client, Connection, Home, State, Tuned, cannot_decode};
use crate::error::{Close, Failure};
use crate::limits::{FRAME_MAX_MIN, UNLIMITED_FRAME_BYTES_MAX};
use crate::login::{Refusal, in_one_line};
use crate::sasl::claim;

/// The older form of the header of 0-9-1, which RabbitMQ takes too.
const OLD_PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

impl Connection {
    pub(crate) fn protocol_header(&mut self, input: &mut BytesMut) -> bool {
        let Some(header) = input.first_chunk::<8>() else {
            // What cannot become a header is answered before all of it is there.
            let so_far = input.len().min(4);
            if input.get(..so_far) != PROTOCOL_HEADER.get(..so_far) {
                self.refuse_protocol(input);
            }
            return false;
        };
        if *header != PROTOCOL_HEADER && *header != OLD_PROTOCOL_HEADER {
            self.refuse_protocol(input);
            return false;
        }
        input.advance(PROTOCOL_HEADER.len());
        let mechanisms = self.mechanisms();
        let mut properties = Vec::new();
        self.config.server_properties.encode(&mut properties);
        self.outbox.send_method(
            0,
            ConnectionStart {
                version_major: 0,
                version_minor: 9,
                server_properties: TableRef::from_raw(&properties),
                mechanisms: mechanisms.as_bytes(),
                locales: b"en_US",
            },
        );
        self.state = State::Starting;
        true
    }

    /// Tells the peer which protocol is spoken here, and nothing else.
    fn refuse_protocol(&mut self, input: &[u8]) {
        tracing::error!("closing AMQP connection {}:\n{}", self.log_name(), no_protocol_of_ours(input));
        self.outbox.send(|out| out.extend_from_slice(&PROTOCOL_HEADER));
        self.finish();
    }

    pub(crate) fn start_ok(&mut self, start_ok: &ConnectionStartOk<'_>, ids: (u16, u16)) -> Result<(), Failure> {
        let properties =
            start_ok.client_properties.decode().map_err(|_| cannot_decode(start_ok.client_properties.as_bytes()))?;
        self.client = client(&properties);
        self.about.introduce(properties, start_ok.mechanism, self.broker.services.clock.now_ms());
        let claim = claim(start_ok.mechanism, |mechanism| self.offers(mechanism), start_ok.response, ids)?;
        match self.log_in(start_ok.mechanism, claim) {
            Ok(user) => {
                self.tell_login(&user.name, None);
                self.tune(user);
            }
            Err((name, refusal)) => {
                self.tell_login(&name, Some(&refusal.0));
                self.refuse_login(start_ok.mechanism, &refusal);
            }
        }
        Ok(())
    }

    fn refuse_login(&mut self, mechanism: &str, refusal: &Refusal) {
        tracing::error!(
            "Error on AMQP connection <0.{}.0> ({}, state: starting):\n{mechanism} login refused: {refusal}",
            self.id.0,
            self.log_name(),
            refusal = in_one_line(&refusal.0)
        );
        if self.client.authentication_failure_close {
            let text = format!(
                "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
            );
            self.send_close(&Close { code: ReplyCode::AccessRefused, text, ids: (0, 0) });
        }
        self.state = State::Refused;
    }

    fn tune(&mut self, user: Arc<User>) {
        self.user = Some(user);
        self.outbox.send_method(
            0,
            ConnectionTune {
                channel_max: self.config.channel_max,
                frame_max: self.config.frame_max,
                heartbeat: self.config.heartbeat_s,
            },
        );
        self.state = State::Tuning;
    }

    pub(crate) fn tune_ok(&mut self, tune_ok: ConnectionTuneOk) -> Result<(), Failure> {
        // What is refused is the tuning that the server began.
        let refuse = |text: String| Err(Failure::new(ReplyCode::NotAllowed, text, ConnectionTune::IDS));
        let bounds = [
            ("frame_max", tune_ok.frame_max, FRAME_MAX_MIN, self.config.frame_max, ""),
            ("channel_max", tune_ok.channel_max.into(), 1, self.config.channel_max.into(), " (no limit)"),
        ];
        for (what, asked, min, max, zero) in bounds {
            if asked != 0 && asked < min {
                return refuse(format!("negotiated {what} = {asked} is lower than the minimum allowed value ({min})"));
            }
            if max != 0 && (asked == 0 || asked > max) {
                let zero = if asked == 0 { zero } else { "" };
                return refuse(format!(
                    "negotiated {what} = {asked}{zero} is higher than the maximum allowed value ({max})"
                ));
            }
        }
        self.tuned = Tuned {
            channel_max: tune_ok.channel_max,
            frame_max: match tune_ok.frame_max {
                0 => UNLIMITED_FRAME_BYTES_MAX,
                bytes => bytes as usize,
            },
            heartbeat_s: tune_ok.heartbeat,
        };
        self.outbox.set_frame_max(self.tuned.frame_max);
        self.state = State::Opening;
        Ok(())
    }

    pub(crate) fn open(&mut self, open: &ConnectionOpen<'_>, ids: (u16, u16)) -> Result<(), Failure> {
        // There is a user in this state.
        let Some(user) = self.user.take() else { return Ok(()) };
        let admitted = self.broker.admit(&user, open.virtual_host);
        let admission = admitted.map_err(|refused| Failure::new(refused.reply_code(), refused.to_string(), ids))?;
        let vhost = Arc::clone(&admission.vhost);
        self.home = Some(Arc::new(Home { user, vhost }));
        self.admission = Some(admission);
        self.outbox.send_method(0, ConnectionOpenOk);
        self.state = State::Running;
        self.tell_opened();
        // A deletion that came in between may not have found this connection.
        if let Some(gone) = self.admission.as_ref().and_then(Admission::gone) {
            self.force_close(&gone.reason());
        }
        Ok(())
    }
}

/// What the log says of a client that speaks something else.
fn no_protocol_of_ours(input: &[u8]) -> String {
    match input {
        [b'G', b'E', b'T', b' ', ..] => "HTTP GET request detected on AMQP port. \
             Ensure the client is connecting to the correct port."
            .to_owned(),
        [0x16, 0x03, ..] => "TLS client detected on non-TLS AMQP port. \
             Ensure the client is connecting to the correct port."
            .to_owned(),
        _ => {
            let header = input.first_chunk::<8>().map_or(input, <[u8; 8]>::as_slice);
            format!("client did not start with AMQP protocol header: {}", Binary(header))
        }
    }
}

fn client(properties: &FieldTable) -> Client {
    let Some(FieldValue::Table(capabilities)) = properties.get(b"capabilities") else { return Client::default() };
    let has = |name: &[u8]| capabilities.get(name) == Some(&FieldValue::Bool(true));
    Client {
        consumer_cancel_notify: has(b"consumer_cancel_notify"),
        authentication_failure_close: has(b"authentication_failure_close"),
        connection_blocked: has(b"connection.blocked"),
    }
}
