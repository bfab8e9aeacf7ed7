//! Class and method ids, and the names of reply codes.

/// The class id and the method id.
pub type Id = (u16, u16);

macro_rules! ids {
    ($($name:ident = $class:literal, $method:literal;)*) => {
        $(
            #[doc = concat!("Class ", $class, ", method ", $method, ".")]
            pub const $name: Id = ($class, $method);
        )*
        /// The name of a method as the constants here spell it, for messages.
        pub fn name(id: Id) -> &'static str {
            match id {
                $(($class, $method) => stringify!($name),)*
                _ => "an unknown method",
            }
        }
    };
}

ids! {
    CONNECTION_START = 10, 10;
    CONNECTION_START_OK = 10, 11;
    CONNECTION_SECURE = 10, 20;
    CONNECTION_SECURE_OK = 10, 21;
    CONNECTION_TUNE = 10, 30;
    CONNECTION_TUNE_OK = 10, 31;
    CONNECTION_OPEN = 10, 40;
    CONNECTION_OPEN_OK = 10, 41;
    CONNECTION_CLOSE = 10, 50;
    CONNECTION_CLOSE_OK = 10, 51;
    CONNECTION_BLOCKED = 10, 60;
    CONNECTION_UNBLOCKED = 10, 61;
    CONNECTION_UPDATE_SECRET = 10, 70;
    CONNECTION_UPDATE_SECRET_OK = 10, 71;
    CHANNEL_OPEN = 20, 10;
    CHANNEL_OPEN_OK = 20, 11;
    CHANNEL_FLOW = 20, 20;
    CHANNEL_FLOW_OK = 20, 21;
    CHANNEL_CLOSE = 20, 40;
    CHANNEL_CLOSE_OK = 20, 41;
    ACCESS_REQUEST = 30, 10;
    ACCESS_REQUEST_OK = 30, 11;
    EXCHANGE_DECLARE = 40, 10;
    EXCHANGE_DECLARE_OK = 40, 11;
    EXCHANGE_DELETE = 40, 20;
    EXCHANGE_DELETE_OK = 40, 21;
    EXCHANGE_BIND = 40, 30;
    EXCHANGE_BIND_OK = 40, 31;
    EXCHANGE_UNBIND = 40, 40;
    EXCHANGE_UNBIND_OK = 40, 51;
    QUEUE_DECLARE = 50, 10;
    QUEUE_DECLARE_OK = 50, 11;
    QUEUE_BIND = 50, 20;
    QUEUE_BIND_OK = 50, 21;
    QUEUE_PURGE = 50, 30;
    QUEUE_PURGE_OK = 50, 31;
    QUEUE_DELETE = 50, 40;
    QUEUE_DELETE_OK = 50, 41;
    QUEUE_UNBIND = 50, 50;
    QUEUE_UNBIND_OK = 50, 51;
    BASIC_QOS = 60, 10;
    BASIC_QOS_OK = 60, 11;
    BASIC_CONSUME = 60, 20;
    BASIC_CONSUME_OK = 60, 21;
    BASIC_CANCEL = 60, 30;
    BASIC_CANCEL_OK = 60, 31;
    BASIC_PUBLISH = 60, 40;
    BASIC_RETURN = 60, 50;
    BASIC_DELIVER = 60, 60;
    BASIC_GET = 60, 70;
    BASIC_GET_OK = 60, 71;
    BASIC_GET_EMPTY = 60, 72;
    BASIC_ACK = 60, 80;
    BASIC_REJECT = 60, 90;
    BASIC_RECOVER_ASYNC = 60, 100;
    BASIC_RECOVER = 60, 110;
    BASIC_RECOVER_OK = 60, 111;
    BASIC_NACK = 60, 120;
    CONFIRM_SELECT = 85, 10;
    CONFIRM_SELECT_OK = 85, 11;
    TX_SELECT = 90, 10;
    TX_SELECT_OK = 90, 11;
    TX_COMMIT = 90, 20;
    TX_COMMIT_OK = 90, 21;
    TX_ROLLBACK = 90, 30;
    TX_ROLLBACK_OK = 90, 31;
}

/// No method: what a close names when no method is to blame.
pub const NO_METHOD: Id = (0, 0);

/// The id of the reply to a synchronous request.
pub fn reply_to(request: Id) -> Id {
    match request {
        EXCHANGE_UNBIND => EXCHANGE_UNBIND_OK,
        (class, method) => (class, method + 1),
    }
}

/// The reply text that belongs to a code: its name and the explanation, cut to 255 octets.
pub fn reply_text(code: u16, explanation: &str) -> String {
    const TEXT_BYTES_MAX: usize = 255;
    const CUT_MARK: &str = "...";
    let full = format!("{} - {explanation}", code_name(code));
    if full.len() <= TEXT_BYTES_MAX {
        return full;
    }
    let kept: String = full.chars().take(TEXT_BYTES_MAX - CUT_MARK.len()).collect();
    kept + CUT_MARK
}

fn code_name(code: u16) -> &'static str {
    match code {
        311 => "CONTENT_TOO_LARGE",
        312 => "NO_ROUTE",
        313 => "NO_CONSUMERS",
        320 => "CONNECTION_FORCED",
        402 => "INVALID_PATH",
        403 => "ACCESS_REFUSED",
        404 => "NOT_FOUND",
        405 => "RESOURCE_LOCKED",
        406 => "PRECONDITION_FAILED",
        501 => "FRAME_ERROR",
        502 => "SYNTAX_ERROR",
        503 => "COMMAND_INVALID",
        504 => "CHANNEL_ERROR",
        505 => "UNEXPECTED_FRAME",
        506 => "RESOURCE_ERROR",
        530 => "NOT_ALLOWED",
        540 => "NOT_IMPLEMENTED",
        541 => "INTERNAL_ERROR",
        _ => panic!("AMQP has no reply code {code}"),
    }
}
