//! The HTTP back end: a web service is asked, in the form that RabbitMQ's plugin has.
//!
//! ```text
//! user      username, password                                            -> allow [tags...] | deny [reason]
//! vhost     username, vhost, ip, tags                                     -> allow | deny [reason]
//! resource  username, vhost, resource, name, permission, tags             -> allow | deny [reason]
//! topic     username, vhost, resource, name, permission, tags, routing_key,
//!           variable_map.username, variable_map.vhost                     -> allow | deny [reason]
//! ```
//! The status has to be 200 or 201.

use std::net::IpAddr;
use std::sync::Arc;

use http::{StatusCode, Uri};
use leveret_engine::permission::{Authorizer, Resource, Verb};
use leveret_session::login::{LoginRequest, Refusal, in_one_line};

use super::answers::Answers;
use super::chain::{Asked, Known};
use super::config::{AuthConfigError, HttpConfig};
use super::waiting::wait_for;
use super::web::Web;

/// RabbitMQ's name of this back end, in the log.
const NAME: &str = "rabbit_auth_backend_http";

/// The web service.
#[derive(Clone, Debug)]
pub(super) struct Http(Arc<Service>);

#[derive(Debug)]
struct Service {
    config: HttpConfig,
    web: Web,
}

/// Somebody whom the service has let in.
#[derive(Debug)]
struct Guest {
    service: Arc<Service>,
    tags: String,
    peer: Option<IpAddr>,
    answers: Answers,
}

/// What the service says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// With what stands behind it.
    Allow(Vec<String>),
    /// With the reason, if it gives one.
    Deny(Option<String>),
}

impl Http {
    pub(super) fn new(config: &HttpConfig) -> Result<Self, AuthConfigError> {
        let urls = [
            ("auth_http.user_path", &config.user_path),
            ("auth_http.vhost_path", &config.vhost_path),
            ("auth_http.resource_path", &config.resource_path),
            ("auth_http.topic_path", &config.topic_path),
        ];
        for (key, url) in urls {
            check_url(key, url)?;
        }
        let web = Web::new(&config.tls, config.connection_timeout, config.request_timeout)?;
        Ok(Self(Arc::new(Service { config: config.clone(), web })))
    }
}

/// Whether it can be connected to.
pub(super) fn check_url(key: &'static str, url: &str) -> Result<(), AuthConfigError> {
    let refuse = |reason: String| Err(AuthConfigError::Url { key, url: url.to_owned(), reason });
    match url.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) => Ok(()),
        Ok(_) => refuse("it does not begin with http:// or https://".to_owned()),
        Err(error) => refuse(error.to_string()),
    }
}

impl Asked for Http {
    fn authenticate(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        let mut fields = vec![("username", request.user.to_owned())];
        if let Some(password) = request.password {
            fields.push(("password", String::from_utf8_lossy(password).into_owned()));
        }
        let name = request.user;
        match self.0.ask(&self.0.config.user_path, &form(&fields)) {
            Ok(Answer::Allow(tags)) => {
                let guest = Guest {
                    service: Arc::clone(&self.0),
                    tags: tags.join(" "),
                    peer: request.peer,
                    answers: Answers::default(),
                };
                Ok(Known::Other { name: name.to_owned(), tags, authorizer: Arc::new(guest) })
            }
            Ok(Answer::Deny(reason)) => {
                if let Some(reason) = reason {
                    tracing::info!("HTTP authentication denied for user '{}': {reason}", in_one_line(name));
                }
                Err(Refusal("Denied by the backing HTTP service".to_owned()))
            }
            Err(error) => Err(Refusal(format!("{NAME} failed authenticating {name}: {error}"))),
        }
    }
}

impl Service {
    /// What the service says. Waits for it.
    fn ask(&self, path: &str, form: &str) -> Result<Answer, String> {
        let asked = wait_for(async {
            if self.config.post {
                return self.web.post(path, form.to_owned()).await;
            }
            let separator = if path.contains('?') { '&' } else { '?' };
            self.web.get(&format!("{path}{separator}{form}")).await
        });
        let (status, body) = asked.map_err(|error| error.to_string())?;
        let body = String::from_utf8_lossy(&body);
        if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return Err(format!("{{{},\"{body}\"}}", status.as_u16()));
        }
        answer(&body).ok_or_else(|| format!("{{bad_response,\"{body}\"}}"))
    }
}

fn answer(body: &str) -> Option<Answer> {
    let body = body.trim_matches(' ').trim_end_matches(['\r', '\n']);
    if let Some(reason) = body.strip_prefix("deny ") {
        return Some(Answer::Deny(Some(reason.to_owned())));
    }
    let body = body.to_lowercase();
    let mut words = body.split(' ').filter(|word| !word.is_empty());
    match (words.next(), body.as_str()) {
        (_, "deny") => Some(Answer::Deny(None)),
        (Some("allow"), _) => Some(Answer::Allow(words.map(str::to_owned).collect())),
        _ => None,
    }
}

impl Guest {
    /// Whether the service allows it. What it does not answer is not allowed.
    fn is_allowed(&self, path: &str, fields: &[(&str, String)]) -> bool {
        let question = format!("{path}?{}", form(fields));
        self.answers.find(question, |question| {
            let form = question.get(path.len() + 1..).unwrap_or_default();
            match self.service.ask(path, form) {
                Ok(Answer::Allow(_)) => Some(true),
                Ok(Answer::Deny(reason)) => {
                    if let Some(reason) = reason {
                        tracing::info!("HTTP authorization denied for path {path} with query '{form}': {reason}");
                    }
                    Some(false)
                }
                Err(error) => {
                    tracing::error!("{NAME} gave no answer for path {path} with query '{form}': {error}");
                    None
                }
            }
        })
    }

    /// What is asked about a resource.
    fn fields(&self, user: &str, vhost: &str, kind: &str, name: &str, verb: Verb) -> Vec<(&'static str, String)> {
        vec![
            ("username", user.to_owned()),
            ("vhost", vhost.to_owned()),
            ("resource", kind.to_owned()),
            ("name", name.to_owned()),
            ("permission", verb.as_str().to_owned()),
            ("tags", self.tags.clone()),
        ]
    }
}

impl Authorizer for Guest {
    fn allows_vhost(&self, user: &str, vhost: &str) -> bool {
        let ip = self.peer.map(|peer| peer.to_string()).unwrap_or_default();
        let fields =
            [("username", user.to_owned()), ("vhost", vhost.to_owned()), ("ip", ip), ("tags", self.tags.clone())];
        self.is_allowed(&self.service.config.vhost_path, &fields)
    }

    fn allows_resource(&self, user: &str, vhost: &str, verb: Verb, resource: Resource<'_>) -> bool {
        let (kind, name) = match resource {
            Resource::Exchange(name) => ("exchange", name),
            Resource::Queue(name) => ("queue", name),
        };
        self.is_allowed(&self.service.config.resource_path, &self.fields(user, vhost, kind, name, verb))
    }

    fn allows_topic(&self, user: &str, vhost: &str, verb: Verb, exchange: &str, key: &str) -> bool {
        let mut fields = self.fields(user, vhost, "topic", exchange, verb);
        fields.push(("routing_key", key.to_owned()));
        fields.push(("variable_map.username", user.to_owned()));
        fields.push(("variable_map.vhost", vhost.to_owned()));
        self.is_allowed(&self.service.config.topic_path, &fields)
    }
}

/// Fields as a form sends them.
fn form(fields: &[(&str, String)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_rabbitmq_reads_them() {
        let allow = |tags: &[&str]| Some(Answer::Allow(tags.iter().map(|tag| (*tag).to_owned()).collect()));
        assert_eq!(answer("allow"), allow(&[]));
        assert_eq!(answer(" ALLOW\n"), allow(&[]));
        assert_eq!(answer("allow administrator  monitoring"), allow(&["administrator", "monitoring"]));
        assert_eq!(answer("Deny"), Some(Answer::Deny(None)));
        assert_eq!(answer("deny Not you"), Some(Answer::Deny(Some("Not you".to_owned()))));
        for nothing in ["", "yes", "allowed", "denied", "<html>allow</html>"] {
            assert_eq!(answer(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        let fields = [("username", "a b&c".to_owned()), ("vhost", "/".to_owned()), ("tags", String::new())];
        assert_eq!(form(&fields), "username=a+b%26c&vhost=%2F&tags=");
    }
}
