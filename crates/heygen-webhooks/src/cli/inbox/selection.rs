//! Which deliveries a command is about: the same options wherever some are chosen.

use clap::Args;

use super::StateOption;
use crate::settings::when::When;

#[derive(Args, Debug)]
pub(crate) struct Selection {
    /// Only this event, `*` for any letters
    #[arg(long, value_name = "EVENT_TYPE")]
    pub(crate) event_type: Option<String>,
    /// Only this state
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<StateOption>,
    /// Only what is about this video, session and so on
    #[arg(long, value_name = "ID")]
    pub(crate) subject: Option<String>,
    /// Only what came in since: a time (2026-11-01, 2026-11-01T12:00:00Z) or how long ago (90s, 30m, 2h, 7d)
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only what came in before: a time or how long ago
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
}
