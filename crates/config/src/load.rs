//! From files, environment and flags to settings.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::limits::FILE_BYTES_MAX;
use crate::origin::{Assignment, Layer, Origin};
use crate::settings::{LogStyle, Settings};

mod files;
mod resolve;

pub use resolve::Explained;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The environment.
    pub environment: Environment,
    /// Files that somebody named, in place of those in RabbitMQ's folder: `.toml` is ours, `.config` Erlang terms.
    pub files: Vec<PathBuf>,
    /// What flags said.
    pub flags: Vec<Flag>,
    /// RabbitMQ's folder.
    pub etc: PathBuf,
    /// Our own file, where it is there.
    pub own: PathBuf,
    /// What would be warned about because it has no effect is an error.
    pub strict: bool,
}

/// What a flag said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As it is written: `--port`.
    pub flag: &'static str,
    /// What it stands for.
    pub key: &'static str,
    /// The value.
    pub value: String,
}

/// What it all comes to.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What somebody should know, a line each.
    pub warnings: Vec<String>,
    /// Each key with its value and who said it, in the order of the keys.
    pub origins: Vec<Explained>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// The file that lists enabled plugins, whether it is there or not.
    pub plugins_file: PathBuf,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.problems.join("\n"))]
pub struct ConfigError {
    /// All that is wrong with it, a line each.
    pub problems: Vec<String>,
    /// What is doubtful beside it.
    pub warnings: Vec<String>,
}

impl Sources {
    /// What a program looks at: its environment, `/etc/rabbitmq`, `/etc/leveret/leveret.toml`.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            environment: Environment::of_process(),
            files: Vec::new(),
            flags: Vec::new(),
            etc: "/etc/rabbitmq".into(),
            own: "/etc/leveret/leveret.toml".into(),
            strict: false,
        }
    }
}

/// What has been gathered so far.
#[derive(Debug, Default)]
struct Gathered {
    assignments: Vec<Assignment>,
    warnings: Vec<String>,
    problems: Vec<String>,
    /// What has no effect: a warning, or a problem when somebody is strict.
    ineffective: Vec<String>,
    files: Vec<PathBuf>,
    /// The environment, for `$(NAME)`.
    variables: Environment,
    plugins_file: PathBuf,
    /// The environment says which plugins there are: those alone.
    plugins_are_told: bool,
    is_rabbit: bool,
}

/// Reads all there is.
///
/// # Errors
/// When a file is missing that somebody named or cannot be read, or a value is wrong; with everything that is wrong.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut gathered = Gathered::default();
    let mut environment = sources.environment.clone();
    gathered.environment_file(sources, &mut environment);
    gathered.files(sources, &environment);
    gathered.is_rabbit |= environment.is_rabbit();
    gathered.variables = environment.clone();
    let said = environment.said(&|path| read(path));
    gathered.assignments.extend(said.assignments);
    gathered.warnings.extend(said.warnings);
    gathered.problems.extend(said.problems);
    for flag in &sources.flags {
        gathered.assign(flag.key, &flag.value, &Origin::Flag(flag.flag.to_owned()), Layer::Flags);
    }
    let (mut settings, origins) = resolve::resolve(&mut gathered);
    if gathered.is_rabbit && !origins.iter().any(|row| row.key == "leveret.log_style") {
        settings.log.style = LogStyle::Rabbit;
    }
    let Gathered { mut warnings, mut problems, ineffective, files, plugins_file, .. } = gathered;
    if sources.strict {
        problems.extend(ineffective)
    } else {
        warnings.extend(ineffective)
    }
    if problems.is_empty() {
        Ok(Loaded { settings, warnings, origins, files, plugins_file })
    } else {
        Err(ConfigError { problems, warnings })
    }
}

impl Gathered {
    fn assign(&mut self, key: &str, value: &str, origin: &Origin, layer: Layer) {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.assignments.push(Assignment { key, value, origin: origin.clone(), layer });
    }
}

/// A file's text; what is no UTF-8 is replaced.
fn read(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(told)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(told)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
