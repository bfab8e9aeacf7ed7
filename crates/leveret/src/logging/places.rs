//! Where the log goes, and how much of it goes where.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use leveret_config::settings::{Log, LogLevel, Rotation};
use parking_lot::RwLock;
use tracing::Metadata;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

/// Parts of the program by RabbitMQ's categories.
pub(super) const CATEGORIES: &[(&str, &[&str])] = &[
    (
        "connection",
        &["leveret_server::accept", "leveret_server::connection", "leveret_server::reader", "leveret_session"],
    ),
    ("channel", &["leveret_session::channel", "leveret_session::channel_methods"]),
    ("queue", &["leveret_engine::queue", "leveret_engine::stream"]),
    ("default", &["leveret", "leveret_server", "leveret_engine", "leveret_store"]),
];

/// The category of a part of the program: the one that names it most exactly.
fn category(part: &str) -> &'static str {
    let prefixes = CATEGORIES.iter().flat_map(|(name, prefixes)| prefixes.iter().map(|prefix| (*name, *prefix)));
    let found = prefixes.filter(|(_, prefix)| part.starts_with(prefix)).max_by_key(|(_, prefix)| prefix.len());
    found.map_or("default", |(name, _)| name)
}

/// A place that the log goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Console,
    File,
    Exchange,
    Journald,
    Syslog,
    /// A file of some categories alone.
    CategoryFile(PathBuf),
}

/// Where the log goes.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) console: bool,
    pub(super) file: Option<PathBuf>,
    /// The files of categories, with those that each is for.
    pub(super) category_files: BTreeMap<PathBuf, Vec<String>>,
    exchange: bool,
    journald: bool,
    syslog: bool,
}

impl Places {
    /// What the settings say. `node` names the file where only a folder was given.
    pub(super) fn of(log: &Log, node: &str) -> Self {
        let (journald, syslog) = (log.is_to_journald(), log.syslog.is_on());
        let file = file_path(log, node);
        // They take the place of the console, unless somebody wants both. The exchange does not: nobody might listen.
        let is_elsewhere = file.is_some() || journald || syslog;
        let folder = log.dir.clone().unwrap_or_default();
        let mut category_files: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
        for (category, path) in &log.category_files {
            let path = folder.join(path);
            if file.as_ref() != Some(&path) {
                category_files.entry(path).or_default().push(category.clone());
            }
        }
        let console = log.console.unwrap_or(!is_elsewhere);
        Self { console, file, category_files, exchange: log.is_to_exchange(), journald, syslog }
    }

    /// All that do not belong to a category.
    fn common(&self, log: &Log) -> Vec<(Place, Option<LogLevel>)> {
        let all = [
            (self.console, Place::Console, log.console_level),
            (self.file.is_some(), Place::File, log.file_level),
            (self.exchange, Place::Exchange, log.exchange_level),
            (self.journald, Place::Journald, log.journald_level),
            (self.syslog, Place::Syslog, log.syslog.level),
        ];
        all.into_iter().filter(|(is_there, ..)| *is_there).map(|(_, place, level)| (place, level)).collect()
    }

    /// The most that any of them shows, where nothing else is said.
    pub(super) fn level(&self, log: &Log) -> LogLevel {
        if log.level != LogLevel::default() {
            return log.level;
        }
        let levels = self.common(log).into_iter().map(|(_, level)| level.unwrap_or_default());
        levels.max().unwrap_or_default()
    }

    /// All of them, and what each shows. One alone shows all that is logged, of which there can be more or less; several have
    /// levels of their own. Categories go by levels of theirs, and those with a file are only there.
    pub(super) fn all(&self, log: &Log) -> Vec<(Place, Shown)> {
        let with_level = log.categories.keys().map(|category| (category.clone(), LevelFilter::TRACE));
        let with_file = self.category_files.values().flatten().map(|category| (category.clone(), LevelFilter::OFF));
        let categories: BTreeMap<String, LevelFilter> = with_level.chain(with_file).collect();
        let common = self.common(log);
        let is_alone = common.len() == 1;
        let mut all: Vec<(Place, Shown)> = Vec::new();
        for (place, level) in common {
            let level = if is_alone { LevelFilter::TRACE } else { at_most(level) };
            all.push((place, Shown { level, categories: categories.clone() }));
        }
        for (path, names) in &self.category_files {
            let categories = names.iter().map(|name| (name.clone(), LevelFilter::TRACE)).collect();
            all.push((Place::CategoryFile(path.clone()), Shown { level: LevelFilter::OFF, categories }));
        }
        all
    }

    /// How the file of a place is rotated.
    pub(super) fn rotation(&self, log: &Log, place: &Place) -> Rotation {
        let Place::CategoryFile(path) = place else { return log.rotation };
        let categories = self.category_files.get(path).into_iter().flatten();
        categories.filter_map(|category| log.category_rotations.get(category)).next().copied().unwrap_or_default()
    }
}

/// The file: the one named, in the folder named, or one by the node's name where there is a folder and nothing in its place.
fn file_path(log: &Log, node: &str) -> Option<PathBuf> {
    if log.is_file_off {
        return None;
    }
    let folder = log.dir.clone().unwrap_or_default();
    let is_elsewhere = log.console == Some(true) || log.is_to_journald() || log.syslog.is_on();
    match &log.file {
        Some(file) => Some(folder.join(file)),
        None if log.dir.is_some() && !is_elsewhere => Some(folder.join(format!("{node}.log"))),
        None => None,
    }
}

fn at_most(level: Option<LogLevel>) -> LevelFilter {
    level.map_or(LevelFilter::TRACE, |level| match level {
        LogLevel::None => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    })
}

/// What a place shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    level: LevelFilter,
    /// Categories that go by another level.
    categories: BTreeMap<String, LevelFilter>,
}

impl Shown {
    fn has(&self, about: &Metadata<'_>) -> bool {
        let category = self.categories.get(category(about.target()));
        *about.level() <= *category.unwrap_or(&self.level)
    }
}

/// Lets through what a place shows, which may change.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<RwLock<Shown>>);

impl Gate {
    pub(super) fn new(shown: Shown) -> Self {
        Self(Arc::new(RwLock::new(shown)))
    }

    pub(super) fn set(&self, shown: Shown) {
        *self.0.write() = shown;
    }

    /// Shows all that is logged, unless it is for the file of a category.
    pub(super) fn open(&self) {
        let mut shown = self.0.write();
        if shown.level != LevelFilter::OFF {
            shown.level = LevelFilter::TRACE;
        }
    }
}

impl<S> Filter<S> for Gate {
    fn enabled(&self, about: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.read().has(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(log: &Log) -> Vec<Place> {
        Places::of(log, "rabbit@x").all(log).into_iter().map(|(place, _)| place).collect()
    }

    fn shown(log: &Log, place: &Place) -> Shown {
        Places::of(log, "rabbit@x").all(log).into_iter().find(|(found, _)| found == place).unwrap().1
    }

    #[test]
    fn parts_have_categories() {
        for (part, expected) in [
            ("leveret_session::login", "connection"),
            ("leveret_session::channel_methods", "channel"),
            ("leveret_engine::queue::core", "queue"),
            ("leveret_engine::admin", "default"),
            ("leveret_server::accept", "connection"),
            ("somebody_else", "default"),
        ] {
            assert_eq!(category(part), expected, "{part}");
        }
    }

    #[test]
    fn two_places_have_levels_of_their_own() {
        let mut log = Log { file: Some("a".into()), file_level: Some(LogLevel::Debug), ..Log::default() };
        assert_eq!(Places::of(&log, "rabbit@x").level(&log), LogLevel::Debug);
        assert_eq!(shown(&log, &Place::File).level, LevelFilter::TRACE);
        log.console = Some(true);
        log.console_level = Some(LogLevel::Error);
        assert_eq!(Places::of(&log, "rabbit@x").level(&log), LogLevel::Debug);
        assert_eq!(shown(&log, &Place::File).level, LevelFilter::DEBUG);
        assert_eq!(shown(&log, &Place::Console).level, LevelFilter::ERROR);
        let gate = Gate::new(shown(&log, &Place::Console));
        gate.open();
        assert_eq!(gate.0.read().level, LevelFilter::TRACE);
    }

    #[test]
    fn a_category_with_a_file_is_only_there() {
        let mut log = Log { dir: Some("/var/log".into()), console: Some(true), ..Log::default() };
        log.categories.insert("queue".to_owned(), LogLevel::Debug);
        for category in ["connection", "channel"] {
            log.category_files.insert(category.to_owned(), "c.log".into());
        }
        log.category_rotations.insert("connection".to_owned(), Rotation { count: 3, ..Rotation::default() });
        let file = Place::CategoryFile("/var/log/c.log".into());
        assert_eq!(names(&log), [Place::Console, file.clone()]);
        let console = shown(&log, &Place::Console).categories;
        assert_eq!(console.get("connection"), Some(&LevelFilter::OFF));
        assert_eq!(console.get("queue"), Some(&LevelFilter::TRACE));
        let own = shown(&log, &file);
        assert_eq!((own.level, own.categories.len()), (LevelFilter::OFF, 2));
        let gate = Gate::new(own);
        gate.open();
        assert_eq!(gate.0.read().level, LevelFilter::OFF);
        assert_eq!(Places::of(&log, "rabbit@x").rotation(&log, &file).count, 3);
        // In the log's own file it is not alone.
        log.file = Some("/var/log/c.log".into());
        assert_eq!(names(&log), [Place::Console, Place::File]);
    }

    #[test]
    fn a_syslog_takes_the_place_of_console_and_file() {
        let mut log = Log { dir: Some("/var/log".into()), exchange: Some(true), ..Log::default() };
        assert_eq!(names(&log), [Place::File, Place::Exchange]);
        log.syslog.enabled = Some(true);
        assert_eq!(names(&log), [Place::Exchange, Place::Syslog]);
        log.journald_level = Some(LogLevel::Debug);
        log.console = Some(true);
        log.file = Some("a.log".into());
        assert_eq!(names(&log), [Place::Console, Place::File, Place::Exchange, Place::Journald, Place::Syslog]);
        assert_eq!(shown(&log, &Place::Journald).level, LevelFilter::DEBUG);
        assert_eq!(names(&Log { exchange: Some(true), ..Log::default() }), [Place::Console, Place::Exchange]);
    }

    #[test]
    fn the_file_is_where_it_was_asked_for() {
        let mut log = Log::default();
        assert_eq!(file_path(&log, "rabbit@x"), None);
        log.dir = Some("/var/log".into());
        assert_eq!(file_path(&log, "rabbit@x"), Some("/var/log/rabbit@x.log".into()));
        log.console = Some(true);
        assert_eq!(file_path(&log, "rabbit@x"), None);
        log.file = Some("a.log".into());
        assert_eq!(file_path(&log, "rabbit@x"), Some("/var/log/a.log".into()));
        log.file = Some("/tmp/a.log".into());
        assert_eq!(file_path(&log, "rabbit@x"), Some("/tmp/a.log".into()));
        log.is_file_off = true;
        assert_eq!(file_path(&log, "rabbit@x"), None);
    }
}
