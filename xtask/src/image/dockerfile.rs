//! Reads a Dockerfile: as much of the language as ours use, and what it does not know is an error.

use anyhow::{Context as _, bail, ensure};

/// One `FROM` and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stage {
    /// The name of another stage, `scratch`, or an image from somewhere else.
    pub base: String,
    pub name: Option<String>,
    pub instructions: Vec<Instruction>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Instruction {
    Run(String),
    Copy(Copy),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    User(String),
    Workdir(String),
    Volume(String),
    Expose(Vec<u16>),
    StopSignal(String),
    Healthcheck(Health),
    Entrypoint(Vec<String>),
    Cmd(Vec<String>),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Copy {
    /// The stage that is copied from; none means the folder of the build.
    pub from: Option<String>,
    pub owner: Option<String>,
    pub sources: Vec<String>,
    pub target: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// `--start-period=30s` and its like, without the dashes.
    pub options: Vec<(String, String)>,
    pub command: Vec<String>,
}

/// The stages of a Dockerfile in their order.
pub fn parse(text: &str) -> anyhow::Result<Vec<Stage>> {
    let mut stages: Vec<Stage> = Vec::new();
    for line in logical_lines(text) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let rest = rest.trim();
        if word == "FROM" {
            stages.push(from(rest)?);
            continue;
        }
        let stage = stages.last_mut().with_context(|| format!("`{line}` comes before any FROM"))?;
        stage.instructions.push(instruction(word, rest).with_context(|| format!("`{line}`"))?);
    }
    ensure!(!stages.is_empty(), "there is no FROM");
    Ok(stages)
}

/// Lines without comments, those that end with a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_suffix('\\') {
            Some(part) => open.push_str(part),
            None => {
                open.push_str(line);
                lines.push(std::mem::take(&mut open));
            }
        }
    }
    lines
}

fn from(rest: &str) -> anyhow::Result<Stage> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words[..] {
        [base] => (base, None),
        [base, "AS", name] => (base, Some(name.to_owned())),
        _ => bail!("`FROM {rest}` is not understood"),
    };
    Ok(Stage { base: base.to_owned(), name, instructions: Vec::new() })
}

fn instruction(word: &str, rest: &str) -> anyhow::Result<Instruction> {
    Ok(match word {
        "RUN" => Instruction::Run(rest.to_owned()),
        "COPY" => Instruction::Copy(copy(rest)?),
        "ENV" => Instruction::Env(pairs(rest)?),
        "LABEL" => Instruction::Label(pairs(rest)?),
        "USER" => Instruction::User(rest.to_owned()),
        "WORKDIR" => Instruction::Workdir(rest.to_owned()),
        "VOLUME" => Instruction::Volume(rest.to_owned()),
        "EXPOSE" => Instruction::Expose(rest.split_whitespace().map(str::parse).collect::<Result<_, _>>()?),
        "STOPSIGNAL" => Instruction::StopSignal(rest.trim_start_matches("SIG").to_owned()),
        "HEALTHCHECK" => Instruction::Healthcheck(health(rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(words(rest)?),
        "CMD" => Instruction::Cmd(words(rest)?),
        _ => bail!("{word} is not understood"),
    })
}

fn copy(rest: &str) -> anyhow::Result<Copy> {
    let (options, mut paths) = options(rest);
    let (mut from, mut owner) = (None, None);
    for (name, value) in options {
        match name.as_str() {
            "from" => from = Some(value),
            "chown" => owner = Some(value),
            _ => bail!("--{name} is not understood"),
        }
    }
    let target = paths.pop().context("there is no target")?;
    ensure!(!paths.is_empty(), "there is no source");
    Ok(Copy { from, owner, sources: paths, target })
}

fn health(rest: &str) -> anyhow::Result<Health> {
    let (options_text, command) = rest.split_once("CMD").context("there is no CMD")?;
    Ok(Health { options: options(options_text).0, command: words(command.trim())? })
}

/// Splits `--name=value` options from the words behind them.
fn options(text: &str) -> (Vec<(String, String)>, Vec<String>) {
    let (options, words): (Vec<&str>, Vec<&str>) = text.split_whitespace().partition(|word| word.starts_with("--"));
    let pair = |option: &&str| {
        let option = option.trim_start_matches('-');
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        (name.to_owned(), value.to_owned())
    };
    (options.iter().map(pair).collect(), words.into_iter().map(str::to_owned).collect())
}

/// `a=b c=d`; we have no use for blanks in values.
fn pairs(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').with_context(|| format!("{word} has no `=`"))?;
        Ok((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    text.split_whitespace().map(pair).collect()
}

/// A command in the form of a JSON list; the other form needs a shell that an image may not have.
fn words(text: &str) -> anyhow::Result<Vec<String>> {
    serde_json::from_str(text).context("a command must be a JSON list of words")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn stages_and_their_instructions_are_told_apart() {
        let text = "# a comment\nFROM debian:x AS files\nRUN one \\\n    && two\n\nFROM scratch\n\
                    COPY --from=files --chown=1:2 /a /b /c\nEXPOSE 1 2\nSTOPSIGNAL SIGTERM\n\
                    ENV A=b \\\n    C=\"d\"\nCMD [\"x\", \"y z\"]\n";
        let stages = parse(text).unwrap();
        assert_eq!((stages[0].base.as_str(), stages[0].name.as_deref()), ("debian:x", Some("files")));
        assert_eq!(stages[0].instructions, [Instruction::Run("one && two".to_owned())]);
        assert_eq!((stages[1].base.as_str(), stages[1].name.as_deref()), ("scratch", None));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (from, owner) = (Some("files".to_owned()), Some("1:2".to_owned()));
        let copy = Copy { from, owner, sources: owned(&["/a", "/b"]), target: "/c".to_owned() };
        assert_eq!(
            stages[1].instructions,
            [
                Instruction::Copy(copy),
                Instruction::Expose(vec![1, 2]),
                Instruction::StopSignal("TERM".to_owned()),
                Instruction::Env(vec![pair("A", "b"), pair("C", "d")]),
                Instruction::Cmd(owned(&["x", "y z"])),
            ]
        );
    }

    #[test]
    fn a_health_check_has_options_and_a_command() {
        let stages = parse("FROM x\nHEALTHCHECK --interval=1s --start-interval=200ms \\\n CMD [\"a\", \"b\"]").unwrap();
        let [Instruction::Healthcheck(health)] = &stages[0].instructions[..] else { panic!("{stages:?}") };
        assert_eq!(health.command, ["a", "b"]);
        assert_eq!(health.options[1], ("start-interval".to_owned(), "200ms".to_owned()));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in ["", "RUN x", "FROM a b", "FROM x\nONBUILD y", "FROM x\nCOPY --link a b", "FROM x\nCMD a b"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
