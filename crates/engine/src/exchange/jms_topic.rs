//! JMS topic exchanges: a binding matches when the selector that it carries is true of the message's headers. Keys mean nothing.

use std::hash::Hash;

use leveret_codec::table::{FieldTable, FieldValue, TableRef};

use super::fanout::Destinations;
use super::selector::Selector;

/// The argument of a binding that is its selector.
const SELECTOR: &[u8] = b"rjms_erlang_selector";

/// The bindings of a JMS topic exchange.
#[derive(Clone, Debug)]
pub(super) struct JmsTopicTable<D> {
    selected: Vec<Selected<D>>,
}

/// The destinations behind one selector.
#[derive(Clone, Debug)]
struct Selected<D> {
    text: Box<[u8]>,
    selector: Selector,
    destinations: Destinations<D>,
}

/// The selector of a binding as it is written; empty when there is none.
pub(super) fn selector_text(arguments: &FieldTable) -> &[u8] {
    match arguments.get(SELECTOR) {
        Some(FieldValue::LongStr(text)) => text,
        _ => &[],
    }
}

/// Whether a binding has a selector that can be understood.
pub(super) fn is_valid(arguments: &FieldTable) -> bool {
    Selector::parse(selector_text(arguments)).is_some()
}

impl<D: Clone + Eq + Hash> JmsTopicTable<D> {
    pub(super) fn new() -> Self {
        Self { selected: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.selected.is_empty()
    }

    pub(super) fn bind(&mut self, arguments: &FieldTable, destination: D) {
        let text = selector_text(arguments);
        if let Some(known) = self.selected.iter_mut().find(|known| *known.text == *text) {
            known.destinations.add(destination);
        } else if let Some(selector) = Selector::parse(text) {
            let mut destinations = Destinations::new();
            destinations.add(destination);
            self.selected.push(Selected { text: text.into(), selector, destinations });
        }
    }

    pub(super) fn unbind(&mut self, arguments: &FieldTable, destination: &D) {
        let text = selector_text(arguments);
        if let Some(known) = self.selected.iter_mut().find(|known| *known.text == *text) {
            known.destinations.remove(destination);
        }
        self.selected.retain(|known| !known.destinations.is_empty());
    }

    pub(super) fn visit(&self, headers: TableRef<'_>, each: &mut dyn FnMut(&D)) {
        for selected in self.selected.iter().filter(|selected| selected.selector.selects(headers)) {
            selected.destinations.visit(each);
        }
    }
}
