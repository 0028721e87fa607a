//! How fast a site may be written to and read: a bound on bytes, each way, for all connections of
//! this process to it together.
//!
//! Bytes are counted where they leave and arrive, below TLS: what is bounded is what the line
//! carries, requests and encryption included.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Carried at once and paid for after: small enough that a slow line stays even.
const PIECE_BYTES: usize = 16 * 1024;
/// After a rest, so much may be carried without waiting.
const AHEAD: Duration = Duration::from_millis(100);
/// Transfers that may share a line and still each keep the slowest pace that is waited for.
const SHARING: u64 = 16;

/// Bytes per second, each way; none: as fast as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bandwidth {
    /// To the site.
    pub up_bytes_per_second: Option<NonZeroU64>,
    /// From the site.
    pub down_bytes_per_second: Option<NonZeroU64>,
}

impl Bandwidth {
    /// Slower than this, a site would not keep its deadlines: bytes per second.
    pub const MIN_BYTES_PER_SECOND: u64 = 16 * 1024;

    /// The pace each of several transfers can be expected to keep, if there is any bound.
    pub(crate) fn share_bytes_per_second(&self) -> Option<u64> {
        let bounds = [self.up_bytes_per_second, self.down_bytes_per_second];
        bounds.into_iter().flatten().min().map(|rate| rate.get() / SHARING)
    }
}

/// A token bucket, kept as the time at which everything carried so far is paid for.
#[derive(Debug)]
struct Bucket {
    bytes_per_second: NonZeroU64,
    paid: Mutex<Option<Instant>>,
}

impl Bucket {
    fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid: Mutex::new(None) }
    }

    /// When the next piece may be carried; none: now.
    fn opens(&self, now: Instant) -> Option<Instant> {
        let paid = *self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        paid.filter(|paid| *paid > now)
    }

    fn charge(&self, now: Instant, bytes: usize) {
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let rested = now.checked_sub(AHEAD).unwrap_or(now);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid.map_or(rested, |paid| paid.max(rested));
        *paid = from.checked_add(cost).or(Some(from));
    }
}

/// The bounds of one site.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    up: Option<Bucket>,
    down: Option<Bucket>,
}

impl Pace {
    pub(crate) fn new(bandwidth: Bandwidth) -> Self {
        Self {
            up: bandwidth.up_bytes_per_second.map(Bucket::new),
            down: bandwidth.down_bytes_per_second.map(Bucket::new),
        }
    }

    /// The bounds that every opening of this server in this process shares: two domains that
    /// write to one site do not take its bandwidth twice.
    pub(crate) fn of(server: &str, bandwidth: Bandwidth) -> Arc<Self> {
        type Shared = Mutex<BTreeMap<(String, Bandwidth), Arc<Pace>>>;
        static SHARED: OnceLock<Shared> = OnceLock::new();
        if bandwidth == Bandwidth::default() {
            return Arc::new(Self::default());
        }
        let shared = SHARED.get_or_init(Shared::default);
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = shared
            .entry((server.to_owned(), bandwidth))
            .or_insert_with(|| Arc::new(Self::new(bandwidth)));
        Arc::clone(pace)
    }
}

/// A connection that keeps a site's pace.
pub(crate) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    up: Option<Pin<Box<Sleep>>>,
    down: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace, up: None, down: None }
    }
}

/// Ready once the bucket lets the next piece through.
fn poll_open(
    bucket: &Bucket,
    waiting: &mut Option<Pin<Box<Sleep>>>,
    context: &mut Context<'_>,
) -> Poll<()> {
    loop {
        if let Some(wait) = waiting {
            ready!(wait.as_mut().poll(context));
            *waiting = None;
        }
        // Others share the bucket: what they carried while this one slept counts as well.
        match bucket.opens(Instant::now()) {
            None => return Poll::Ready(()),
            Some(at) => *waiting = Some(Box::pin(sleep_until(at))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(bucket) = &this.pace.down else {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        };
        ready!(poll_open(bucket, &mut this.down, context));
        let most = buffer.remaining().min(PIECE_BYTES);
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut piece))?;
        let read = piece.filled().len();
        buffer.advance(read);
        bucket.charge(Instant::now(), read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(bucket) = &this.pace.up else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        ready!(poll_open(bucket, &mut this.up, context));
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        let wrote = ready!(Pin::new(&mut this.stream).poll_write(context, piece))?;
        bucket.charge(Instant::now(), wrote);
        Poll::Ready(Ok(wrote))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::advance;

    fn bandwidth(up: u64, down: u64) -> Bandwidth {
        Bandwidth {
            up_bytes_per_second: NonZeroU64::new(up),
            down_bytes_per_second: NonZeroU64::new(down),
        }
    }

    fn line(pace: &Arc<Pace>) -> (Paced<DuplexStream>, DuplexStream) {
        let (here, there) = duplex(64 * 1024 * 1024);
        (Paced::new(here, Arc::clone(pace)), there)
    }

    /// Virtual seconds that pass while `connections` carry `bytes` each over one pace.
    async fn seconds_to_write(pace: Bandwidth, connections: usize, bytes: usize) -> f64 {
        let pace = Arc::new(Pace::new(pace));
        let begun = Instant::now();
        let lines: Vec<_> = (0..connections).map(|_| line(&pace)).collect();
        let mut ends = Vec::new();
        let mut writers = Vec::new();
        for (mut here, there) in lines {
            ends.push(there);
            writers.push(tokio::spawn(async move {
                here.write_all(&vec![7; bytes]).await.unwrap();
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        begun.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_takes_the_time_its_bytes_need_and_no_more() {
        // 10 MB at 1 MB/s; the last piece is paid for after it is gone, 0.1 s are free.
        let took = seconds_to_write(bandwidth(1_000_000, 0), 1, 10_000_000).await;
        assert!((9.85..=10.0).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn connections_to_one_site_share_its_bandwidth() {
        let took = seconds_to_write(bandwidth(1_000_000, 0), 8, 1_000_000).await;
        assert!((7.7..=8.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_bound_no_time_passes() {
        let took = seconds_to_write(bandwidth(0, 1), 4, 10_000_000).await;
        assert!(took < 0.001, "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_received_keeps_the_pace_at_every_moment() {
        let pace = Arc::new(Pace::new(bandwidth(0, 100_000)));
        let (mut here, mut there) = line(&pace);
        there.write_all(&vec![9; 1_000_000]).await.unwrap();
        drop(there);
        let begun = Instant::now();
        let mut buffer = vec![0; 300_000];
        let mut read = 0;
        loop {
            let part = here.read(&mut buffer).await.unwrap();
            if part == 0 {
                break;
            }
            read += part;
            // Never ahead by more than the rest that is free and the piece under way.
            let allowed = begun.elapsed().as_secs_f64() * 100_000.0 + 10_000.0 + 16_384.0;
            assert!(read as f64 <= allowed + 1.0, "{read} after {:?}", begun.elapsed());
        }
        assert_eq!(read, 1_000_000);
        assert!((9.7..=10.1).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_earns_a_tenth_of_a_second_and_not_more() {
        let pace = Arc::new(Pace::new(bandwidth(1_000_000, 0)));
        let (mut here, _there) = line(&pace);
        advance(Duration::from_secs(3600)).await;
        let begun = Instant::now();
        here.write_all(&vec![1; 1_000_000]).await.unwrap();
        let took = begun.elapsed().as_secs_f64();
        assert!((0.85..=1.0).contains(&took), "{took}");
    }

    #[test]
    fn one_server_has_one_pace_in_a_process_and_each_bound_its_own() {
        let (first, again) = (Pace::of("a", bandwidth(9, 9)), Pace::of("a", bandwidth(9, 9)));
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &Pace::of("b", bandwidth(9, 9))));
        assert!(Pace::of("a", Bandwidth::default()).up.is_none());
    }

    #[test]
    fn deadlines_leave_every_transfer_its_share_of_the_line() {
        let share = bandwidth(32_000, 16_000).share_bytes_per_second();
        assert_eq!(share, Some(1000));
        assert_eq!(Bandwidth::default().share_bytes_per_second(), None);
    }
}
