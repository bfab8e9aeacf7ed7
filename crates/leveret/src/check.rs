//! `leveret config`: what a configuration comes to, and what can be configured.

use std::process::ExitCode;

use leveret_cli::print;
use leveret_config::keys::{self, Key};
use leveret_config::{Explained, Origin, load};
use serde_json::{Value, json};

use crate::cli::CheckOptions;
use crate::serve::{Plan, ServeError};

/// What is found.
struct Found {
    rows: Vec<Explained>,
    warnings: Vec<String>,
    errors: Vec<String>,
    files: Vec<String>,
}

/// Explains the configuration that `leveret serve` would have with the same flags.
pub(crate) fn check(options: &CheckOptions) -> ExitCode {
    let found = find(options);
    if options.json {
        print(&format!("{:#}\n", found.json()));
    } else {
        print(&found.text());
    }
    if found.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find(options: &CheckOptions) -> Found {
    let sources = options.serve.sources();
    let mut found = match load(&sources) {
        Ok(loaded) => Found {
            rows: loaded.origins,
            warnings: loaded.warnings,
            errors: Vec::new(),
            files: loaded.files.iter().map(|path| path.display().to_string()).collect(),
        },
        Err(error) => {
            return Found { rows: Vec::new(), warnings: error.warnings, errors: error.problems, files: Vec::new() };
        }
    };
    // Certificates, definitions and what else is looked at when the broker starts.
    match Plan::of(&sources) {
        Ok(_) => (),
        Err(ServeError::Config(error)) => found.errors = error.problems,
        Err(error) => found.errors.push(error.to_string()),
    }
    found
}

impl Found {
    fn text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            text.push_str(&format!("# read {file}\n"));
        }
        let (told, defaults): (Vec<&Explained>, Vec<&Explained>) =
            self.rows.iter().partition(|row| row.origin != Origin::Default);
        for row in told.into_iter().chain(defaults) {
            let note = if row.status == "honoured" { String::new() } else { format!(", {}", row.status) };
            text.push_str(&format!("{} = {}  # {}{note}\n", row.key, row.value, row.origin));
        }
        for warning in &self.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        for error in &self.errors {
            text.push_str(&format!("error: {error}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(
            |row| json!({ "key": row.key, "value": row.value, "origin": row.origin.to_string(), "status": row.status }),
        );
        json!({
            "files": self.files,
            "settings": rows.collect::<Vec<_>>(),
            "warnings": self.warnings,
            "errors": self.errors,
        })
    }
}

/// Lists the keys that are known.
pub(crate) fn keys(json: bool) -> ExitCode {
    let mut known: Vec<&Key> = keys::all().iter().collect();
    known.sort_by_key(|key| key.pattern);
    if json {
        let rows = known.iter().map(|key| {
            json!({
                "key": key.pattern,
                "value": key.kind().to_string(),
                "default": key.default,
                "status": key.rule.word(),
            })
        });
        print(&format!("{:#}\n", Value::Array(rows.collect())));
    } else {
        let lines = known.into_iter().map(|key| {
            let default = key.default.map(|default| format!(" [{default}]")).unwrap_or_default();
            format!("{}\t{}\t{}{default}\n", key.pattern, key.rule.word(), key.kind())
        });
        print(&lines.collect::<String>());
    }
    ExitCode::SUCCESS
}
