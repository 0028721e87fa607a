//! Configuration: the TOML model, where values come from, and what start-up refuses.
//!
//! Order, later wins: built-in defaults, the file, the environment (`EVENKEEL_SECTION_KEY`), the
//! command line. Secrets never stand in it; it names the files that hold them.

mod alerts;
mod approvals;
mod clients;
mod deletion;
mod domain_name;
mod drill;
mod environment;
mod explain;
mod files;
mod holders;
mod link;
mod load;
mod model;
mod network;
mod postgres;
mod profile;
mod quorum;
mod rules;
mod show;
mod site;
mod slashing;
#[cfg(test)]
mod tests;

pub use alerts::AlertsConfig;
pub use approvals::{ApprovalRuleConfig, ApprovalsConfig};
pub use clients::{ClientsConfig, GatewayConfig};
pub use deletion::DeletionConfig;
pub use domain_name::DomainName;
pub use drill::{DrillCheckConfig, DrillConfig, DrillLevel};
pub use environment::{Variable, environment_keys};
pub use files::{DatabaseConfig, DatabaseKind, FilesConfig};
pub use holders::{HolderConfig, HolderRole, RemovedBecause};
pub use link::{FollowMode, LinkConfig, StandbyConfig};
pub use model::{
    Config, DashboardBind, DashboardConfig, DemoConfig, DomainConfig, Domains, HostConfig,
    JournalConfig, RecoveryConfig, VenueConfig, VenueSource,
};
pub use network::NetworkConfig;
pub use postgres::{Confirm, OnOutage, PostgresConfig};
pub use profile::Profile;
pub use quorum::QuorumConfig;
pub use rules::{Finding, Severity};
pub use site::{BandwidthConfig, SiteClassName, SiteConfig, SiteKind};
pub use slashing::SlashingConfig;

/// The commented reference: its values are the defaults, and `init` fills in the keys.
pub const REFERENCE: &str = include_str!("../../evenkeel.reference.toml");

/// Name of the configuration file in a home.
pub const FILE_NAME: &str = "evenkeel.toml";
