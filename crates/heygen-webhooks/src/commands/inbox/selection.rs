//! From options to a query.

use heygen_inbox::Query;

use crate::cli::Selection;
use crate::failure::Failure;
use crate::settings::event_name;
use crate::settings::when;

impl Selection {
    pub(super) fn query(&self) -> Result<Query, Failure> {
        let mut query = Query::default();
        event_name::choose(&mut query, self.event_type.as_deref());
        query.subject_id.clone_from(&self.subject);
        query.callback_id.clone_from(&self.callback_id);
        query.state = self.state;
        query.since = self.since.map(|since| since.system_time());
        query.until = self.until.map(|until| until.system_time());
        match (query.since, query.until) {
            (Some(since), Some(until)) if since >= until => Err(Failure::usage(format!(
                "--since {} is not before --until {}: nothing is between them",
                when::short(since),
                when::short(until)
            ))),
            _ => Ok(query),
        }
    }

    /// Nothing was found: that may be for a name that was mistyped.
    pub(super) fn found_nothing(&self) {
        if let Some(event_type) = &self.event_type {
            event_name::warn_if_unknown(event_type);
        }
    }

    /// Whether it leaves nothing out.
    pub(super) fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}
