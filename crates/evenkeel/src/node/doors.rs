//! Where others reach a process of `up`: dashboard, link, sockets; and its line for people.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client_door::{ClientDoor, Duty};
use super::client_tls::Gateways;
use super::domain::{Domain, cluster_id};
use super::link_door::{LinkDoor, Source};
use super::link_tls;
use crate::cli::{Slot, UpArgs};
use crate::config::{Config, FollowMode};
use crate::dashboard::{self, DashboardError};
use crate::output;
use crate::report::{Exit, Report, Result};

/// How long a primary that was replaced may take to let go of its doors.
const LEAVING: Duration = Duration::from_secs(5);

/// Opens a door. A successor is quicker than the process before it, whose journal is free before
/// its doors are.
pub(super) fn open_soon<T>(is_successor: bool, mut open: impl FnMut() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match open() {
            Err(_) if is_successor && begun.elapsed() < LEAVING => {
                std::thread::sleep(Duration::from_millis(2));
            }
            opened => return opened,
        }
    }
}

/// A standby beside a primary in one home has a socket of its own.
pub(super) fn standby_socket(config: &Config, args: &UpArgs) -> PathBuf {
    match (args.slot, config.standby.mode) {
        (Some(slot), _) => config.control_socket_of(slot),
        (None, FollowMode::Shared) => config.host.data.join("control-standby.sock"),
        (None, FollowMode::Mirror | FollowMode::Quorum) => config.control_socket(),
    }
}

/// Serves standbys.
pub(super) fn open_link(config: &Config, domain: &Domain<'_>, source: Source) -> Result<LinkDoor> {
    let cluster = cluster_id(&domain.trust);
    link_tls::lay_out(&config.link_dir(), cluster)?;
    let credentials = link_tls::read(&config.link_dir(), cluster)?;
    LinkDoor::open(config.link.listen, &config.link_address_file(), credentials, source)
}

/// Opens the primary's door for clients, or goes on with the one that sent them away so far.
pub(super) fn open_clients(
    config: &Config,
    domain: &Domain<'_>,
    (slot, door, is_next): (Option<Slot>, Option<ClientDoor>, bool),
    duty: Duty,
) -> Result<ClientDoor> {
    let path = config.clients_socket(slot);
    let mut door = match door {
        Some(mut door) => {
            if slot.is_none() {
                open_soon(is_next, || door.open_at(&path))?;
            }
            door.set(duty);
            door
        }
        None => open_soon(is_next, || ClientDoor::open(&path, duty.clone()))?,
    };
    open_soon(is_next, || open_to_gateways(config, domain, &mut door))?;
    Ok(door)
}

/// Opens the door for clients on other machines, if there are to be any.
pub(super) fn open_to_gateways(
    config: &Config,
    domain: &Domain<'_>,
    door: &mut ClientDoor,
) -> Result<()> {
    let Some(listen) = config.clients.listen else {
        return Ok(());
    };
    let gateways = Gateways::of(&config.clients, &config.link_dir(), cluster_id(&domain.trust))?;
    door.open_to(listen, &gateways).map(|_| ())
}

pub(super) fn serve_dashboard(
    config: &Config,
    source: &Arc<dyn dashboard::StatusSource>,
) -> Result<Option<dashboard::ServerHandle>> {
    let Some(bind) = config.dashboard.bind.0 else {
        return Ok(None);
    };
    let token = match &config.dashboard.token_file {
        Some(file) => Some(
            std::fs::read_to_string(file)
                .map_err(|error| Report::io("read the dashboard's token", file, &error))?
                .trim()
                .to_owned(),
        ),
        None => None,
    };
    let serve = |bind| dashboard::serve(bind, token.clone(), Arc::clone(source));
    let served = match serve(bind) {
        // Another installation on this machine is no reason not to protect this one.
        Err(DashboardError::PortTaken { .. }) => {
            output::note(&format!("dashboard: {bind} is taken; it listens on another port"));
            serve(std::net::SocketAddr::new(bind.ip(), 0))
        }
        served => served,
    };
    served.map(Some).map_err(|error| {
        Report::new(Exit::Failed, error.to_string())
            .safe("nothing was started")
            .next("evenkeel up --dashboard 127.0.0.1:PORT, or --dashboard off")
    })
}

pub(super) fn status_line(status: &crate::documents::StatusDocument) -> String {
    let point = status.recovery_points.latest.as_ref().map_or_else(
        || "no recovery point yet".to_owned(),
        |point| {
            format!("point {} ({:.0} s old, margin {})", point.id, point.age_seconds, point.margin)
        },
    );
    let drill = status.last_drill.as_ref().map_or_else(
        || "no drill yet".to_owned(),
        |drill| {
            let rto = drill.rto_seconds.map_or_else(String::new, |rto| format!(", RTO {rto:.2} s"));
            format!("{} drill {}{rto}", drill.level.word(), drill.result.word())
        },
    );
    format!(
        "position {}  {:.0}/s  orders {}  sites {:.1} s behind  {point}  {drill}",
        status.journal.durable_position,
        status.journal.entries_per_second,
        status.engine.open_orders,
        status.tail.rpo.seconds,
    )
}
