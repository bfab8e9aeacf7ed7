//! Who may do what, and what is ruled.

use anyhow::{Context as _, bail, ensure};
use rabbitmq_http_client::blocking_api::{Client, HttpClientError as Error};
use rabbitmq_http_client::commons::{PolicyTarget, UserLimitTarget, VirtualHostLimitTarget};
use rabbitmq_http_client::password_hashing::{base64_encoded_salted_password_hash_sha256, salt};
use rabbitmq_http_client::requests::{
    EnforcedLimitParams, GlobalRuntimeParameterDefinition, Permissions, PolicyParams, RuntimeParameterDefinition,
    TopicPermissions, UserParams, VirtualHostParams,
};
use serde_json::json;

use crate::{Api, unique, wait_until};

pub fn users(api: &Api) -> anyhow::Result<()> {
    let (name, vhost) = (unique("u"), unique("v"));
    let hash = base64_encoded_salted_password_hash_sha256(&salt(), "secret");
    api.create_vhost(&VirtualHostParams::named(&vhost)).context("create_vhost")?;
    api.create_user(&UserParams::new(&name, &hash, "monitoring,policymaker")).context("create_user")?;
    api.get_user(&name).context("get_user")?;
    ensure!(api.list_users_without_permissions()?.iter().any(|user| user.name == name), "it has no permissions yet");
    let permissions = Permissions { configure: "^a", read: ".*", write: "", ..Permissions::full_access(&name, &vhost) };
    api.declare_permissions(&permissions).context("declare_permissions")?;
    ensure!(api.get_permissions(&vhost, &name)?.configure == "^a", "the permissions are others");
    api.list_permissions_of(&name).context("list_permissions_of")?;
    let topics = TopicPermissions { user: &name, vhost: &vhost, exchange: "amq.topic", read: "^r", write: "^w" };
    api.declare_topic_permissions(&topics).context("declare_topic_permissions")?;
    ensure!(api.list_topic_permissions_of(&name)?.len() == 1, "the topic permission is not listed");
    api.set_user_limit(&name, EnforcedLimitParams::new(UserLimitTarget::MaxChannels, 5)).context("set_user_limit")?;
    let limit = EnforcedLimitParams::new(VirtualHostLimitTarget::MaxQueues, 7);
    api.set_vhost_limit(&vhost, limit).context("set_vhost_limit")?;
    ensure!(api.list_user_limits(&name)?.len() == 1, "the user's limit is not listed");
    ensure!(api.list_vhost_limits(&vhost)?.len() == 1, "the vhost's limit is not listed");
    api.clear_user_limit(&name, UserLimitTarget::MaxChannels).context("clear_user_limit")?;
    api.clear_vhost_limit(&vhost, VirtualHostLimitTarget::MaxQueues).context("clear_vhost_limit")?;
    // It is known by the hash.
    let (endpoint, _, _) = crate::endpoint(&std::env::var("MANAGEMENT_URL")?)?;
    let own = Client::new(endpoint, name.clone(), "secret".to_owned());
    ensure!(own.current_user().context("current_user")?.name == name, "whoami knows somebody else");
    api.clear_permissions(&vhost, &name, false).context("clear_permissions")?;
    api.delete_user(&name, false).context("delete_user")?;
    api.delete_vhost(&vhost, false).context("delete_vhost")
}

pub fn policies(api: &Api) -> anyhow::Result<()> {
    let vhost = unique("v");
    api.create_vhost(&VirtualHostParams::named(&vhost)).context("create_vhost")?;
    api.grant_full_permissions("guest", &vhost)?;
    let definition = json!({"max-length": 5}).as_object().cloned().unwrap_or_default();
    let policy = PolicyParams::new(&vhost, "p", "^q", definition).apply_to(PolicyTarget::Queues).priority(3);
    api.declare_policy(&policy).context("declare_policy")?;
    api.declare_operator_policy(&policy).context("declare_operator_policy")?;
    ensure!(api.get_policy(&vhost, "p")?.priority == 3, "the policy is another");
    ensure!(api.list_operator_policies_in(&vhost)?.len() == 1, "the operator policy is not listed");
    api.declare_classic_queue(&vhost, "q1")?;
    wait_until("the queue has the policy", || {
        let queue = api.get_queue_info(&vhost, "q1").context("get_queue_info")?;
        Ok((queue.policy.as_deref() == Some("p")).then_some(()))
    })?;
    api.delete_policy(&vhost, "p", false).context("delete_policy")?;
    api.delete_operator_policy(&vhost, "p", false).context("delete_operator_policy")?;
    parameters(api)?;
    api.delete_vhost(&vhost, false).context("delete_vhost")
}

fn parameters(api: &Api) -> anyhow::Result<()> {
    let value = json!({"nodes": [1, 2]}).as_object().cloned().unwrap_or_default();
    let name = unique("parameter");
    let definition = GlobalRuntimeParameterDefinition { name: &name, value: value.clone() };
    api.upsert_global_runtime_parameter(&definition).context("upsert_global_runtime_parameter")?;
    api.get_global_runtime_parameter(&name).context("get_global_runtime_parameter")?;
    api.clear_global_runtime_parameter(&name).context("clear_global_runtime_parameter")?;
    let value = json!({"max-connections": 100}).as_object().cloned().unwrap_or_default();
    let definition = RuntimeParameterDefinition { name: "limits", vhost: "/", component: "vhost-limits", value };
    api.upsert_runtime_parameter(&definition).context("upsert_runtime_parameter")?;
    ensure!(!api.list_runtime_parameters()?.is_empty(), "no parameter is listed");
    api.get_runtime_parameter("vhost-limits", "/", "limits").context("get_runtime_parameter")?;
    api.clear_runtime_parameter("vhost-limits", "/", "limits", false).context("clear_runtime_parameter")
}

pub fn errors(api: &Api) -> anyhow::Result<()> {
    match api.get_queue_info("/", &unique("nowhere")) {
        Err(Error::NotFound) => (),
        other => bail!("a queue that is not there: {other:?}"),
    }
    api.delete_queue("/", &unique("nowhere"), true).context("idempotently")?;
    let (endpoint, user, _) = crate::endpoint(&std::env::var("MANAGEMENT_URL")?)?;
    match Client::new(endpoint, user, "wrong".to_owned()).overview() {
        Err(Error::ClientErrorResponse { status_code, .. }) if status_code.as_u16() == 401 => Ok(()),
        other => bail!("a wrong password: {other:?}"),
    }
}
