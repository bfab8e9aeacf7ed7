//! What every tutorial program begins with: where the broker is, and the words of the command line.

use std::env;

const DEFAULT_URL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";

/// How a tutorial program was called.
#[derive(Debug)]
pub struct Call {
    /// The broker: the first argument if it is an `amqp://` URL, else `AMQP_URL`, else a local broker.
    pub url: String,
    /// The other arguments.
    pub words: Vec<String>,
}

impl Call {
    /// Reads the command line and the environment.
    pub fn read() -> Call {
        let mut words: Vec<String> = env::args().skip(1).collect();
        let url = if words.first().is_some_and(|word| word.starts_with("amqp://")) {
            words.remove(0)
        } else {
            env::var("AMQP_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned())
        };
        Call { url, words }
    }

    /// The words as one text, or a default when there are none.
    pub fn text_or(&self, default: &str) -> String {
        if self.words.is_empty() { default.to_owned() } else { self.words.join(" ") }
    }
}

/// The name of a queue or exchange: as given, behind `AMQP_NAME_PREFIX` if that is set.
///
/// Two groups of people (or of tests) can so follow the tutorials on one broker.
pub fn name(plain: &str) -> String {
    let prefix = env::var("AMQP_NAME_PREFIX").unwrap_or_default();
    format!("{prefix}{plain}")
}
