//! Asks the source once per second and renders what every viewer then shares.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::documents::{ConditionDocument, DrillDocument, PointsDocument, StatusDocument};

use super::metrics::DrillTally;
use super::page::{self, Fragment};
use super::{StatusSource, conditions, discount_lost_sites};

/// How often the source is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often the wait looks for the stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// The newest rendering; `None` before the first.
pub(super) type Newest = watch::Receiver<Option<Arc<Snapshot>>>;

/// Everything there is to show at one moment.
pub(super) struct Snapshot {
    pub status: StatusDocument,
    pub points: PointsDocument,
    /// Newest last.
    pub drills: Vec<DrillDocument>,
    pub conditions: Vec<ConditionDocument>,
    pub tally: DrillTally,
    pub fragments: Vec<Fragment>,
    /// RTO history as JSON columns.
    pub plot: Arc<str>,
    pub taken: Instant,
    pub taken_wall: SystemTime,
}

/// Renders until stopped.
pub(super) struct Publisher {
    source: Arc<dyn StatusSource>,
    sender: watch::Sender<Option<Arc<Snapshot>>>,
    tally: DrillTally,
}

impl Publisher {
    pub(super) fn new(source: Arc<dyn StatusSource>) -> (Self, Newest) {
        let (sender, newest) = watch::channel(None);
        (Self { source, sender, tally: DrillTally::default() }, newest)
    }

    /// Returns after the stop; dropping the sender then ends every live stream.
    pub(super) fn run(mut self, stopped: &watch::Receiver<bool>) {
        while !is_stopped(stopped) {
            let begun = Instant::now();
            self.publish();
            while begun.elapsed() < INTERVAL && !is_stopped(stopped) {
                std::thread::sleep(STOP_POLL);
            }
        }
    }

    fn publish(&mut self) {
        let mut status = self.source.status();
        let mut points = self.source.points();
        discount_lost_sites(&mut status, &mut points);
        let drills = self.source.drills();
        self.tally.count(&drills);
        let conditions = conditions(&status);
        let fragments = page::fragments(&status, &points, &drills, &conditions);
        let plot = page::plot_json(&drills).into();
        self.sender.send_replace(Some(Arc::new(Snapshot {
            status,
            points,
            drills,
            conditions,
            tally: self.tally.clone(),
            fragments,
            plot,
            taken: Instant::now(),
            taken_wall: SystemTime::now(),
        })));
    }
}

fn is_stopped(stopped: &watch::Receiver<bool>) -> bool {
    *stopped.borrow() || stopped.has_changed().is_err()
}
