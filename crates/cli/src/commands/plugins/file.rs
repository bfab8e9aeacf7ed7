//! The file that names the enabled plugins: a list of Erlang atoms and a dot.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::call::Call;
use crate::commands::info;
use crate::failure::{Failure, Kind};

/// Where it is if nobody says otherwise.
const USUAL: &str = "/etc/rabbitmq/enabled_plugins";

/// The file: that of the options, or of the environment, or of the node.
pub(super) fn enabled_file(call: &Call) -> PathBuf {
    let named = call.options.get("enabled-plugins-file").map(str::to_owned);
    let named = named.or_else(|| env::var("RABBITMQ_ENABLED_PLUGINS_FILE").ok()).filter(|path| !path.is_empty());
    let named = named.or_else(|| {
        let status = if call.has("offline") { None } else { call.status().ok() };
        status.map(|status| info::text(status, "enabled_plugin_file").to_owned()).filter(|path| !path.is_empty())
    });
    PathBuf::from(named.unwrap_or_else(|| USUAL.to_owned()))
}

/// The plugins that it names; none if there is no such file.
pub(super) fn configured(file: &Path) -> Result<Vec<String>, Failure> {
    match fs::read_to_string(file) {
        Ok(text) => parse(&text)
            .ok_or_else(|| Failure::error(Kind::Config, format!("{} is no list of plugins: [a,b].", file.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::error(Kind::Config, format!("{}: {error}", file.display()))),
    }
}

fn parse(text: &str) -> Option<Vec<String>> {
    let lines = text.lines().map(|line| line.split('%').next().unwrap_or_default());
    let text: String = lines.collect::<Vec<_>>().join(" ");
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let inner = text.trim_end_matches('.').trim().strip_prefix('[')?.strip_suffix(']')?;
    let names = inner.split(',').map(|name| name.trim().trim_matches('\'').to_owned());
    Some(names.filter(|name| !name.is_empty()).collect())
}

/// Writes it anew.
pub(super) fn write(file: &Path, names: &[String]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::error(Kind::Config, format!("could not update enabled plugins file {}: {error}", file.display()))
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(file, format!("[{}].\n", names.join(","))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_a_list_with_a_dot() {
        assert_eq!(parse("[rabbitmq_management,'x'].\n").unwrap(), ["rabbitmq_management", "x"]);
        assert_eq!(parse("% all\n[\n a, % one\n b\n].").unwrap(), ["a", "b"]);
        assert!(parse("[].").unwrap().is_empty() && parse("").unwrap().is_empty());
        assert_eq!(parse("{a}."), None);
    }
}
