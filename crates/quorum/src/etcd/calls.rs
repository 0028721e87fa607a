//! Questions in etcd's words, and its answers in ours.

use std::time::Duration;

use etcd_client::{
    AlarmAction, AlarmType, Client, CompactionOptions, Compare, CompareOp, DeleteOptions, Error,
    EventType, GetOptions, SortOrder, SortTarget, StatusResponse, Txn, TxnOp, TxnOpResponse,
    TxnResponse, WatchOptions,
};

use crate::store::{Guard, Write};

/// All writes if every guard holds, else what the guarded keys hold.
pub(super) fn transaction(guards: &[Guard], writes: &[Write]) -> Txn {
    let compare = |guard: &Guard| match &guard.value {
        Some(value) => Compare::value(guard.key.clone(), CompareOp::Equal, value.clone()),
        None => Compare::create_revision(guard.key.clone(), CompareOp::Equal, 0),
    };
    let put = |write: &Write| TxnOp::put(write.key.clone(), write.value.clone(), None);
    let get = |guard: &Guard| TxnOp::get(guard.key.clone(), None);
    Txn::new()
        .when(guards.iter().map(compare).collect::<Vec<_>>())
        .and_then(writes.iter().map(put).collect::<Vec<_>>())
        .or_else(guards.iter().map(get).collect::<Vec<_>>())
}

/// The values of keys at one revision.
pub(super) fn gets(keys: &[&[u8]]) -> Txn {
    let get = |key: &&[u8]| TxnOp::get(*key, None);
    Txn::new().and_then(keys.iter().map(get).collect::<Vec<_>>())
}

/// What the keys that were asked for hold, in the order of asking; `None` if the answer is to
/// another question.
pub(super) fn values(count: usize, answer: &TxnResponse) -> Option<Vec<Option<Vec<u8>>>> {
    let found: Option<Vec<_>> = answer
        .op_responses()
        .into_iter()
        .map(|one| match one {
            TxnOpResponse::Get(get) => Some(get.kvs().first().map(|pair| pair.value().to_vec())),
            _ => None,
        })
        .collect();
    found.filter(|found| found.len() == count)
}

/// Keys up to `to`, which is left out, in ascending order.
pub(super) fn ascending(to: &[u8], count_max: usize) -> GetOptions {
    GetOptions::new()
        .with_range(to)
        .with_limit(i64::try_from(count_max).unwrap_or(i64::MAX))
        .with_sort(SortTarget::Key, SortOrder::Ascend)
}

/// Waits for the first change of a key from a revision on; a watch that fails is as good as one
/// that fired.
pub(super) async fn first_event(mut client: Client, key: Vec<u8>, revision: i64, wait: Duration) {
    let work = async {
        let options = WatchOptions::new().with_start_revision(revision);
        let mut stream = client.watch(key, Some(options)).await?;
        while let Some(answer) = stream.message().await? {
            let changes = [EventType::Put, EventType::Delete];
            if answer.canceled()
                || answer.events().iter().any(|event| changes.contains(&event.event_type()))
            {
                break;
            }
        }
        Ok::<(), Error>(())
    };
    let _ = tokio::time::timeout(wait, work).await;
}

/// Removes keys and their history.
pub(super) async fn discard(mut client: Client, from: Vec<u8>, to: Vec<u8>) -> Result<(), Error> {
    let options = DeleteOptions::new().with_range(to);
    let removed = client.delete(from, Some(options)).await?;
    let Some(header) = removed.header() else {
        return Ok(());
    };
    // Physical: the space is free when the answer comes.
    let options = CompactionOptions::new().with_physical();
    match client.compact(header.revision(), Some(options)).await {
        // Somebody compacted further meanwhile.
        Err(Error::GRpcStatus(status)) if status.message().contains("has been compacted") => Ok(()),
        result => result.map(|_| ()),
    }
}

/// Lets a store that has room again take writes.
pub(super) async fn disarm(mut client: Client) -> Result<(), Error> {
    client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, None).await.map(|_| ())
}

/// Whether any member refuses writes for want of space.
pub(super) async fn is_full(client: &mut Client) -> Result<bool, Error> {
    let answer = client.alarm(AlarmAction::Get, AlarmType::None, None).await?;
    Ok(answer.alarms().iter().any(|alarm| alarm.alarm() == AlarmType::Nospace))
}

/// Bytes that are in use after compaction.
pub(super) fn live_bytes(status: &StatusResponse) -> u64 {
    let in_use = u64::try_from(status.raft_used_db_size()).unwrap_or(0);
    let all = u64::try_from(status.db_size()).unwrap_or(0);
    if in_use == 0 { all } else { in_use }
}
