//! One append: one transaction, whose outcome is found out however long that takes.

use evenkeel_journal::{Admission, Appended, JournalError};

use super::{Ended, QuorumLog, Wait};
use crate::keys::{StoredFrame, Tail, Term, Value};
use crate::store::{Committed, Guard, Store, Write};

/// What the guarded keys say about a batch whose commit was not confirmed.
enum Verdict {
    Committed,
    NotYet,
}

impl<S: Store> QuorumLog<S> {
    pub(super) fn append_frame(
        &mut self,
        entries: &[&[u8]],
        admission: Admission,
    ) -> Result<Appended, JournalError> {
        self.check_going()?;
        if !self.begun {
            return Err(JournalError::NoTerm { last: self.file.term() });
        }
        // What this host's journal would refuse is refused before anybody else hears of it.
        let (_, body_bytes) = self.file.prepare_append(entries, admission)?;
        let (body_bytes, max_bytes) =
            (u64::from(body_bytes), evenkeel_journal::Log::body_bytes_max(self));
        let frame = StoredFrame::behind(self.tail.chain, self.term.term, self.tail.next, entries);
        let (true, Some(frame)) = (body_bytes <= max_bytes, frame) else {
            return Err(JournalError::FrameTooLarge { body_bytes, max_bytes });
        };
        self.make_room(admission)?;
        let tail = Tail { next: frame.next(), chain: frame.chain, term: frame.term };
        let value = frame.to_value();
        let (frame_key, tail_key) = (self.keys.frame(frame.first), self.keys.tail());
        let writes =
            [Write { key: frame_key, value }, Write { key: tail_key, value: tail.to_value() }];
        self.commit_at_last(&writes, admission)?;
        // Old tails take room as well until they are compacted away.
        let bytes = writes.iter().map(|one| one.key.len() + one.value.len()).sum::<usize>();
        self.room.note_written(bytes as u64);
        self.tail = tail;
        self.tail_value = tail.to_value();
        if let Some(frames) = &mut self.frames {
            frames.push_back(frame.first);
        }
        self.keep(entries, admission)
    }

    /// The committed batch in this host's journal. If that fails the batch stands nevertheless, and
    /// is fetched from the store when the process starts again.
    fn keep(&mut self, entries: &[&[u8]], admission: Admission) -> Result<Appended, JournalError> {
        match self.file.append(entries, admission) {
            Ok(appended) if appended.chain == self.tail.chain => Ok(appended),
            Ok(_) => Err(self.end_stopped("this host's journal and the shared log differ")),
            Err(error) => {
                self.end_stopped(format!("this host's journal failed: {error}"));
                Err(error)
            }
        }
    }

    /// Sends the batch until it is known to be committed, or never to be.
    fn commit_at_last(
        &mut self,
        writes: &[Write; 2],
        admission: Admission,
    ) -> Result<(), JournalError> {
        let guards = [
            self.term_guard(),
            Guard { key: self.keys.tail(), value: Some(self.tail_value.clone()) },
        ];
        let mut wait = Wait::of("the batch");
        // An attempt whose outcome is not known may still take place, but only while the tail is
        // the old one: sending again can then not write twice.
        let mut in_doubt = false;
        loop {
            let mut refused = false;
            let found = match self.store.commit(&guards, writes) {
                Committed::Done => break,
                Committed::Full(_) if !in_doubt => return Err(self.refuse_full(admission)),
                Committed::Refused(found) => {
                    refused = true;
                    found
                }
                Committed::Unknown(why) | Committed::Full(why) => {
                    in_doubt = true;
                    self.wait(&mut wait, why)?;
                    self.read_at_last(&[&guards[0].key, &guards[1].key], &mut wait)?
                }
            };
            let mut found = found.into_iter().chain([None, None]);
            let (term, tail) = (found.next().flatten(), found.next().flatten());
            match self.judge(term.as_deref(), tail.as_deref(), &writes[1].value)? {
                Verdict::Committed => break,
                Verdict::NotYet if refused => {
                    self.wait(&mut wait, "its refusal contradicts what it holds".to_owned())?;
                }
                Verdict::NotYet => {}
            }
        }
        self.waited();
        Ok(())
    }

    fn judge(
        &mut self,
        term: Option<&[u8]>,
        tail: Option<&[u8]>,
        own: &[u8],
    ) -> Result<Verdict, JournalError> {
        if term != Some(self.term_value.as_slice()) {
            return Err(self.end_by_term(term));
        }
        match tail {
            Some(tail) if tail == own => Ok(Verdict::Committed),
            Some(tail) if tail == self.tail_value => Ok(Verdict::NotYet),
            other => Err(self.end_by_tail(other)),
        }
    }

    /// The term is this one's, but the tail is not: two logs were driven in one term.
    fn end_by_tail(&mut self, found: Option<&[u8]>) -> JournalError {
        let found = found.and_then(|value| Tail::from_value(&self.keys.tail(), value).ok());
        let Some(tail) = found else {
            return self.end_stopped("the tail in the shared store is gone or cannot be read");
        };
        let mut holder = self.term.holder.clone();
        holder.name = format!(
            "somebody who wrote up to position {} in the term of {}",
            tail.next, self.term.holder.name
        );
        self.end(Ended::Fenced(Term { term: tail.term, holder }))
    }
}
