//! Evenkeel recovery.
