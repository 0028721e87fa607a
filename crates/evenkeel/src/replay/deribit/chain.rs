//! Books rebuilt from snapshots and chained changes; a broken chain is named, never bridged.

use super::super::told::Levels;
use super::line::{BookMessage, LevelAction};
use std::fmt;

/// A change that does not follow the one before it: something is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Line of the file with the change that does not fit.
    pub line: u64,
    /// The instrument whose book was discarded.
    pub instrument: String,
    /// The `prev_change_id` that would have fitted; `None` where only a snapshot would have.
    pub expected: Option<u64>,
    /// The `prev_change_id` found.
    pub found: u64,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, instrument, expected, found } = self;
        write!(f, "gap: {instrument}, line {line}: prev_change_id {found}, ")?;
        match expected {
            Some(expected) => write!(f, "expected {expected}; book discarded"),
            None => write!(f, "expected a snapshot; change discarded"),
        }
    }
}

/// How far a book can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No snapshot yet.
    New,
    /// Complete up to this change.
    Complete(u64),
    /// Discarded at a gap; the next snapshot begins it anew.
    Discarded,
}

/// What a message did to a book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The book was replaced by a snapshot.
    Replaced,
    /// The change fitted and was applied.
    Changed,
    /// The change did not fit: the book is discarded.
    Gap(Gap),
    /// The book is discarded already: so is this change.
    Discarded,
    /// The change is an old one, received again; the book stands.
    Repeated,
}

/// The book of one instrument.
#[derive(Debug)]
pub struct ChainedBook {
    state: State,
    levels: Levels,
    /// Levels that a message deleted or changed though absent, or added though present.
    misfits: u64,
}

impl Default for ChainedBook {
    fn default() -> Self {
        Self { state: State::New, levels: Levels::default(), misfits: 0 }
    }
}

impl ChainedBook {
    /// The levels, if the chain up to here is whole.
    #[must_use]
    pub fn levels(&self) -> Option<&Levels> {
        matches!(self.state, State::Complete(_)).then_some(&self.levels)
    }

    /// Changes to levels that were not as the change assumes.
    #[must_use]
    pub fn misfits(&self) -> u64 {
        self.misfits
    }

    /// Takes one message in.
    pub fn follow(&mut self, line: u64, message: &BookMessage) -> Followed {
        let Some(previous) = message.previous else {
            self.levels = Levels::default();
            self.take(message);
            return Followed::Replaced;
        };
        match self.state {
            State::Complete(last) if previous == last => {
                self.take(message);
                Followed::Changed
            }
            State::Complete(last) if message.change <= last => Followed::Repeated,
            State::Discarded => Followed::Discarded,
            State::Complete(_) | State::New => {
                let expected = match self.state {
                    State::Complete(last) => Some(last),
                    State::New | State::Discarded => None,
                };
                self.state = State::Discarded;
                self.levels = Levels::default();
                let instrument = message.instrument.clone();
                Followed::Gap(Gap { line, instrument, expected, found: previous })
            }
        }
    }

    fn take(&mut self, message: &BookMessage) {
        for level in &message.levels {
            let present = self.levels.amount(level.side, level.price) != 0;
            let fits = present == (level.action != LevelAction::New);
            self.misfits += u64::from(!fits);
            self.levels.set(level.side, level.price, level.amount);
        }
        self.state = State::Complete(message.change);
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::LevelChange;
    use super::*;
    use evenkeel_types::Side;

    fn message(previous: Option<u64>, change: u64, amount: i64) -> BookMessage {
        let action = match (previous, amount) {
            (None, _) => LevelAction::New,
            (_, 0) => LevelAction::Delete,
            _ => LevelAction::Change,
        };
        let level = LevelChange { side: Side::Buy, action, price: 100, amount };
        BookMessage { instrument: "X".to_owned(), previous, change, levels: vec![level] }
    }

    fn amount(book: &ChainedBook) -> Option<i64> {
        book.levels().map(|levels| levels.amount(Side::Buy, 100))
    }

    #[test]
    fn a_whole_chain_is_followed() {
        let mut book = ChainedBook::default();
        assert_eq!(amount(&book), None);
        assert_eq!(book.follow(1, &message(None, 5, 10)), Followed::Replaced);
        assert_eq!(book.follow(2, &message(Some(5), 7, 11)), Followed::Changed);
        assert_eq!(amount(&book), Some(11));
        assert_eq!(book.misfits(), 0);
    }

    #[test]
    fn a_gap_is_named_once_and_only_a_snapshot_mends_it() {
        let mut book = ChainedBook::default();
        book.follow(1, &message(None, 5, 10));
        let gap = Gap { line: 3, instrument: "X".to_owned(), expected: Some(5), found: 7 };
        assert_eq!(book.follow(3, &message(Some(7), 8, 12)), Followed::Gap(gap));
        assert_eq!(amount(&book), None, "a book behind a gap is not shown");
        assert_eq!(book.follow(4, &message(Some(8), 9, 13)), Followed::Discarded);
        assert_eq!(book.follow(5, &message(None, 20, 3)), Followed::Replaced);
        assert_eq!(amount(&book), Some(3));
    }

    #[test]
    fn a_change_without_any_snapshot_is_a_gap() {
        let mut book = ChainedBook::default();
        let followed = book.follow(3, &message(Some(7), 8, 12));
        assert!(matches!(followed, Followed::Gap(Gap { expected: None, found: 7, .. })));
    }

    #[test]
    fn an_old_change_received_again_changes_nothing() {
        let mut book = ChainedBook::default();
        book.follow(1, &message(None, 5, 10));
        book.follow(2, &message(Some(5), 7, 11));
        assert_eq!(book.follow(3, &message(Some(5), 7, 11)), Followed::Repeated);
        assert_eq!(amount(&book), Some(11));
    }

    #[test]
    fn changes_of_absent_levels_are_counted() {
        let mut book = ChainedBook::default();
        book.follow(1, &message(None, 5, 10));
        book.follow(2, &message(Some(5), 6, 0));
        book.follow(3, &message(Some(6), 7, 0));
        assert_eq!(book.misfits(), 1);
    }
}
