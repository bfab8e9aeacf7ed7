//! From the protocol header to an open connection.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use leveret_codec::method::{
    ConnectionOpen, ConnectionOpenOk, ConnectionStart, ConnectionStartOk, ConnectionTune, ConnectionTuneOk,
};
use leveret_codec::protocol_header::PROTOCOL_HEADER;
use leveret_codec::reply_code::ReplyCode;
use leveret_codec::table::{FieldTable, FieldValue, TableRef};
use leveret_engine::user::User;

use crate::config::MECHANISMS;
use crate::connection::{Client, Connection, Home, State, Tuned, cannot_decode};
use crate::error::{Close, Failure};
use crate::limits::FRAME_MAX_MIN;
use crate::sasl::{Claim, claim};

/// The older form of the header of 0-9-1, which RabbitMQ takes too.
const OLD_PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

/// The user that ANONYMOUS stands for.
const ANONYMOUS_USER: &str = "guest";

impl Connection {
    pub(crate) fn protocol_header(&mut self, input: &mut BytesMut) -> bool {
        let Some(header) = input.first_chunk::<8>() else {
            // What cannot become a header is answered before all of it is there.
            let so_far = input.len().min(4);
            if input.get(..so_far) != PROTOCOL_HEADER.get(..so_far) {
                self.refuse_protocol();
            }
            return false;
        };
        if *header != PROTOCOL_HEADER && *header != OLD_PROTOCOL_HEADER {
            self.refuse_protocol();
            return false;
        }
        input.advance(PROTOCOL_HEADER.len());
        let mut properties = Vec::new();
        self.config.server_properties.encode(&mut properties);
        self.outbox.send_method(
            0,
            ConnectionStart {
                version_major: 0,
                version_minor: 9,
                server_properties: TableRef::from_raw(&properties),
                mechanisms: MECHANISMS.as_bytes(),
                locales: b"en_US",
            },
        );
        self.state = State::Starting;
        true
    }

    /// Tells the peer which protocol is spoken here, and nothing else.
    fn refuse_protocol(&mut self) {
        self.outbox.send(|out| out.extend_from_slice(&PROTOCOL_HEADER));
        self.finish();
    }

    pub(crate) fn start_ok(&mut self, start_ok: &ConnectionStartOk<'_>, ids: (u16, u16)) -> Result<(), Failure> {
        let properties =
            start_ok.client_properties.decode().map_err(|_| cannot_decode(start_ok.client_properties.as_bytes()))?;
        self.client = client(&properties);
        self.about.introduce(properties, start_ok.mechanism, self.broker.services.clock.now_ms());
        let (name, user) = match claim(start_ok.mechanism, start_ok.response, ids)? {
            Claim::Anonymous => (ANONYMOUS_USER.to_owned(), self.broker.user(ANONYMOUS_USER)),
            Claim::Password { user, password } => {
                let name = String::from_utf8_lossy(&user).into_owned();
                let user = self.broker.user(&name).filter(|user| user.accepts(&password));
                (name, user)
            }
        };
        match user.filter(|user| self.peer_is_loopback || !user.loopback_only) {
            Some(user) => {
                self.tell_login(&name, None);
                self.tune(user);
            }
            None => {
                self.tell_login(&name, Some(&format!("user '{name}' - invalid credentials")));
                self.refuse_login(start_ok.mechanism);
            }
        }
        Ok(())
    }

    fn refuse_login(&mut self, mechanism: &str) {
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
            frame_max: tune_ok.frame_max as usize,
            heartbeat_s: tune_ok.heartbeat,
        };
        self.outbox.set_frame_max(self.tuned.frame_max);
        self.state = State::Opening;
        Ok(())
    }

    pub(crate) fn open(&mut self, open: &ConnectionOpen<'_>, ids: (u16, u16)) -> Result<(), Failure> {
        let name = open.virtual_host;
        let refuse = |text: String| Err(Failure::new(ReplyCode::NotAllowed, text, ids));
        let (Some(vhost), Some(user)) = (self.broker.vhost(name), self.user.take()) else {
            return refuse(format!("vhost {name} not found"));
        };
        if !user.permissions.contains_key(name) {
            return refuse(format!("access to vhost '{name}' refused for user '{}'", user.name));
        }
        self.home = Some(Arc::new(Home { user, vhost }));
        self.outbox.send_method(0, ConnectionOpenOk);
        self.state = State::Running;
        self.tell_opened();
        Ok(())
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
