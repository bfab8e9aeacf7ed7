//! Publishing by HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use leveret_codec::properties::PropertiesRef;
use leveret_server::session::publish_once::{Once, publish_once};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::answer;
use crate::http::body::Fields;
use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::messaging::properties;
use crate::messaging::refusal::with_code;

pub(super) fn resources() -> Vec<Resource> {
    vec![Resource::at("/api/exchanges/{vhost}/{exchange}/publish").post(
        Right::Vhost,
        "Publish a message, and hear whether it was routed; fields properties, routing_key, payload, payload_encoding",
        publish,
    )]
}

/// Answers when the message is durable in the queues that it came to.
async fn publish(call: Call) -> Answer {
    let (vhost, exchange) = call.exchange()?;
    let fields = call.fields()?;
    fields.require(&["routing_key", "properties", "payload", "payload_encoding"])?;
    let routing_key = fields.routing_key()?.unwrap_or_default();
    let mut encoded = Vec::new();
    properties::of_json(fields.get("properties").unwrap_or(&Value::Null))?.encode(&mut encoded);
    let body = payload(&fields)?;
    let max = call.api.node.sessions().message_bytes_max;
    if body.len() as u64 > max {
        let text = format!("message size {} is larger than configured max size {max}", body.len());
        return Err(ApiError::bad_request(format!("406 PRECONDITION_FAILED - {text}")));
    }
    let properties = PropertiesRef::from_checked(&encoded);
    let once = Once { exchange: &exchange.name, routing_key, properties, body: &body };
    call.api.journal_has_room().await?;
    let published = publish_once(&vhost, &call.access.user, &once).map_err(|error| with_code(&error))?;
    call.api.node.statistics().count(&vhost.name, &published.counts(body.len() as u64));
    call.api.durable(published.lsn).await?;
    if published.rejected {
        return Err(ApiError::bad_request("rejected Unable to publish message. Check queue limits."));
    }
    Ok(answer::json(&json!({ "routed": published.queues > 0 })))
}

fn payload(fields: &Fields) -> Result<Bytes, ApiError> {
    let Some(payload) = fields.text("payload") else { return Err(ApiError::bad_request("payload_not_string")) };
    match fields.text("payload_encoding") {
        Some("string") => Ok(Bytes::copy_from_slice(payload.as_bytes())),
        Some("base64") => {
            let decoded =
                STANDARD.decode(payload).map_err(|_| ApiError::bad_request(format!("[\"not_base64\",\"{payload}\"]")));
            decoded.map(Bytes::from)
        }
        other => Err(ApiError::bad_request(format!("[\"unsupported_encoding\",\"{}\"]", other.unwrap_or_default()))),
    }
}
