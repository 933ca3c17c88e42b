//! [`Selection`]: the options that choose deliveries, shared by every command that takes a choice.

use clap::Args;

use super::StateOption;
use crate::settings::when::When;

#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// Only events with this name; `*` matches anything
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only deliveries in this state
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<StateOption>,
    /// Only events about this subject (video id, session id, ...)
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// Only events of jobs that were started with this callback id
    #[arg(long, value_name = "ID")]
    pub(crate) callback_id: Option<String>,
    /// Only deliveries received since: a time (2026-11-01, 2026-11-01T12:00:00Z) or an age (90s,
    /// 30m, 2h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only deliveries received before: a time or an age
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
}
