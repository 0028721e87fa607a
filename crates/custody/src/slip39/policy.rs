//! Who is needed: groups, and members of each.

use std::fmt;
use std::str::FromStr;

use super::error::SplitError;

/// Most members of a group, and most groups: four bits each.
pub const MEMBERS_MAX: u8 = 16;

/// One group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupPolicy {
    /// Members needed.
    pub threshold: u8,
    /// Members there are.
    pub count: u8,
}

impl fmt::Display for GroupPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}of{}", self.threshold, self.count)
    }
}

impl FromStr for GroupPolicy {
    type Err = SplitError;

    fn from_str(text: &str) -> Result<Self, SplitError> {
        let parts = text.trim().split_once("of");
        let numbers = parts.and_then(|(threshold, count)| {
            Some(Self {
                threshold: threshold.trim().parse().ok()?,
                count: count.trim().parse().ok()?,
            })
        });
        numbers.ok_or_else(|| {
            SplitError::Policy(format!("`{text}` is no group: write 2of3 for two of three members"))
        })
    }
}

/// A whole policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Groups needed.
    pub group_threshold: u8,
    /// The groups.
    pub groups: Vec<GroupPolicy>,
}

impl Policy {
    /// Reads groups such as `2of3,3of5`.
    ///
    /// # Errors
    /// [`SplitError::Policy`] with the reason, also for everything [`Policy::check`] refuses.
    pub fn parse(groups: &str, group_threshold: u8) -> Result<Self, SplitError> {
        let groups = groups.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        let policy = Self { group_threshold, groups };
        policy.check()?;
        Ok(policy)
    }

    /// Whether cards by this policy can be made and will protect what they should.
    ///
    /// # Errors
    /// [`SplitError::Policy`] with the reason.
    pub fn check(&self) -> Result<(), SplitError> {
        let refuse = |reason: String| Err(SplitError::Policy(reason));
        let count = self.groups.len();
        if count == 0 || count > usize::from(MEMBERS_MAX) {
            return refuse(format!("{count} groups: there can be 1 to {MEMBERS_MAX}"));
        }
        let threshold = self.group_threshold;
        if threshold == 0 || usize::from(threshold) > count {
            return refuse(format!("{threshold} of {count} groups cannot be needed"));
        }
        for (number, group) in (1..).zip(&self.groups) {
            group.check(number, threshold).map_err(SplitError::Policy)?;
        }
        Ok(())
    }

    /// How many cards there will be.
    #[must_use]
    pub fn card_count(&self) -> usize {
        self.groups.iter().map(|group| usize::from(group.count)).sum()
    }
}

impl GroupPolicy {
    fn check(self, number: usize, group_threshold: u8) -> Result<(), String> {
        let Self { threshold, count } = self;
        if threshold == 0 || count == 0 || threshold > count || count > MEMBERS_MAX {
            return Err(format!(
                "group {number} ({self}): 1 to {MEMBERS_MAX} members, and no more needed than \
                 there are"
            ));
        }
        if threshold == 1 && count > 1 {
            return Err(format!(
                "group {number} ({self}): each card would be the whole group's secret, and no \
                 digest would tell a forged one from a good one; give the same 1of1 card to \
                 several people, or need at least 2"
            ));
        }
        if threshold == 1 && group_threshold == 1 {
            return Err(format!(
                "group {number} ({self}): this one card would be the whole secret, with nothing \
                 to tell a forged one; a group of one needs a second group beside it \
                 (--group-threshold 2), or more members"
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> = self.groups.iter().map(ToString::to_string).collect();
        write!(f, "{} of {} groups: {}", self.group_threshold, groups.len(), groups.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_as_it_is_written() {
        let policy = Policy::parse("2of3, 3of5,1of1", 2).unwrap();
        assert_eq!(policy.to_string(), "2 of 3 groups: 2of3, 3of5, 1of1");
        assert_eq!(policy.card_count(), 9);
        assert!(Policy::parse("16of16", 1).is_ok());
    }

    #[test]
    fn one_of_many_is_refused_with_the_reason() {
        let refused = Policy::parse("2of3,1of2", 2).unwrap_err().to_string();
        assert!(refused.contains("group 2 (1of2)") && refused.contains("no digest"), "{refused}");
    }

    #[test]
    fn a_group_of_one_stands_only_beside_another_that_is_needed() {
        assert!(Policy::parse("1of1,2of3", 2).is_ok());
        let refused = Policy::parse("1of1,2of3", 1).unwrap_err().to_string();
        assert!(refused.contains("group 1 (1of1)"), "{refused}");
        assert!(Policy::parse("1of1", 1).is_err());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for groups in ["", "2", "3of2", "0of2", "2of0", "2of17", "256of3", "2of3,,3of5", "2 3"] {
            assert!(Policy::parse(groups, 1).is_err(), "{groups}");
        }
        assert!(Policy::parse("2of3", 0).is_err());
        assert!(Policy::parse("2of3", 2).is_err());
        assert!(Policy::parse(&["2of3"; 17].join(","), 1).is_err());
    }
}
