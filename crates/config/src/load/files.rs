//! Which files are read, and how.

use std::path::{Path, PathBuf};

use super::{Gathered, Sources, read};
use crate::conf::{self, Statement};
use crate::environment::Environment;
use crate::erlang;
use crate::limits::INCLUDES_MAX;
use crate::origin::{Layer, Origin};
use crate::{advanced, toml_file};

impl Gathered {
    /// `rabbitmq-env.conf` completes the environment.
    pub(super) fn environment_file(&mut self, sources: &Sources, environment: &mut Environment) {
        let named = environment.get("RABBITMQ_CONF_ENV_FILE").map(PathBuf::from);
        let path = named.unwrap_or_else(|| sources.etc.join("rabbitmq-env.conf"));
        match read(&path) {
            Ok(text) => environment.complete(&path, &text),
            // It may say where the data is.
            Err(problem) if path.exists() => self.warnings.push(problem),
            Err(_) => (),
        }
    }

    /// All files with settings.
    pub(super) fn files(&mut self, sources: &Sources, environment: &Environment) {
        let named = environment.get("LEVERET_CONFIG").map(PathBuf::from);
        let files = if sources.files.is_empty() { named.into_iter().collect() } else { sources.files.clone() };
        if files.is_empty() {
            self.own_file(&sources.own);
            self.rabbit_files(&sources.etc, environment);
        }
        for path in &files {
            self.named_file(path);
        }
        self.enabled_plugins(&sources.etc, environment);
    }

    fn own_file(&mut self, path: &Path) {
        if path.exists() {
            self.toml(path);
        }
    }

    /// A file that somebody named: it must be there.
    fn named_file(&mut self, path: &Path) {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => self.toml(path),
            Some("config") => self.terms(path),
            _ => self.conf_or_terms(path),
        }
    }

    fn rabbit_files(&mut self, etc: &Path, environment: &Environment) {
        let named = environment.get("RABBITMQ_CONFIG_FILE").map(PathBuf::from);
        let base = named.clone().unwrap_or_else(|| etc.join("rabbitmq"));
        match with_extension(&base) {
            Some(path) => {
                let other = ended(&base, ".conf");
                if path == ended(&base, ".config") && other.is_file() {
                    self.warnings.push(format!("{} is read, and {} is not", path.display(), other.display()));
                }
                self.named_file(&path);
            }
            None if named.is_some() => {
                self.warnings.push(format!("environment RABBITMQ_CONFIG_FILE: there is no file {}", base.display()));
            }
            None => (),
        }
        let folder = environment.get("RABBITMQ_CONFIG_FILES").map_or_else(|| etc.join("conf.d"), PathBuf::from);
        // A folder that is not there is an empty one.
        let pattern =
            if folder.is_file() || folder.to_string_lossy().contains('*') { folder } else { folder.join("*.conf") };
        for path in matching(&pattern) {
            self.conf(&path, 0);
        }
        let advanced = match environment.get("RABBITMQ_ADVANCED_CONFIG_FILE").map(PathBuf::from) {
            Some(path) if path.exists() => Some(path),
            Some(path) => with_extension(&path),
            None => Some(etc.join("advanced.config")).filter(|path| path.exists()),
        };
        if let Some(path) = advanced {
            self.terms(&path);
        }
    }

    /// A file without an extension may be of either kind; a list of terms begins with a bracket.
    fn conf_or_terms(&mut self, path: &Path) {
        let begins_with_bracket = |text: String| {
            text.lines()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with('%'))
                .is_some_and(|line| line.starts_with('['))
        };
        if read(path).is_ok_and(begins_with_bracket) { self.terms(path) } else { self.conf(path, 0) }
    }

    fn text(&mut self, path: &Path) -> Option<String> {
        match read(path) {
            Ok(text) => {
                self.files.push(path.to_owned());
                Some(text)
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn conf(&mut self, path: &Path, depth: usize) {
        let Some(text) = self.text(path) else { return };
        self.is_rabbit = true;
        let (lines, wrong) = conf::parse(&text);
        for wrong in wrong {
            self.problems.push(format!("{}:{}: {}", path.display(), wrong.number, wrong.expected));
        }
        for line in lines {
            let origin = Origin::File(path.to_owned(), Some(line.number));
            if let Some(doubt) = line.doubt {
                self.warnings.push(format!("{origin}: {doubt}"));
            }
            match line.statement {
                Statement::Set { key, value } => self.assign(&key, &value, &origin, Layer::Conf),
                Statement::Include(_) if depth == INCLUDES_MAX => {
                    self.problems.push(format!("{origin}: files include one another more than {INCLUDES_MAX} deep"));
                }
                Statement::Include(pattern) => {
                    let pattern = path.parent().unwrap_or(Path::new(".")).join(pattern);
                    for included in matching(&pattern) {
                        self.conf(&included, depth + 1);
                    }
                }
            }
        }
    }

    fn terms(&mut self, path: &Path) {
        let Some(text) = self.text(path) else { return };
        self.is_rabbit = true;
        let origin = Origin::File(path.to_owned(), None);
        match erlang::parse_file(&text) {
            Ok(None) => (),
            Ok(Some(term)) => {
                let told = advanced::applications(&term);
                for (key, value) in told.settings {
                    self.assign(&key, &value, &origin, Layer::Terms);
                }
                self.ineffective.extend(told.warnings.into_iter().map(|warning| format!("{origin}: {warning}")));
            }
            Err(wrong) => self.problems.push(format!("{}:{}: expected {}", path.display(), wrong.line, wrong.expected)),
        }
    }

    fn toml(&mut self, path: &Path) {
        let Some(text) = self.text(path) else { return };
        let read = toml_file::parse(&text);
        for (line, key, value) in read.settings {
            self.assign(&key, &value, &Origin::File(path.to_owned(), Some(line)), Layer::Own);
        }
        let at = |(line, text): (usize, String)| format!("{}:{line}: {text}", path.display());
        self.problems.extend(read.problems.into_iter().map(at));
        self.ineffective.extend(read.unknown.into_iter().map(at));
    }

    /// `[rabbitmq_management,rabbitmq_mqtt].`
    fn enabled_plugins(&mut self, etc: &Path, environment: &Environment) {
        let named = environment.get("RABBITMQ_ENABLED_PLUGINS_FILE").map(PathBuf::from);
        let path = named.unwrap_or_else(|| etc.join("enabled_plugins"));
        self.plugins_file.clone_from(&path);
        self.plugins_are_told = ["RABBITMQ_ENABLED_PLUGINS", "RABBITMQ_ENABLED_PLUGINS_FILE"]
            .iter()
            .any(|name| environment.get(name).is_some());
        let text = match read(&path) {
            Ok(text) => text,
            Err(problem) => {
                self.warnings.extend(path.exists().then_some(problem));
                return;
            }
        };
        let origin = Origin::File(path.clone(), None);
        match erlang::parse_file(&text) {
            Ok(term) => {
                let names = term.iter().flat_map(|term| term.items()).filter_map(erlang::Term::plain);
                for (index, name) in names.enumerate() {
                    self.assign(&format!("leveret.plugins.{}", index + 1), &name, &origin, Layer::Conf);
                }
            }
            Err(wrong) => {
                self.warnings.push(format!("{}:{}: expected {}", path.display(), wrong.line, wrong.expected));
            }
        }
    }
}

/// A file by its path, with `.config`, or with `.conf`: the old kind comes first, as in RabbitMQ.
fn with_extension(path: &Path) -> Option<PathBuf> {
    [path.to_owned(), ended(path, ".config"), ended(path, ".conf")].into_iter().find(|path| path.is_file())
}

fn ended(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// The files that a pattern names, sorted; `*` stands for any letters of the last word of a path, but not for the dot of a
/// hidden file.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let Some(name) = pattern.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let Some((before, after)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let Ok(entries) = pattern.parent().unwrap_or(Path::new(".")).read_dir() else { return Vec::new() };
    let is_match = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_hidden = name.starts_with('.') && !before.starts_with('.');
        name.len() >= before.len() + after.len()
            && name.starts_with(before)
            && name.ends_with(after)
            && !is_hidden
            && path.is_file()
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_match).collect();
    paths.sort();
    paths
}
