//! Waiting for a key to change.

use std::time::Duration;

use etcd_client::{GetOptions, WatchOptions, WatchResponse, WatchStream};
use tokio::time::{Instant, timeout, timeout_at};

use super::members::Members;
use crate::store::Unreachable;

/// A watch that is kept over several waits for the same key.
pub(super) struct Watching {
    key: Vec<u8>,
    member: usize,
    stream: WatchStream,
}

/// Asks for the value, and if it is the known one waits for an event behind that moment. Events are
/// no proof: whoever waits reads again.
pub(super) async fn await_change(
    members: &mut Members,
    watching: &mut Option<Watching>,
    key: &[u8],
    known: Option<&[u8]>,
    wait: Duration,
) -> Result<(), Unreachable> {
    let until = Instant::now() + wait;
    let deadline = members.deadline();
    let answer = members
        .ask(deadline, |mut client| async move { client.get(key, Some(GetOptions::new())).await })
        .await?;
    let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
    if answer.kvs().first().map(etcd_client::KeyValue::value) != known {
        return Ok(());
    }
    let (member, mut client) = members.ready(deadline).await?;
    let kept = watching.take().filter(|kept| kept.key == key && kept.member == member);
    let mut kept = match kept {
        Some(kept) => kept,
        None => {
            let options = WatchOptions::new().with_start_revision(revision + 1);
            let begun = timeout_at(deadline, client.watch(key, Some(options))).await;
            let Ok(Ok(stream)) = begun else { return Ok(()) };
            Watching { key: key.to_vec(), member, stream }
        }
    };
    loop {
        // A member that was cut off says nothing: whether it is there is asked now and then.
        let pause = until.min(Instant::now() + Duration::from_secs(1));
        match timeout_at(pause, kept.stream.message()).await {
            Ok(Ok(Some(message))) if message.canceled() => return Ok(()),
            Ok(Ok(Some(message))) if is_behind(&message, revision) => break,
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None) | Err(_)) => return Ok(()),
            Err(_) if Instant::now() >= until => break,
            Err(_) => {
                let alive = timeout(super::link::PROBE, client.status()).await;
                if !matches!(alive, Ok(Ok(status)) if status.leader() != 0) {
                    members.give_up(member);
                    return Ok(());
                }
            }
        }
    }
    *watching = Some(kept);
    Ok(())
}

fn is_behind(message: &WatchResponse, revision: i64) -> bool {
    let changed =
        |event: &etcd_client::Event| event.kv().is_none_or(|pair| pair.mod_revision() > revision);
    message.events().iter().any(changed)
}
