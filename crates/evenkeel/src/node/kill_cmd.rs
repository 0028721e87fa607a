//! `evenkeel demo kill-primary`: asks the keeper, which measures what its clients see.

use super::keeper_failover::in_words;
use super::keeper_status::FAILOVER_TIMEOUT;
use crate::cli::KillPrimaryArgs;
use crate::control::{self, Request};
use crate::documents::{ErrorDocument, FailoverDocument};
use crate::output;
use crate::report::{Exit, Report, Result};

/// Runs the command.
pub(crate) fn run(args: &KillPrimaryArgs) -> Result<Exit> {
    let config = args.place.load()?;
    let request = Request::new("kill-primary");
    let timeout = FAILOVER_TIMEOUT + std::time::Duration::from_secs(10);
    let answer = control::ask(&config.control_socket(), &request, timeout)?.ok_or_else(|| {
        Report::new(Exit::NothingYet, "nothing runs here whose primary could be killed")
            .safe("nothing was changed")
            .next("evenkeel up   (in another terminal)")
    })?;
    if let Ok(error) = serde_json::from_value::<ErrorDocument>(answer.clone()) {
        let code = u8::try_from(error.exit_code).ok();
        let exit = Exit::ALL.iter().find(|(exit, _)| Some(exit.code()) == code);
        let exit = exit.map_or(Exit::Failed, |(exit, _)| *exit);
        return Err(Report::new(exit, error.message).safe(error.safe).next(error.next));
    }
    let document: FailoverDocument = serde_json::from_value(answer).map_err(|error| {
        Report::new(Exit::Failed, format!("the keeper's answer cannot be read: {error}"))
    })?;
    if args.json {
        output::document(&document)?;
    } else {
        output::result(&in_words(&document))?;
    }
    let is_clean = document.acknowledged_lost == 0 && document.applied_twice == 0;
    Ok(if is_clean { Exit::Ok } else { Exit::Integrity })
}
