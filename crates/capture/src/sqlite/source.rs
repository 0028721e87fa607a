//! The files and locks of a database that other processes write.
//!
//! SQLite's locks belong to the process: closing any descriptor of the database or of its `-shm`
//! file drops all of them. So these files are opened once, next to the connections, and closed
//! after them; and a process that captures a database does not otherwise open it.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, Result, io_error};
use crate::spool::read_or_zeros;
use crate::sqlite::wal::{HEADER_BYTES, Place, WalHeader, WalProblem, is_page_size};
use crate::sqlite::wal_index::{INDEX_BYTES, WalIndex};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const FILE_HEADER_BYTES: usize = 100;
/// Between two attempts at a lock that a busy writer holds.
const LOCK_PAUSE: Duration = Duration::from_micros(50);
/// A writer changes the wal-index within microseconds; one that takes longer has died.
const INDEX_ATTEMPTS: u32 = 200;

/// What the first 100 bytes of a database file say (sqlite.org/fileformat2.html).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// Size of a page.
    pub page_bytes: u32,
    /// Whether the journal mode is WAL.
    pub wal: bool,
}

impl FileHeader {
    /// Reads a file's header; none if it is not a database.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FILE_HEADER_BYTES).filter(|bytes| bytes.starts_with(MAGIC))?;
        let short = u32::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        let page_bytes = if short == 1 { 65_536 } else { short };
        is_page_size(page_bytes).then_some(Self { page_bytes, wal: bytes[18] == 2 })
    }
}

/// The database's files and connections.
#[derive(Debug)]
pub struct Source {
    // The order matters: what runs ends first, and connections close before files.
    running: Option<Running>,
    readers: [Connection; 2],
    /// Which reader holds the read lock.
    holding: Option<usize>,
    writer: Connection,
    /// None while it runs.
    checkpointer: Option<Connection>,
    database: File,
    index: File,
    log: File,
    path: PathBuf,
    page_bytes: u32,
    /// A part of the log as it was, whatever became of it.
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    header: WalHeader,
    offset: u64,
    bytes: Vec<u8>,
}

impl Source {
    /// Opens a database without changing it.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::NotADatabase`], [`Error::NotWal`], and what SQLite and the
    /// system say.
    pub fn open(path: &Path) -> Result<Self> {
        let header = read_header(path)?;
        if !header.wal {
            return Err(Error::NotWal { path: path.to_path_buf() });
        }
        let open = || connect(path).map_err(sqlite_error("open", path));
        let (first, second, writer, checkpointer) = (open()?, open()?, open()?, open()?);
        let file = |path: &Path| File::open(path).map_err(io_error("open", path));
        Ok(Self {
            running: None,
            readers: [first, second],
            holding: None,
            writer,
            checkpointer: Some(checkpointer),
            database: file(path)?,
            index: file(&beside(path, "-shm"))?,
            log: file(&beside(path, "-wal"))?,
            path: path.to_path_buf(),
            page_bytes: header.page_bytes,
            kept: None,
        })
    }

    /// Size of its pages.
    #[must_use]
    pub fn page_bytes(&self) -> u32 {
        self.page_bytes
    }

    /// Whether the files that are open here are still those at their paths.
    ///
    /// # Errors
    /// What the system says, other than that a file is not there.
    pub fn is_in_place(&self) -> Result<bool> {
        let files = [(&self.database, ""), (&self.index, "-shm"), (&self.log, "-wal")];
        for (file, suffix) in files {
            let path = beside(&self.path, suffix);
            let there = match std::fs::metadata(&path) {
                Ok(there) => there,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(io_error("look at", &path)(error)),
            };
            let here = file.metadata().map_err(io_error("look at", &path))?;
            let identity = |of: &Metadata| (of.dev(), of.ino());
            if identity(&here) != identity(&there) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is committed.
    ///
    /// # Errors
    /// What SQLite and the system say.
    pub fn index(&self) -> Result<WalIndex> {
        let path = || beside(&self.path, "-shm");
        for attempt in 0..INDEX_ATTEMPTS {
            let mut bytes = [0; INDEX_BYTES];
            read_or_zeros(&self.index, &mut bytes, 0).map_err(io_error("read", &path()))?;
            if let Some(index) = WalIndex::decode(&bytes) {
                return Ok(index);
            }
            // A reader that finds the index half written recovers it.
            if let (49, Some(connection)) = (attempt % 50, &self.checkpointer) {
                let _ = touch(connection);
            }
            sleep(LOCK_PAUSE);
        }
        Err(Error::Busy { path: self.path.clone(), waited_ms: 10 })
    }

    /// The header of the log; none if the log is empty.
    ///
    /// # Errors
    /// [`Error::Log`], and what the system says.
    pub fn log_header(&self) -> Result<Option<WalHeader>> {
        if let Some(kept) = &self.kept {
            return Ok(Some(kept.header));
        }
        let mut bytes = [0; HEADER_BYTES];
        self.read_log(&mut bytes, 0)?;
        if bytes == [0; HEADER_BYTES] {
            return Ok(None);
        }
        let header = WalHeader::decode(&bytes).map_err(|problem| self.log_error(problem))?;
        if header.page_bytes != self.page_bytes {
            return Err(self.log_error(WalProblem::PageSize(header.page_bytes)));
        }
        Ok(Some(header))
    }

    pub(crate) fn log_error(&self, problem: WalProblem) -> Error {
        Error::Log { path: beside(&self.path, "-wal"), problem }
    }

    /// Reads bytes of the log; behind its end they are zeros.
    ///
    /// # Errors
    /// What the system says.
    pub fn read_log(&self, data: &mut [u8], offset: u64) -> Result<()> {
        let path = || beside(&self.path, "-wal");
        if let Some(kept) = &self.kept {
            let at = offset.checked_sub(kept.offset).and_then(|at| usize::try_from(at).ok());
            let there = at.and_then(|at| kept.bytes.get(at..)?.get(..data.len()));
            if let Some(there) = there {
                data.copy_from_slice(there);
                return Ok(());
            }
        }
        read_or_zeros(&self.log, data, offset).map_err(|error| io_error("read", &path())(error))
    }

    /// Keeps the frames behind `from` up to `to_frame` in memory, so that they can be read even if
    /// the log starts over. The caller keeps others from committing.
    ///
    /// # Errors
    /// [`Error::Log`], and what the system says.
    pub fn keep_log(&mut self, from: Place, to_frame: u32) -> Result<()> {
        let header = self.log_header()?.ok_or_else(|| self.log_error(WalProblem::Short))?;
        let offset = header.frame_offset(from.frame + 1);
        let frames = to_frame.saturating_sub(from.frame) as usize;
        let mut bytes = vec![0; frames * header.frame_bytes()];
        self.read_log(&mut bytes, offset)?;
        self.kept = Some(Kept { header, offset, bytes });
        Ok(())
    }

    /// Forgets what [`Source::keep_log`] kept.
    pub fn forget_log(&mut self) {
        self.kept = None;
    }

    /// Reads pages of the database file from page `page` on; behind its end they are zeros.
    ///
    /// # Errors
    /// What the system says.
    pub fn read_pages(&self, data: &mut [u8], page: u32) -> Result<()> {
        let offset = u64::from(page.saturating_sub(1)) * u64::from(self.page_bytes);
        read_or_zeros(&self.database, data, offset).map_err(io_error("read", &self.path))
    }

    /// Pages of the database file.
    ///
    /// # Errors
    /// What the system says.
    pub fn file_pages(&self) -> Result<u32> {
        let meta = self.database.metadata().map_err(io_error("look at", &self.path))?;
        Ok(u32::try_from(meta.len() / u64::from(self.page_bytes)).unwrap_or(u32::MAX))
    }

    /// Keeps every other program from committing until [`Source::unlock_writes`].
    ///
    /// # Errors
    /// [`Error::Busy`] if a transaction lasted longer than `wait`; what SQLite says.
    pub fn lock_writes(&self, wait: Duration) -> Result<()> {
        let attempts = wait.as_micros() / LOCK_PAUSE.as_micros();
        for _ in 0..=attempts {
            match self.writer.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(()),
                Err(error) if is_busy(&error) => sleep(LOCK_PAUSE),
                Err(error) => return Err(sqlite_error("lock", &self.path)(error)),
            }
        }
        let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Err(Error::Busy { path: self.path.clone(), waited_ms })
    }

    /// Lets others commit again.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn unlock_writes(&self) -> Result<()> {
        self.writer.execute_batch("ROLLBACK").map_err(sqlite_error("unlock", &self.path))
    }

    /// Takes a read lock at the present end of the log; the one held before is released after it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn hold(&mut self) -> Result<()> {
        let next = self.holding.map_or(0, |at| 1 - at);
        self.readers[next]
            .execute_batch("BEGIN")
            .and_then(|()| touch(&self.readers[next]))
            .map_err(sqlite_error("read", &self.path))?;
        let before = self.holding.replace(next);
        before.map_or(Ok(()), |at| self.end(at))
    }

    fn end(&self, reader: usize) -> Result<()> {
        self.readers[reader].execute_batch("ROLLBACK").map_err(sqlite_error("end", &self.path))
    }

    /// Copies what no reader needs any more from the log into the database file.
    ///
    /// # Errors
    /// What SQLite says, other than that others are in the way.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.begin_checkpoint();
        self.end_checkpoint()
    }

    /// Begins a checkpoint beside everything else.
    pub fn begin_checkpoint(&mut self) {
        if let Some(connection) = self.checkpointer.take() {
            let thread = std::thread::spawn(move || {
                let result = passive_checkpoint(&connection);
                (connection, result)
            });
            self.running = Some(Running(Some(thread)));
        }
    }

    /// Whether [`Source::begin_checkpoint`] is still at work.
    #[must_use]
    pub fn is_checkpointing(&self) -> bool {
        let thread = self.running.as_ref().and_then(|running| running.0.as_ref());
        thread.is_some_and(|thread| !thread.is_finished())
    }

    /// Waits for the checkpoint that was begun.
    ///
    /// # Errors
    /// As [`Source::checkpoint`].
    pub fn end_checkpoint(&mut self) -> Result<()> {
        let thread = self.running.take().and_then(|mut running| running.0.take());
        let Some(thread) = thread else { return Ok(()) };
        let died = || Error::Busy { path: self.path.clone(), waited_ms: 0 };
        let (connection, result) = thread.join().map_err(|_| died())?;
        self.checkpointer = Some(connection);
        result.map_err(sqlite_error("checkpoint", &self.path))
    }
}

/// A checkpoint at work. Closing the database's files would take its locks away, so it is waited
/// for before that.
#[derive(Debug)]
struct Running(Option<JoinHandle<(Connection, rusqlite::Result<()>)>>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

fn passive_checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    match connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        Err(error) if !is_busy(&error) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The header of the database file at `path`.
///
/// # Errors
/// [`Error::Missing`], [`Error::NotADatabase`], and what the system says.
pub(crate) fn read_header(path: &Path) -> Result<FileHeader> {
    let mut bytes = [0; FILE_HEADER_BYTES];
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Missing { path: path.to_path_buf() });
        }
        Err(error) => return Err(io_error("open", path)(error)),
    };
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        Err(error) => return Err(io_error("read", path)(error)),
    }
    FileHeader::decode(&bytes).ok_or_else(|| Error::NotADatabase { path: path.to_path_buf() })
}

/// The file beside the database with this ending.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    // Neither a commit nor the last close may checkpoint: only the hand-over does.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.query_row("PRAGMA wal_autocheckpoint=0", [], |_| Ok(()))?;
    touch(&connection)?;
    Ok(connection)
}

/// Begins to read, which takes the read lock within a transaction and recovers a broken index.
fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    connection.prepare_cached("SELECT count(*) FROM sqlite_schema")?.query_row([], count)?;
    Ok(())
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn sqlite_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(rusqlite::Error) -> Error + 'a {
    move |source| Error::Sqlite { action, path: path.to_path_buf(), source }
}
