//! Compares the book as told with recorded snapshots, and explains where they differ.
//!
//! Orders placed before the recording began are in the snapshots but were never told. What they
//! add to a level can only shrink while the recording runs: nobody can place an order in the past.
//! So for every price we keep by how much the snapshots exceeded our level (the *surplus*). A
//! difference is **older** if it is a surplus that never grew since that price was first shown; a
//! shortfall, or a surplus that appears or grows later, is **unexplained** and listed. Of those,
//! *behind* and *ahead* say that the snapshot shows the level as it stood just before an event told
//! earlier, or as it stands after one told later: the recorder's two channels are not in step.

use super::super::told::Levels;
use super::line::SNAPSHOT_LEVELS;
use evenkeel_types::Side;
use std::collections::BTreeMap;

/// Events and snapshots that are further apart than this are not the same moment.
const OUT_OF_STEP_MS_MAX: u64 = 2_000;

/// Why a level differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Orders older than the recording stand there.
    Older,
    /// The snapshot does not have an event yet that was told before it.
    Behind,
    /// The snapshot has an event already that was told after it.
    Ahead,
    /// None of these.
    Unexplained,
}

impl Class {
    /// Its name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Older => "older_than_recording",
            Self::Behind => "unexplained_snapshot_behind",
            Self::Ahead => "unexplained_snapshot_ahead",
            Self::Unexplained => "unexplained",
        }
    }
}

/// A level that differs. Prices and amounts are in units of 10⁻⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Number of the snapshot, from 1.
    pub snapshot: u64,
    /// Its line of the file.
    pub line: u64,
    /// Its time, milliseconds since 1970.
    pub time_ms: u64,
    /// The level's side.
    pub side: Side,
    /// The level's price.
    pub price: i64,
    /// Our amount there.
    pub ours: i64,
    /// The snapshot's.
    pub theirs: i64,
    /// Why.
    pub class: Class,
    /// The event with which the snapshot is out of step.
    pub event_line: Option<u64>,
}

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Found {
    /// Every level that differs, in the order of the file.
    pub differences: Vec<Difference>,
    /// Snapshots compared.
    pub snapshots: u64,
    /// Snapshots whose every level equals ours, on both sides, and the other way round.
    pub equal: u64,
    /// Snapshots that differ only by orders older than the recording.
    pub older_only: u64,
    /// Snapshots at which our book was crossed.
    pub crossed: u64,
    /// Prices at which older orders stood.
    pub older_levels: u64,
}

#[derive(Debug, Default)]
struct LevelHistory {
    /// By how much the snapshots exceed us here; `None` before the price was first shown.
    surplus: Option<i64>,
    /// Surplus was positive once.
    older: bool,
    /// Amount before the last event here, and its line and time.
    before: Option<(i64, u64, u64)>,
    /// Differences waiting for an event that explains them: index and the amount wanted.
    open: Vec<(usize, i64)>,
}

/// Compares snapshot by snapshot.
#[derive(Debug, Default)]
pub struct Comparison {
    levels: BTreeMap<(Side, i64), LevelHistory>,
    found: Found,
}

impl Comparison {
    /// Notes that an event changed a level of ours from `before` to `after`.
    pub fn changed(&mut self, at: (Side, i64), before: i64, after: i64, line: u64, time_ms: u64) {
        if before == after {
            return;
        }
        let history = self.levels.entry(at).or_default();
        history.before = Some((before, line, time_ms));
        for (index, wanted) in std::mem::take(&mut history.open) {
            let difference = &mut self.found.differences[index];
            let near = time_ms.saturating_sub(difference.time_ms) <= OUT_OF_STEP_MS_MAX;
            if near && wanted == after {
                difference.class = Class::Ahead;
                difference.event_line = Some(line);
            } else if near {
                history.open.push((index, wanted));
            }
        }
    }

    /// Compares our levels with a snapshot; its sides are best price first.
    pub fn snapshot(
        &mut self,
        ours: &Levels,
        theirs: [(Side, &[(i64, i64)]); 2],
        line: u64,
        time_ms: u64,
    ) {
        self.found.snapshots += 1;
        self.found.crossed += u64::from(ours.is_crossed());
        let first = self.found.differences.len();
        let mut equal = true;
        for (side, shown) in theirs {
            let top = ours.best_first(side).take(SNAPSHOT_LEVELS.max(shown.len()));
            equal &= top.eq(shown.iter().copied());
            for price in prices(ours, side, shown) {
                let amount = shown.iter().find(|level| level.0 == price).map_or(0, |level| level.1);
                self.level((side, price), ours.amount(side, price), amount, line, time_ms);
            }
        }
        let explained = |difference: &Difference| difference.class == Class::Older;
        let older_only = !equal && self.found.differences[first..].iter().all(explained);
        self.found.equal += u64::from(equal);
        self.found.older_only += u64::from(older_only);
    }

    fn level(&mut self, at: (Side, i64), ours: i64, theirs: i64, line: u64, time_ms: u64) {
        let surplus = theirs - ours;
        let history = self.levels.entry(at).or_default();
        let fits = surplus >= 0 && history.surplus.is_none_or(|known| surplus <= known);
        if fits {
            history.older |= surplus > 0;
            history.surplus = Some(surplus);
        }
        if surplus == 0 {
            return;
        }
        let known = history.surplus.unwrap_or(0);
        let wanted = theirs - known;
        let behind = history.before.filter(|(before, _, event_ms)| {
            *before == wanted && time_ms.saturating_sub(*event_ms) <= OUT_OF_STEP_MS_MAX
        });
        let class = match (fits, behind) {
            (true, _) => Class::Older,
            (false, Some(_)) => Class::Behind,
            (false, None) => {
                history.open.push((self.found.differences.len(), wanted));
                Class::Unexplained
            }
        };
        let event_line = behind.filter(|_| !fits).map(|(_, line, _)| line);
        self.found.differences.push(Difference {
            snapshot: self.found.snapshots,
            line,
            time_ms,
            side: at.0,
            price: at.1,
            ours,
            theirs,
            class,
            event_line,
        });
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Found {
        self.found.older_levels = self.levels.values().filter(|level| level.older).count() as u64;
        self.found
    }
}

/// All prices of both, as far down as the snapshot shows.
fn prices(ours: &Levels, side: Side, shown: &[(i64, i64)]) -> Vec<i64> {
    // A side with fewer levels than a snapshot can show is shown whole.
    let last = shown.last().filter(|_| shown.len() >= SNAPSHOT_LEVELS).map(|level| level.0);
    let visible = |price: i64| match (side, last) {
        (_, None) => true,
        (Side::Buy, Some(last)) => price >= last,
        (Side::Sell, Some(last)) => price <= last,
    };
    let own = ours.best_first(side).map(|level| level.0).take_while(|price| visible(*price));
    let mut prices: Vec<i64> = own.chain(shown.iter().map(|level| level.0)).collect();
    prices.sort_unstable();
    prices.dedup();
    prices
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One bid level at price 10, told and shown step by step; the classes found.
    #[derive(Default)]
    struct Story {
        levels: Levels,
        comparison: Comparison,
        line: u64,
    }

    impl Story {
        fn told(mut self, amount: i64) -> Self {
            self.line += 1;
            let before = self.levels.amount(Side::Buy, 10);
            self.levels.set(Side::Buy, 10, amount);
            self.comparison.changed((Side::Buy, 10), before, amount, self.line, self.line * 100);
            self
        }

        fn shown(mut self, amount: i64) -> Self {
            self.line += 1;
            let bids: Vec<_> = (amount > 0).then_some((10, amount)).into_iter().collect();
            let theirs = [(Side::Buy, &bids[..]), (Side::Sell, &[][..])];
            self.comparison.snapshot(&self.levels, theirs, self.line, self.line * 100);
            self
        }

        fn classes(self) -> Vec<Class> {
            self.comparison.finish().differences.iter().map(|found| found.class).collect()
        }
    }

    #[test]
    fn equal_levels_are_no_difference() {
        let story = Story::default().told(5).shown(5).told(0).shown(0);
        let found = story.comparison.finish();
        assert_eq!((found.equal, found.snapshots, found.differences.len()), (2, 2, 0));
    }

    #[test]
    fn a_surplus_that_only_shrinks_is_older_than_the_recording() {
        let story = Story::default().told(5).shown(8).told(6).shown(9).shown(8).told(0).shown(0);
        assert_eq!(story.classes(), [Class::Older; 3]);
    }

    #[test]
    fn a_surplus_that_grows_or_a_shortfall_is_unexplained() {
        let grown = Story::default().told(5).shown(5).shown(7);
        assert_eq!(grown.classes(), [Class::Unexplained]);
        let short = Story::default().told(5).shown(4);
        assert_eq!(short.classes(), [Class::Unexplained]);
    }

    #[test]
    fn a_snapshot_out_of_step_with_one_event_is_recognised() {
        let behind = Story::default().told(5).shown(5).told(9).shown(5);
        assert_eq!(behind.classes(), [Class::Behind]);
        let ahead = Story::default().told(5).shown(5).shown(9).told(9).shown(9);
        assert_eq!(ahead.classes(), [Class::Ahead]);
    }

    #[test]
    fn levels_below_what_a_snapshot_shows_are_not_compared() {
        let mut levels = Levels::default();
        (1..=30).for_each(|price| levels.set(Side::Buy, price, 1));
        let shown: Vec<_> = (11..=30).rev().map(|price| (price, 1)).collect();
        let mut comparison = Comparison::default();
        comparison.snapshot(&levels, [(Side::Buy, &shown), (Side::Sell, &[])], 1, 1);
        let found = comparison.finish();
        assert_eq!((found.equal, found.differences.len()), (1, 0));
    }
}
