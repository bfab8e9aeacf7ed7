//! Message selectors of JMS: SQL conditions on headers, compiled by the client to the text of an Erlang term.
//!
//! A condition is true, false or unknown: what is said of an absent header is unknown, and a message is selected only when
//! the condition is true. Values of different kinds compare as Erlang orders them (numbers, then words, then strings), which
//! is what RabbitMQ does; where it would fail (arithmetic with a string, a pattern for a number) the outcome is unknown here.

mod like;
mod term;

use std::cmp::Ordering;

use leveret_codec::table::{FieldValue, TableRef};

use self::like::Pattern;
use self::term::Term;

/// A condition on headers.
#[derive(Clone, Debug)]
pub(super) struct Selector(Expression);

#[derive(Clone, Debug)]
enum Expression {
    Value(Value<'static>),
    Header(Box<[u8]>),
    Not(Box<Expression>),
    /// True when at least one is, false when all are.
    Or(Vec<Expression>),
    /// False when at least one is, true when all are.
    And(Vec<Expression>),
    IsNull(Box<Expression>),
    Negative(Box<Expression>),
    Compare(Comparison, Box<[Expression; 2]>),
    Calculate(Operation, Box<[Expression; 2]>),
    Like(Box<Expression>, Pattern),
    In(Box<Expression>, Vec<Value<'static>>),
    /// The first is not below the second and not above the third.
    Between(Box<[Expression; 3]>),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Debug)]
enum Value<'v> {
    /// Also the outcome that is unknown.
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(std::borrow::Cow<'v, [u8]>),
}

impl Selector {
    /// Reads a compiled selector; `None` when it is none.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        Expression::of(Term::parse(text)?).map(Self)
    }

    /// Whether a message with these headers is selected.
    pub(super) fn selects(&self, headers: TableRef<'_>) -> bool {
        matches!(self.0.evaluate(headers), Value::Bool(true))
    }
}

impl Expression {
    fn of(term: Term) -> Option<Self> {
        Some(match term {
            Term::Tuple(parts) => {
                let mut parts = parts.into_iter();
                let Some(Term::Atom(operator)) = parts.next() else { return None };
                return Self::operation(&operator, &parts.collect::<Vec<_>>());
            }
            Term::List(_) => return None,
            value => Self::Value(Value::of(value)?),
        })
    }

    fn operation(operator: &[u8], operands: &[Term]) -> Option<Self> {
        let (operator, negated) = match operator.strip_prefix(b"not_") {
            Some(b"null") => (&b"is_null"[..], true),
            Some(operator) => (operator, true),
            None => (operator, false),
        };
        let expression = Self::affirmed(operator, operands)?;
        Some(if negated { Self::Not(Box::new(expression)) } else { expression })
    }

    fn affirmed(operator: &[u8], operands: &[Term]) -> Option<Self> {
        let of = |term: &Term| Self::of(term.clone());
        let all = || operands.iter().map(of).collect::<Option<Vec<_>>>();
        Some(match (operator, operands) {
            (b"ident", [Term::Binary(name)]) => Self::Header(name.clone()),
            (b"not", [operand]) => Self::Not(Box::new(of(operand)?)),
            (b"is_null", [operand]) => Self::IsNull(Box::new(of(operand)?)),
            (b"-", [operand]) => Self::Negative(Box::new(of(operand)?)),
            (b"+", [operand]) => of(operand)?,
            (b"and", [_, _, ..]) => Self::And(all()?),
            (b"or", [_, _, ..]) => Self::Or(all()?),
            (b"like", [operand, Term::Binary(pattern), escape]) => {
                Self::Like(Box::new(of(operand)?), Pattern::of(pattern, escape_of(escape)?))
            }
            (b"in", [operand, Term::List(values)]) => {
                let values = values.iter().cloned().map(Value::of).collect::<Option<_>>()?;
                Self::In(Box::new(of(operand)?), values)
            }
            (b"between", [operand, from, to]) => Self::Between(Box::new([of(operand)?, of(from)?, of(to)?])),
            (operator, [left, right]) => {
                let sides = Box::new([of(left)?, of(right)?]);
                match (Comparison::of(operator), Operation::of(operator)) {
                    (Some(comparison), _) => Self::Compare(comparison, sides),
                    (None, Some(operation)) => Self::Calculate(operation, sides),
                    (None, None) => return None,
                }
            }
            _ => return None,
        })
    }

    fn evaluate<'v>(&'v self, headers: TableRef<'v>) -> Value<'v> {
        match self {
            Self::Value(value) => value.borrowed(),
            Self::Header(name) => Value::of_header(name, headers),
            Self::Not(operand) => Value::truth(operand.evaluate(headers).as_truth().map(|truth| !truth)),
            Self::And(operands) => Value::truth(decided(operands, headers, false)),
            Self::Or(operands) => Value::truth(decided(operands, headers, true)),
            Self::IsNull(operand) => Value::Bool(matches!(operand.evaluate(headers), Value::Null)),
            Self::Negative(operand) => match operand.evaluate(headers) {
                Value::Integer(value) => Value::Integer(value.wrapping_neg()),
                Value::Float(value) => Value::Float(-value),
                _ => Value::Null,
            },
            Self::Compare(comparison, sides) => {
                let [left, right] = &**sides;
                let ordering = left.evaluate(headers).compare(&right.evaluate(headers));
                Value::truth(ordering.map(|ordering| comparison.holds(ordering)))
            }
            Self::Calculate(operation, sides) => {
                let [left, right] = &**sides;
                operation.calculate(&left.evaluate(headers), &right.evaluate(headers))
            }
            Self::Like(operand, pattern) => match operand.evaluate(headers) {
                Value::Text(text) => Value::Bool(pattern.matches(&text)),
                _ => Value::Null,
            },
            Self::In(operand, values) => match operand.evaluate(headers) {
                Value::Null => Value::Null,
                value => Value::Bool(values.iter().any(|known| value.is_the_same(known))),
            },
            Self::Between(operands) => {
                let [value, from, to] = &**operands;
                let value = value.evaluate(headers);
                let [low, high] = [from, to].map(|bound| value.compare(&bound.evaluate(headers)));
                Value::truth(low.zip(high).map(|(low, high)| low.is_ge() && high.is_le()))
            }
        }
    }
}

/// What operands that are joined come to: `decisive` as soon as one is that, the opposite when all are, else unknown.
fn decided(operands: &[Expression], headers: TableRef<'_>, decisive: bool) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for operand in operands {
        match operand.evaluate(headers).as_truth() {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

/// The character that takes the meaning of a pattern's signs away.
fn escape_of(term: &Term) -> Option<Option<char>> {
    match term {
        Term::Atom(none) if **none == *b"no_escape" => Some(None),
        Term::Binary(escape) => {
            let mut characters = std::str::from_utf8(escape).ok()?.chars();
            let escape = characters.next()?;
            characters.next().is_none().then_some(Some(escape))
        }
        _ => None,
    }
}

impl Comparison {
    fn of(operator: &[u8]) -> Option<Self> {
        Some(match operator {
            b"=" => Self::Equal,
            b"<>" => Self::NotEqual,
            b"<" => Self::Less,
            b"<=" => Self::LessOrEqual,
            b">" => Self::Greater,
            b">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Operation {
    fn of(operator: &[u8]) -> Option<Self> {
        Some(match operator {
            b"+" => Self::Add,
            b"-" => Self::Subtract,
            b"*" => Self::Multiply,
            b"/" => Self::Divide,
            _ => return None,
        })
    }

    /// Integers stay integers while they fit, but for division.
    fn calculate(self, left: &Value<'_>, right: &Value<'_>) -> Value<'static> {
        let (Some(left_float), Some(right_float)) = (left.as_float(), right.as_float()) else { return Value::Null };
        if let (Value::Integer(left), Value::Integer(right)) = (left, right) {
            let exact = match self {
                Self::Add => left.checked_add(*right),
                Self::Subtract => left.checked_sub(*right),
                Self::Multiply => left.checked_mul(*right),
                Self::Divide => None,
            };
            if let Some(exact) = exact {
                return Value::Integer(exact);
            }
        }
        Value::Float(match self {
            Self::Add => left_float + right_float,
            Self::Subtract => left_float - right_float,
            Self::Multiply => left_float * right_float,
            Self::Divide => left_float / right_float,
        })
    }
}

impl Value<'static> {
    fn of(term: Term) -> Option<Self> {
        Some(match term {
            Term::Atom(word) => match &*word {
                b"true" => Self::Bool(true),
                b"false" => Self::Bool(false),
                _ => return None,
            },
            Term::Integer(value) => Self::Integer(value),
            Term::Float(value) => Self::Float(value),
            Term::Binary(text) => Self::Text(text.into_vec().into()),
            Term::List(_) | Term::Tuple(_) => return None,
        })
    }
}

impl<'v> Value<'v> {
    /// The first header of this name; null when its type is not one of JMS.
    fn of_header(name: &[u8], headers: TableRef<'v>) -> Self {
        let Some(value) = headers.get_raw(name) else { return Self::Null };
        if let Some(text) = value.as_long_str() {
            return Self::Text(text.into());
        }
        match value.decode() {
            Ok(FieldValue::Bool(value)) => Self::Bool(value),
            Ok(FieldValue::F32(value)) => Self::Float(value.into()),
            Ok(FieldValue::F64(value)) => Self::Float(value),
            Ok(value) => crate::queue::arguments::integer(&value).map_or(Self::Null, Self::Integer),
            Err(_) => Self::Null,
        }
    }

    fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => Value::Integer(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Text(text) => Value::Text((&**text).into()),
        }
    }

    fn truth(truth: Option<bool>) -> Self {
        truth.map_or(Self::Null, Self::Bool)
    }

    fn as_truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "as Erlang does it")]
    fn as_float(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// Where two values stand to each other; unknown when one of them is null, or not a number.
    fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Value::Null) => None,
            (Self::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (a, b) => match (a.as_float(), b.as_float()) {
                (Some(a), Some(b)) => a.partial_cmp(&b),
                _ => Some(a.kind().cmp(&b.kind())),
            },
        }
    }

    /// Whether two values are of one kind and equal.
    fn is_the_same(&self, other: &Value<'_>) -> bool {
        std::mem::discriminant(&self.borrowed()) == std::mem::discriminant(&other.borrowed())
            && self.compare(other) == Some(Ordering::Equal)
    }

    /// The place of its kind in Erlang's order.
    fn kind(&self) -> u8 {
        match self {
            Self::Integer(_) | Self::Float(_) => 0,
            Self::Null | Self::Bool(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests;
