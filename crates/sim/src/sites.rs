//! The sites, as far as the journal is concerned: what was shipped comes back if enough of them
//! hold it. How bytes become shares is the vault's and is tested there.

use evenkeel_journal::{Base, Batch, Chain, Confirmation, chain_behind};

/// Number of sites.
pub const SITES: usize = 5;
/// As many as a record needs to come back.
pub const NEEDED: usize = 3;

#[derive(Debug, Clone, Copy, Default)]
struct Site {
    /// First position it does not hold.
    next: u64,
    down: bool,
    /// It takes everything, and gives back something else.
    lies: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sites {
    each: [Site; SITES],
    shipped: Vec<Batch>,
}

impl Sites {
    /// Switches a site off or on.
    pub fn set_down(&mut self, site: usize, down: bool) {
        self.each[site % SITES].down = down;
    }

    /// Lets a site lie, or stop.
    pub fn set_lies(&mut self, site: usize, lies: bool) {
        self.each[site % SITES].lies = lies;
    }

    /// A site loses everything; at most as many as may be lost are empty at one time.
    pub fn lose(&mut self, site: usize) -> bool {
        let end = self.end();
        let empty = self.each.iter().filter(|one| one.next < end).count();
        if empty + NEEDED >= SITES {
            return false;
        }
        self.each[site % SITES].next = 0;
        true
    }

    /// Whether enough of them answer to know what the newest record is.
    #[must_use]
    pub fn answer(&self) -> bool {
        self.each.iter().filter(|one| !one.down).count() >= NEEDED
    }

    /// Takes frames that continue what is held. False if they belong to another history.
    pub fn ship(&mut self, batch: &Batch) -> bool {
        if batch.next() <= self.end() {
            return self.chain_at(batch.next()).is_none_or(|chain| chain == batch.chain);
        }
        if batch.first != self.end() || !self.is_continued_by(batch) {
            return false;
        }
        self.shipped.push(batch.clone());
        true
    }

    fn is_continued_by(&self, batch: &Batch) -> bool {
        let before = self.shipped.last().map_or(Base::genesis().chain, |last| last.chain);
        let entries: Vec<&[u8]> = batch.records.iter().map(|one| one.entry.as_slice()).collect();
        chain_behind(&before, batch.term, batch.first, &entries) == Some(batch.chain)
    }

    /// Gives every site that answers what it lacks; called after shipping.
    pub fn settle(&mut self) {
        let (end, readable) = (self.end(), self.each.iter().filter(|one| !one.down).count());
        if readable < NEEDED {
            return;
        }
        for site in self.each.iter_mut().filter(|one| !one.down && !one.lies) {
            site.next = end;
        }
    }

    /// Every frame that was ever shipped.
    #[must_use]
    pub fn shipped(&self) -> &[Batch] {
        &self.shipped
    }

    /// What lies behind `next` was never confirmed by enough of them, and another history begins.
    pub fn forget_from(&mut self, next: u64) {
        self.shipped.retain(|batch| batch.next() <= next);
        let end = self.end();
        for site in &mut self.each {
            site.next = site.next.min(end);
        }
    }

    /// First position not shipped by anybody.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.shipped.last().map_or(0, Batch::next)
    }

    /// Everything below comes back today.
    #[must_use]
    pub fn readable(&self) -> u64 {
        self.safe(|site| !site.down && !site.lies)
    }

    /// Everything below is confirmed: it comes back once the sites that hold it answer.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.safe(|_| true)
    }

    fn safe(&self, counts: impl Fn(&Site) -> bool) -> u64 {
        let mut held: Vec<u64> =
            self.each.iter().map(|site| if counts(site) { site.next } else { 0 }).collect();
        held.sort_unstable();
        held[SITES - NEEDED]
    }

    /// The frames from a position on that come back today.
    pub fn frames_from(&self, position: u64) -> impl Iterator<Item = &Batch> {
        let readable = self.readable();
        let from = self.shipped.partition_point(|batch| batch.next() <= position);
        self.shipped[from..].iter().take_while(move |batch| batch.next() <= readable)
    }

    /// What they confirm: any three of them know of the newest record that three hold, even while
    /// it does not come back.
    #[must_use]
    pub fn confirmation(&self) -> Option<Confirmation> {
        let next = self.confirmed();
        let chain = self.chain_at(next)?;
        Some(Confirmation { source: "the sites".to_owned(), next, chain: Some(chain) })
    }

    fn chain_at(&self, next: u64) -> Option<Chain> {
        let at = self.shipped.binary_search_by_key(&next, Batch::next).ok()?;
        Some(self.shipped[at].chain)
    }
}
