//! The file of `rabbitmqadmin`: sections for nodes, of lines `name = value`. The first tool's has bare values, the second's is
//! TOML with quoted ones.

use std::path::PathBuf;
use std::{env, fs};

use super::options::Options;
use crate::failure::{Failure, Kind};
use crate::url::Address;

/// The section that counts if none is named.
const DEFAULT: &str = "default";

/// The options with what the file and the address add.
pub(super) fn complete(options: Options) -> Result<Options, Failure> {
    let section = options.node.clone().unwrap_or_else(|| DEFAULT.to_owned());
    let Some(text) = read(&options)? else { return with_address(options) };
    let Some(settings) = section_of(&text, &section) else {
        if section == DEFAULT {
            return with_address(options);
        }
        return Err(usage(&format!("Could not read section '{section}' of the configuration file")));
    };
    let mut completed = options;
    for (name, value) in settings {
        completed.fill(&name, value);
    }
    with_address(completed)
}

fn read(options: &Options) -> Result<Option<String>, Failure> {
    if let Some(named) = &options.config {
        let text = fs::read_to_string(named).map_err(|_| usage(&format!("Could not read config file '{named}'")))?;
        return Ok(Some(text));
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    Ok(home.and_then(|home| fs::read_to_string(home.join(".rabbitmqadmin.conf")).ok()))
}

fn usage(text: &str) -> Failure {
    Failure::new(Kind::Failed, format!("\nERROR: {text}\n\nrabbitmqadmin --help for help\n"))
}

/// The settings of a section.
fn section_of(text: &str, wanted: &str) -> Option<Vec<(String, String)>> {
    let mut settings = None;
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            if settings.is_some() {
                break;
            }
            settings = (name.trim().trim_matches('"') == wanted).then(Vec::new);
        } else if let (Some(settings), Some((name, value))) = (&mut settings, line.split_once(['=', ':'])) {
            settings.push((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
        }
    }
    settings
}

impl Options {
    /// A setting of the file, where the command line has none.
    fn fill(&mut self, name: &str, value: String) {
        let slot = match name {
            "hostname" | "host" => &mut self.host,
            "port" => &mut self.port,
            "username" => &mut self.user,
            "password" => &mut self.password,
            "vhost" | "virtual_host" => &mut self.vhost,
            "declare_vhost" => &mut self.declare_vhost,
            "path_prefix" => &mut self.prefix,
            "base_uri" => &mut self.base_uri,
            "ssl_key_file" | "client_private_key_file_path" => &mut self.key_file,
            "ssl_cert_file" | "client_certificate_file_path" => &mut self.cert_file,
            "ssl_ca_cert_file" | "ca_certificate_bundle_path" => &mut self.ca_file,
            "format" => &mut self.format,
            "depth" => &mut self.depth,
            "request_timeout" => &mut self.timeout,
            "ssl" | "tls" => return self.is_tls |= is_true(&value),
            "scheme" => return self.is_tls |= value == "https",
            "ssl_insecure" => return self.is_blind |= is_true(&value),
            "non_interactive" => return self.is_plain |= is_true(&value),
            "quiet" => return self.is_quiet |= is_true(&value),
            _ => return,
        };
        slot.get_or_insert(value);
    }
}

fn is_true(value: &str) -> bool {
    value.eq_ignore_ascii_case("true")
}

/// The options with what `--base-uri` says.
fn with_address(mut options: Options) -> Result<Options, Failure> {
    let Some(uri) = options.base_uri.clone() else { return Ok(options) };
    // There may be a password in it.
    let address = Address::parse(&uri).ok_or_else(|| usage("the base URI is no address of an HTTP API"))?;
    options.is_tls |= address.is_tls;
    options.host = Some(address.host);
    options.port = Some(address.port.to_string());
    if let Some((user, password)) = address.user {
        options.user = Some(user);
        options.password = Some(password);
    }
    if !address.prefix.is_empty() {
        options.prefix.get_or_insert(address.prefix);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_settings() {
        let text =
            "# nodes\n[one]\nhostname = h1\n[two]\nhostname = \"h2\" # here\nport = 1\nssl = True\n[three]\nport=2\n";
        let settings = section_of(text, "two").unwrap();
        let mut options = Options { port: Some("9".to_owned()), ..Options::default() };
        settings.into_iter().for_each(|(name, value)| options.fill(&name, value));
        assert_eq!((options.host.as_deref(), options.port.as_deref(), options.is_tls), (Some("h2"), Some("9"), true));
        assert_eq!(section_of(text, "four"), None);
    }
}
