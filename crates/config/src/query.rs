//! Questions to a directory, as RabbitMQ writes them: Erlang terms.

use crate::erlang::{Term, parse_term};
use crate::settings::LdapQuery;

/// What of a group names its members, if nothing is said.
const MEMBER: &str = "member";

/// Reads a question; none if it is none that we can ask.
pub(crate) fn parse(text: &str) -> Option<LdapQuery> {
    of(&parse_term(text).ok()?)
}

fn of(term: &Term) -> Option<LdapQuery> {
    let Term::Tuple(parts) = term else { return None };
    let [Term::Atom(name), parts @ ..] = parts.as_slice() else { return None };
    Some(match (name.as_str(), parts) {
        ("constant", [Term::Atom(answer)]) => LdapQuery::Constant(answer.parse().ok()?),
        ("exists", [dn]) => LdapQuery::Exists(text(dn)?),
        ("in_group", [dn]) => LdapQuery::InGroup { dn: text(dn)?, attribute: MEMBER.to_owned() },
        ("in_group", [dn, attribute]) => LdapQuery::InGroup { dn: text(dn)?, attribute: attribute.plain()? },
        ("match", [left, pattern]) => LdapQuery::Match { text: text(left)?, pattern: text(pattern)? },
        ("equals", [left, right]) => LdapQuery::Equals(text(left)?, text(right)?),
        ("for", [Term::List(cases)]) => of_cases(cases)?,
        ("not", [query]) => LdapQuery::Not(Box::new(of(query)?)),
        ("and", [Term::List(queries)]) => LdapQuery::And(queries.iter().map(of).collect::<Option<_>>()?),
        ("or", [Term::List(queries)]) => LdapQuery::Or(queries.iter().map(of).collect::<Option<_>>()?),
        _ => return None,
    })
}

/// A text, or `{string, Text}`.
fn text(term: &Term) -> Option<String> {
    match term {
        Term::Text(text) => Some(text.clone()),
        Term::Tuple(parts) => match parts.as_slice() {
            [Term::Atom(name), Term::Text(text)] if name == "string" => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// `[{permission, configure, Query}, {permission, read, Query}]`, all of one variable.
fn of_cases(cases: &[Term]) -> Option<LdapQuery> {
    let mut variable = None;
    let mut queries = Vec::new();
    for case in cases {
        let Term::Tuple(parts) = case else { return None };
        let [Term::Atom(name), value, query] = parts.as_slice() else { return None };
        if variable.get_or_insert_with(|| name.clone()) != name {
            return None;
        }
        queries.push((value.plain()?, of(query)?));
    }
    Some(LdapQuery::For { variable: variable?, cases: queries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read() {
        let yes = || LdapQuery::Constant(true);
        for (text, expected) in [
            ("{constant, true}", Some(yes())),
            ("{exists, \"ou=${vhost}\"}", Some(LdapQuery::Exists("ou=${vhost}".into()))),
            ("{in_group, \"cn=a\"}", Some(LdapQuery::InGroup { dn: "cn=a".into(), attribute: "member".into() })),
            (
                "{in_group, \"cn=a\", \"uniqueMember\"}",
                Some(LdapQuery::InGroup { dn: "cn=a".into(), attribute: "uniqueMember".into() }),
            ),
            (
                "{match, {string, \"${name}\"}, {string, \"^a\"}}",
                Some(LdapQuery::Match { text: "${name}".into(), pattern: "^a".into() }),
            ),
            ("{equals, \"a\", \"b\"}", Some(LdapQuery::Equals("a".into(), "b".into()))),
            ("{'not', {constant, true}}", Some(LdapQuery::Not(Box::new(yes())))),
            ("{'and', [{constant, true}]}", Some(LdapQuery::And(vec![yes()]))),
            ("{'or', []}", Some(LdapQuery::Or(vec![]))),
            (
                "{for, [{permission, configure, {constant, true}}, {permission, read, {constant, false}}]}",
                Some(LdapQuery::For {
                    variable: "permission".into(),
                    cases: vec![("configure".into(), yes()), ("read".into(), LdapQuery::Constant(false))],
                }),
            ),
            // What we cannot ask is not taken for a yes.
            ("{in_group_nested, \"cn=a\"}", None),
            ("{match, {attribute, \"a\", \"b\"}, {string, \"c\"}}", None),
            ("{for, []}", None),
            ("true", None),
            ("{constant, maybe}", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
