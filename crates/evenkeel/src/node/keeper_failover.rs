//! One change of the primary, from the end of the old one to the comparison with the journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use evenkeel_recovery::Clock as _;

use super::clock::SystemClock;
use super::failover_audit::{Compared, compare};
use super::keeper_status::Wanted;
use super::meter::{Found, Meter, Waits};
use crate::cli::format_time_ns;
use crate::documents::{FailoverDocument, FailoverKind};
use crate::report::{Exit, Report, Result};

/// After so long without a question nobody was kept waiting by a failover.
const QUIET: Duration = Duration::from_secs(2);

/// A failover under way.
pub(crate) struct Failover {
    kind: FailoverKind,
    term_before: u64,
    /// Who wants to know.
    pub(crate) wanted: Vec<Wanted>,
    audit: Option<(FailoverDocument, Receiver<Result<Compared>>)>,
}

impl Failover {
    /// A process ended in failure: if this was taken for a hand-over, it was none.
    pub(crate) fn was_not_planned(&mut self) {
        if self.kind == FailoverKind::Planned {
            self.kind = FailoverKind::Unplanned;
        }
    }

    pub(crate) fn new(kind: FailoverKind, term_before: u64) -> Self {
        Self { kind, term_before, wanted: Vec::new(), audit: None }
    }

    /// What it cost, once every client that had to wait was answered and the journal compared.
    pub(crate) fn look(
        &mut self,
        meter: &Arc<Meter>,
        journal: PathBuf,
    ) -> Option<Result<FailoverDocument>> {
        if let Some((document, compared)) = &self.audit {
            let compared = match compared.try_recv() {
                Ok(Ok(compared)) => compared,
                Ok(Err(report)) => return Some(Err(report)),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => {
                    let what = "the journal could not be compared with what clients were told";
                    return Some(Err(Report::new(Exit::Failed, what)));
                }
            };
            return Some(Ok(FailoverDocument {
                acknowledged: compared.acknowledged,
                acknowledged_lost: compared.lost,
                repeated: compared.repeated,
                applied_twice: compared.applied_twice,
                ..document.clone()
            }));
        }
        let found = meter.primary().filter(|found| found.term > self.term_before)?;
        // Clients that ask for nothing are not kept waiting: there is nothing to measure, then.
        let waits = meter.waits_since_found();
        let waits = waits.or_else(|| (found.since.elapsed() >= QUIET).then(Waits::default));
        if let Some(waits) = waits.filter(|_| meter.is_settled(found.since)) {
            self.begin_audit(meter, found, waits, journal);
        }
        None
    }

    fn begin_audit(&mut self, meter: &Arc<Meter>, found: Found, waits: Waits, journal: PathBuf) {
        let document = FailoverDocument {
            kind: self.kind,
            time: format_time_ns(SystemClock::new().wall_ns()),
            term: found.term,
            seconds: waits.client.as_secs_f64(),
            silence_seconds: waits.all.as_secs_f64(),
            ..FailoverDocument::default()
        };
        let (done, compared) = channel();
        let noted = meter.noted();
        std::thread::spawn(move || {
            // A keeper that ends does not wait for the comparison.
            let _ = done.send(compare(&journal, &noted));
        });
        self.audit = Some((document, compared));
    }
}

/// One line for people.
pub(crate) fn in_words(document: &FailoverDocument) -> String {
    format!(
        "failover ({}): term {}, {:.3} s without an acknowledgement; of {} acknowledged {} lost, \
         {} commands sent again, {} applied twice",
        document.kind.word(),
        document.term,
        document.seconds,
        document.acknowledged,
        document.acknowledged_lost,
        document.repeated,
        document.applied_twice
    )
}
