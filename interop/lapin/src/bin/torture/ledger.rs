//! The book of what was published, confirmed, delivered and acknowledged, and of every promise that was broken.
//!
//! What an acknowledgement is worth: AMQP does not confirm it. When a broker is killed it may or may not have been kept,
//! and the message may come again. Once the broker has answered something that came after it, the broker has seen it; if
//! the broker is then stopped in peace, the message must never come again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lapin::BasicProperties;

use crate::message::{Id, QUEUES, Sent};

/// Broken promises that are described; more are only counted.
const FAULTS_SHOWN_MAX: usize = 40;

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No answer came: it may be there or not.
    Unknown,
    /// The broker has said that it has it.
    Confirmed,
    /// Sent in a transaction that was rolled back: it must not be there.
    Withdrawn,
}

/// How far one queue's copy of a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Settled {
    #[default]
    No,
    /// The acknowledgement was sent to this run of the broker.
    Sent(u32),
    /// And the broker has seen it, and was stopped in peace.
    ForGood,
}

#[derive(Clone, Copy, Debug, Default)]
struct Copy {
    /// The run of the broker that delivered it last.
    delivered_in: Option<u32>,
    settled: Settled,
}

#[derive(Debug)]
struct Entry {
    sent: Sent,
    run: u32,
    fate: Fate,
    /// One for each of its route's queues.
    copies: Vec<Copy>,
}

/// Totals, for the progress lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub published: u64,
    pub confirmed: u64,
    pub withdrawn: u64,
    pub delivered: u64,
    pub redelivered: u64,
    pub acknowledged: u64,
    /// Acknowledged to a broker that was killed, and delivered again.
    pub reappeared: u64,
    /// Seen before by a consumer and delivered by the next run without the mark.
    pub unmarked: u64,
    pub faults: u64,
}

#[derive(Debug, Default)]
struct Book {
    run: u32,
    /// By producer and number.
    entries: Vec<Vec<Entry>>,
    /// By queue and producer: the number after that of the message that was delivered first last.
    next_first: Vec<Vec<usize>>,
    totals: Totals,
    faults: Vec<String>,
}

/// The book, shared by everybody.
#[derive(Debug)]
pub struct Ledger {
    book: Mutex<Book>,
}

/// A message as a consumer got it.
pub struct Delivered<'a> {
    pub queue: usize,
    pub redelivered: bool,
    pub address: (&'a str, &'a str),
    pub properties: &'a BasicProperties,
    pub body: &'a [u8],
    /// Whether the queue has this one consumer, so that the order can be seen.
    pub is_ordered: bool,
}

impl Ledger {
    pub fn new(producers: usize) -> Ledger {
        let entries = (0..producers).map(|_| Vec::new()).collect();
        let next_first = QUEUES.iter().map(|_| vec![0; producers]).collect();
        Ledger { book: Mutex::new(Book { entries, next_first, ..Book::default() }) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new run of the broker begins.
    pub fn begin_run(&self) {
        self.book().run += 1;
    }

    pub fn totals(&self) -> Totals {
        self.book().totals
    }

    pub fn faults(&self) -> Vec<String> {
        self.book().faults.clone()
    }

    pub fn fault(&self, text: String) {
        self.book().fault(text);
    }

    /// The id of a producer's next message.
    pub fn next_id(&self, producer: usize) -> Id {
        Id { producer, number: self.book().entries.get(producer).map_or(0, Vec::len) }
    }

    /// Noted before it is sent.
    pub fn publish(&self, sent: Sent) {
        let mut book = self.book();
        let copies = vec![Copy::default(); sent.route.queues().len()];
        let entry = Entry { sent, run: book.run, fate: Fate::Unknown, copies };
        book.totals.published += 1;
        if let Some(entries) = book.entries.get_mut(sent.id.producer) {
            entries.push(entry);
        }
    }

    pub fn confirm(&self, id: Id) {
        let mut book = self.book();
        book.totals.confirmed += 1;
        if let Some(entry) = book.entry(id) {
            entry.fate = Fate::Confirmed;
        }
    }

    /// Noted before the rollback is sent: whatever comes of it, there was no commit.
    pub fn withdraw(&self, id: Id) {
        let mut book = self.book();
        book.totals.withdrawn += 1;
        if let Some(entry) = book.entry(id) {
            entry.fate = Fate::Withdrawn;
        }
    }

    /// Judges a delivery and gives the message's id, if it is one of ours.
    pub fn deliver(&self, delivered: &Delivered<'_>) -> Option<Id> {
        let mut book = self.book();
        book.totals.delivered += 1;
        book.totals.redelivered += u64::from(delivered.redelivered);
        let queue = QUEUES.get(delivered.queue).copied().unwrap_or("?");
        let id = delivered.properties.message_id().as_ref().and_then(|text| Id::parse(text.as_str()));
        let run = book.run;
        let Some((id, entry)) = id.and_then(|id| Some((id, book.entry(id)?))) else {
            let text = format!("phantom: {queue} delivered {:?}", delivered.properties.message_id());
            book.fault(text);
            return None;
        };
        let faults = entry.judge(delivered, run);
        let effects = entry.note_delivery(delivered.queue, run);
        let faults = faults.into_iter().chain(effects.fault);
        let faults: Vec<String> = faults.map(|fault| format!("{fault}: {} in {queue}", id.text())).collect();
        book.totals.reappeared += u64::from(effects.has_reappeared);
        book.totals.unmarked += u64::from(effects.was_seen && !delivered.redelivered);
        if !effects.was_seen && delivered.is_ordered {
            book.check_order(id, delivered.queue);
        }
        for fault in faults {
            book.fault(fault);
        }
        Some(id)
    }

    /// Noted before the acknowledgement (or the rejection for good) is sent.
    pub fn settle(&self, id: Id, queue: usize) {
        let mut book = self.book();
        let run = book.run;
        book.totals.acknowledged += 1;
        if let Some(copy) = book.entry(id).and_then(|entry| entry.copy(queue)) {
            copy.settled = Settled::Sent(run);
        }
    }

    /// The broker has seen everything that was said to it, and was stopped in peace.
    pub fn end_run_in_peace(&self) {
        let mut book = self.book();
        let run = book.run;
        for entry in book.entries.iter_mut().flatten() {
            for copy in &mut entry.copies {
                if copy.settled == Settled::Sent(run) {
                    copy.settled = Settled::ForGood;
                }
            }
        }
    }

    /// In the end, when every queue is empty: what was confirmed and never acknowledged is lost.
    pub fn close(&self) {
        let mut book = self.book();
        let run = book.run;
        let is_due = |entry: &&Entry| {
            let outlived_all = entry.sent.is_persistent || entry.run == run;
            entry.fate == Fate::Confirmed && outlived_all
        };
        let mut lost = Vec::new();
        for entry in book.entries.iter().flatten().filter(is_due) {
            for (copy, queue) in entry.copies.iter().zip(entry.sent.route.queues()) {
                if copy.settled == Settled::No {
                    let queue = QUEUES.get(*queue).copied().unwrap_or("?");
                    let text = entry.sent.id.text();
                    lost.push(format!("lost: {text} in {queue}, confirmed in run {}, {copy:?}", entry.run));
                }
            }
        }
        lost.into_iter().for_each(|fault| book.fault(fault));
    }
}

/// What a delivery means for the totals.
struct Effects {
    was_seen: bool,
    has_reappeared: bool,
    fault: Option<&'static str>,
}

impl Entry {
    fn copy(&mut self, queue: usize) -> Option<&mut Copy> {
        let place = self.sent.route.queues().iter().position(|known| *known == queue)?;
        self.copies.get_mut(place)
    }

    /// Everything about a delivery that does not depend on those before it.
    fn judge(&self, delivered: &Delivered<'_>, run: u32) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if delivered.body != self.sent.body() {
            faults.push("corrupt body");
        }
        if *delivered.properties != self.sent.properties() {
            faults.push("corrupt properties");
        }
        if delivered.address != self.sent.route.address() || !self.sent.route.queues().contains(&delivered.queue) {
            faults.push("phantom, it was never sent there");
        }
        if self.fate == Fate::Withdrawn {
            faults.push("phantom, it was rolled back");
        }
        if !self.sent.is_persistent && self.run != run {
            faults.push("phantom, it is transient and outlived its broker");
        }
        faults
    }

    fn note_delivery(&mut self, queue: usize, run: u32) -> Effects {
        let Some(copy) = self.copy(queue) else {
            return Effects { was_seen: true, has_reappeared: false, fault: None };
        };
        let was_seen = copy.delivered_in.is_some();
        let fault = match copy.settled {
            Settled::No => None,
            Settled::Sent(sent_in) if sent_in == run => Some("doubled, it came again after its acknowledgement"),
            Settled::Sent(_) => None,
            Settled::ForGood => Some("phantom, it was acknowledged before a stop in peace"),
        };
        let has_reappeared = copy.settled != Settled::No;
        *copy = Copy { delivered_in: Some(run), settled: Settled::No };
        Effects { was_seen, has_reappeared, fault }
    }
}

impl Book {
    fn entry(&mut self, id: Id) -> Option<&mut Entry> {
        self.entries.get_mut(id.producer)?.get_mut(id.number)
    }

    /// First deliveries of a producer's messages come in the order in which they were published.
    fn check_order(&mut self, id: Id, queue: usize) {
        let Some(next) = self.next_first.get_mut(queue).and_then(|queues| queues.get_mut(id.producer)) else {
            return;
        };
        if id.number < *next {
            let text = format!("out of order: {} came first after {} in queue {queue}", id.text(), *next - 1);
            self.fault(text);
        } else {
            *next = id.number + 1;
        }
    }

    fn fault(&mut self, text: String) {
        self.totals.faults += 1;
        if self.faults.len() < FAULTS_SHOWN_MAX {
            self.faults.push(format!("run {}: {text}", self.run));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Route;

    fn sent(number: usize) -> Sent {
        let id = Id { producer: 0, number };
        Sent { id, route: Route::Default, body_bytes: 100, is_persistent: true }
    }

    fn deliver(ledger: &Ledger, sent: &Sent, redelivered: bool) {
        let properties = sent.properties();
        ledger.deliver(&Delivered {
            queue: 0,
            redelivered,
            address: sent.route.address(),
            properties: &properties,
            body: sent.body(),
            is_ordered: true,
        });
    }

    fn ledger_with(messages: usize) -> Ledger {
        let ledger = Ledger::new(1);
        ledger.begin_run();
        for number in 0..messages {
            ledger.publish(sent(number));
            ledger.confirm(sent(number).id);
        }
        ledger
    }

    fn fault_of(ledger: &Ledger) -> String {
        ledger.faults().join("; ")
    }

    #[test]
    fn what_is_delivered_and_acknowledged_is_no_fault() {
        let ledger = ledger_with(3);
        for number in 0..3 {
            deliver(&ledger, &sent(number), false);
            ledger.settle(sent(number).id, 0);
        }
        ledger.close();
        assert_eq!(fault_of(&ledger), "");
    }

    #[test]
    fn a_confirmed_message_that_never_comes_is_lost() {
        let ledger = ledger_with(1);
        ledger.close();
        assert!(fault_of(&ledger).contains("lost: 0.0"));
        // Delivered is not enough.
        let ledger = ledger_with(1);
        deliver(&ledger, &sent(0), false);
        ledger.close();
        assert!(fault_of(&ledger).contains("lost: 0.0"));
        // Without a confirm nothing was promised.
        let ledger = Ledger::new(1);
        ledger.publish(sent(0));
        ledger.close();
        assert_eq!(fault_of(&ledger), "");
    }

    #[test]
    fn an_acknowledged_message_may_come_again_only_after_a_kill() {
        let again = |is_peace: Option<bool>| {
            let ledger = ledger_with(1);
            deliver(&ledger, &sent(0), false);
            ledger.settle(sent(0).id, 0);
            if let Some(is_peace) = is_peace {
                if is_peace {
                    ledger.end_run_in_peace();
                }
                ledger.begin_run();
            }
            deliver(&ledger, &sent(0), true);
            fault_of(&ledger)
        };
        assert_eq!(again(Some(false)), "");
        assert!(again(Some(true)).contains("phantom"));
        assert!(again(None).contains("doubled"));
    }

    #[test]
    fn damage_phantoms_and_disorder_are_found() {
        let ledger = ledger_with(3);
        deliver(&ledger, &sent(1), false);
        deliver(&ledger, &sent(0), false);
        assert!(fault_of(&ledger).contains("out of order: 0.0"));
        let ledger = ledger_with(1);
        deliver(&ledger, &Sent { body_bytes: 99, ..sent(0) }, false);
        assert!(fault_of(&ledger).contains("corrupt body"));
        let ledger = ledger_with(1);
        deliver(&ledger, &sent(1), false);
        assert!(fault_of(&ledger).contains("phantom"));
        let ledger = ledger_with(1);
        ledger.withdraw(sent(0).id);
        deliver(&ledger, &sent(0), false);
        assert!(fault_of(&ledger).contains("rolled back"));
        let ledger = Ledger::new(1);
        ledger.begin_run();
        let transient = Sent { is_persistent: false, ..sent(0) };
        ledger.publish(transient);
        ledger.begin_run();
        deliver(&ledger, &transient, false);
        assert!(fault_of(&ledger).contains("outlived"));
    }
}
