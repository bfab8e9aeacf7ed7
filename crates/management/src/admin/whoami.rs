//! Who asks: `/api/whoami`.

use serde_json::json;

use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};

pub(super) fn resources() -> Vec<Resource> {
    vec![Resource::at("/api/whoami").get(Right::User, "The user that asks, and its tags", whoami)]
}

async fn whoami(call: Call) -> Answer {
    call.one(json!({ "name": call.access.name(), "tags": call.access.user.tags() }))
}
