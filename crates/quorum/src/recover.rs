//! When a majority of the hosts is gone: what may be lost, said before anybody decides.

use std::fmt;

use evenkeel_journal::Position;

/// What the end of the hosts' log takes with it, if only the sites are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossRange {
    /// Everything below is safe at the sites.
    pub safe_below: Position,
    /// Where the log was last known to end. Everything from `safe_below` to below it was
    /// acknowledged and is lost.
    pub known_end: Option<Position>,
}

impl LossRange {
    /// Acknowledged entries that are known to be lost.
    #[must_use]
    pub fn known_lost(&self) -> u64 {
        self.known_end.map_or(0, |end| end.saturating_sub(self.safe_below))
    }
}

/// What may be lost if the log goes on from what the sites hold. `last_known_tail` is the highest
/// position below which somebody knew everything to be acknowledged: a member's data, a standby, a
/// report. `sites_hold` is the first position that the sites do not hold.
///
/// The known tail is never the proven end: whoever is gone may have acknowledged more.
#[must_use]
pub fn possible_loss(last_known_tail: Option<Position>, sites_hold: Position) -> LossRange {
    LossRange { safe_below: sites_hold, known_end: last_known_tail }
}

impl fmt::Display for LossRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let safe = self.safe_below;
        write!(f, "everything below position {safe} is at the sites; ")?;
        match (self.known_end, self.known_lost()) {
            (Some(end), 1..) => {
                let lost = self.known_lost();
                write!(
                    f,
                    "positions {safe} to below {end} ({lost} entries) were acknowledged and will \
                     be lost, and so will whatever was acknowledged from {end} on: how much that \
                     is, nobody knows"
                )
            }
            (Some(end), 0) => write!(
                f,
                "the log was last known to end at {end}, and the sites hold that; whatever was \
                 acknowledged after it, from {safe} on, will be lost: how much that is, nobody \
                 knows"
            ),
            (None, _) => write!(
                f,
                "whatever was acknowledged from {safe} on will be lost: where the log ended is \
                 not known, so nobody knows how much that is"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_beyond_the_sites_is_a_loss_with_a_known_part() {
        let loss = possible_loss(Some(120), 100);
        assert_eq!(loss.known_lost(), 20);
        assert_eq!(
            loss.to_string(),
            "everything below position 100 is at the sites; positions 100 to below 120 (20 \
             entries) were acknowledged and will be lost, and so will whatever was acknowledged \
             from 120 on: how much that is, nobody knows"
        );
    }

    #[test]
    fn a_tail_that_the_sites_hold_promises_nothing_about_what_came_after() {
        for tail in [90, 100] {
            let loss = possible_loss(Some(tail), 100);
            assert_eq!(loss.known_lost(), 0);
            let words = loss.to_string();
            assert!(words.contains("from 100 on, will be lost: how much"), "{words}");
        }
    }

    #[test]
    fn without_a_known_tail_the_loss_has_no_known_size() {
        let loss = possible_loss(None, 7);
        assert_eq!(loss.known_lost(), 0);
        let words = loss.to_string();
        assert!(words.contains("from 7 on will be lost: where the log ended is not known"));
    }
}
