//! Evenkeel types.
