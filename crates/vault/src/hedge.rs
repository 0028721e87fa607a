//! Asking several sites at once without waiting for a slow one.
//!
//! No clock is read: what counts is that nothing came for a while, although others were asked. A
//! request nobody waits for any more goes on by itself until the site's own bounds end it; its
//! site is asked last until then, so that requests do not pile up at a slow site.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a silent site holds up a reader that could ask another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    /// While listing: as long as this without one more listing, once most sites have listed.
    pub listing: Duration,
    /// While reading objects: as long as this without an answer of any site.
    pub answer: Duration,
}

impl Default for Hedge {
    fn default() -> Self {
        Self { listing: Duration::from_secs(30), answer: Duration::from_secs(5) }
    }
}

/// Which sites keep readers waiting.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    pub(crate) hedge: Hedge,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    /// Site of each request, and whether nobody waits for it any more.
    requests: BTreeMap<u64, (usize, bool)>,
}

impl Pace {
    pub(crate) fn new(hedge: Hedge) -> Arc<Self> {
        Arc::new(Self { hedge, under_way: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, site: usize) -> u64 {
        let mut under_way = self.lock();
        under_way.next += 1;
        let number = under_way.next;
        under_way.requests.insert(number, (site, false));
        number
    }

    fn end(&self, number: u64) {
        self.lock().requests.remove(&number);
    }

    fn give_up(&self, number: u64) {
        if let Some(request) = self.lock().requests.get_mut(&number) {
            request.1 = true;
        }
    }

    /// Whether a request to this site was given up on and is still under way.
    pub(crate) fn is_behind(&self, site: usize) -> bool {
        self.lock().requests.values().any(|request| *request == (site, true))
    }
}

/// What comes next in a race.
pub(crate) enum Turn<T> {
    /// A site answered.
    Answer(T),
    /// Nobody has answered for as long as was to be waited; some may still.
    Silence,
    /// All that were asked have answered.
    Over,
}

/// Of which request, an answer if it is one, and whether it is the request's last message.
type Message<T> = (u64, std::thread::Result<Option<T>>, bool);

/// Requests of which not all have to be waited for.
pub(crate) struct Race<T> {
    pace: Arc<Pace>,
    patience: Duration,
    open: BTreeSet<u64>,
    sender: Sender<Message<T>>,
    receiver: Receiver<Message<T>>,
}

impl<T: Send + 'static> Race<T> {
    pub(crate) fn new(pace: &Arc<Pace>, patience: Duration) -> Self {
        let (sender, receiver) = channel();
        Self { pace: Arc::clone(pace), patience, open: BTreeSet::new(), sender, receiver }
    }

    /// Asks a site, on a thread of its own.
    pub(crate) fn ask(&mut self, site: usize, work: impl FnOnce() -> T + Send + 'static) {
        let number = self.begin(site);
        let (pace, sender) = (Arc::clone(&self.pace), self.sender.clone());
        std::thread::spawn(move || {
            let ended = catch_unwind(AssertUnwindSafe(work));
            // Before the answer is seen: who then leaves the race has not given this site up.
            pace.end(number);
            // Nobody listens any more only if the race is over; then the answer is unwanted.
            let _ = sender.send((number, ended.map(Some), true));
        });
    }

    /// Asks a site for several things one after the other, on one thread.
    pub(crate) fn ask_many(&mut self, site: usize, work: impl FnOnce(&dyn Fn(T)) + Send + 'static) {
        let number = self.begin(site);
        let (pace, sender) = (Arc::clone(&self.pace), self.sender.clone());
        std::thread::spawn(move || {
            let give = |answer: T| drop(sender.send((number, Ok(Some(answer)), false)));
            let ended = catch_unwind(AssertUnwindSafe(|| work(&give)));
            pace.end(number);
            let _ = sender.send((number, ended.map(|()| None), true));
        });
    }

    fn begin(&mut self, site: usize) -> u64 {
        let number = self.pace.begin(site);
        self.open.insert(number);
        number
    }

    /// Waits for the next answer.
    pub(crate) fn next(&mut self) -> Turn<T> {
        while !self.open.is_empty() {
            let Ok((number, answer, last)) = self.receiver.recv_timeout(self.patience) else {
                return Turn::Silence;
            };
            if last {
                self.open.remove(&number);
            }
            match answer {
                Ok(Some(answer)) => return Turn::Answer(answer),
                Ok(None) => {}
                Err(panic) => resume_unwind(panic),
            }
        }
        Turn::Over
    }
}

impl<T> Drop for Race<T> {
    fn drop(&mut self) {
        for number in &self.open {
            self.pace.give_up(*number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn a_site_that_keeps_silent_is_behind_until_it_answers() {
        let pace = Pace::new(Hedge::default());
        let (go, wait) = sync_channel::<()>(0);
        let mut race = Race::new(&pace, Duration::from_millis(20));
        race.ask(1, move || {
            let _ = wait.recv();
            "late"
        });
        race.ask(0, || "quick");
        assert!(matches!(race.next(), Turn::Answer("quick")));
        assert!(matches!(race.next(), Turn::Silence));
        assert!(!pace.is_behind(1), "it is still waited for");
        drop(race);
        assert!(pace.is_behind(1) && !pace.is_behind(0));
        go.send(()).unwrap();
        while pace.is_behind(1) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_race_is_over_when_everybody_has_answered_and_a_panic_is_passed_on() {
        let pace = Pace::new(Hedge::default());
        let mut race = Race::new(&pace, Duration::from_secs(60));
        race.ask_many(0, |give| (0..3).for_each(give));
        let mut sum = 0;
        while let Turn::Answer(number) = race.next() {
            sum += number;
        }
        assert_eq!(sum, 3);
        race.ask(0, || panic!("on purpose"));
        let panicked = catch_unwind(AssertUnwindSafe(|| race.next()));
        assert!(panicked.is_err());
    }
}
