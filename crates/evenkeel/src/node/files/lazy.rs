//! `evenkeel restore --lazy`: followed databases answer queries while they come back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use evenkeel_vault::Opener;

use super::super::desk::{LazyDatabase, LiveRestored, LiveSelection, Mounted, open_lazily};
use super::super::stop::Stop;
use super::live::{discard, document_of_all, scratch};
use super::progress::size;
use super::remove_all;
use super::restore::print as print_document;
use crate::cli::{RestoreArgs, format_time_ns};
use crate::documents::LazyRestoreDocument;
use crate::output;
use crate::report::{Exit, Report, Result};
use crate::signals::on_stop;

/// How often it is looked whether something came to its end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What was asked for is not, or not only, what can be shown.
pub(crate) fn not_followed(only: &[PathBuf]) -> Report {
    let named: Vec<String> = only.iter().map(|path| path.display().to_string()).collect();
    Report::new(Exit::Usage, "--lazy shows databases that are followed, and nothing else")
        .detail(format!("asked for: {}", named.join(", ")))
        .safe("nothing was written")
        .next("the same command without --lazy")
}

/// Shows databases at once, brings them back behind that, and shows them on until that is ended.
///
/// # Errors
/// Whatever prevents it; nothing half restored stays. [`Exit::Interrupted`] if it was ended before
/// all was back.
pub(super) fn restore(
    args: &RestoreArgs,
    (opener, folder): (&Arc<Opener>, &Path),
    paths: &[PathBuf],
    begun: Instant,
) -> Result<Exit> {
    let existed = args.to.exists();
    let scratch = scratch(&args.to)?;
    let stop = Stop::default();
    let shown = Show { args, opener, folder, begun, stop: &stop };
    let ended = shown.run(paths, &scratch);
    match &ended {
        // Whoever was shown it may still read the segments until here.
        Ok(_) => remove_all(&scratch),
        Err(_) => discard(&args.to, existed),
    }
    ended
}

/// What a restore that shows is about.
struct Show<'a> {
    args: &'a RestoreArgs,
    opener: &'a Arc<Opener>,
    folder: &'a Path,
    begun: Instant,
    stop: &'a Stop,
}

/// What the thread that brings the rest ends with; none if it was told to.
type Ended = Result<Option<Vec<LiveRestored>>>;

impl Show<'_> {
    fn run(&self, paths: &[PathBuf], scratch: &Path) -> Result<Exit> {
        let selection = LiveSelection { paths, time_ns: self.args.at_time };
        let databases: Arc<[Arc<LazyDatabase>]> =
            open_lazily(self.opener, &selection, scratch)?.into();
        let stop = self.stop.clone();
        on_stop(move |_| stop.set())?;
        let status = {
            let (opener, databases) = (Arc::clone(self.opener), Arc::clone(&databases));
            Box::new(move || status(&opener, &databases))
        };
        let mounted = Mounted::begin(self.folder, &databases, status)?;
        let first = LazyRestoreDocument {
            folder: self.folder.display().to_string(),
            first_answer_seconds: self.begun.elapsed().as_secs_f64(),
            first_answer_bytes: self.opener.seen().bytes,
        };
        self.say_ready(&mounted, &databases, &first);
        let (ended, rest) = self.bring_the_rest(&databases, scratch);
        let done = self.wait(&ended, &mounted);
        // It looks at the same flag, or has ended already.
        let _ = rest.join();
        let Some(done) = done? else { return Err(self.given_up()) };
        self.report(&done, first)?;
        if self.args.until_whole {
            return Ok(Exit::Ok);
        }
        remove_all(scratch);
        if mounted.is_there() {
            let folder = self.folder.display();
            output::note(&format!("{folder} shows it on: Ctrl-C, or fusermount3 -u {folder}"));
        }
        while mounted.is_there() && !self.stop.sleep(LOOK_EVERY) {}
        Ok(Exit::Ok)
    }

    fn say_ready(
        &self,
        mounted: &Mounted,
        databases: &[Arc<LazyDatabase>],
        first: &LazyRestoreDocument,
    ) {
        let files = mounted.files(databases);
        let all: u64 = databases.iter().map(|one| one.bytes()).sum();
        output::note(&format!(
            "{} of databases can be queried after {:.2} s and {} read; not yet proven as a whole",
            size(all),
            first.first_answer_seconds,
            size(first.first_answer_bytes),
        ));
        for (file, one) in files.iter().zip(databases) {
            let commit = one.commit;
            output::note(&format!(
                "  sqlite3 -readonly {}   (as of commit {}, seen at {})",
                file.display(),
                commit.number,
                format_time_ns(commit.time_ns)
            ));
        }
        output::note("the rest comes meanwhile; Ctrl-C gives it up");
    }

    fn bring_the_rest(
        &self,
        databases: &Arc<[Arc<LazyDatabase>]>,
        scratch: &Path,
    ) -> (Receiver<Ended>, std::thread::JoinHandle<()>) {
        let (databases, stop) = (Arc::clone(databases), self.stop.clone());
        let (scratch, to) = (scratch.to_owned(), self.args.to.clone());
        let (sender, ended) = channel();
        let rest = std::thread::spawn(move || {
            let each = databases.iter().map(|one| one.complete(&scratch, &to, &stop));
            // Nobody listens any more only if this process ends.
            let _ = sender.send(each.collect());
        });
        (ended, rest)
    }

    /// Waits for all of it, or until it is given up.
    fn wait(&self, ended: &Receiver<Ended>, mounted: &Mounted) -> Ended {
        let mut told = false;
        loop {
            match ended.try_recv() {
                Ok(done) => return done,
                Err(TryRecvError::Disconnected) => {
                    return Err(Report::new(Exit::Failed, "bringing the rest ended early")
                        .safe("nothing half restored stays"));
                }
                Err(TryRecvError::Empty) => {}
            }
            if !told && !mounted.is_there() {
                told = true;
                output::note("the folder was unmounted; the rest is brought back all the same");
            }
            if self.stop.sleep(LOOK_EVERY) {
                return ended.recv().unwrap_or(Ok(None));
            }
        }
    }

    fn given_up(&self) -> Report {
        Report::new(Exit::Interrupted, "stopped before the databases were whole")
            .safe("nothing of them stays behind; the sites are as they were")
            .next(format!("evenkeel restore --only … --to {} --lazy …", self.args.to.display()))
    }

    fn report(&self, done: &[LiveRestored], first: LazyRestoreDocument) -> Result<()> {
        let mut document = document_of_all(self.args, self.opener, done, self.begun);
        document.lazy = Some(first);
        if self.args.json {
            return output::document(&document);
        }
        print_document(&document)
    }
}

/// What the file `STATUS` says.
fn status(opener: &Opener, databases: &[Arc<LazyDatabase>]) -> String {
    let mut text = format!("bytes_read: {}\n", opener.seen().bytes);
    for one in databases {
        let state = if one.is_whole() { "whole" } else { "unproven" };
        let path = one.database.display();
        text.push_str(&format!("{state}: {path} as of commit {}\n", one.commit.number));
    }
    text
}
