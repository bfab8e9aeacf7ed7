//! Who asks: `/api/whoami`.

use serde_json::json;

use crate::http::call::Call;
use crate::http::routes::{Answer, Resource, Right};
use crate::limits::LOGIN_SESSION_MIN;

pub(super) fn resources() -> Vec<Resource> {
    vec![Resource::at("/api/whoami").get(Right::User, "The user that asks, and its tags", whoami)]
}

async fn whoami(call: Call) -> Answer {
    let timeout_min = call.api.config.login_session_timeout_min;
    let (name, tags) = (call.access.name(), call.access.user.tags());
    call.one(match timeout_min {
        LOGIN_SESSION_MIN => json!({ "name": name, "tags": tags }),
        // Who set it wants the web page to be told.
        other => json!({ "name": name, "tags": tags, "login_session_timeout": other }),
    })
}
