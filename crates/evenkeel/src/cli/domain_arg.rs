//! `--domain NAME`: which security domain a command is about.

use clap::Args;

use crate::config::DomainName;

/// Which security domain a command is about.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct DomainArg {
    /// Security domain that this is about [default: state; with --kit, that of the kit]
    #[arg(long, value_name = "DOMAIN", value_enum)]
    pub domain: Option<DomainName>,
}
