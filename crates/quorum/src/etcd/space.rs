//! Space: how much there is, and how it is made again.

use std::time::Duration;

use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, CompactionOptions, ResponseHeader, StatusResponse,
};
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::Failure;
use super::link::Link;
use super::members::Members;
use crate::store::{Health, Unreachable};

/// How long a member may take to defragment, or to compact.
const MEMBER: Duration = Duration::from_secs(60);

/// When a compaction counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// A majority has agreed on it; each member does it in its own time.
    Agreed,
    /// The member asked has done it.
    Freed,
}

/// Lets the history up to a revision go. A compacted revision is not compacted twice.
pub(super) async fn compact(
    members: &mut Members,
    deadline: Instant,
    revision: i64,
    until: Until,
) -> Result<(), Unreachable> {
    if revision <= 0 {
        return Ok(());
    }
    let options = match until {
        Until::Agreed => CompactionOptions::new(),
        Until::Freed => CompactionOptions::new().with_physical(),
    };
    let asked = members.ask(deadline, |mut client| {
        let options = options.clone();
        async move { client.compact(revision, Some(options)).await }
    });
    match asked.await {
        Ok(_) | Err(Failure::Compacted) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// Members that answer, and what they say.
pub(super) async fn health(members: &mut Members) -> Result<Health, Unreachable> {
    let statuses = members.survey().await;
    let answered: Vec<&StatusResponse> = statuses.iter().flatten().collect();
    if answered.is_empty() {
        let said: Vec<String> =
            statuses.iter().filter_map(|one| one.as_ref().err().map(Failure::to_string)).collect();
        return Err(Unreachable(said.join("; ")));
    }
    let largest = |bytes: &dyn Fn(&StatusResponse) -> i64| {
        let most = answered.iter().map(|status| bytes(status)).max().unwrap_or(0);
        u64::try_from(most).unwrap_or(0)
    };
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(Health {
        used_bytes: largest(&StatusResponse::db_size),
        live_bytes: largest(&StatusResponse::raft_used_db_size),
        quota_bytes: members.access().quota_bytes,
        full: answered.iter().any(|status| is_full(status)),
        members_up: count(answered.iter().filter(|status| status.leader() != 0).count()),
        members: count(members.links.len()),
    })
}

pub(super) fn is_full(status: &StatusResponse) -> bool {
    status.errors().iter().any(|error| error.contains("NOSPACE"))
}

/// Compacts, defragments one member after the other, the leader last, and disarms the alarm.
///
/// A member stands still while it is defragmented, hence never two at once, and never unasked. One
/// that does not answer is left out: a majority has room then, and it raises the alarm again when
/// it is back and still too large.
pub(super) async fn make_space(members: &mut Members) -> Result<(), Unreachable> {
    let deadline = Instant::now() + MEMBER;
    let revision = super::revision(members, deadline, b"\0").await;
    // The prefix alone may be readable; then what was discarded is compacted already.
    if let Ok(revision) = revision {
        compact(members, deadline, revision, Until::Freed).await?;
    }
    let statuses = members.survey().await;
    let leads = |index: usize| {
        statuses[index].as_ref().is_ok_and(|status| {
            status.header().map(ResponseHeader::member_id) == Some(status.leader())
        })
    };
    let mut order: Vec<usize> = (0..members.links.len()).collect();
    order.sort_by_key(|index| leads(*index));
    let (mut done, mut troubles, mut last) = (0, Vec::new(), None);
    for index in order {
        match defragment(members, index).await {
            Ok(link) => (done, last) = (done + 1, Some(link)),
            Err(failure) => troubles.push(failure.to_string()),
        }
    }
    let (Some(mut link), true) = (last, done * 2 > members.links.len()) else {
        return Err(Unreachable(format!(
            "no majority of its members was defragmented: {}",
            troubles.join("; ")
        )));
    };
    // A member that applies late what did not fit raises the alarm once more.
    let deadline = members.deadline();
    loop {
        disarm(members, &mut link).await?;
        if !members.survey().await.iter().flatten().any(is_full) {
            return Ok(());
        }
        let again = || Failure::Silent("the alarm for space is raised again and again".to_owned());
        members.wait_to_retry(deadline, again()).await?;
    }
}

/// A connection of the maintainer's own: the other stays that of the user.
async fn defragment(members: &Members, index: usize) -> Result<Link, Failure> {
    let access = members.access();
    let endpoint = members.links[index].endpoint.clone();
    let mut link = Link::new(endpoint.clone());
    let silent = || Failure::Silent(format!("{endpoint}: no answer in time"));
    link.status(access).await?;
    let mut client = link.client(access).await?;
    let login = access.maintainer.clone().unwrap_or_else(|| access.login());
    timeout_at(members.deadline(), link.log_in(Some(&login))).await.map_err(|_| silent())??;
    let asked = timeout(MEMBER, client.defragment()).await.map_err(|_| silent())?;
    asked.map_err(|error| match Failure::at(&endpoint, &error) {
        Failure::Forbidden(why) => Failure::Forbidden(format!(
            "{why}; defragmenting needs the role root: give a maintainer, or type `etcdctl \
             --endpoints {endpoint} defrag` and `etcdctl alarm disarm` as root"
        )),
        other => other,
    })?;
    Ok(link)
}

async fn disarm(members: &Members, link: &mut Link) -> Result<(), Failure> {
    let mut client = link.client(members.access()).await?;
    let endpoint = link.endpoint.clone();
    let silent = || Failure::Silent(format!("{endpoint}: no answer in time"));
    let deadline = members.deadline();
    let mut alarm = async |action, options| {
        let asked = client.alarm(action, AlarmType::Nospace, options);
        let answer = timeout_at(deadline, asked).await.map_err(|_| silent())?;
        answer.map_err(|error| Failure::at(&endpoint, &error))
    };
    let raised = alarm(AlarmAction::Get, None).await?;
    for one in raised.alarms() {
        let mut options = AlarmOptions::new();
        options.with_member(one.member_id());
        alarm(AlarmAction::Deactivate, Some(options)).await?;
    }
    Ok(())
}
