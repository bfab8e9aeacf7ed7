//! What the last run of each client left, kept as JSON so that both columns of the page may come from separate runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Column;
use super::broker::MatrixBroker;
use super::report::{Cell, Outcome};
use crate::workspace::Workspace;

/// What is known of both brokers.
#[derive(Default)]
pub struct Results {
    leveret: Kept,
    rabbitmq: Kept,
}

/// What is known of one broker; its version is that of the last run.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Kept {
    pub broker_version: String,
    pub clients: BTreeMap<String, Outcome>,
}

impl Results {
    pub fn load(workspace: &Workspace) -> anyhow::Result<Self> {
        let load = |column| Kept::load(workspace, column);
        Ok(Self { leveret: load(Column::Leveret)?, rabbitmq: load(Column::RabbitMq)? })
    }

    /// Writes down how a client fared; `None` while that is not known.
    pub fn keep(
        workspace: &Workspace,
        broker: &MatrixBroker,
        client: &str,
        outcome: Option<&Outcome>,
    ) -> anyhow::Result<()> {
        let column = broker.column();
        let mut kept = Kept::load(workspace, column)?;
        broker.version().clone_into(&mut kept.broker_version);
        match outcome {
            Some(outcome) => kept.clients.insert(client.to_owned(), outcome.clone()),
            None => kept.clients.remove(client),
        };
        kept.save(workspace, column)
    }

    pub fn of(&self, column: Column) -> &Kept {
        match column {
            Column::Leveret => &self.leveret,
            Column::RabbitMq => &self.rabbitmq,
        }
    }

    /// Whether a client was run on both brokers.
    pub fn knows(&self, client: &str) -> bool {
        Column::ALL.iter().all(|column| self.of(*column).clients.contains_key(client))
    }

    /// What one client did of one thing on one broker; `None` when it was not run, or cannot be had.
    pub fn cell(&self, column: Column, client: &str, capability: &str) -> Option<&Cell> {
        match self.of(column).clients.get(client)? {
            Outcome::Ran(report) => report.cells.get(capability),
            Outcome::Unavailable(_) => None,
        }
    }

    /// The word for it in the matrix.
    pub fn word(&self, column: Column, client: &str, capability: &str) -> &'static str {
        match (self.cell(column, client, capability), self.of(column).clients.get(client)) {
            (Some(cell), _) => cell.word(),
            (None, Some(Outcome::Unavailable(_))) => "absent",
            (None, _) => "-",
        }
    }

    /// The name and version that a client gives itself.
    pub fn version(&self, client: &str) -> Option<&str> {
        Column::ALL.iter().find_map(|column| match self.of(*column).clients.get(client)? {
            Outcome::Ran(report) => Some(report.version.as_str()),
            Outcome::Unavailable(_) => None,
        })
    }

    #[cfg(test)]
    pub fn for_tests(leveret: Kept, rabbitmq: Kept) -> Self {
        Self { leveret, rabbitmq }
    }
}

impl Kept {
    fn load(workspace: &Workspace, column: Column) -> anyhow::Result<Self> {
        let file = file(workspace, column);
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }

    fn save(&self, workspace: &Workspace, column: Column) -> anyhow::Result<()> {
        let file = file(workspace, column);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&file, serde_json::to_string_pretty(self)?).with_context(|| file.display().to_string())
    }
}

fn file(workspace: &Workspace, column: Column) -> PathBuf {
    workspace.target.join("interop").join("results").join(format!("{}.json", column.file_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let root = std::env::temp_dir().join(format!("leveret-results-{}", std::process::id()));
        let workspace = Workspace { root: root.clone(), target: root.join("target"), packages: Vec::new() };
        let outcome = Outcome::Unavailable("no ruby".to_owned());
        let clients = [("bunny".to_owned(), outcome.clone())].into();
        Kept { broker_version: "3.10.8".to_owned(), clients }.save(&workspace, Column::RabbitMq).unwrap();
        let results = Results::load(&workspace).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(results.of(Column::RabbitMq).broker_version, "3.10.8");
        assert_eq!(results.of(Column::RabbitMq).clients.get("bunny"), Some(&outcome));
        assert!(results.of(Column::Leveret).clients.is_empty());
        assert!(!results.knows("bunny"), "it was not run on both");
        assert_eq!(results.word(Column::RabbitMq, "bunny", "get"), "absent");
        assert_eq!(results.word(Column::Leveret, "bunny", "get"), "-");
    }
}
