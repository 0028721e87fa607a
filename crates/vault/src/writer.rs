//! The writer: one per lineage, appending records that count only when enough sites hold them.

mod check;
mod locks;
mod point;

use std::io::Read;
use std::sync::Arc;

use evenkeel_types::Canonical;

use crate::body::{open_body, seal_body};
use crate::certificate::{Certificate, RootPublicKey, WriterKey};
use crate::chain::{ChainReader, Listing, list_sites};
use crate::cutting::Cut;
use crate::error::{Error, Result};
use crate::index::{DedupIndex, IndexedPack};
use crate::keys::{IdKey, Recipient};
use crate::layout::{Lineage, ObjectName};
use crate::manifest::Body;
use crate::marks::Marks;
use crate::period::Period;
use crate::random::{self, Random, Shared};
use crate::record::{Kind, REPLICATED_BYTES_MAX, Record, RecordHeader, Root};
use crate::resume::{
    Head, Pending, check_options, had_turns, next_period, read_head, reconcile, refer,
    require_overlap,
};
use crate::revocation::revocations;
use crate::shipping::{Tally, arrived, require, ship_replicated};
use crate::site::{Site, SiteError};
use crate::source::{Sealing, describe, seal_sources};
use crate::state::{Pin, WriterState};
use crate::writing::{NS_PER_SECOND, PERIOD_SECONDS_MAX, Shipped, WriterOptions};

pub use check::{CurrentCheck, CurrentFindings};
pub use point::{PointSealer, SealedPoint};

/// Name of a tail's only source, when it is too large to be inline.
const TAIL_SOURCE: &str = "tail";

/// Appends records to one lineage.
pub struct Writer {
    sites: Vec<Arc<dyn Site>>,
    certificate: Certificate,
    key: WriterKey,
    id_key: Arc<IdKey>,
    options: WriterOptions,
    random: Shared,
    head: Head,
    pending: Option<Pending>,
    /// The record shipped last by [`Writer::settle`], for recognising its retry.
    settled: Option<Settled>,
    period: Option<Arc<Period>>,
    /// A period whose key object did not reach enough sites: the same is sent again.
    unshipped: Option<Period>,
    next_period: u64,
    index: Arc<DedupIndex>,
    /// The newest point this writer shipped: counter and hash of its record.
    newest_point: Option<(u64, [u8; 32])>,
    /// What deletion plans in force name, as last seen.
    marks: Marks,
    locked: locks::Locked,
}

struct Settled {
    kind: Kind,
    content: Option<[u8; 32]>,
    shipped: Shipped,
    /// Sites that hold the record.
    sites: usize,
}

impl Writer {
    /// Opens the lineage of `certificate` for writing, continuing what is at the sites (given in
    /// shard order). A new key period begins: a restarted writer cannot read the ones before.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the root did not sign the certificate; [`Error::Invalid`] for
    /// options that cannot be; [`Error::NotEnoughSites`] if so few answer that a shipped record
    /// could be missed; [`Error::Fork`] if sites contradict each other, or hold records beyond
    /// what this writer signed; [`Error::RolledBack`] if they hold less.
    pub fn open(
        sites: Vec<Arc<dyn Site>>,
        trust: &RootPublicKey,
        certificate: Certificate,
        key: WriterKey,
        id_key: IdKey,
        options: WriterOptions,
        random: Box<dyn Random>,
    ) -> Result<Self> {
        certificate.verify(trust)?;
        check_options(&sites, &certificate, &key, &options)?;
        let lineage = certificate.lineage;
        let listings = list_sites(&sites, &certificate.domain, Some(lineage));
        require_overlap(&listings, options.layout)?;
        refuse_revoked(&sites, &certificate, &listings, trust)?;
        let (head, newest) = read_head(&sites, &certificate, &listings)?;
        let state = match &options.state_path {
            Some(path) => WriterState::load(path)?,
            None => None,
        };
        let names = (certificate.domain.as_str(), lineage);
        let reader = ChainReader::new(&sites, names, &certificate, &listings);
        let signed_elsewhere = options.takes_turns && had_turns(&reader, &head, state.as_ref());
        let state = state.filter(|_| !signed_elsewhere);
        let pending = reconcile(lineage, &head, newest, state)?;
        let index = match &options.index_path {
            // It does not know what the other hosts wrote, nor what they let go of.
            _ if signed_elsewhere => DedupIndex::empty(lineage, key.public()),
            Some(path) => DedupIndex::load(path, &id_key, lineage, key.public())?,
            None => DedupIndex::empty(lineage, key.public()),
        };
        let name = ObjectName::Certificate(lineage).key(&certificate.domain);
        let delivery = ship_replicated(&sites, &name, &certificate.to_bytes());
        require(&delivery, options.layout.k(), "publishing the writer's certificate")?;
        Ok(Self {
            next_period: next_period(&listings, lineage),
            sites,
            certificate,
            key,
            id_key: Arc::new(id_key),
            options,
            random: Shared::new(random),
            head,
            pending,
            settled: None,
            period: None,
            unshipped: None,
            index: Arc::new(index),
            newest_point: None,
            marks: Marks::default(),
            locked: locks::Locked::new(),
        })
    }

    /// The lineage.
    #[must_use]
    pub fn lineage(&self) -> Lineage {
        self.certificate.lineage
    }

    /// The last record that is at enough sites (counter 0: none yet).
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin { lineage: self.lineage(), counter: self.head.counter, hash: self.head.hash }
    }

    /// The position the next tail has to begin with; `None` if any will do. Call
    /// [`Writer::settle`] before, so that a record left over by a failure is counted.
    #[must_use]
    pub fn next_position(&self) -> Option<u64> {
        let parent = self.certificate.parent.map(|parent| parent.position);
        self.head.tail_last.or(parent).map(|last| last.saturating_add(1))
    }

    /// The position of the newest recovery point of this lineage, as its records say.
    #[must_use]
    pub fn point_position(&self) -> Option<u64> {
        self.head.point_position
    }

    /// Number of the current key period, if one has begun.
    #[must_use]
    pub fn period(&self) -> Option<u64> {
        self.period.as_ref().map(|period| period.reference.number)
    }

    /// The deduplication index.
    #[must_use]
    pub fn index(&self) -> &DedupIndex {
        &self.index
    }

    /// Replaces the deduplication index, with one rebuilt by who holds an identity.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is of another lineage or writer.
    pub fn set_index(&mut self, index: DedupIndex) -> Result<()> {
        if index.lineage != self.lineage() || index.writer != self.key.public() {
            return Err(Error::Invalid {
                what: "deduplication index",
                detail: "it belongs to another lineage or writer".to_owned(),
            });
        }
        self.index = Arc::new(index);
        Ok(())
    }

    /// Ends the current key period now: the next record begins a new one.
    pub fn end_period(&mut self) {
        self.period = None;
    }

    /// Ends the current key period now; the next one is wrapped for these recipients.
    ///
    /// # Errors
    /// [`Error::Invalid`] without recipients; then nothing has changed.
    pub fn rotate(&mut self, recipients: Vec<Recipient>) -> Result<()> {
        if recipients.is_empty() {
            let detail = "none; nobody could open what comes next".to_owned();
            return Err(Error::Invalid { what: "recipients", detail });
        }
        self.options.recipients = recipients;
        self.period = None;
        // Its key object is for the recipients before; its number is not used again.
        self.unshipped = None;
        Ok(())
    }

    /// Ships a record that an earlier failure, or a crash, left at fewer than k sites. Does
    /// nothing if there is none; every append does it first.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`]; the record stays pending.
    pub fn settle(&mut self) -> Result<Option<Shipped>> {
        let Some(pending) = self.pending.take() else {
            return Ok(None);
        };
        let kind = pending.header.kind;
        let content = pending.content;
        let (shipped, sites) = self.ship(pending, Tally::default())?;
        self.settled = Some(Settled { kind, content, shipped: shipped.clone(), sites });
        Ok(Some(shipped))
    }

    /// What settling shipped, if it was this: what is appended again after an error.
    fn settled_already(&mut self, kind: Kind, content: [u8; 32]) -> Option<Settled> {
        let settled = self.settled.take();
        settled.filter(|settled| settled.kind == kind && settled.content == Some(content))
    }

    /// Ships the bytes of positions `first..=last`. The same tail again, after an error, is
    /// recognised and not written twice.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`]: nothing advances, try again; [`Error::NotContiguous`] if
    /// `first` is not [`Writer::next_position`]; [`Error::Invalid`] for an empty range.
    pub fn append_tail(
        &mut self,
        first: u64,
        last: u64,
        payload: &[u8],
        roots: &[Root],
        time_ns: u64,
    ) -> Result<Shipped> {
        self.settle()?;
        let kind = Kind::Tail { first, last };
        let hash = *blake3::hash(payload).as_bytes();
        if let Some(settled) = self.settled_already(kind, hash) {
            return Ok(settled.shipped);
        }
        self.check_tail(first, last)?;
        self.begin_period(time_ns)?;
        let header = self.header(kind, roots, time_ns)?;
        let inline = Body::Payload { bytes: payload.to_vec() };
        let body = self.seal(&header, &inline)?;
        if body.len() < REPLICATED_BYTES_MAX {
            return self.append(header, &body, Tally::default(), Some(hash)).map(|done| done.0);
        }
        let mut source: &[u8] = payload;
        let mut sources: [(String, &mut dyn Read); 1] = [(TAIL_SOURCE.to_owned(), &mut source)];
        // A tail must not wait for what only audits need, and is gone soon.
        let sealing = Sealing { proofs: false, ..self.sealing()? };
        let random = &mut self.random;
        let mut sealed = seal_sources(&sealing, &mut sources, None, Cut::Fixed, random)?;
        let body = describe(&sealing, &mut sealed, None, random)?;
        let (header, body) = self.seal_packed(header, &sealed.packs, &body)?;
        self.append(header, &body, sealed.tally, Some(hash)).map(|done| done.0)
    }

    /// Signs that nothing is new.
    ///
    /// # Errors
    /// [`Error::NotEnoughSites`].
    pub fn append_heartbeat(
        &mut self,
        position: Option<u64>,
        roots: &[Root],
        time_ns: u64,
    ) -> Result<Shipped> {
        self.settle()?;
        self.begin_period(time_ns)?;
        let header = self.header(Kind::Heartbeat { position }, roots, time_ns)?;
        let body = self.seal(&header, &Body::Empty)?;
        self.append(header, &body, Tally::default(), None).map(|done| done.0)
    }

    fn check_tail(&self, first: u64, last: u64) -> Result<()> {
        if first > last {
            return Err(Error::Invalid {
                what: "tail",
                detail: format!("[{first}, {last}] holds no position"),
            });
        }
        let Some(next) = self.next_position() else {
            return Ok(());
        };
        // Positions that a point covers already need no tail.
        let covered = self.head.point_position.map_or(next, |at| at.saturating_add(1));
        if first == next || (first > next && first <= covered) {
            return Ok(());
        }
        Err(Error::NotContiguous { first, last, next })
    }

    /// Begins a key period if there is none, or the current one is over.
    fn begin_period(&mut self, time_ns: u64) -> Result<()> {
        let limit = self.options.period_seconds.min(PERIOD_SECONDS_MAX) * NS_PER_SECOND;
        let over = |period: &Period| time_ns.abs_diff(period.started_time_ns) >= limit;
        if self.period.as_ref().is_some_and(|period| !over(period)) {
            return Ok(());
        }
        self.period = None;
        let (domain, lineage) = (self.certificate.domain.clone(), self.lineage());
        let period = match self.unshipped.take().filter(|period| !over(period)) {
            Some(period) => period,
            None => {
                let number = self.next_period;
                // A number stands for one key object only, even if that never reaches enough sites.
                self.next_period += 1;
                let recipients = &self.options.recipients;
                Period::start(&domain, lineage, number, time_ns, recipients, &mut self.random)?
            }
        };
        let name = ObjectName::Period(lineage, period.reference.number).key(&domain);
        let delivery = ship_replicated(&self.sites, &name, &period.object);
        if let Err(error) = require(&delivery, self.options.layout.k(), "publishing a key period") {
            self.unshipped = Some(period);
            return Err(error);
        }
        self.period = Some(Arc::new(period));
        Ok(())
    }

    fn current(&self) -> Result<&Arc<Period>> {
        self.period.as_ref().ok_or_else(|| Error::Invalid {
            what: "key period",
            detail: "none has begun".to_owned(),
        })
    }

    fn header(&self, kind: Kind, roots: &[Root], time_ns: u64) -> Result<RecordHeader> {
        if let Some(root) = roots.iter().find(|root| root.name.len() > 64) {
            return Err(Error::Invalid {
                what: "root",
                detail: format!("the name {} is longer than 64 bytes", root.name),
            });
        }
        let (mut tail_last, mut point_position) = (self.head.tail_last, self.head.point_position);
        match kind {
            Kind::Tail { last, .. } => tail_last = Some(last),
            Kind::Point { position, .. } => point_position = point_position.max(Some(position)),
            Kind::Heartbeat { .. } => {}
        }
        Ok(RecordHeader {
            domain: self.certificate.domain.clone(),
            lineage: self.lineage(),
            counter: self.head.counter + 1,
            previous_hash: self.head.hash,
            time_ns,
            kind,
            tail_last,
            point_position,
            layout: self.options.layout,
            roots: roots.iter().cloned().chain(self.marks.roots()).collect(),
            periods: vec![self.current()?.reference],
            objects: Vec::new(),
        })
    }

    /// Seals a body and opens it again.
    fn seal(&mut self, header: &RecordHeader, body: &Body) -> Result<Vec<u8>> {
        let salt = random::array(&mut self.random)?;
        let key = &self.current()?.key;
        let sealed = seal_body(header, body, key, salt)?;
        if open_body(header, &sealed, key).as_ref() == Some(body) {
            return Ok(sealed);
        }
        Err(Error::EncodeCheck {
            stage: "record body",
            detail: "it does not open to what was sealed".to_owned(),
        })
    }

    fn sealing(&self) -> Result<Sealing> {
        Ok(Sealing {
            sites: self.sites.clone(),
            domain: self.certificate.domain.clone(),
            lineage: self.certificate.lineage,
            layout: self.options.layout,
            period: Arc::clone(self.current()?),
            id_key: Arc::clone(&self.id_key),
            workers: self.options.workers,
            zstd_levels: self.options.zstd_levels.clone(),
            proofs: true,
        })
    }

    /// Puts the packs into the header, and seals the body for it.
    fn seal_packed(
        &mut self,
        mut header: RecordHeader,
        packs: &[IndexedPack],
        body: &Body,
    ) -> Result<(RecordHeader, Vec<u8>)> {
        refer(&mut header, packs);
        let bytes = self.seal(&header, body)?;
        Ok((header, bytes))
    }

    fn append(
        &mut self,
        header: RecordHeader,
        body: &[u8],
        tally: Tally,
        content: Option<[u8; 32]>,
    ) -> Result<(Shipped, usize)> {
        let bytes = Record::sign(&header, body, &self.key)?;
        let read = Record::decode(&bytes).map_err(Error::format("the record just encoded"))?;
        if read.header != header || !Record::signed_by(&bytes, &self.certificate) {
            return Err(Error::EncodeCheck {
                stage: "record",
                detail: "it does not read back as what was signed".to_owned(),
            });
        }
        if let Some(path) = &self.options.state_path {
            let pin = Pin { lineage: header.lineage, counter: header.counter, hash: read.hash };
            WriterState { pin, record: bytes.clone() }.save(path)?;
        }
        self.ship(Pending { bytes, header, hash: read.hash, content }, tally)
    }

    /// Sends a signed record; below k sites it stays pending and nothing advances.
    fn ship(&mut self, pending: Pending, mut tally: Tally) -> Result<(Shipped, usize)> {
        let name = ObjectName::Record(pending.header.lineage, pending.header.counter);
        let key = name.key(&self.certificate.domain);
        let delivery = ship_replicated(&self.sites, &key, &pending.bytes);
        if let Err(error) = require(&delivery, self.options.layout.k(), "sending a record") {
            self.pending = Some(pending);
            return Err(error);
        }
        tally.add(&delivery, pending.bytes.len());
        let least = tally.least().min(arrived(&delivery));
        let bytes = tally.bytes;
        let (sites_ok, sites_failed) = tally.split(&self.sites);
        self.head = Head::of(&pending.header, pending.hash);
        if pending.header.point_id().is_some() {
            self.newest_point = Some((self.head.counter, self.head.hash));
        }
        let counter = self.head.counter;
        Ok((Shipped { counter, sites_ok, sites_failed, bytes }, least))
    }
}

/// Nobody would believe what this writer signs.
fn refuse_revoked(
    sites: &[Arc<dyn Site>],
    certificate: &Certificate,
    listings: &[Result<Listing, SiteError>],
    trust: &RootPublicKey,
) -> Result<()> {
    let (domain, lineage) = (&certificate.domain, certificate.lineage);
    if revocations(sites, domain, lineage, listings, trust).is_empty() {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "writer certificate",
        detail: format!(
            "the root has revoked the writer of lineage {lineage}: nobody would believe what it \
             signs; begin a new lineage with a new key"
        ),
    })
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("lineage", &self.lineage())
            .field("head", &self.head)
            .field("period", &self.period())
            .finish_non_exhaustive()
    }
}
