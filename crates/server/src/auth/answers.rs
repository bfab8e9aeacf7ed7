//! Answers that are kept for a while.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use hashbrown::HashMap;
use leveret_session::login::{LoginRequest, Refusal};
use parking_lot::Mutex;

use super::chain::{Asked, Known};
use crate::limits::AUTH_ANSWERS_MAX;
use crate::server::random;

/// How long what a back end said about a right is good for.
pub(super) const ANSWERS_KEPT: Duration = Duration::from_secs(15);

/// What a back end said about the rights of one login.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<String, (bool, Instant)>>);

impl Answers {
    /// What is known, or else what `ask` says, which is not kept when it is no answer. No lock is held meanwhile.
    pub(super) fn find(&self, question: String, ask: impl FnOnce(&str) -> Option<bool>) -> bool {
        let now = Instant::now();
        let known = self.0.lock().get(&question).filter(|(_, until)| now < *until).map(|(answer, _)| *answer);
        if let Some(answer) = known {
            return answer;
        }
        let Some(answer) = ask(&question) else { return false };
        let mut all = self.0.lock();
        if all.len() >= AUTH_ANSWERS_MAX {
            all.retain(|_, (_, until)| now < *until);
            if all.len() >= AUTH_ANSWERS_MAX {
                all.clear();
            }
        }
        all.insert(question, (answer, Instant::now() + ANSWERS_KEPT));
        answer
    }
}

/// Who was let in or refused, and until when that is good.
type Login = (Result<Known, Refusal>, Instant);

/// What a login is asked about: the answer to one is none to the other, to which the password may not have mattered.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Question {
    /// Who it is.
    Who,
    /// What somebody may do of whom another has said who it is.
    What,
}

/// Asks another, and keeps who was let in.
pub(super) struct Kept<A> {
    asked: A,
    ttl: Duration,
    refusals: bool,
    /// Passwords are not kept, but what only this process can make of them.
    key: hmac::Key,
    logins: Mutex<HashMap<Vec<u8>, Login>>,
}

impl<A: std::fmt::Debug> std::fmt::Debug for Kept<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl<A: Asked> Kept<A> {
    pub(super) fn new(asked: A, ttl: Duration, refusals: bool) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>());
        Self { asked, ttl, refusals, key, logins: Mutex::default() }
    }

    fn fingerprint(&self, question: Question, request: &LoginRequest<'_>) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[question as u8]);
        context.update(&(request.user.len() as u64).to_be_bytes());
        context.update(request.user.as_bytes());
        // Rights may depend on where a client comes from.
        context.update(request.peer.map(|peer| peer.to_string()).unwrap_or_default().as_bytes());
        // Without a password is not the same as with an empty one.
        context.update(&[u8::from(request.password.is_some())]);
        context.update(request.password.unwrap_or_default());
        context.sign().as_ref().to_vec()
    }

    /// What is known, or else what `ask` says. No lock is held meanwhile.
    fn find(
        &self,
        question: Question,
        request: &LoginRequest<'_>,
        ask: impl FnOnce() -> Result<Known, Refusal>,
    ) -> Result<Known, Refusal> {
        let fingerprint = self.fingerprint(question, request);
        let now = Instant::now();
        if let Some((login, until)) = self.logins.lock().get(&fingerprint)
            && now < *until
        {
            return login.clone();
        }
        let login = ask();
        if login.is_ok() || self.refusals {
            let mut logins = self.logins.lock();
            if logins.len() >= AUTH_ANSWERS_MAX {
                logins.retain(|_, (_, until)| now < *until);
                if logins.len() >= AUTH_ANSWERS_MAX {
                    logins.clear();
                }
            }
            logins.insert(fingerprint, (login.clone(), Instant::now() + self.ttl));
        }
        login
    }
}

impl<A: Asked> Asked for Kept<A> {
    fn authenticate(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        self.find(Question::Who, request, || self.asked.authenticate(request))
    }

    fn authorize(&self, request: &LoginRequest<'_>) -> Result<Known, Refusal> {
        self.find(Question::What, request, || self.asked.authorize(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_asked_for_once() {
        let answers = Answers::default();
        assert!(answers.find("may I?".to_owned(), |_| Some(true)));
        assert!(answers.find("may I?".to_owned(), |_| panic!("asked again")));
        assert!(!answers.find("and this?".to_owned(), |_| Some(false)));
        assert!(!answers.find("and this?".to_owned(), |_| Some(true)));
    }

    #[test]
    fn no_answer_is_a_no_that_is_not_kept() {
        let answers = Answers::default();
        assert!(!answers.find("may I?".to_owned(), |_| None));
        assert!(answers.find("may I?".to_owned(), |_| Some(true)));
    }

    #[test]
    fn many_questions_do_not_take_all_memory() {
        let answers = Answers::default();
        for number in 0..3 * AUTH_ANSWERS_MAX {
            answers.find(number.to_string(), |_| Some(true));
        }
        assert!(answers.0.lock().len() <= AUTH_ANSWERS_MAX);
    }
}
