//! Logins that others are asked about: a web service, and signed tokens.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leveret_server::auth::{AuthConfig, Backend, BackendKind, HttpConfig, OAuth2Config};
use serde_json::{Value, json};
use support::tokens::{Signer, now_s};
use support::web::Web;
use support::{Client, Reply, Running, with_auth};

const REFUSED: &str =
    "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.";

fn refused() -> Reply {
    Reply::Closed(403, REFUSED.to_owned())
}

/// How long anything may take that is to come about.
const PATIENCE: Duration = Duration::from_secs(60);

// The web service

fn http_auth(web: &Web, post: bool) -> HttpConfig {
    HttpConfig {
        post,
        user_path: web.url("auth/user"),
        vhost_path: web.url("auth/vhost"),
        resource_path: web.url("auth/resource"),
        topic_path: web.url("auth/topic"),
        request_timeout: PATIENCE,
        ..HttpConfig::default()
    }
}

/// Lets alice in, who may do all to what begins with "mine".
fn alices_service() -> Web {
    Web::start(|path, form| {
        let allow = match path {
            "/auth/user" if form.contains("username=slow&") => {
                std::thread::sleep(2 * PATIENCE);
                true
            }
            "/auth/user" if form == "username=alice&password=in+w%26nderland" => {
                return (200, "allow monitoring Management".to_owned());
            }
            "/auth/user" if form.starts_with("username=broken") => return (500, "sorry".to_owned()),
            "/auth/user" if form.starts_with("username=odd") => return (200, "maybe".to_owned()),
            "/auth/user" => return (200, "deny we do not know you".to_owned()),
            "/auth/vhost" => form.contains("vhost=%2F&ip=127.0.0.1"),
            "/auth/resource" => form.contains("name=mine"),
            _ => false,
        };
        (200, if allow { "allow" } else { "deny" }.to_owned())
    })
}

fn with_service(web: &Web, post: bool, backends: &[Backend]) -> Running {
    let http = http_auth(web, post);
    let cached = Backend::of(BackendKind::Http);
    Running::start(&with_auth(AuthConfig { backends: backends.to_vec(), http, cached, ..AuthConfig::default() }))
}

#[test]
fn a_web_service_says_who_may_do_what() {
    for post in [false, true] {
        let web = alices_service();
        let running = with_service(&web, post, &[Backend::of(BackendKind::Http)]);
        let mut client = Client::tcp(running.address());
        assert_eq!(client.plain("alice", "in w&nderland"), Reply::Ok);
        assert_eq!(client.open_channel(), Reply::Ok);
        assert_eq!(client.declare("mine.1"), Reply::Ok);
        let refusal = "ACCESS_REFUSED - configure access to queue 'yours' in vhost '/' refused for user 'alice'";
        assert_eq!(client.declare("yours"), Reply::ChannelClosed(403, refusal.to_owned()));
        let method = if post { "POST" } else { "GET" };
        let tags = "tags=monitoring+management";
        assert_eq!(
            web.asked(),
            [
                format!("{method} /auth/user username=alice&password=in+w%26nderland"),
                format!("{method} /auth/vhost username=alice&vhost=%2F&ip=127.0.0.1&{tags}"),
                format!(
                    "{method} /auth/resource username=alice&vhost=%2F&resource=queue&name=mine.1&permission=configure&{tags}"
                ),
                format!(
                    "{method} /auth/resource username=alice&vhost=%2F&resource=queue&name=yours&permission=configure&{tags}"
                ),
            ]
        );
    }
}

#[test]
fn answers_about_rights_are_kept() {
    let web = alices_service();
    let running = with_service(&web, false, &[Backend::of(BackendKind::Http)]);
    let mut client = Client::tcp(running.address());
    assert_eq!(client.plain("alice", "in w&nderland"), Reply::Ok);
    assert_eq!(client.open_channel(), Reply::Ok);
    for _ in 0..10 {
        assert_eq!(client.declare("mine"), Reply::Ok);
    }
    assert_eq!(web.asked().iter().filter(|asked| asked.contains("/auth/resource")).count(), 1);
}

#[test]
fn whom_the_service_does_not_let_in_is_refused() {
    let web = alices_service();
    let running = with_service(&web, false, &[Backend::of(BackendKind::Http)]);
    for (user, password) in [("bob", "x"), ("broken", "x"), ("odd", "x"), ("guest", "guest")] {
        assert_eq!(Client::tcp(running.address()).plain(user, password), refused(), "{user}");
    }
}

#[test]
fn a_service_that_does_not_answer_is_not_waited_for() {
    let web = alices_service();
    let http = HttpConfig { request_timeout: Duration::from_secs(5), ..http_auth(&web, false) };
    let backends = vec![Backend::of(BackendKind::Http)];
    let running = Running::start(&with_auth(AuthConfig { backends, http, ..AuthConfig::default() }));
    let mut waiting = Client::tcp(running.address());
    let late = std::thread::spawn(move || waiting.plain("slow", "x"));
    eventually(|| web.asked().iter().any(|asked| asked.contains("username=slow")));
    // Others are served meanwhile.
    assert_eq!(Client::tcp(running.address()).plain("alice", "in w&nderland"), Reply::Ok);
    // It is refused long before the service answers.
    assert_eq!(late.join().unwrap(), refused());
}

/// Tries until it holds.
fn eventually(mut holds: impl FnMut() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < PATIENCE, "it never came about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_first_of_the_chain_that_knows_the_user_wins() {
    let web = alices_service();
    let running = with_service(&web, false, &[Backend::default(), Backend::of(BackendKind::Http)]);
    assert_eq!(Client::tcp(running.address()).plain("guest", "guest"), Reply::Ok);
    assert!(web.asked().is_empty());
    assert_eq!(Client::tcp(running.address()).plain("alice", "in w&nderland"), Reply::Ok);
    assert_eq!(Client::tcp(running.address()).plain("guest", "wrong"), refused());
}

#[test]
fn one_may_say_who_and_another_what() {
    let web = Web::start(|_, _| (200, "allow".to_owned()));
    let running = with_service(&web, false, &[Backend { authn: BackendKind::Http, authz: BackendKind::Internal }]);
    // The service takes any password; the broker knows guest alone.
    assert_eq!(Client::tcp(running.address()).plain("guest", "any"), Reply::Ok);
    assert_eq!(Client::tcp(running.address()).plain("alice", "any"), refused());
}

#[test]
fn a_cache_may_say_what_and_another_who() {
    let web = Web::start(|_, _| (200, "allow".to_owned()));
    let backends = vec![
        Backend { authn: BackendKind::Http, authz: BackendKind::Cache },
        Backend { authn: BackendKind::Cache, authz: BackendKind::Internal },
    ];
    let auth = |backends: &[Backend]| AuthConfig {
        backends: backends.to_vec(),
        http: http_auth(&web, false),
        cached: Backend::default(),
        ..AuthConfig::default()
    };
    let running = Running::start(&with_auth(auth(&backends[..1])));
    // The service takes any password, and the broker is asked about rights alone.
    for _ in 0..2 {
        assert_eq!(Client::tcp(running.address()).plain("guest", "any"), Reply::Ok);
    }
    // What it has said about rights proves no password, where it is asked about that.
    let running = Running::start(&with_auth(auth(&backends)));
    assert_eq!(Client::tcp(running.address()).plain("guest", "any"), Reply::Ok);
    let running = Running::start(&with_auth(auth(&backends[1..])));
    assert_eq!(Client::tcp(running.address()).plain("guest", "any"), refused());
    assert_eq!(Client::tcp(running.address()).plain("guest", "guest"), Reply::Ok);
}

#[test]
fn a_cache_asks_once() {
    let web = alices_service();
    let running = with_service(&web, false, &[Backend::of(BackendKind::Cache)]);
    for _ in 0..3 {
        assert_eq!(Client::tcp(running.address()).plain("alice", "in w&nderland"), Reply::Ok);
    }
    assert_eq!(web.asked().iter().filter(|asked| asked.contains("/auth/user")).count(), 1);
    // Refusals are asked for each time, and another password is another question.
    for _ in 0..2 {
        assert_eq!(Client::tcp(running.address()).plain("alice", "wrong"), refused());
    }
    assert_eq!(web.asked().iter().filter(|asked| asked.contains("/auth/user")).count(), 3);
}

#[test]
fn anonymous_stands_for_whom_it_is_set_to() {
    let anonymous = |anonymous| Running::start(&with_auth(AuthConfig { anonymous, ..AuthConfig::default() }));
    let login = |running: &Running| Client::tcp(running.address()).log_in("ANONYMOUS", b"");
    let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
    assert_eq!(login(&anonymous(pair("guest", "guest"))), Reply::Ok);
    assert!(matches!(login(&anonymous(pair("guest", "changed"))), Reply::Closed(403, _)));
    let without = anonymous(None);
    assert_eq!(Client::tcp(without.address()).mechanisms, "PLAIN AMQPLAIN");
    assert_eq!(login(&without), Reply::Gone);
}

// Tokens

fn claims(scope: &Value, lasts_s: u64) -> Value {
    json!({"sub": "bob", "aud": ["rabbitmq", "other"], "exp": now_s() + lasts_s, "scope": scope})
}

fn all_rights() -> Value {
    json!("rabbitmq.read:*/* rabbitmq.write:*/* rabbitmq.configure:%2F/mine*")
}

/// A server that takes tokens of these signers, whose keys lie in files.
fn with_keys(signers: &[(&str, &Signer)], change: impl FnOnce(&mut OAuth2Config)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut signing_keys = BTreeMap::new();
    for (id, signer) in signers {
        let path = dir.path().join(format!("{id}.pem"));
        signer.write_public_key(&path);
        signing_keys.insert((*id).to_owned(), path);
    }
    let mut oauth2 =
        OAuth2Config { resource_server_id: "rabbitmq".to_owned(), signing_keys, ..OAuth2Config::default() };
    change(&mut oauth2);
    with_oauth2(oauth2)
}

fn with_oauth2(oauth2: OAuth2Config) -> Running {
    let backends = vec![Backend::of(BackendKind::OAuth2)];
    Running::start(&with_auth(AuthConfig { backends, oauth2, ..AuthConfig::default() }))
}

fn login(running: &Running, token: &str) -> Reply {
    Client::tcp(running.address()).plain("ignored", token)
}

#[test]
fn a_token_says_who_and_what() {
    let signer = Signer::es256();
    let running = with_keys(&[("k1", &signer)], |_| {});
    let mut client = Client::tcp(running.address());
    assert_eq!(client.plain("ignored", &signer.token("k1", &claims(&all_rights(), 600))), Reply::Ok);
    assert_eq!(
        running.server.node().connection_briefs().first().map(|brief| brief.user.to_string()).as_deref(),
        Some("bob")
    );
    assert_eq!(client.open_channel(), Reply::Ok);
    assert_eq!(client.declare("mine"), Reply::Ok);
    let refusal = "ACCESS_REFUSED - configure access to queue 'yours' in vhost '/' refused for user 'bob'";
    assert_eq!(client.declare("yours"), Reply::ChannelClosed(403, refusal.to_owned()));
    // There is no right in the vhost.
    let refusal = "NOT_ALLOWED - access to vhost '/' refused for user 'bob'";
    let elsewhere = signer.token("k1", &claims(&json!("rabbitmq.read:elsewhere/*"), 600));
    assert_eq!(login(&running, &elsewhere), Reply::Closed(530, refusal.to_owned()));
}

#[test]
fn each_kind_of_key_is_known() {
    let signers = [Signer::es256(), Signer::ed_dsa(), Signer::rsa("RS256"), Signer::rsa("PS512")];
    let ids = ["k0", "k1", "k2", "k3"];
    let named: Vec<(&str, &Signer)> = ids.into_iter().zip(&signers).collect();
    let by_files = with_keys(&named, |_| {});
    let jwks = json!({"keys": named.iter().map(|(id, signer)| signer.jwk(id)).collect::<Vec<_>>()});
    let web = Web::start(move |_, _| (200, jwks.to_string()));
    let by_url = with_oauth2(OAuth2Config {
        resource_server_id: "rabbitmq".to_owned(),
        jwks_url: Some(web.url("jwks")),
        ..OAuth2Config::default()
    });
    for (id, signer) in &named {
        let token = signer.token(id, &claims(&all_rights(), 600));
        assert_eq!(login(&by_files, &token), Reply::Ok, "{id}");
        assert_eq!(login(&by_url, &token), Reply::Ok, "{id}");
    }
    // Keys are fetched once.
    assert_eq!(web.asked(), ["GET /jwks "]);
}

#[test]
fn tokens_that_are_not_good_are_refused() {
    let signer = Signer::es256();
    let stranger = Signer::es256();
    let rsa = Signer::rsa("RS256");
    let running = with_keys(&[("k1", &signer), ("rsa", &rsa)], |_| {});
    let good = claims(&all_rights(), 60);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        claims
    };
    let token = signer.token("k1", &good);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let unsigned = Signer::es256().token_as(&json!({"alg": "none", "kid": "k1"}), &good);
    let bad = [
        stranger.token("k1", &good),
        signer.token("k2", &good),
        signer.token("rsa", &good),
        signer.token_as(&json!({"alg": "ES256"}), &good),
        signer.token_as(&json!({"alg": "HS256", "kid": "k1"}), &good),
        signer.token_as(&json!({"alg": "ES256", "kid": "k1", "crit": ["exp"]}), &good),
        signer.token("k1", &with("exp", json!(now_s() - 1))),
        signer.token("k1", &with("exp", json!("soon"))),
        signer.token("k1", &with("exp", Value::Null)),
        signer.token("k1", &with("nbf", json!(now_s() + 6000))),
        signer.token("k1", &with("nbf", json!("now"))),
        signer.token("k1", &with("aud", json!("other"))),
        signer.token("k1", &with("aud", Value::Null)),
        format!("{signed}."),
        format!("{signed}x.{signature}"),
        format!("{}.", unsigned.rsplit_once('.').unwrap().0),
        String::new(),
        "a.b.c".to_owned(),
        "guest".to_owned(),
    ];
    for token in bad {
        assert_eq!(login(&running, &token), refused(), "{token}");
    }
    assert_eq!(login(&running, &token), Reply::Ok);
    // The issuer's clock may be a little ahead of ours.
    for not_before in [json!(now_s() - 600), json!(now_s() + 5), json!(0.5)] {
        assert_eq!(login(&running, &signer.token("k1", &with("nbf", not_before))), Reply::Ok);
    }
}

#[test]
fn names_audience_scopes_and_algorithms_are_configured() {
    let signer = Signer::es256();
    let running = with_keys(&[("k1", &signer)], |oauth2| {
        oauth2.default_key = Some("k1".to_owned());
        oauth2.verify_aud = false;
        oauth2.scope_prefix = Some("mq:".to_owned());
        oauth2.preferred_username_claims = vec!["email".to_owned()];
        oauth2.additional_scopes_key = Some("roles.list".to_owned());
        oauth2.scope_aliases = BTreeMap::from([("developer".to_owned(), "mq:read:*/* mq:configure:*/*".to_owned())]);
    });
    let claims =
        json!({"sub": "x", "email": "bob@example.org", "exp": now_s() + 600, "roles": {"list": ["developer"]}});
    let token = signer.token_as(&json!({"alg": "ES256"}), &claims);
    let mut client = Client::tcp(running.address());
    assert_eq!(client.plain("", &token), Reply::Ok);
    assert_eq!(
        running.server.node().connection_briefs().first().map(|brief| brief.user.to_string()).as_deref(),
        Some("bob@example.org")
    );
    let only_rsa = with_keys(&[("k1", &signer)], |oauth2| oauth2.algorithms = vec!["RS256".to_owned()]);
    assert_eq!(login(&only_rsa, &signer.token("k1", &good_claims())), refused());
}

fn good_claims() -> Value {
    claims(&all_rights(), 60)
}

#[test]
fn keys_are_fetched_again_when_the_issuer_has_new_ones() {
    let (old, new) = (Signer::es256(), Signer::es256());
    let [old_jwk, new_jwk] = [old.jwk("old"), new.jwk("new")];
    let turned = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_new = std::sync::Arc::clone(&turned);
    let web = Web::start(move |_, _| {
        let keys = if is_new.load(std::sync::atomic::Ordering::SeqCst) { json!([new_jwk]) } else { json!([old_jwk]) };
        (200, json!({"keys": keys}).to_string())
    });
    let running = with_oauth2(OAuth2Config {
        resource_server_id: "rabbitmq".to_owned(),
        jwks_url: Some(web.url("jwks")),
        ..OAuth2Config::default()
    });
    assert_eq!(login(&running, &old.token("old", &good_claims())), Reply::Ok);
    let since = Instant::now();
    // Not each time: else everybody could make us ask as often as they like.
    let stranger = new.token("strange", &good_claims());
    for _ in 0..20 {
        assert_eq!(login(&running, &stranger), refused());
    }
    let asked_max = |since: Instant| 2 + since.elapsed().as_secs() / 5;
    assert!(web.asked().len() as u64 <= asked_max(since), "{} times", web.asked().len());
    turned.store(true, std::sync::atomic::Ordering::SeqCst);
    let token = new.token("new", &good_claims());
    eventually(|| login(&running, &token) == Reply::Ok);
    assert!(web.asked().len() as u64 <= asked_max(since), "{} times", web.asked().len());
}

#[test]
fn who_comes_while_keys_are_fetched_waits_for_them() {
    let signer = Signer::es256();
    let jwk = signer.jwk("k1");
    let (answer, answers) = std::sync::mpsc::channel::<()>();
    let answers = std::sync::Mutex::new(answers);
    let web = Web::start(move |_, _| {
        answers.lock().unwrap().recv().unwrap();
        (200, json!({"keys": [jwk]}).to_string())
    });
    let running = with_oauth2(OAuth2Config {
        resource_server_id: "rabbitmq".to_owned(),
        jwks_url: Some(web.url("jwks")),
        ..OAuth2Config::default()
    });
    let token = signer.token("k1", &good_claims());
    std::thread::scope(|scope| {
        let logins: Vec<_> = (0..8).map(|_| scope.spawn(|| login(&running, &token))).collect();
        eventually(|| !web.asked().is_empty());
        // The others are likely to be there by now.
        std::thread::sleep(Duration::from_millis(300));
        answer.send(()).unwrap();
        for login in logins {
            assert_eq!(login.join().unwrap(), Reply::Ok);
        }
    });
    assert_eq!(web.asked().len(), 1);
}

#[test]
fn an_issuer_says_where_its_keys_are() {
    let signer = Signer::ed_dsa();
    let jwk = signer.jwk("k1");
    let keys = Web::start(move |_, _| (200, json!({"keys": [jwk]}).to_string()));
    let jwks_uri = keys.url("keys");
    let issuer = Web::start(move |_, _| (200, json!({"jwks_uri": jwks_uri}).to_string()));
    let running = with_oauth2(OAuth2Config {
        resource_server_id: "rabbitmq".to_owned(),
        issuer: Some(issuer.url("realm/")),
        ..OAuth2Config::default()
    });
    assert_eq!(login(&running, &signer.token("k1", &good_claims())), Reply::Ok);
    assert_eq!(issuer.asked(), ["GET /realm/.well-known/openid-configuration "]);
}

#[test]
fn a_connection_ends_with_its_token() {
    let signer = Signer::es256();
    let running = with_keys(&[("k1", &signer)], |_| {});
    // On a busy machine two seconds may be over before it is logged in.
    let logged_in = [2, 8, 32].into_iter().find_map(|lasts_s| {
        let (mut client, ends_s) = (Client::tcp(running.address()), now_s() + lasts_s);
        let reply = client.plain("", &signer.token("k1", &claims(&all_rights(), lasts_s)));
        (reply == Reply::Ok).then_some((client, ends_s))
    });
    let (mut client, ends_s) = logged_in.unwrap();
    assert_eq!(client.reply(), Reply::Closed(320, "CONNECTION_FORCED - credential expired".to_owned()));
    assert!(now_s() >= ends_s, "too early");
}

#[test]
fn a_new_token_takes_the_place_of_the_old_one() {
    let signer = Signer::es256();
    let running = with_keys(&[("k1", &signer)], |_| {});
    let other = json!("rabbitmq.configure:%2F/other*");
    // On a busy machine two seconds may be over before the new token is there.
    let renewed = [2, 8, 32].into_iter().find_map(|lasts_s| {
        let (mut client, ends_s) = (Client::tcp(running.address()), now_s() + lasts_s);
        let replies = [
            client.plain("", &signer.token("k1", &claims(&all_rights(), lasts_s))),
            client.open_channel(),
            client.declare("mine"),
            client.update_secret(&signer.token("k1", &claims(&other, 600))),
        ];
        replies.iter().all(|reply| *reply == Reply::Ok).then_some((client, ends_s))
    });
    let (mut client, ends_s) = renewed.unwrap();
    while now_s() <= ends_s {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(client.declare("other"), Reply::Ok);
    let refusal = "ACCESS_REFUSED - configure access to queue 'mine' in vhost '/' refused for user 'bob'";
    assert_eq!(client.declare("mine"), Reply::ChannelClosed(403, refusal.to_owned()));
}

#[test]
fn consumers_end_that_a_new_token_does_not_allow() {
    let signer = Signer::es256();
    let running = with_keys(&[("k1", &signer)], |_| {});
    let mut client = Client::tcp(running.address());
    let both = json!("rabbitmq.configure:*/* rabbitmq.read:*/one rabbitmq.read:*/two");
    assert_eq!(client.plain("", &signer.token("k1", &claims(&both, 600))), Reply::Ok);
    assert_eq!(client.open_channel(), Reply::Ok);
    for name in ["one", "two"] {
        assert_eq!(client.declare(name), Reply::Ok);
        assert_eq!(client.consume(name, &format!("of-{name}")), Reply::Ok);
    }
    assert_eq!(client.update_secret(&signer.token("k1", &claims(&json!("rabbitmq.read:*/two"), 600))), Reply::Ok);
    assert_eq!(client.reply(), Reply::Cancelled("of-one".to_owned()));
    assert_eq!(client.close(), Reply::Ok);
}

#[test]
fn a_token_that_is_no_better_than_none_closes_the_connection() {
    let signer = Signer::es256();
    let running = with_keys(&[("k1", &signer)], |_| {});
    let renewed = |token: &str| {
        let mut client = Client::tcp(running.address());
        assert_eq!(client.plain("", &signer.token("k1", &claims(&all_rights(), 600))), Reply::Ok);
        client.update_secret(token)
    };
    let refusal = Reply::Closed(530, "NOT_ALLOWED - New secret was refused by one of the backends".to_owned());
    assert_eq!(renewed("nonsense"), refusal);
    let too_many: Vec<String> = (0..3000).map(|number| format!("rabbitmq.read:*/{number}")).collect();
    assert_eq!(renewed(&signer.token("k1", &claims(&json!(too_many), 600))), refusal);
    let mut of_eve = claims(&all_rights(), 60);
    of_eve["sub"] = json!("eve");
    assert_eq!(renewed(&signer.token("k1", &of_eve)), refusal);
    let elsewhere = signer.token("k1", &claims(&json!("rabbitmq.read:elsewhere/*"), 600));
    let refusal = "NOT_ALLOWED - access to vhost '/' refused for user 'bob'".to_owned();
    assert_eq!(renewed(&elsewhere), Reply::Closed(530, refusal));
}

#[test]
fn settings_that_cannot_be_used_are_explained() {
    let error = |auth: AuthConfig| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _entered = runtime.enter();
        leveret_server::Server::start(&with_auth(auth)).unwrap_err().to_string()
    };
    let backends = vec![Backend::of(BackendKind::OAuth2)];
    let without = error(AuthConfig { backends: backends.clone(), ..AuthConfig::default() });
    assert!(without.contains("auth_oauth2.resource_server_id is not set"), "{without}");
    let oauth2 = OAuth2Config { resource_server_id: "rabbitmq".to_owned(), ..OAuth2Config::default() };
    let without = error(AuthConfig { backends, oauth2, ..AuthConfig::default() });
    assert!(without.contains("auth_oauth2.jwks_url"), "{without}");
    let http = HttpConfig { user_path: "localhost/auth".to_owned(), ..HttpConfig::default() };
    let backends = vec![Backend::of(BackendKind::Http)];
    let wrong = error(AuthConfig { backends, http, ..AuthConfig::default() });
    assert!(wrong.contains("auth_http.user_path"), "{wrong}");
}
