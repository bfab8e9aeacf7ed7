//! The names of files: what is seen, what a power cut leaves for certain, and what was done in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::sim::random::Random;

/// A file, whatever its names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InodeId(pub(super) u64);

/// The names on a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    seen: BTreeMap<Arc<str>, InodeId>,
    durable: BTreeMap<Arc<str>, InodeId>,
    /// What no sync of the directory has made durable, in order.
    changes: Vec<Change>,
    /// Directories survive as soon as they are made: the store makes each once, and finds them again or makes them anew.
    dirs: BTreeSet<Box<str>>,
}

#[derive(Clone, Debug)]
enum Change {
    Named { path: Arc<str>, inode: InodeId },
    Renamed { from: Arc<str>, to: Arc<str>, inode: InodeId },
    Removed { path: Arc<str>, inode: InodeId },
}

impl Change {
    fn inode(&self) -> InodeId {
        match self {
            Self::Named { inode, .. } | Self::Renamed { inode, .. } | Self::Removed { inode, .. } => *inode,
        }
    }

    fn is_in(&self, dir: &str) -> bool {
        match self {
            Self::Named { path, .. } | Self::Removed { path, .. } => name_in(dir, path).is_some(),
            Self::Renamed { from, to, .. } => name_in(dir, from).is_some() || name_in(dir, to).is_some(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<Arc<str>, InodeId>) {
        match self {
            Self::Named { path, inode } => {
                names.insert(Arc::clone(path), *inode);
            }
            Self::Renamed { to, inode, .. } => {
                // No file system makes two names of one, whatever it lost before.
                names.retain(|_, named| named != inode);
                names.insert(Arc::clone(to), *inode);
            }
            Self::Removed { path, inode } => {
                if names.get(path) == Some(inode) {
                    names.remove(path);
                }
            }
        }
    }
}

impl Names {
    pub(super) fn files(&self) -> impl Iterator<Item = (&Arc<str>, InodeId)> {
        self.seen.iter().map(|(path, inode)| (path, *inode))
    }

    pub(super) fn find(&self, path: &str) -> Option<InodeId> {
        self.seen.get(path).copied()
    }

    pub(super) fn has_dir_of(&self, path: &str) -> bool {
        path.rsplit_once('/').is_none_or(|(dir, _)| self.dirs.contains(dir))
    }

    pub(super) fn create_dir(&mut self, dir: &str) {
        self.dirs.insert(dir.into());
    }

    pub(super) fn create(&mut self, path: &str, inode: InodeId) {
        self.change(Change::Named { path: path.into(), inode });
    }

    /// Gives the file whose name was taken away, if there was one.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<Option<InodeId>> {
        let inode = self.find(from).ok_or(io::ErrorKind::NotFound)?;
        let replaced = self.find(to);
        self.change(Change::Renamed { from: from.into(), to: to.into(), inode });
        Ok(replaced)
    }

    pub(super) fn remove(&mut self, path: &str) -> io::Result<InodeId> {
        let inode = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        self.change(Change::Removed { path: path.into(), inode });
        Ok(inode)
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.changes.push(change);
    }

    /// Makes a directory's names durable, and gives the files that no power cut can bring back any more.
    pub(super) fn sync(&mut self, dir: &str) -> Vec<InodeId> {
        let synced: Vec<Change> = self.changes.extract_if(.., |change| change.is_in(dir)).collect();
        let before: Vec<InodeId> =
            self.durable.iter().filter(|(path, _)| name_in(dir, path).is_some()).map(|(_, inode)| *inode).collect();
        synced.iter().for_each(|change| change.apply(&mut self.durable));
        let touched = synced.iter().map(Change::inode).chain(before);
        touched.filter(|&inode| !self.may_come_back(inode)).collect()
    }

    /// Whether a power cut could leave a name of this file.
    pub(super) fn may_come_back(&self, inode: InodeId) -> bool {
        self.durable.values().any(|&named| named == inode) || self.changes.iter().any(|change| change.inode() == inode)
    }

    pub(super) fn after_power_cut(&self, random: &mut Random) -> Self {
        let mut names = self.durable.clone();
        let kept_of_4 = random.below(5);
        self.changes.iter().filter(|_| random.chance(kept_of_4, 4)).for_each(|change| change.apply(&mut names));
        Self { seen: names.clone(), durable: names, changes: Vec::new(), dirs: self.dirs.clone() }
    }

    /// Puts a name there for good; gives the file that had it.
    pub(super) fn put(&mut self, path: &str, inode: InodeId) -> Option<InodeId> {
        if let Some((dir, _)) = path.rsplit_once('/') {
            self.create_dir(dir);
        }
        self.durable.insert(path.into(), inode);
        self.seen.insert(path.into(), inode)
    }

    /// Takes a name away for good; gives the file that had it.
    pub(super) fn erase(&mut self, path: &str) -> Option<InodeId> {
        self.durable.remove(path);
        self.seen.remove(path)
    }
}

/// The name within `dir` of the file at `path`, if it lies there.
pub(super) fn name_in<'a>(dir: &str, path: &'a str) -> Option<&'a str> {
    let name = if dir.is_empty() { path } else { path.strip_prefix(dir)?.strip_prefix('/')? };
    (!name.contains('/')).then_some(name)
}
