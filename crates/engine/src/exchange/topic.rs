//! Topic exchanges: keys are words between dots, `*` stands for one word and `#` for any number of them.
//!
//! Patterns are kept in a trie with one edge a word. A key is matched as a nondeterministic automaton is run: word by
//! word, with the set of all nodes that the words so far can have led to. No node is in the set twice, so that the work
//! is bounded by words times nodes; to follow one alternative after the other would take a time exponential in the
//! number of `#`.
//!
//! Since every node but the root has one edge into it, a set without duplicates leads to a set without duplicates. The
//! exception is a `#` node: it is entered from its parent without a word, and it stays in the set for every word that
//! follows. It is therefore kept apart, and entered only once.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use slab::Slab;
use smallvec::SmallVec;

use super::fanout::Destinations;

/// How many nodes at a time are followed without an allocation.
const INLINE_NODES: usize = 16;

type NodeId = usize;
type WordId = usize;
type Nodes = SmallVec<[NodeId; INLINE_NODES]>;

/// A trie of binding patterns.
#[derive(Clone, Debug)]
pub(super) struct TopicTable<D> {
    nodes: Slab<Node<D>>,
    root: NodeId,
    /// The edges of literal words, of all nodes together.
    edges: HashMap<(NodeId, WordId), NodeId, RandomState>,
    words: Words,
}

#[derive(Clone, Debug)]
struct Node<D> {
    /// The destinations of the patterns that end here.
    destinations: Destinations<D>,
    /// The node after one more word, whichever it is.
    star: Option<NodeId>,
    /// The node after any number of words more.
    hash: Option<NodeId>,
    /// How many of the table's edges start here.
    literals: u32,
    /// Whether a `#` lies between the root and this node, so that a key can lead here at more than one of its words.
    recurs: bool,
}

/// What an edge of a pattern stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Edge {
    Literal(WordId),
    Star,
    Hash,
}

impl<D: Clone + Eq + Hash> TopicTable<D> {
    pub(super) fn new() -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::new(false));
        Self { nodes, root, edges: HashMap::default(), words: Words::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.get(self.root).is_none_or(|root| root.is_useless())
    }

    pub(super) fn bind(&mut self, pattern: &[u8], destination: D) {
        let mut at = self.root;
        for word in pattern_words(pattern) {
            at = self.child_or_new(at, word);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.destinations.add(destination);
        }
    }

    pub(super) fn unbind(&mut self, pattern: &[u8], destination: &D) {
        let mut path: SmallVec<[(NodeId, Edge); INLINE_NODES]> = SmallVec::new();
        let mut at = self.root;
        for word in pattern_words(pattern) {
            let Some((edge, child)) = self.child(at, word) else {
                return;
            };
            path.push((at, edge));
            at = child;
        }
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        node.destinations.remove(destination);
        for (parent, edge) in path.into_iter().rev() {
            if !self.nodes.get(at).is_some_and(Node::is_useless) {
                return;
            }
            self.nodes.try_remove(at);
            self.remove_edge(parent, edge);
            at = parent;
        }
    }

    pub(super) fn visit(&self, key: &[u8], each: &mut dyn FnMut(&D)) {
        let mut walk = Walk::new(self, each);
        walk.enter(self.root);
        for word in words(key) {
            if walk.is_over() {
                return;
            }
            walk.step(word);
        }
        walk.finish();
    }

    fn child(&self, parent: NodeId, word: &[u8]) -> Option<(Edge, NodeId)> {
        let node = self.nodes.get(parent)?;
        match word {
            b"*" => Some((Edge::Star, node.star?)),
            b"#" => Some((Edge::Hash, node.hash?)),
            literal => {
                let word = self.words.find(literal)?;
                let child = *self.edges.get(&(parent, word))?;
                Some((Edge::Literal(word), child))
            }
        }
    }

    fn child_or_new(&mut self, parent: NodeId, word: &[u8]) -> NodeId {
        if let Some((_, child)) = self.child(parent, word) {
            return child;
        }
        let recurs = word == b"#" || self.nodes.get(parent).is_some_and(|node| node.recurs);
        let child = self.nodes.insert(Node::new(recurs));
        if let Some(node) = self.nodes.get_mut(parent) {
            match word {
                b"*" => node.star = Some(child),
                b"#" => node.hash = Some(child),
                literal => {
                    node.literals += 1;
                    self.edges.insert((parent, self.words.acquire(literal)), child);
                }
            }
        }
        child
    }

    fn remove_edge(&mut self, parent: NodeId, edge: Edge) {
        let Some(node) = self.nodes.get_mut(parent) else {
            return;
        };
        match edge {
            Edge::Star => node.star = None,
            Edge::Hash => node.hash = None,
            Edge::Literal(word) => {
                node.literals -= 1;
                self.edges.remove(&(parent, word));
                self.words.release(word);
            }
        }
    }
}

impl<D: Clone + Eq + Hash> Node<D> {
    fn new(recurs: bool) -> Self {
        Self { destinations: Destinations::new(), star: None, hash: None, literals: 0, recurs }
    }

    /// Whether no pattern ends here or leads on.
    fn is_useless(&self) -> bool {
        self.destinations.is_empty() && self.is_leaf()
    }

    fn is_leaf(&self) -> bool {
        self.star.is_none() && self.hash.is_none() && self.literals == 0
    }
}

/// One key on its way through the trie.
struct Walk<'a, D> {
    table: &'a TopicTable<D>,
    each: &'a mut dyn FnMut(&D),
    /// Nodes to which the words so far lead exactly.
    reached: Nodes,
    /// Nodes that were reached before the word at hand; between words none, but the room is kept.
    left: Nodes,
    /// `#` nodes with something behind them: they remain, for they take any word.
    remaining: Nodes,
    /// Those of them that could be entered again.
    entered: HashSet<NodeId, RandomState>,
}

impl<'a, D: Clone + Eq + Hash> Walk<'a, D> {
    fn new(table: &'a TopicTable<D>, each: &'a mut dyn FnMut(&D)) -> Self {
        Self {
            table,
            each,
            reached: Nodes::new(),
            left: Nodes::new(),
            remaining: Nodes::new(),
            entered: HashSet::default(),
        }
    }

    /// Whether no further word can lead anywhere.
    fn is_over(&self) -> bool {
        self.reached.is_empty() && self.remaining.is_empty()
    }

    fn step(&mut self, word: &[u8]) {
        let word = self.table.words.find(word);
        std::mem::swap(&mut self.reached, &mut self.left);
        // A `#` that this word enters has its first chance to take one with the next.
        let remaining = self.remaining.len();
        for place in 0..self.left.len() {
            if let Some(&at) = self.left.get(place) {
                self.follow(at, word);
            }
        }
        for place in 0..remaining {
            if let Some(&at) = self.remaining.get(place) {
                self.follow(at, word);
            }
        }
        self.left.clear();
    }

    /// Enters the nodes behind the edges that take `word`; a word that no pattern has is taken by `*` only.
    fn follow(&mut self, at: NodeId, word: Option<WordId>) {
        let Some(node) = self.table.nodes.get(at) else {
            return;
        };
        if let (Some(word), 1..) = (word, node.literals)
            && let Some(&child) = self.table.edges.get(&(at, word))
        {
            self.enter(child);
        }
        if let Some(child) = node.star {
            self.enter(child);
        }
    }

    fn enter(&mut self, at: NodeId) {
        self.reached.push(at);
        if let Some(node) = self.table.nodes.get(at)
            && let Some(hash) = node.hash
            && (!node.recurs || self.entered.insert(hash))
        {
            self.enter_hash(hash);
        }
    }

    /// Whatever follows, the patterns that end with this `#` match.
    fn enter_hash(&mut self, at: NodeId) {
        let Some(node) = self.table.nodes.get(at) else {
            return;
        };
        node.destinations.visit(self.each);
        if !node.is_leaf() {
            self.remaining.push(at);
        }
    }

    /// The key has ended: the patterns that end at the nodes reached match.
    fn finish(self) {
        for at in self.reached {
            if let Some(node) = self.table.nodes.get(at) {
                node.destinations.visit(self.each);
            }
        }
    }
}

/// The words of all patterns, each numbered once, so that a word of a key is compared with none but itself.
#[derive(Clone, Debug, Default)]
struct Words {
    by_text: HashMap<Box<[u8]>, WordId, RandomState>,
    known: Slab<Word>,
}

#[derive(Clone, Debug)]
struct Word {
    text: Box<[u8]>,
    edges: u32,
}

impl Words {
    fn find(&self, text: &[u8]) -> Option<WordId> {
        self.by_text.get(text).copied()
    }

    /// The number of `text`, for one more edge.
    fn acquire(&mut self, text: &[u8]) -> WordId {
        if let Some(id) = self.find(text) {
            if let Some(word) = self.known.get_mut(id) {
                word.edges += 1;
            }
            return id;
        }
        let id = self.known.insert(Word { text: text.into(), edges: 1 });
        self.by_text.insert(text.into(), id);
        id
    }

    /// One edge less.
    fn release(&mut self, id: WordId) {
        let Some(word) = self.known.get_mut(id) else {
            return;
        };
        word.edges -= 1;
        if word.edges == 0 {
            self.by_text.remove(&word.text);
            self.known.try_remove(id);
        }
    }
}

/// The words of a key. The empty key has none; an empty word lies between two dots, and beside one at either end.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    key.split(|&byte| byte == b'.').take(if key.is_empty() { 0 } else { usize::MAX })
}

/// The words of a pattern. Of several `#` in a row one is left: they mean the same.
fn pattern_words(pattern: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut after_hash = false;
    words(pattern).filter(move |word| {
        let is_hash = *word == b"#";
        !(std::mem::replace(&mut after_hash, is_hash) && is_hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unbinding_leaves_no_nodes_edges_or_words_behind() {
        let patterns = ["", "#", "#.#", "a.b.c", "a.b", "a.*.c", "*.#.b", "a..b", "#.a.#.a.#", "."];
        let mut table = TopicTable::new();
        for pattern in patterns {
            table.bind(pattern.as_bytes(), 1);
            table.bind(pattern.as_bytes(), 2);
        }
        for pattern in patterns {
            table.unbind(pattern.as_bytes(), &1);
        }
        assert!(!table.is_empty());
        for pattern in patterns.iter().rev() {
            table.unbind(pattern.as_bytes(), &2);
        }
        assert!(table.is_empty());
        assert_eq!((table.nodes.len(), table.edges.len()), (1, 0));
        assert_eq!((table.words.by_text.len(), table.words.known.len()), (0, 0));
    }

    #[test]
    fn unbinding_what_is_not_bound_changes_nothing() {
        let mut table = TopicTable::new();
        table.bind(b"a.b", 1);
        for pattern in ["a", "a.b", "a.c", "a.b.c", "a.*", "a.#", ""] {
            table.unbind(pattern.as_bytes(), &2);
        }
        let mut visited = Vec::new();
        table.visit(b"a.b", &mut |&destination| visited.push(destination));
        assert_eq!(visited, [1]);
        assert_eq!((table.nodes.len(), table.edges.len()), (3, 2));
    }

    #[test]
    fn a_word_is_known_while_an_edge_has_it() {
        let mut table = TopicTable::new();
        table.bind(b"a.a", 1);
        table.bind(b"#.a", 1);
        table.unbind(b"a.a", &1);
        assert_eq!(table.words.by_text.len(), 1);
        let mut visits = 0;
        table.visit(b"b.a", &mut |_| visits += 1);
        assert_eq!(visits, 1);
    }
}
