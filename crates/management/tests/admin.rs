//! The administrative resources: what each request is answered with.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a test")]

mod common;

use common::{Broker, PATIENCE, Reply};
use leveret_server::engine::password::PasswordRule;
use serde_json::{Value, json};

/// A request and its answer: method, path, body, status, and the reason where there is one.
type Step = (&'static str, &'static str, &'static str, u16, Option<&'static str>);

async fn walk(broker: &Broker, steps: &[Step]) {
    for (method, path, body, status, reason) in steps {
        let reply = broker.call(method, path, body).await;
        assert_eq!(reply.status, *status, "{method} {path} {body}: {reply:?}");
        if let Some(reason) = reason {
            assert_eq!(reason_of(&reply), *reason, "{method} {path} {body}");
        }
    }
}

fn reason_of(reply: &Reply) -> String {
    reply.json()["reason"].as_str().unwrap_or_default().to_owned()
}

const NOT_FOUND: Option<&str> = Some("Not Found");

#[tokio::test]
async fn vhosts() {
    let broker = Broker::start().await;
    walk(
        &broker,
        &[
            ("GET", "/api/vhosts/v1", "", 404, NOT_FOUND),
            ("DELETE", "/api/vhosts/v1", "", 404, NOT_FOUND),
            ("PUT", "/api/vhosts/v1", "", 201, None),
            ("PUT", "/api/vhosts/v1", "null", 204, None),
            ("PUT", "/api/vhosts/v1", "{", 400, Some("not_json")),
            ("PUT", "/api/vhosts/v1", r#"{"description":"d","tags":"a, b","default_queue_type":"quorum"}"#, 204, None),
            ("PUT", "/api/vhosts/v1", r#"{"default_queue_type":"x"}"#, 400, Some("Unsupported default queue type 'x'")),
            ("POST", "/api/vhosts/v1/start/rabbit@localhost", "", 204, None),
            ("POST", "/api/vhosts/v1/start/x", "", 400, Some("Request to node x failed with nodedown")),
            ("PUT", "/api/vhosts/a%2Fb%20c", "", 201, None),
            ("GET", "/api/vhosts/a%2Fb%20c", "", 200, None),
            ("GET", "/api/vhosts/a%2Fb+c", "", 200, None),
            ("POST", "/api/vhosts/v1/deletion/protection", "", 204, None),
        ],
    )
    .await;
    let v1 = broker.get("/api/vhosts/v1").await;
    for (key, value) in [
        ("name", json!("v1")),
        ("description", json!("d")),
        ("tags", json!(["a", "b"])),
        ("default_queue_type", json!("quorum")),
        ("tracing", json!(false)),
        ("protected_from_deletion", json!(true)),
        ("cluster_state", json!({"rabbit@localhost": "running"})),
        ("messages", json!(0)),
    ] {
        assert_eq!(v1[key], value, "{key}");
    }
    let reply = broker.call("DELETE", "/api/vhosts/v1", "").await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (412, Some("precondition_failed")));
    walk(
        &broker,
        &[
            ("DELETE", "/api/vhosts/v1/deletion/protection", "", 204, None),
            ("DELETE", "/api/vhosts/v1", "", 204, None),
            ("DELETE", "/api/vhosts/a%2Fb+c", "", 204, None),
            ("GET", "/api/vhosts/a%2Fb%20c/permissions", "", 404, Some("vhost_not_found")),
        ],
    )
    .await;
    let names: Vec<Value> = broker.get("/api/vhosts?columns=name").await.as_array().unwrap().clone();
    assert_eq!(names, [json!({"name": "/"})]);
    broker.stop().await;
}

#[tokio::test]
async fn users() {
    let broker = Broker::start().await;
    let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
    let with_hash = r#"{"password_hash":"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["monitoring"]}"#;
    walk(
        &broker,
        &[
            ("GET", "/api/users/a", "", 404, NOT_FOUND),
            ("PUT", "/api/users/a", "{}", 400, Some("tags_not_present")),
            ("PUT", "/api/users/a", r#"{"password":"p"}"#, 400, Some("tags_not_present")),
            ("PUT", "/api/users/a", r#"{"password":"p","tags":"management, x"}"#, 201, None),
            ("PUT", "/api/users/a", r#"{"password":"p","tags":["management"]}"#, 204, None),
            ("PUT", "/api/users/b", with_hash, 201, None),
            ("PUT", "/api/users/c", r#"{"password_hash":"","tags":""}"#, 201, None),
            ("PUT", "/api/users/c", r#"{"password_hash":"?","tags":""}"#, 400, None),
            (
                "PUT",
                "/api/users/c",
                r#"{"password":"x","password_hash":"?","tags":""}"#,
                400,
                Some("both_password_and_password_hash_are_provided"),
            ),
            ("GET", "/api/users/a/permissions", "", 200, None),
            ("GET", "/api/users/x/permissions", "", 404, NOT_FOUND),
            ("DELETE", "/api/users/x", "", 404, NOT_FOUND),
            ("POST", "/api/users/bulk-delete", "{}", 400, Some("[{key_missing,users}]")),
            ("PUT", "/api/users/d", r#"{"password":12345,"tags":""}"#, 400, Some("password: not a string")),
        ],
    )
    .await;
    let b = broker.get("/api/users/b").await;
    let algorithm = "rabbit_password_hashing_sha256";
    let expected = json!({"name": "b", "password_hash": hash, "hashing_algorithm": algorithm, "tags": ["monitoring"], "limits": {}});
    assert_eq!(b, expected);
    let whoami = broker.call_as("b:test12", "GET", "/api/whoami", "").await;
    assert_eq!(whoami.json(), json!({"name": "b", "tags": ["monitoring"]}));
    let names = |list: Value| list.as_array().unwrap().iter().map(|user| user["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(broker.get("/api/users").await), ["a", "b", "c", "guest"]);
    assert_eq!(names(broker.get("/api/users/without-permissions").await), ["a", "b", "c"]);
    let bulk = r#"{"users":["a","b","x"]}"#;
    walk(&broker, &[("POST", "/api/users/bulk-delete", bulk, 204, None), ("DELETE", "/api/users/c", "", 204, None)])
        .await;
    assert_eq!(names(broker.get("/api/users").await), ["guest"]);
    assert_eq!(broker.call_as("b:test12", "GET", "/api/whoami", "").await.status, 401, "out of the cache, too");
    broker.stop().await;
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let broker = Broker::start_with(|server, _| {
        server.terms.vhosts_max = Some(2);
        server.terms.passwords = PasswordRule::BytesMin(8);
    })
    .await;
    let refused = Some("credential_validation_failed");
    walk(
        &broker,
        &[
            ("PUT", "/api/vhosts/a", "", 201, None),
            ("PUT", "/api/vhosts/a", "", 204, None),
            ("PUT", "/api/vhosts/b", "", 400, Some("cannot create vhost 'b': vhost limit of 2 is reached")),
            ("PUT", "/api/users/a", r#"{"password":"short","tags":""}"#, 400, refused),
            ("PUT", "/api/users/a", r#"{"password":"","tags":""}"#, 400, refused),
            ("PUT", "/api/users/a", r#"{"tags":""}"#, 400, refused),
            ("PUT", "/api/users/a", r#"{"password_hash":"","tags":""}"#, 201, None),
            ("PUT", "/api/users/a", r#"{"tags":""}"#, 204, None),
            ("PUT", "/api/users/a", r#"{"password":"long enough","tags":""}"#, 204, None),
        ],
    )
    .await;
    let reply = broker.call("PUT", "/api/users/a", r#"{"password":"short","tags":""}"#).await;
    assert_eq!(reply.json()["explanation"], "minimum required password length is 8");
    broker.stop().await;
}

#[tokio::test]
async fn a_changed_password_counts_at_once() {
    let broker = Broker::start().await;
    let set = |password: &str| format!(r#"{{"password":"{password}","tags":"management"}}"#);
    assert_eq!(broker.call("PUT", "/api/users/a", &set("one")).await.status, 201);
    assert_eq!(broker.call_as("a:one", "GET", "/api/whoami", "").await.status, 200);
    assert_eq!(broker.call("PUT", "/api/users/a", &set("two")).await.status, 204);
    assert_eq!(broker.call_as("a:one", "GET", "/api/whoami", "").await.status, 401);
    assert_eq!(broker.call_as("a:two", "GET", "/api/whoami", "").await.status, 200);
    broker.stop().await;
}

#[tokio::test]
async fn permissions() {
    let broker = Broker::start().await;
    let all = r#"{"configure":"^c","write":".*","read":""}"#;
    let topic = r#"{"exchange":"amq.topic","write":"^w","read":"^r"}"#;
    walk(
        &broker,
        &[
            ("PUT", "/api/users/a", r#"{"password":"p","tags":""}"#, 201, None),
            (
                "PUT",
                "/api/permissions/%2F/a",
                "{}",
                400,
                Some("[{key_missing,configure},{key_missing,write},{key_missing,read}]"),
            ),
            ("PUT", "/api/permissions/%2F/a", all, 201, None),
            ("PUT", "/api/permissions/%2F/a", all, 204, None),
            ("PUT", "/api/permissions/x/a", all, 400, Some("vhost_or_user_not_found")),
            ("PUT", "/api/permissions/%2F/x", all, 400, Some("vhost_or_user_not_found")),
            ("PUT", "/api/permissions/%2F/a", r#"{"configure":"(","write":"","read":""}"#, 400, None),
            ("GET", "/api/permissions/%2F/x", "", 404, NOT_FOUND),
            ("PUT", "/api/topic-permissions/%2F/a", topic, 201, None),
            ("PUT", "/api/topic-permissions/%2F/a", topic, 204, None),
            ("GET", "/api/topic-permissions/%2F/x", "", 404, NOT_FOUND),
        ],
    )
    .await;
    let mine = json!({"user": "a", "vhost": "/", "configure": "^c", "write": ".*", "read": ""});
    assert_eq!(broker.get("/api/permissions/%2F/a").await, mine);
    assert_eq!(broker.get("/api/users/a/permissions").await, json!([mine]));
    assert_eq!(broker.get("/api/permissions").await.as_array().unwrap().len(), 2);
    assert_eq!(broker.get("/api/vhosts/%2F/permissions").await.as_array().unwrap().len(), 2);
    let topic = json!([{"user": "a", "vhost": "/", "exchange": "amq.topic", "write": "^w", "read": "^r"}]);
    for path in [
        "/api/topic-permissions",
        "/api/topic-permissions/%2F/a",
        "/api/topic-permissions/%2F/a/amq.topic",
        "/api/users/a/topic-permissions",
        "/api/vhosts/%2F/topic-permissions",
    ] {
        assert_eq!(broker.get(path).await, topic, "{path}");
    }
    walk(
        &broker,
        &[
            ("DELETE", "/api/topic-permissions/%2F/a/amq.topic", "", 204, None),
            ("DELETE", "/api/topic-permissions/%2F/a", "", 204, None),
            ("DELETE", "/api/permissions/%2F/a", "", 204, None),
            ("DELETE", "/api/permissions/%2F/a", "", 404, NOT_FOUND),
        ],
    )
    .await;
    broker.stop().await;
}

#[tokio::test]
async fn policies() {
    let broker = Broker::start().await;
    let path = "/api/policies/%2F/p";
    let sound = r#"{"pattern":"^q","definition":{"max-length":5},"priority":1,"apply-to":"queues"}"#;
    walk(
        &broker,
        &[
            ("PUT", path, r#"{"pattern":"a"}"#, 400, Some("[{key_missing,definition}]")),
            ("PUT", path, r#"{"pattern":"a","definition":{}}"#, 400, Some("Validation failed\n\nno policy provided\n")),
            (
                "PUT",
                path,
                r#"{"pattern":"a","definition":{"foo":5}}"#,
                400,
                Some("Validation failed\n\n[{&lt;&lt;\"foo\"&gt;&gt;,5}] are not recognised policy settings\n"),
            ),
            (
                "PUT",
                path,
                r#"{"pattern":"a","definition":{"max-length":"x"}}"#,
                400,
                Some("Validation failed\n\n&lt;&lt;\"x\"&gt;&gt; is not a valid maximum length\n"),
            ),
            (
                "PUT",
                path,
                r#"{"pattern":"a","definition":{"max-length":1},"priority":"x"}"#,
                400,
                Some("Validation failed\n\npriority should be a number, actually was &lt;&lt;\"x\"&gt;&gt;\n"),
            ),
            ("PUT", "/api/policies/x/p", sound, 404, Some("vhost_not_found")),
            ("PUT", path, sound, 201, None),
            ("PUT", path, sound, 204, None),
            ("GET", "/api/policies/%2F/x", "", 404, NOT_FOUND),
            ("DELETE", "/api/policies/%2F/x", "", 404, NOT_FOUND),
            (
                "PUT",
                "/api/operator-policies/%2F/o",
                r#"{"pattern":"a","definition":{"dead-letter-exchange":"x"}}"#,
                400,
                Some("Validation failed\n\n[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings\n"),
            ),
            ("PUT", "/api/operator-policies/%2F/o", r#"{"pattern":"a","definition":{"max-length":1}}"#, 201, None),
        ],
    )
    .await;
    let expected = json!({"vhost": "/", "name": "p", "pattern": "^q", "apply-to": "queues",
        "definition": {"max-length": 5}, "priority": 1});
    assert_eq!(broker.get(path).await, expected);
    assert_eq!(broker.get("/api/policies").await, json!([expected]));
    assert_eq!(broker.get("/api/policies/%2F").await, json!([expected]));
    let operator = broker.get("/api/operator-policies").await;
    assert_eq!(
        (&operator[0]["name"], &operator[0]["apply-to"], &operator[0]["priority"]),
        (&json!("o"), &json!("all"), &json!(0))
    );
    walk(&broker, &[("DELETE", path, "", 204, None), ("DELETE", "/api/operator-policies/%2F/o", "", 204, None)]).await;
    assert_eq!(broker.get("/api/policies").await, json!([]));
    broker.stop().await;
}

#[tokio::test]
async fn parameters_and_limits() {
    let broker = Broker::start().await;
    let upstream = "/api/parameters/federation-upstream/%2F/up";
    walk(
        &broker,
        &[
            ("PUT", upstream, "{}", 400, Some("[{key_missing,value}]")),
            ("PUT", upstream, r#"{"value":{"uri":"amqp://x"}}"#, 201, None),
            (
                "PUT",
                "/api/parameters/x/%2F/y",
                r#"{"value":{}}"#,
                400,
                Some("Validation failed\n\ncomponent x not found\n"),
            ),
            ("GET", "/api/parameters/federation-upstream/%2F/x", "", 404, NOT_FOUND),
            ("GET", "/api/parameters/federation-upstream/x", "", 404, None),
            ("DELETE", "/api/parameters/shovel/%2F/x", "", 404, NOT_FOUND),
            ("PUT", "/api/global-parameters/g", r#"{"value":{"a":[1,"b",null]}}"#, 201, None),
            ("PUT", "/api/global-parameters/g", r#"{"value":1}"#, 204, None),
            ("PUT", "/api/global-parameters/g", "{}", 400, Some("[{key_missing,value}]")),
            ("DELETE", "/api/global-parameters/x", "", 404, NOT_FOUND),
            ("PUT", "/api/vhost-limits/%2F/max-queues", r#"{"value":10}"#, 204, None),
            ("PUT", "/api/vhost-limits/x/max-queues", r#"{"value":10}"#, 404, Some("vhost_not_found")),
            (
                "PUT",
                "/api/vhost-limits/%2F/max-queues",
                r#"{"value":"x"}"#,
                400,
                Some("Validation failed\n\nmax-queues should be a number, actually was <<\"x\">>\n"),
            ),
            (
                "PUT",
                "/api/vhost-limits/%2F/x",
                r#"{"value":1}"#,
                400,
                Some("Validation failed\n\nUnrecognised terms [{<<\"x\">>,1}] in limits\n"),
            ),
            ("PUT", "/api/user-limits/guest/max-connections", r#"{"value":10}"#, 204, None),
            (
                "PUT",
                "/api/user-limits/guest/max-channels",
                r#"{"value":"x"}"#,
                400,
                Some("max-channels should be a number, actually was <<\"x\">>"),
            ),
        ],
    )
    .await;
    let expected =
        json!({"value": {"uri": "amqp://x"}, "vhost": "/", "component": "federation-upstream", "name": "up"});
    assert_eq!(broker.get(upstream).await, expected);
    assert_eq!(broker.get("/api/parameters/federation-upstream").await, json!([expected]));
    assert_eq!(broker.get("/api/parameters/federation-upstream/%2F").await, json!([expected]));
    assert_eq!(broker.get("/api/global-parameters/g").await, json!({"name": "g", "value": 1}));
    let tags = r#"{"value":{"a":"b"}}"#;
    assert_eq!(broker.call("PUT", "/api/global-parameters/cluster_tags", tags).await.status, 201);
    assert_eq!(broker.get("/api/overview").await["cluster_tags"], json!({"a": "b"}));
    for path in ["/api/vhost-limits", "/api/vhost-limits/%2F"] {
        assert_eq!(broker.get(path).await, json!([{"vhost": "/", "value": {"max-queues": 10}}]), "{path}");
    }
    for path in ["/api/user-limits", "/api/user-limits/guest"] {
        assert_eq!(broker.get(path).await, json!([{"user": "guest", "value": {"max-connections": 10}}]), "{path}");
    }
    walk(
        &broker,
        &[
            ("DELETE", upstream, "", 204, None),
            ("DELETE", "/api/global-parameters/g", "", 204, None),
            ("DELETE", "/api/vhost-limits/%2F/max-queues", "", 204, None),
            ("DELETE", "/api/user-limits/guest/max-connections", "", 204, None),
        ],
    )
    .await;
    assert_eq!(broker.get("/api/vhost-limits").await, json!([]));
    assert_eq!(broker.get("/api/user-limits").await, json!([]));
    broker.stop().await;
}

#[tokio::test]
async fn definitions_go_out_and_come_in() {
    let broker = Broker::start().await;
    let document = r#"{"rabbit_version":"3.13.7","vhosts":[{"name":"imported"}],
        "users":[{"name":"u","password":"p","tags":"administrator"}],
        "permissions":[{"user":"u","vhost":"imported","configure":".*","write":".*","read":".*"}],
        "queues":[{"name":"q","vhost":"imported","durable":true,"auto_delete":false,"arguments":{}}]}"#;
    walk(
        &broker,
        &[
            ("POST", "/api/definitions", "[]", 400, Some("failed_to_parse_json")),
            ("POST", "/api/definitions", "{", 400, Some("failed_to_parse_json")),
            ("POST", "/api/definitions", "", 204, None),
            ("GET", "/api/definitions/x", "", 400, Some("vhost_not_found")),
            ("POST", "/api/definitions/x", "{}", 404, Some("vhost_not_found")),
            ("POST", "/api/definitions", document, 204, None),
        ],
    )
    .await;
    let reply = broker.call("GET", "/api/definitions?download=my.json", "").await;
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=my.json"));
    let exported = reply.json();
    assert_eq!((&exported["rabbitmq_version"], &exported["product_name"]), (&json!("4.2.1"), &json!("Leveret")));
    assert!(exported["queues"].as_array().unwrap().iter().any(|queue| queue["name"] == "q"));
    assert_eq!(broker.call_as("u:p", "GET", "/api/definitions/imported", "").await.status, 200);

    let form = format!(
        "--xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"d.json\"\r\n\r\n{exported}\r\n--xyz--\r\n"
    );
    let headers = "authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\ncontent-type: multipart/form-data; boundary=xyz\r\n";
    let reply = broker.raw("POST", "/api/definitions", headers, &form).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    for (redirect, status, place) in
        [("/#/import", 303, Some("/#/import")), ("//evil.example", 204, None), ("/\\evil.example", 204, None)]
    {
        let redirect =
            format!("--xyz\r\ncontent-disposition: form-data; name=\"redirect\"\r\n\r\n{redirect}\r\n{form}");
        let reply = broker.raw("POST", "/api/definitions", headers, &redirect).await;
        assert_eq!((reply.status, reply.header("location")), (status, place), "{reply:?}");
    }
    let reply = broker.raw("POST", "/api/definitions", headers, "--xyz--\r\n").await;
    assert_eq!((reply.status, reason_of(&reply)), (400, "the form has no field 'file'".to_owned()));
    broker.stop().await;
}

#[tokio::test]
async fn tags_decide_what_one_may() {
    let broker = Broker::start().await;
    walk(
        &broker,
        &[
            ("PUT", "/api/vhosts/v1", "", 201, None),
            ("PUT", "/api/users/none", r#"{"password":"p","tags":""}"#, 201, None),
            ("PUT", "/api/users/mgmt", r#"{"password":"p","tags":"management"}"#, 201, None),
            ("PUT", "/api/users/poly", r#"{"password":"p","tags":"policymaker"}"#, 201, None),
            ("PUT", "/api/users/moni", r#"{"password":"p","tags":"monitoring"}"#, 201, None),
            ("PUT", "/api/permissions/v1/mgmt", r#"{"configure":"","write":"","read":""}"#, 201, None),
            ("PUT", "/api/permissions/v1/poly", r#"{"configure":"","write":"","read":""}"#, 201, None),
        ],
    )
    .await;
    let policy = r#"{"pattern":"a","definition":{"max-length":5}}"#;
    let parameter = r#"{"value":{"pattern":"a","definition":{"max-length":5},"max-queues":5}}"#;
    for (user, method, path, body, status, reason) in [
        ("none", "GET", "/api/whoami", "", 401, "Not management user"),
        ("mgmt", "GET", "/api/whoami", "", 200, ""),
        ("mgmt", "GET", "/api/overview", "", 200, ""),
        ("mgmt", "GET", "/api/nodes", "", 401, "Not monitor user"),
        ("moni", "GET", "/api/nodes", "", 200, ""),
        ("mgmt", "GET", "/api/users", "", 401, "Not administrator user"),
        ("moni", "GET", "/api/definitions", "", 401, "Not administrator user"),
        ("mgmt", "GET", "/api/vhosts/v1", "", 200, ""),
        ("mgmt", "GET", "/api/vhosts/%2F", "", 401, "User not authorised to access virtual host"),
        ("moni", "GET", "/api/vhosts/%2F", "", 200, ""),
        ("mgmt", "GET", "/api/aliveness-test/%2F", "", 401, "User not authorised to access virtual host"),
        ("mgmt", "GET", "/api/policies/v1", "", 200, ""),
        ("mgmt", "PUT", "/api/policies/v1/p", policy, 401, "User not authorised to access object"),
        ("poly", "PUT", "/api/policies/v1/p", policy, 201, ""),
        ("poly", "PUT", "/api/policies/%2F/p", policy, 401, "User not authorised to access object"),
        ("poly", "PUT", "/api/operator-policies/v1/p", policy, 401, "Not administrator user"),
        // As parameters neither.
        ("poly", "PUT", "/api/parameters/operator_policy/v1/p", parameter, 401, "Not administrator user"),
        ("poly", "PUT", "/api/parameters/vhost-limits/v1/limits", parameter, 401, "Not administrator user"),
        ("poly", "DELETE", "/api/parameters/operator_policy/v1/o", "", 401, "Not administrator user"),
        ("poly", "DELETE", "/api/parameters/vhost-limits/v1/limits", "", 401, "Not administrator user"),
        ("poly", "PUT", "/api/parameters/federation-upstream/v1/f", r#"{"value":{"uri":"amqp://x"}}"#, 201, ""),
        ("poly", "GET", "/api/global-parameters", "", 200, ""),
        ("mgmt", "GET", "/api/global-parameters", "", 401, "User not authorised to access object"),
        ("moni", "PUT", "/api/vhosts/x", "", 401, "Not administrator user"),
    ] {
        let reply = broker.call_as(&format!("{user}:p"), method, path, body).await;
        assert_eq!(reply.status, status, "{user} {method} {path}: {reply:?}");
        if status == 401 {
            assert_eq!(reply.json(), json!({"error": "not_authorised", "reason": reason}), "{user} {method} {path}");
        }
    }
    let seen = broker.call_as("mgmt:p", "GET", "/api/vhosts?columns=name", "").await.json();
    assert_eq!(seen, json!([{"name": "v1"}]));
    let overview = broker.call_as("mgmt:p", "GET", "/api/overview", "").await.json();
    assert!(overview.get("node").is_none() && overview.get("listeners").is_none());
    assert_eq!(overview["object_totals"]["exchanges"], json!(7));
    broker.stop().await;
}

#[tokio::test]
async fn health_checks() {
    let broker = Broker::start().await;
    let amqp = broker.server.address().port();
    let ok = json!({"status": "ok"});
    for path in [
        "health/checks/alarms",
        "health/checks/local-alarms",
        "health/checks/metadata-store/initialized",
        "health/checks/metadata-store/initialized/with-data",
        "health/checks/certificate-expiration/1/months",
        "health/checks/virtual-hosts",
        "health/checks/quorum-queues-without-elected-leaders/all-vhosts",
        "health/checks/quorum-queues-without-elected-leaders/vhost/%2F/pattern/.*",
        "health/checks/is-in-service",
        "health/checks/ready-to-serve-clients",
        "health/checks/reached-target-cluster-size",
        "healthchecks/node",
        "healthchecks/node/rabbit@localhost",
        "aliveness-test/%2F",
    ] {
        assert_eq!(broker.get(&format!("/api/{path}")).await, ok, "{path}");
    }
    let single = json!({"status": "ok", "reason": "single node cluster"});
    assert_eq!(broker.get("/api/health/checks/node-is-quorum-critical").await, single);
    assert_eq!(broker.get("/api/health/checks/node-is-mirror-sync-critical").await, single);
    let path = format!("/api/health/checks/port-listener/{amqp}");
    assert_eq!(broker.get(&path).await, json!({"status": "ok", "port": amqp}));
    let expected = json!({"status": "ok", "protocol": "amqp091,http"});
    assert_eq!(broker.get("/api/health/checks/protocol-listener/amqp091,http").await, expected);
    let expected = json!({"status": "ok", "limit": "infinity", "connections": 0});
    assert_eq!(broker.get("/api/health/checks/below-node-connection-limit").await, expected);

    let reply = broker.call("GET", "/api/health/checks/port-listener/1", "").await;
    let body = reply.json();
    assert_eq!((reply.status, &body["reason"], &body["missing"]), (503, &json!("No active listener"), &json!(1)));
    assert!(body["ports"].as_array().unwrap().contains(&json!(amqp)));
    let reply = broker.call("GET", "/api/health/checks/protocol-listener/amqp,mqtt", "").await;
    let body = reply.json();
    assert_eq!((reply.status, &body["missing"], &body["status"]), (503, &json!(["mqtt"]), &json!("failed")));
    walk(
        &broker,
        &[
            ("GET", "/api/health/checks/port-listener/x", "", 400, Some("Invalid port")),
            ("GET", "/api/health/checks/certificate-expiration/x/days", "", 400, Some("Invalid expiration value.")),
            (
                "GET",
                "/api/health/checks/certificate-expiration/1/y",
                "",
                400,
                Some("Time unit not recognised. Supported units: days, weeks, months, years."),
            ),
            ("GET", "/api/healthchecks/node/x", "", 404, NOT_FOUND),
            ("GET", "/api/aliveness-test/x", "", 404, Some("vhost_not_found")),
            // A memory limit of nothing raises the alarm, as tests of many do it.
            ("PUT", "/api/leveret/memory_watermark", r#"{"relative":0}"#, 204, None),
            ("GET", "/api/health/checks/alarms", "", 503, Some("There are alarms in effect in the cluster")),
            ("GET", "/api/health/checks/local-alarms", "", 503, Some("There are alarms in effect on the node")),
            ("GET", "/api/healthchecks/node", "", 503, Some("resource alarm(s) in effect:[memory]")),
        ],
    )
    .await;
    let alarms = broker.call("GET", "/api/health/checks/alarms", "").await.json();
    assert_eq!(alarms["alarms"], json!([{"node": "rabbit@localhost", "resource": "memory"}]));
    walk(
        &broker,
        &[
            ("PUT", "/api/leveret/memory_watermark", r#"{"relative":0.6}"#, 204, None),
            ("GET", "/api/health/checks/alarms", "", 200, None),
            ("POST", "/api/leveret/drain", "", 204, None),
        ],
    )
    .await;
    for path in ["is-in-service", "ready-to-serve-clients"] {
        let reply = broker.raw("GET", &format!("/api/health/checks/{path}"), "", "").await;
        assert_eq!((reply.status, &reply.json()["status"]), (503, &json!("failed")), "{path}");
    }
    walk(&broker, &[("POST", "/api/leveret/revive", "", 204, None)]).await;
    assert_eq!(broker.raw("GET", "/api/health/checks/is-in-service", "", "").await.status, 200);
    broker.stop().await;
}

#[tokio::test]
async fn logins_are_answered_and_counted() {
    let broker = Broker::start().await;
    let reply = broker.raw("POST", "/api/login", "", "username=guest&password=guest").await;
    assert_eq!((reply.status, reply.json()), (200, json!("ok")));
    assert_eq!(reply.header("set-cookie"), Some("auth=Z3Vlc3Q6Z3Vlc3Q=; Version=1"));
    let reply = broker.raw("POST", "/api/login", "", "username=guest&password=x").await;
    assert_eq!((reply.status, reply.json()["error"].clone()), (401, json!("not_authorized")));
    assert_eq!(broker.get("/api/auth").await, json!({"oauth_enabled": false}));
    let path = "/api/auth/attempts/rabbit@localhost";
    let expected =
        json!([{"protocol": "http", "auth_attempts": 3, "auth_attempts_failed": 1, "auth_attempts_succeeded": 2}]);
    assert_eq!(broker.get(path).await, expected);
    let by_source = broker.get(&format!("{path}/source")).await;
    assert_eq!((&by_source[0]["username"], &by_source[0]["remote_address"]), (&json!("guest"), &json!("127.0.0.1")));
    walk(&broker, &[("DELETE", path, "", 204, None), ("GET", "/api/auth/attempts/x", "", 404, NOT_FOUND)]).await;
    let hash = broker.get("/api/auth/hash_password/secret").await;
    assert!(hash["ok"].as_str().unwrap().len() >= 48, "{hash}");
    broker.stop().await;
}

#[tokio::test]
async fn features_lists_and_maintenance() {
    let broker = Broker::start().await;
    let flags = broker.get("/api/feature-flags").await;
    let stream = flags.as_array().unwrap().iter().find(|flag| flag["name"] == "stream_queue").unwrap();
    assert_eq!((&stream["state"], &stream["provided_by"]), (&json!("enabled"), &json!("rabbit")));
    assert!(flags.as_array().unwrap().iter().all(|flag| flag["state"] == "enabled"));
    let deprecated = broker.get("/api/deprecated-features").await;
    assert_eq!(deprecated[0]["deprecation_phase"], json!("permitted_by_default"));
    for path in [
        "deprecated-features/used",
        "extensions",
        "shovels",
        "shovels/%2F",
        "federation-links",
        "federation-links/%2F",
        "federation-links/state/down",
        "traces",
        "traces/%2F",
        "trace-files",
        "stream/connections",
        "stream/publishers",
        "stream/consumers",
    ] {
        assert_eq!(broker.get(&format!("/api/{path}")).await, json!([]), "{path}");
    }
    walk(
        &broker,
        &[
            ("PUT", "/api/feature-flags/stream_queue/enable", "{}", 204, None),
            ("PUT", "/api/feature-flags/nope/enable", "{}", 400, Some("unsupported")),
            ("GET", "/api/shovels/x", "", 404, None),
            ("GET", "/api/traces/%2F/x", "", 404, NOT_FOUND),
            ("PUT", "/api/traces/%2F/x", "{}", 400, None),
            ("DELETE", "/api/trace-files/x", "", 404, NOT_FOUND),
            ("GET", "/api/shovels/vhost/%2F/x", "", 404, NOT_FOUND),
            ("DELETE", "/api/reset", "", 204, None),
            ("DELETE", "/api/reset/rabbit@localhost", "", 204, None),
            ("DELETE", "/api/reset/x", "", 404, NOT_FOUND),
            ("GET", "/api/config/effective", "", 200, None),
            ("PUT", "/api/cluster-name", "{}", 400, Some("[{key_missing,name}]")),
            ("PUT", "/api/cluster-name", r#"{"name":"c1"}"#, 204, None),
        ],
    )
    .await;
    assert_eq!(broker.get("/api/cluster-name").await, json!({"name": "c1"}));
    assert_eq!(broker.get("/api/version").await, json!("4.2.1"));
    broker.stop().await;
}

#[tokio::test]
async fn pages_for_people() {
    let broker = Broker::start().await;
    for (path, status, part) in [
        ("/", 200, "AMQP 0-9-1 broker that takes RabbitMQ's place"),
        ("/api/index.html", 200, "/api/queues/{vhost}/{queue}"),
        ("/cli/rabbitmqadmin", 200, "#!/bin/sh"),
        ("/js/main.js", 404, "Object Not Found"),
    ] {
        let reply = broker.raw("GET", path, "accept: text/html\r\n", "").await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.text.contains(part), "{path}: {}", reply.text);
    }
    for (path, to) in [("/api", "/api/index.html"), ("/cli", "/cli/index.html"), ("/cli/index.html", "/")] {
        let reply = broker.raw("GET", path, "", "").await;
        assert_eq!((reply.status, reply.header("location")), (301, Some(to)), "{path}");
    }
    let reply = broker.raw("GET", "/api/openapi.json", "", "").await;
    assert!(reply.json()["paths"]["/api/queues/{vhost}/{queue}"]["put"].is_object());
    broker.stop().await;
}

#[tokio::test]
async fn tools_have_what_they_ask_for() {
    let broker = Broker::start().await;
    let status = broker.get("/api/leveret/status").await;
    for key in [
        "os",
        "pid",
        "product_name",
        "product_version",
        "rabbitmq_version",
        "erlang_version",
        "crypto_lib_version",
        "uptime",
        "is_under_maintenance",
        "processes",
        "run_queue",
        "net_ticktime",
        "vm_memory_calculation_strategy",
        "vm_memory_high_watermark_setting",
        "vm_memory_high_watermark_limit",
        "disk_free_limit",
        "disk_free",
        "alarms",
        "tags",
        "listeners",
        "memory",
        "data_directory",
        "raft_data_directory",
        "config_files",
        "log_files",
        "active_plugins",
        "enabled_plugin_file",
        "totals",
        "node",
        "cluster_name",
        "file_descriptors",
    ] {
        assert!(status.get(key).is_some(), "{key}");
    }
    assert_eq!(status["totals"], json!({"connection_count": 0, "queue_count": 0, "virtual_host_count": 1}));
    walk(
        &broker,
        &[
            ("POST", "/api/leveret/authenticate", r#"{"username":"guest","password":"guest"}"#, 204, None),
            (
                "POST",
                "/api/leveret/authenticate",
                r#"{"username":"guest","password":"x"}"#,
                401,
                Some("Not_Authorized"),
            ),
            ("PUT", "/api/leveret/disk_free_limit", r#"{"absolute":1000}"#, 204, None),
            ("PUT", "/api/leveret/memory_watermark", r#"{"relative":2}"#, 400, None),
            ("PUT", "/api/leveret/environment/rabbit/consumer_timeout", r#"{"value":60000}"#, 204, None),
            ("GET", "/api/leveret/os_env", "", 200, None),
        ],
    )
    .await;
    assert_eq!(broker.get("/api/leveret/disk_free_limit").await, json!({"absolute": 1000}));
    assert_eq!(broker.get("/api/leveret/environment").await["rabbit"]["consumer_timeout"], json!(60000));
    walk(
        &broker,
        &[
            ("GET", "/api/leveret/log", "", 400, Some("the log does not go to a file")),
            ("PUT", "/api/vhosts/v1", "", 201, None),
            ("POST", "/api/vhosts/v1/deletion/protection", "", 204, None),
            ("PUT", "/api/users/a", r#"{"password":"p","tags":""}"#, 201, None),
            ("POST", "/api/leveret/stop_app", "", 204, None),
            ("POST", "/api/leveret/reset", "", 204, None),
        ],
    )
    .await;
    assert_eq!(broker.get("/api/leveret/status").await["is_running"], json!(false));
    walk(&broker, &[("POST", "/api/leveret/start_app", "", 204, None)]).await;
    let status = broker.get("/api/leveret/status").await;
    assert_eq!((&status["is_running"], &status["totals"]["virtual_host_count"]), (&json!(true), &json!(1)));
    assert_eq!(broker.get("/api/users?columns=name").await, json!([{"name": "guest"}]));
    assert_eq!(broker.call("POST", "/api/leveret/stop", "").await.status, 204);
    let asked = tokio::time::timeout(PATIENCE, broker.server.node().stop_requested()).await;
    assert!(asked.is_ok());
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_told_as_they_happen() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

    let broker = Broker::start().await;
    let mut stream = tokio::net::TcpStream::connect(broker.http()).await.unwrap();
    let request = "GET /api/leveret/events HTTP/1.1\r\nhost: x\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut next = async |part: &str| {
        let found = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(part) {
                    return line;
                }
            }
            String::new()
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    };
    assert!(next("HTTP/1.1 200").await.ends_with("OK"));
    assert!(next("application/x-ndjson").await.starts_with("content-type"));
    assert_eq!(broker.call("PUT", "/api/vhosts/v1", "").await.status, 201);
    let event: Value = serde_json::from_str(&next("vhost.created").await).unwrap();
    assert_eq!((&event["event"], &event["name"]), (&json!("vhost.created"), &json!("v1")));
    assert_eq!(event["user_who_performed_action"], json!("guest"));
    drop(lines);
    // The queue goes once it is noticed that nobody listens.
    broker.get_once("/api/queues", |queues| *queues == json!([])).await;
    broker.stop().await;
}
