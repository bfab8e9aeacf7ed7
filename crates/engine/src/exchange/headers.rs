//! Headers exchanges: a binding matches by what its arguments say of the message's headers.
//!
//! What one argument asks of a message (a header of this name with this value, or with any) is a [`Criterion`], kept once
//! for all bindings that ask it. A binding is then one set of criteria that must hold together: `all` makes one set of
//! all its arguments, `any` a set of each. Each set waits at one of its criteria, the one with the fewest others, so that
//! a message looks only at sets of which something holds: the work goes by the number of its headers, not by the number
//! of bindings.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use leveret_codec::table::{FieldTable, FieldValue, RawValue, TableError, TableRef};
use slab::Slab;
use smallvec::SmallVec;

use super::fanout::Destinations;
use crate::queue::arguments::{ArgumentError, Canonical, Term, write_bytes, write_value};

/// The argument that says how the others are to be understood.
const X_MATCH: &[u8] = b"x-match";

/// Arguments with names that start so count only when `x-match` says it.
const INTERNAL_PREFIX: &[u8] = b"x-";

/// How many criteria of a binding, and how many that hold for a message, are kept without an allocation.
const INLINE_CRITERIA: usize = 16;

type CriterionId = usize;
type SetId = usize;
type Criteria = SmallVec<[CriterionId; INLINE_CRITERIA]>;

/// Refuses a binding with an `x-match` that is none.
///
/// # Errors
/// [`ArgumentError::BadXMatchValue`], [`ArgumentError::BadXMatchType`]
pub(super) fn validate_binding(arguments: &FieldTable) -> Result<(), ArgumentError> {
    match arguments.get(X_MATCH) {
        None => Ok(()),
        Some(FieldValue::LongStr(value)) if XMatch::parse(value).is_some() => Ok(()),
        Some(value @ FieldValue::LongStr(_)) => Err(ArgumentError::BadXMatchValue(Term(value).to_string().into())),
        Some(value) => {
            Err(ArgumentError::BadXMatchType { type_name: value.type_name(), value: Term(value).to_string().into() })
        }
    }
}

/// The bindings of a headers exchange.
#[derive(Clone, Debug)]
pub(super) struct HeadersTable<D> {
    criteria: Slab<Criterion>,
    named: HashMap<Box<[u8]>, Named, RandomState>,
    sets: Slab<CriteriaSet<D>>,
    set_of: HashMap<Criteria, SetId, RandomState>,
    /// Destinations of bindings that ask nothing.
    unconditional: Destinations<D>,
    /// Bindings that ask for any of no arguments, and so never match.
    unmatchable: usize,
}

/// The criteria that ask for a header of one name. Never empty.
#[derive(Clone, Debug, Default)]
struct Named {
    with_any_value: Option<CriterionId>,
    with_value: HashMap<Box<[u8]>, CriterionId, RandomState>,
}

/// A header of one name, with one value or with any.
#[derive(Clone, Debug)]
struct Criterion {
    name: Box<[u8]>,
    /// As [`write_value`] puts it; none when any value will do.
    value: Option<Box<[u8]>>,
    /// How many sets it is in.
    sets: usize,
    /// The sets that wait here to be looked at.
    waiting: Vec<SetId>,
}

/// Criteria that must hold together. Never empty.
#[derive(Clone, Debug)]
struct CriteriaSet<D> {
    /// In order of their numbers.
    criteria: Criteria,
    /// The one of them where the set waits.
    waits_at: CriterionId,
    destinations: Destinations<D>,
}

/// What `x-match` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct XMatch {
    all: bool,
    with_internal: bool,
}

impl XMatch {
    const DEFAULT: Self = Self { all: true, with_internal: false };

    fn parse(text: &[u8]) -> Option<Self> {
        let (all, with_internal) = match text {
            b"all" => (true, false),
            b"any" => (false, false),
            b"all-with-x" => (true, true),
            b"any-with-x" => (false, true),
            _ => return None,
        };
        Some(Self { all, with_internal })
    }

    fn of(arguments: &FieldTable) -> Self {
        match arguments.get(X_MATCH) {
            Some(FieldValue::LongStr(text)) => Self::parse(text).unwrap_or(Self::DEFAULT),
            _ => Self::DEFAULT,
        }
    }

    fn counts(self, name: &[u8]) -> bool {
        name != X_MATCH && (self.with_internal || !name.starts_with(INTERNAL_PREFIX))
    }
}

impl<D: Clone + Eq + Hash> HeadersTable<D> {
    pub(super) fn new() -> Self {
        Self {
            criteria: Slab::new(),
            named: HashMap::default(),
            sets: Slab::new(),
            set_of: HashMap::default(),
            unconditional: Destinations::new(),
            unmatchable: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.unconditional.is_empty() && self.unmatchable == 0
    }

    pub(super) fn bind(&mut self, arguments: &FieldTable, destination: &D) {
        let asked = Asked::by(arguments);
        match (asked.criteria.is_empty(), asked.all) {
            (true, true) => self.unconditional.add(destination.clone()),
            (true, false) => self.unmatchable += 1,
            (false, _) => asked.sets().for_each(|set| self.add(set, destination)),
        }
    }

    pub(super) fn unbind(&mut self, arguments: &FieldTable, destination: &D) {
        let asked = Asked::by(arguments);
        match (asked.criteria.is_empty(), asked.all) {
            (true, true) => self.unconditional.remove(destination),
            (true, false) => self.unmatchable = self.unmatchable.saturating_sub(1),
            (false, _) => asked.sets().for_each(|set| self.remove(set, destination)),
        }
    }

    /// Visits the destinations for a message with `headers`. Of several headers of one name the first counts. Headers
    /// that cannot be decoded end the list; the codec refuses such messages before they come here.
    pub(super) fn visit(&self, headers: TableRef<'_>, each: &mut dyn FnMut(&D)) {
        self.unconditional.visit(each);
        if self.sets.is_empty() {
            return;
        }
        let holding = self.holding(headers);
        for &id in &holding {
            let waiting = self.criteria.get(id).map(|criterion| &criterion.waiting);
            for &set in waiting.into_iter().flatten() {
                if let Some(set) = self.sets.get(set)
                    && holds(&set.criteria, &holding)
                {
                    set.destinations.visit(each);
                }
            }
        }
    }

    /// The criteria that hold for a message with `headers`, in order of their numbers.
    fn holding(&self, headers: TableRef<'_>) -> Criteria {
        let mut holding = Criteria::new();
        let mut canonical = Canonical::new();
        for (name, value) in headers.iter().map_while(Result::ok) {
            let Some(named) = self.named.get(name) else {
                continue;
            };
            holding.extend(named.with_any_value);
            if named.with_value.is_empty() || headers.get_raw(name) != Some(value) {
                continue;
            }
            canonical.clear();
            if write_raw_value(value, &mut canonical).is_ok() {
                holding.extend(named.with_value.get(&*canonical).copied());
            }
        }
        holding.sort_unstable();
        holding.dedup();
        holding
    }

    fn add(&mut self, asked: &[AskedCriterion<'_>], destination: &D) {
        let criteria = self.known_or_new(asked);
        let id = match self.set_of.get(&criteria) {
            Some(&id) => id,
            None => self.new_set(criteria),
        };
        if let Some(set) = self.sets.get_mut(id) {
            set.destinations.add(destination.clone());
        }
    }

    fn new_set(&mut self, criteria: Criteria) -> SetId {
        let crowd = |id: &CriterionId| self.criteria.get(*id).map_or(0, |c| c.waiting.len());
        let waits_at = criteria.iter().copied().min_by_key(crowd).unwrap_or_default();
        let id =
            self.sets.insert(CriteriaSet { criteria: criteria.clone(), waits_at, destinations: Destinations::new() });
        for &criterion in &criteria {
            if let Some(criterion) = self.criteria.get_mut(criterion) {
                criterion.sets += 1;
            }
        }
        if let Some(criterion) = self.criteria.get_mut(waits_at) {
            criterion.waiting.push(id);
        }
        self.set_of.insert(criteria, id);
        id
    }

    fn remove(&mut self, asked: &[AskedCriterion<'_>], destination: &D) {
        let Some(criteria) = self.known(asked) else {
            return;
        };
        let Some(&id) = self.set_of.get(&criteria) else {
            return;
        };
        let Some(set) = self.sets.get_mut(id) else {
            return;
        };
        set.destinations.remove(destination);
        if set.destinations.is_empty() {
            self.remove_set(id);
        }
    }

    fn remove_set(&mut self, id: SetId) {
        let Some(set) = self.sets.try_remove(id) else {
            return;
        };
        self.set_of.remove(&set.criteria);
        if let Some(criterion) = self.criteria.get_mut(set.waits_at) {
            criterion.waiting.retain(|&waiting| waiting != id);
        }
        for id in set.criteria {
            let Some(criterion) = self.criteria.get_mut(id) else {
                continue;
            };
            criterion.sets -= 1;
            if criterion.sets == 0 {
                let gone = self.criteria.remove(id);
                self.forget(&gone);
            }
        }
    }

    fn known(&self, asked: &[AskedCriterion<'_>]) -> Option<Criteria> {
        let mut criteria = asked.iter().map(|asked| self.find(asked)).collect::<Option<Criteria>>()?;
        criteria.sort_unstable();
        Some(criteria)
    }

    fn known_or_new(&mut self, asked: &[AskedCriterion<'_>]) -> Criteria {
        for asked in asked {
            if self.find(asked).is_none() {
                self.learn(asked);
            }
        }
        self.known(asked).unwrap_or_default()
    }

    fn find(&self, asked: &AskedCriterion<'_>) -> Option<CriterionId> {
        let named = self.named.get(asked.name)?;
        match &asked.value {
            None => named.with_any_value,
            Some(value) => named.with_value.get(&**value).copied(),
        }
    }

    fn learn(&mut self, asked: &AskedCriterion<'_>) {
        let value: Option<Box<[u8]>> = asked.value.as_deref().map(Box::from);
        let name: Box<[u8]> = asked.name.into();
        let criterion = Criterion { name: name.clone(), value: value.clone(), sets: 0, waiting: Vec::new() };
        let id = self.criteria.insert(criterion);
        let named = self.named.entry(name).or_default();
        match value {
            None => named.with_any_value = Some(id),
            Some(value) => drop(named.with_value.insert(value, id)),
        }
    }

    fn forget(&mut self, gone: &Criterion) {
        let Some(named) = self.named.get_mut(&gone.name) else {
            return;
        };
        match &gone.value {
            None => named.with_any_value = None,
            Some(value) => drop(named.with_value.remove(value)),
        }
        if named.with_any_value.is_none() && named.with_value.is_empty() {
            self.named.remove(&gone.name);
        }
    }
}

/// What a binding asks of a message.
struct Asked<'a> {
    all: bool,
    criteria: SmallVec<[AskedCriterion<'a>; 4]>,
}

/// A [`Criterion`] as a binding names it.
struct AskedCriterion<'a> {
    name: &'a [u8],
    value: Option<Canonical>,
}

impl<'a> Asked<'a> {
    fn by(arguments: &'a FieldTable) -> Self {
        let x_match = XMatch::of(arguments);
        let counting = arguments.0.iter().filter(|(name, _)| x_match.counts(name));
        let criteria = counting.map(|(name, value)| AskedCriterion {
            name,
            value: (*value != FieldValue::Void).then(|| {
                let mut canonical = Canonical::new();
                write_value(value, &mut canonical);
                canonical
            }),
        });
        Self { all: x_match.all, criteria: criteria.collect() }
    }

    /// What must hold together.
    fn sets(&self) -> impl Iterator<Item = &[AskedCriterion<'a>]> {
        self.criteria.chunks(if self.all { self.criteria.len() } else { 1 })
    }
}

/// Whether all of `criteria` are among `holding`; both are in order.
fn holds(criteria: &[CriterionId], holding: &[CriterionId]) -> bool {
    criteria.iter().all(|id| holding.binary_search(id).is_ok())
}

/// As [`write_value`] of the decoded value.
pub(super) fn write_raw_value(value: RawValue<'_>, out: &mut Canonical) -> Result<(), TableError> {
    match value.as_long_str() {
        Some(text) => write_bytes(text, out),
        None => write_value(&value.decode()?, out),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(x_match: &str, entries: &[(&str, i32)]) -> FieldTable {
        let mut table = FieldTable::default();
        table.push(X_MATCH, FieldValue::LongStr(x_match.as_bytes().into()));
        for (name, value) in entries {
            table.push(name.as_bytes(), FieldValue::I32(*value));
        }
        table
    }

    #[test]
    fn unbinding_leaves_no_criteria_or_sets_behind() {
        let bindings = [
            binding("all", &[("a", 1), ("b", 2)]),
            binding("all", &[("b", 2), ("a", 1), ("x-c", 3)]),
            binding("any", &[("a", 1), ("b", 2), ("a", 1)]),
            binding("all", &[]),
            binding("any", &[("x-c", 3)]),
        ];
        let mut table = HeadersTable::new();
        bindings.iter().for_each(|arguments| table.bind(arguments, &1));
        for arguments in &bindings {
            assert!(!table.is_empty());
            table.unbind(arguments, &1);
        }
        assert!(table.is_empty());
        assert_eq!((table.criteria.len(), table.named.len()), (0, 0));
        assert_eq!((table.sets.len(), table.set_of.len()), (0, 0));
    }

    #[test]
    fn sets_wait_where_few_others_do() {
        let mut table = HeadersTable::new();
        for id in 0..100 {
            table.bind(&binding("all", &[("kind", 1), ("id", id)]), &id);
        }
        let longest = table.criteria.iter().map(|(_, criterion)| criterion.waiting.len()).max();
        // The first has no reason to prefer one of its two.
        assert!(longest <= Some(2), "{longest:?}");
    }
}
