//! Evenkeel vault.
