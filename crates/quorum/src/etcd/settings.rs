//! How the members should be set, and what is wrong with those that run.

use std::collections::BTreeSet;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, GetOptions, StatusResponse, Txn, TxnOp};
use tokio::time::{Instant, timeout};

use super::EtcdStore;
use super::members::Members;
use super::space::is_full;
use crate::store::Unreachable;

/// Something about the members that should be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is the case.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Flags of a member that suit a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberSettings {
    /// `--heartbeat-interval`, in milliseconds: about one round trip between the members, at least
    /// 50.
    pub heartbeat_ms: u32,
    /// `--election-timeout`, in milliseconds: ten heartbeats. A dead leader costs one to two of
    /// them.
    pub election_ms: u32,
    /// `--quota-backend-bytes`: 2 to 8 GiB.
    pub quota_bytes: u64,
    /// `--snapshot-count`: entries between two snapshots of raft. They are kept in memory until
    /// then, with 5,000 behind it, and an entry here may be 1 MiB: the default of 100,000 would
    /// take all there is.
    pub snapshot_entries: u32,
}

impl Default for MemberSettings {
    fn default() -> Self {
        Self { heartbeat_ms: 50, election_ms: 500, quota_bytes: 2 << 30, snapshot_entries: 1_000 }
    }
}

/// Samples of a transaction.
const SAMPLES: usize = 9;

/// A transaction between members on one network with disks that sync takes less.
const COMMIT_MAX: Duration = Duration::from_millis(20);

/// Above this share of the quota there is little time left, in per cent.
const USED_PER_CENT: u64 = 80;

impl MemberSettings {
    /// As arguments of `etcd`. Compaction is left to the log, which knows what it still needs.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        vec![
            format!("--heartbeat-interval={}", self.heartbeat_ms),
            format!("--election-timeout={}", self.election_ms),
            format!("--quota-backend-bytes={}", self.quota_bytes),
            format!("--snapshot-count={}", self.snapshot_entries),
            "--auto-compaction-retention=0".to_owned(),
            "--pre-vote".to_owned(),
        ]
    }

    /// Looks at the members that run.
    ///
    /// # Errors
    /// [`Unreachable`] if no majority answers.
    pub fn check(&self, store: &mut EtcdStore, prefix: &str) -> Result<Vec<Finding>, Unreachable> {
        let EtcdStore { members, runtime, .. } = store;
        let mut findings = Findings::default();
        let statuses = runtime.block_on(members.survey());
        for (endpoint, status) in members.access().endpoints.iter().zip(&statuses) {
            if let Err(failure) = status {
                findings.add(
                    format!("{endpoint} does not answer: {failure}"),
                    "start that member, or replace it (docs/etcd.md, \"A member is gone\")",
                );
            }
        }
        let statuses: Vec<&StatusResponse> = statuses.iter().flatten().collect();
        self.check_statuses(&mut findings, &statuses);
        let deadline = members.deadline();
        let listed = runtime.block_on(
            members.ask(deadline, |mut client| async move { client.member_list().await }),
        );
        check_members(&mut findings, listed?.members().len(), members.links.len());
        if members.access().ca_pem.is_none() {
            findings.add("the members are reached without TLS", "see docs/etcd.md, \"TLS\"");
        }
        if runtime.block_on(is_open(members)) {
            findings
                .add("anybody may read and write: authentication is off", "etcdctl auth enable");
        }
        if !statuses.iter().any(|status| is_full(status)) {
            let median = self.median_commit(store, prefix)?;
            if median > COMMIT_MAX {
                findings.add(
                    format!("a transaction takes {} ms", median.as_millis()),
                    "give the members disks of their own that sync fast, near one another",
                );
            }
        }
        Ok(findings.0)
    }

    fn check_statuses(self, findings: &mut Findings, statuses: &[&StatusResponse]) {
        let versions: BTreeSet<&str> = statuses.iter().map(|one| one.version()).collect();
        if versions.len() > 1 {
            let versions = versions.iter().copied().collect::<Vec<_>>().join(", ");
            findings.add(
                format!("the members run different versions: {versions}"),
                "finish the upgrade, one member after the other",
            );
        }
        if let Some(old) = versions.iter().find(|version| !is_supported(version)) {
            findings.add(format!("version {old} is older than 3.4"), "upgrade to 3.4.20 or later");
        }
        for status in statuses {
            let member = status.header().map_or(0, etcd_client::ResponseHeader::member_id);
            let used = u64::try_from(status.db_size()).unwrap_or(0);
            if u128::from(used) * 100 > u128::from(self.quota_bytes) * u128::from(USED_PER_CENT) {
                findings.add(
                    format!("member {member:x} uses {used} of {} bytes", self.quota_bytes),
                    "see why nothing is archived; then etcdctl defrag, one member at a time",
                );
            }
            if is_full(status) {
                findings.add(
                    format!("member {member:x} refuses writes: NOSPACE"),
                    "etcdctl defrag each member, then etcdctl alarm disarm",
                );
            }
            if status.errors().iter().any(|error| error.contains("CORRUPT")) {
                findings.add(
                    format!("member {member:x} found damage: CORRUPT"),
                    "replace that member (docs/etcd.md, \"A member is gone\")",
                );
            }
        }
    }

    /// Time of a transaction that goes the whole way, through the logs of a majority, and writes
    /// nothing.
    fn median_commit(self, store: &mut EtcdStore, prefix: &str) -> Result<Duration, Unreachable> {
        let EtcdStore { members, runtime, .. } = store;
        let key = format!("{prefix}latency");
        let mut taken = Vec::with_capacity(SAMPLES);
        for _ in 0..SAMPLES {
            let never = Compare::create_revision(key.clone(), CompareOp::Less, 0);
            let txn =
                Txn::new().when([never]).and_then([TxnOp::put(key.clone(), Vec::new(), None)]);
            let (deadline, begun) = (members.deadline(), Instant::now());
            runtime.block_on(members.send_once(deadline, txn))?;
            taken.push(begun.elapsed());
        }
        taken.sort_unstable();
        Ok(taken[SAMPLES / 2])
    }
}

fn check_members(findings: &mut Findings, members: usize, endpoints: usize) {
    if members < 3 || members.is_multiple_of(2) {
        findings.add(
            format!("there are {members} members"),
            "run three, or five: four bear no more failures than three",
        );
    }
    if endpoints < members {
        findings.add(
            format!("{endpoints} endpoints are given for {members} members"),
            "name all of them",
        );
    }
}

fn is_supported(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (3, 4),
        _ => false,
    }
}

/// Whether a connection that does not log in may read.
async fn is_open(members: &Members) -> bool {
    let access = members.access();
    for link in &members.links {
        let mut link = super::link::Link::new(link.endpoint.clone());
        let Ok(mut client) = link.client(access).await else { continue };
        let options = GetOptions::new().with_count_only();
        let asked = timeout(super::link::PROBE, client.get("\0", Some(options))).await;
        if let Ok(answer) = asked {
            return answer.is_ok();
        }
    }
    false
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: impl Into<String>, remedy: &str) {
        self.0.push(Finding { what: what.into(), remedy: remedy.to_owned() });
    }
}
