//! Formats for what commands give.

mod csv;
mod elixir;
mod erlang;
mod json;
mod pretty;
mod table;

use crate::output::Output;
use crate::term::Term;

/// How the answer of a command is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Columns with a TAB between them.
    Table,
    /// A drawn table.
    Pretty,
    /// JSON.
    Json,
    /// JSON, a line each.
    JsonStream,
    /// Comma separated values.
    Csv,
    /// Erlang terms.
    Erlang,
    /// What Elixir's `inspect` gives.
    Inspect,
}

/// What else decides how an answer looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// In which format.
    pub(crate) format: Format,
    /// Whether the names of the columns come first.
    pub(crate) has_header: bool,
}

impl Format {
    /// The format that an option names.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "table" | "plugins" | "report" | "string_per_line" => Self::Table,
            "pretty_table" => Self::Pretty,
            "json" => Self::Json,
            "json_stream" => Self::JsonStream,
            "csv" => Self::Csv,
            "erlang" => Self::Erlang,
            "string" | "inspect" => Self::Inspect,
            _ => return None,
        })
    }

    /// Whether a program reads it: then nothing else is printed.
    pub(crate) fn is_for_programs(self) -> bool {
        matches!(self, Self::Json | Self::JsonStream | Self::Csv)
    }
}

/// An answer as it is printed, with the end of its last line, if it has any line.
pub(crate) fn render(output: &Output, style: Style) -> String {
    match output {
        Output::Done => String::new(),
        Output::Text(text) => line(text),
        Output::Message(text) => message(text, style.format),
        Output::Report { text, value } => report(text, value, style.format),
        Output::Rows(rows) => match style.format {
            Format::Table => table::rows(rows, style.has_header),
            Format::Pretty => pretty::rows(rows),
            Format::Json => json::rows(rows),
            Format::JsonStream => json::stream(rows),
            Format::Csv => csv::rows(rows, style.has_header),
            Format::Erlang => erlang::rows(rows),
            Format::Inspect => elixir::rows(rows),
        },
    }
}

fn message(text: &str, format: Format) -> String {
    match format {
        Format::Json | Format::JsonStream => {
            line(&json::value(&Term::Map(vec![("message".to_owned(), Term::text(text))])))
        }
        _ => line(text),
    }
}

fn report(text: &str, value: &Term, format: Format) -> String {
    match format {
        Format::Json | Format::JsonStream => line(&json::value(value)),
        Format::Erlang => line(&erlang::value(value)),
        _ => line(text),
    }
}

fn line(text: &str) -> String {
    format!("{text}\n")
}

/// A value as a cell of a table.
pub(crate) fn cell(value: &Term) -> String {
    table::cell(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::Rows;

    fn list(is_streamed: bool) -> Output {
        let arguments = Term::table(
            &json!({"x-max-length": 10, "x-dead-letter-exchange": "", "deep": {"on": true, "n": [1, "a"]}}),
        );
        let row =
            vec![Term::text("a\"b"), arguments, Term::List(vec![Term::atom("x"), Term::atom("y")]), Term::Nothing];
        let columns = ["name", "arguments", "tags", "policy"].map(str::to_owned).to_vec();
        Output::Rows(Rows { columns, rows: vec![row], streamed: is_streamed })
    }

    fn rendered(output: &Output, format: Format) -> String {
        render(output, Style { format, has_header: true })
    }

    #[test]
    fn every_format_has_its_own_look() {
        let pairs = r#"[{"deep",[{"n",[1,"a"]},{"on",true}]},{"x-dead-letter-exchange",[]},{"x-max-length",10}]"#;
        let typed = r#"[["deep","table",[["n","array",[1,"a"]],["on","bool",true]]],["x-dead-letter-exchange","longstr",""],["x-max-length","long",10]]"#;
        let list = list(true);
        assert_eq!(rendered(&list, Format::Table), format!("name\targuments\ttags\tpolicy\na\"b\t{pairs}\t[x, y]\t\n"));
        let json =
            format!("[\n{{\"name\":\"a\\\"b\",\"arguments\":{typed},\"tags\":[\"x\",\"y\"],\"policy\":\"\"}}\n]\n");
        assert_eq!(rendered(&list, Format::Json), json);
        serde_json::from_str::<serde_json::Value>(&json).unwrap();
        let csv = pairs.replace('"', "\"\"");
        assert_eq!(
            rendered(&list, Format::Csv),
            format!("\"name\",\"arguments\",\"tags\",\"policy\"\n\"a\"\"b\",\"{csv}\",\"[x, y]\",\"\"\n")
        );
        let erlang = rendered(&list, Format::Erlang);
        assert!(erlang.starts_with(r#"[[{name,<<"a\"b">>},{arguments,[{<<"deep">>,table,"#), "{erlang}");
        assert!(erlang.ends_with("{tags,[x,y]},{policy,undefined}]]\n"), "{erlang}");
    }

    #[test]
    fn an_empty_list_depends_on_how_it_comes() {
        let empty = |streamed| Output::Rows(Rows { columns: vec!["name".to_owned()], rows: Vec::new(), streamed });
        assert_eq!(
            (rendered(&empty(true), Format::Table), rendered(&empty(false), Format::Table)),
            (String::new(), "\n".to_owned())
        );
        assert_eq!(rendered(&empty(true), Format::Json), "[\n]\n");
        assert_eq!(rendered(&empty(false), Format::Json), "[]\n");
    }

    #[test]
    fn a_message_is_an_object_for_programs() {
        let message = Output::Message("Ping succeeded".to_owned());
        assert_eq!(rendered(&message, Format::Table), "Ping succeeded\n");
        assert_eq!(rendered(&message, Format::Json), "{\"message\":\"Ping succeeded\"}\n");
        assert_eq!(rendered(&Output::Done, Format::Json), "");
    }

    #[test]
    fn atoms_have_quotes_where_they_need_them() {
        assert_eq!(["rabbit@h", "a", "1a", "it's", ""].map(erlang::atom), ["rabbit@h", "a", "'1a'", "'it\\'s'", "''"]);
    }
}
