//! Evenkeel venue.
