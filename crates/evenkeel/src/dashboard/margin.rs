//! Margins as of now: a site that does not answer cannot lend its shards to a restore.
//!
//! A margin is measured when shards are verified, which is rarer than once per second. Between two
//! measurements a lost site must not stay counted.

use std::collections::BTreeSet;

use crate::documents::{PointsDocument, SiteState, StatusDocument};

/// Lowers every margin to what the sites that answer can still provide.
pub fn discount_lost_sites(status: &mut StatusDocument, points: &mut PointsDocument) {
    let down = status.sites.iter().filter(|site| site.state == SiteState::Down);
    let down: BTreeSet<&str> = down.map(|site| site.name.as_str()).collect();
    if down.is_empty() {
        return;
    }
    let needed = signed(status.erasure.data_shards);
    let left = |holders: usize| signed(holders as u64).saturating_sub(needed);
    for point in &mut points.points {
        let holders = point.sites.iter().filter(|site| !down.contains(site.as_str())).count();
        point.margin = point.margin.min(left(holders));
        point.full = false;
    }
    let answering = left(status.sites.len() - down.len());
    let summary = &mut status.recovery_points;
    if let Some(latest) = &mut summary.latest {
        latest.margin = latest.margin.min(answering);
    }
    summary.margin_min = summary.margin_min.map(|margin| margin.min(answering));
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::{ErasureDocument, LatestPointDocument, PointDocument, SiteDocument};

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn with_down(down: usize) -> (StatusDocument, PointsDocument) {
        let erasure = ErasureDocument { data_shards: 3, total_shards: 5 };
        let site = |(index, name): (usize, &&str)| SiteDocument {
            name: (*name).to_owned(),
            state: if index < down { SiteState::Down } else { SiteState::Healthy },
            ..SiteDocument::default()
        };
        let point = PointDocument {
            margin: 2,
            full: true,
            sites: NAMES.map(str::to_owned).to_vec(),
            ..PointDocument::default()
        };
        let mut status = StatusDocument {
            erasure: erasure.clone(),
            sites: NAMES.iter().enumerate().map(site).collect(),
            ..StatusDocument::default()
        };
        status.recovery_points.margin_min = Some(2);
        status.recovery_points.latest =
            Some(LatestPointDocument { margin: 2, ..LatestPointDocument::default() });
        let points = PointsDocument { erasure, points: vec![point], ..PointsDocument::default() };
        (status, points)
    }

    #[test]
    fn each_lost_site_lowers_the_margin_at_once() {
        for (down, margin) in [(0, 2), (1, 1), (2, 0), (3, -1), (5, -3)] {
            let (mut status, mut points) = with_down(down);
            discount_lost_sites(&mut status, &mut points);
            assert_eq!(points.points[0].margin, margin, "{down} down");
            assert_eq!(status.recovery_points.margin_min, Some(margin), "{down} down");
            assert_eq!(status.recovery_points.latest.map(|latest| latest.margin), Some(margin));
            assert_eq!(points.points[0].full, down == 0);
        }
    }

    #[test]
    fn a_margin_that_was_measured_lower_stays_lower() {
        let (mut status, mut points) = with_down(1);
        points.points[0].margin = -2;
        discount_lost_sites(&mut status, &mut points);
        assert_eq!(points.points[0].margin, -2);
    }
}
