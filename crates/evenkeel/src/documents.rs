//! The documents that `--json` prints.
