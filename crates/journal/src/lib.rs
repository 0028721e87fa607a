//! Evenkeel journal.
