//! Users, their passwords and tags.

use std::io::{self, IsTerminal as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{BOTH, CTL};
use crate::call::{Call, done, print};
use crate::command::{ANY, Command, Group, Switch};
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::term::Term;

pub(super) const COMMANDS: &[Command] = &[
    Command::new(
        "add_user",
        (CTL, Group::Users),
        (1, 2),
        "<username> [<password>] [--pre-hashed-password]",
        "Creates a user, who may do nothing yet. The password can come on standard input",
        add_user,
    )
    .with(&[Switch::flag("pre-hashed-password")]),
    Command::new(
        "delete_user",
        (CTL, Group::Users),
        (1, 1),
        "<username>",
        "Deletes a user and closes the user's connections",
        delete_user,
    ),
    Command::new(
        "change_password",
        (CTL, Group::Users),
        (1, 2),
        "<username> [<password>] [--pre-hashed-password]",
        "Changes a user's password",
        change_password,
    )
    .with(&[Switch::flag("pre-hashed-password")]),
    Command::new(
        "clear_password",
        (CTL, Group::Users),
        (1, 1),
        "<username>",
        "Takes a user's password away: there is no more login with one",
        clear_password,
    ),
    Command::new(
        "authenticate_user",
        (CTL, Group::Users),
        (1, 2),
        "<username> [<password>]",
        "Checks a name and a password; the exit code says whether they do",
        authenticate_user,
    ),
    Command::new(
        "set_user_tags",
        (CTL, Group::Users),
        (1, ANY),
        "<username> [<tag> ...]",
        "Sets a user's tags, such as administrator, in place of those before",
        set_user_tags,
    ),
    Command::new(
        "list_users",
        (BOTH, Group::Users),
        (0, 0),
        "[--no-table-headers]",
        "Lists users and their tags",
        list_users,
    ),
    Command::new(
        "hash_password",
        (CTL, Group::Users),
        (0, 1),
        "[<password>]",
        "Gives the hash of a password, for definitions and add_user --pre-hashed-password",
        hash_password,
    ),
];

/// How `--pre-hashed-password` is understood, as RabbitMQ does by default.
const HASHING: &str = "rabbit_password_hashing_sha256";

fn add_user(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    if user.is_empty() {
        return Err(call.bad_argument("user cannot be an empty string"));
    }
    call.banner(format!("Adding user \"{user}\" ..."));
    let mut body = credentials(call, 1)?;
    if call.find(&["users", user])?.is_some() {
        return Err(Failure::error(Kind::Software, format!("User \"{user}\" already exists")));
    }
    set(&mut body, "tags", json!([]));
    call.put(&["users", user], &body)?;
    if call.has("quiet") || call.has("silent") {
        return Ok(Output::Done);
    }
    let text = "Done. Don't forget to grant the user permissions to some virtual hosts! \
                See 'rabbitmqctl help set_permissions' to learn more.";
    let value = [("message", text), ("node", call.node()), ("status", "ok")];
    let value = value.into_iter().map(|(name, value)| (name.to_owned(), Term::text(value))).collect();
    Ok(Output::report(text, Term::Map(value)))
}

/// The password, or its hash, as the API takes it.
fn credentials(call: &Call, position: usize) -> Result<Value, Failure> {
    let password = password(call, position)?;
    if call.has("pre-hashed-password") {
        if STANDARD.decode(&password).is_err() {
            return Err(Failure::error(Kind::Data, "Could not Base64 decode provided password hash value"));
        }
        return Ok(json!({"password_hash": password, "hashing_algorithm": HASHING}));
    }
    // There is no login by an empty one.
    Ok(json!({ "password": password }))
}

fn password(call: &Call, position: usize) -> Result<String, Failure> {
    if let Some(password) = call.arguments.get(position) {
        return Ok(password.clone());
    }
    if io::stdin().is_terminal() && !call.has("quiet") && !call.has("silent") {
        print("Password: ");
    }
    call.line()?.ok_or_else(|| Failure::error(Kind::Data, "Password is not provided via argument or stdin"))
}

fn delete_user(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Deleting user \"{user}\" ..."));
    if call.delete(&["users", user])? { Ok(Output::Done) } else { Err(Failure::no_user(user)) }
}

fn change_password(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Changing password for user \"{user}\" ..."));
    let body = credentials(call, 1)?;
    change(call, user, body)
}

fn clear_password(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Clearing password for user \"{user}\" ..."));
    change(call, user, json!({"password_hash": ""}))
}

/// Changes a user's password and keeps the tags.
fn change(call: &Call, user: &str, mut body: Value) -> Result<Output, Failure> {
    let before = call.find(&["users", user])?.ok_or_else(|| Failure::no_user(user))?;
    set(&mut body, "tags", before.get("tags").cloned().unwrap_or_else(|| json!([])));
    call.put(&["users", user], &body)?;
    Ok(Output::Done)
}

fn set(body: &mut Value, name: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(name.to_owned(), value);
    }
}

fn authenticate_user(call: &Call) -> Result<Output, Failure> {
    let user = call.argument(0);
    call.banner(format!("Authenticating user \"{user}\" ..."));
    let password = password(call, 1)?;
    let body = json!({"username": user, "password": password});
    let answer = call.send(http::Method::POST, &["leveret", "authenticate"], Some(&body))?;
    if answer.status == 401 {
        let text = format!("Error: failed to authenticate user \"{user}\"\n{}", refusal(user, &answer.reason()));
        return Err(Failure::error(Kind::Data, text));
    }
    done(answer)?;
    Ok(Output::Message("Success".to_owned()))
}

/// Why a login was refused, as RabbitMQ says it.
fn refusal(user: &str, reason: &str) -> String {
    if reason.contains(&format!("'{user}'")) {
        reason.to_owned()
    } else {
        format!("user '{user}' - invalid credentials")
    }
}

fn set_user_tags(call: &Call) -> Result<Output, Failure> {
    let (user, tags) = (call.argument(0), call.arguments.get(1..).unwrap_or_default());
    call.banner(format!("Setting tags for user \"{user}\" to [{}] ...", tags.join(", ")));
    let before = call.find(&["users", user])?.ok_or_else(|| Failure::no_user(user))?;
    let kept = |name: &str| before.get(name).cloned().unwrap_or(Value::Null);
    let body = json!({
        "password_hash": kept("password_hash"),
        "hashing_algorithm": kept("hashing_algorithm"),
        "tags": tags,
    });
    call.put(&["users", user], &body)?;
    Ok(Output::Done)
}

fn list_users(call: &Call) -> Result<Output, Failure> {
    call.banner("Listing users ...");
    let users = call.list(&["users"])?;
    let rows = users.iter().map(|user| vec![Term::from_json(&user["name"]), tags(&user["tags"])]).collect();
    Ok(Output::rows(&["user", "tags"], rows))
}

/// Tags: a list, or a text with commas from older brokers.
fn tags(value: &Value) -> Term {
    match value.as_str() {
        Some(text) => Term::List(text.split(',').filter(|tag| !tag.is_empty()).map(Term::atom).collect()),
        None => Term::atoms(value),
    }
}

fn hash_password(call: &Call) -> Result<Output, Failure> {
    match call.arguments.first() {
        Some(password) => call.banner(format!("Will hash password {password}")),
        None => call.banner("Will hash provided password"),
    }
    let password = password(call, 0)?;
    if password.is_empty() {
        return Err(call.bad_argument("password cannot be an empty string"));
    }
    hash_of(&password).map(Output::Text)
}

/// The hash of a password with a salt that is drawn.
pub(crate) fn hash_of(password: &str) -> Result<String, Failure> {
    let mut salt = [0; 4];
    getrandom::fill(&mut salt).map_err(|error| Failure::unavailable(error.to_string()))?;
    Ok(hash(salt, password))
}

/// RabbitMQ's hash: four bytes of salt, and SHA-256 of them and the password.
fn hash(salt: [u8; 4], password: &str) -> String {
    let mut bytes = salt.to_vec();
    bytes.extend_from_slice(&Sha256::digest([&salt[..], password.as_bytes()].concat()));
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_rabbitmqs() {
        assert_eq!(hash([0x90, 0x8d, 0xc6, 0x0a], "test12"), "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
    }

    #[test]
    fn tags_come_as_a_list_or_as_a_text() {
        assert_eq!(tags(&json!("a,b")), tags(&json!(["a", "b"])));
        assert_eq!(tags(&json!("")), Term::List(Vec::new()));
    }

    #[test]
    fn a_refusal_says_who_is_refused() {
        assert_eq!(refusal("u", "Not_Authorized"), "user 'u' - invalid credentials");
        assert_eq!(refusal("u", "user 'u' - invalid credentials"), "user 'u' - invalid credentials");
    }
}
