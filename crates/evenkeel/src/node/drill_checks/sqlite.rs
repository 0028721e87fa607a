//! Questions to a restored SQLite database: its file is never written.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use evenkeel_capture::restore::open_immutable;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::Answer;
use crate::config::DrillCheckConfig;

/// Asks one query.
///
/// # Errors
/// What the database says.
pub(super) fn ask(place: &Path, check: &DrillCheckConfig) -> Result<Answer, String> {
    if !place.is_file() {
        return Err(format!("no database came back from {}", check.source));
    }
    let connection = open_immutable(place).map_err(|error| error.to_string())?;
    within(&connection, check.timeout_seconds, || first(&connection, &check.sql))
}

/// Runs `work`; the connection is interrupted when the time is over.
fn within<T>(
    connection: &Connection,
    seconds: u64,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> Result<T, String> {
    let handle = connection.get_interrupt_handle();
    let (done, ended) = channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = ended.recv_timeout(Duration::from_secs(seconds));
        let is_late = late == Err(RecvTimeoutError::Timeout);
        if is_late {
            handle.interrupt();
        }
        is_late
    });
    let result = work();
    drop(done);
    match (watch.join(), result) {
        (_, Ok(found)) => Ok(found),
        (Ok(true), Err(_)) => Err(format!("no answer within {seconds} s")),
        (_, Err(error)) => Err(error.to_string()),
    }
}

fn first(connection: &Connection, sql: &str) -> rusqlite::Result<Answer> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(Answer { first: None });
    };
    let value = match row.get_ref(0)? {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        // Never with an exponent: so it can be compared digit by digit.
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Some(crate::keyfile::hex(bytes)),
    };
    Ok(Answer { first: Some(value) })
}

/// Rows that break a foreign key, and the first of them in words.
///
/// # Errors
/// What the database says.
pub(in super::super) fn broken_references(place: &Path) -> Result<Option<String>, String> {
    let said = |error: rusqlite::Error| error.to_string();
    let connection = open_immutable(place).map_err(|error| error.to_string())?;
    let mut statement = connection.prepare("PRAGMA foreign_key_check").map_err(said)?;
    let mut rows = statement.query([]).map_err(said)?;
    let (mut count, mut words) = (0_u64, None);
    while let Some(row) = rows.next().map_err(said)? {
        count += 1;
        if words.is_none() {
            let (table, parent): (String, String) =
                (row.get(0).map_err(said)?, row.get(2).map_err(said)?);
            words = Some(format!("a row of {table} has none in {parent}"));
        }
    }
    Ok(words.map(|words| format!("{count} rows break a foreign key: {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("d.sqlite");
        Connection::open(&place).unwrap().execute_batch(sql).unwrap();
        (folder, place)
    }

    fn asked(place: &Path, sql: &str, timeout_seconds: u64) -> Result<Answer, String> {
        let sql = sql.to_owned();
        ask(place, &DrillCheckConfig { sql, timeout_seconds, ..DrillCheckConfig::default() })
    }

    #[test]
    fn a_query_gives_its_first_value_and_a_bad_one_what_the_database_says() {
        let (_folder, place) = database("CREATE TABLE t(x); INSERT INTO t VALUES(1.5), (NULL)");
        let value = |sql| asked(&place, sql, 9).unwrap().first;
        assert_eq!(value("SELECT count(*) FROM t"), Some(Some("2".to_owned())));
        assert_eq!(value("SELECT x FROM t"), Some(Some("1.5".to_owned())));
        assert_eq!(value("SELECT NULL"), Some(None));
        assert_eq!(value("SELECT x FROM t WHERE x = 7"), None);
        let bad = asked(&place, "SELECT amount FROM nowhere", 9).unwrap_err();
        assert!(bad.contains("no such table: nowhere"), "{bad}");
        let written = asked(&place, "DELETE FROM t RETURNING x", 9).unwrap_err();
        assert!(written.contains("readonly"), "{written}");
        let absent = asked(&place.with_extension("absent"), "SELECT 1", 9).unwrap_err();
        assert!(absent.contains("no database came back"), "{absent}");
    }

    #[test]
    fn a_query_without_end_is_interrupted() {
        let (_folder, place) = database("CREATE TABLE t(x)");
        let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                       SELECT count(*) FROM n";
        let late = asked(&place, endless, 1).unwrap_err();
        assert_eq!(late, "no answer within 1 s");
    }

    #[test]
    fn rows_that_break_a_foreign_key_are_counted_and_the_first_is_named() {
        let tables = "CREATE TABLE a(id INTEGER PRIMARY KEY);
                      CREATE TABLE b(a INTEGER REFERENCES a(id));
                      INSERT INTO a VALUES(1); INSERT INTO b VALUES(1);";
        let (_folder, place) = database(tables);
        assert_eq!(broken_references(&place), Ok(None));
        let broken = format!("{tables} PRAGMA foreign_keys = OFF; INSERT INTO b VALUES(7), (8);");
        let (_folder, place) = database(&broken);
        let words = broken_references(&place).unwrap().unwrap();
        assert_eq!(words, "2 rows break a foreign key: a row of b has none in a");
    }
}
