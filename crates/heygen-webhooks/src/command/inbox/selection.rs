//! From options to a query.

use heygen_inbox::{Query, State};

use crate::cli::Selection;

impl Selection {
    pub(super) fn query(&self) -> Query {
        let mut query = Query::default();
        query.event_type.clone_from(&self.event_type);
        query.subject_id.clone_from(&self.subject);
        query.state = self.state.map(State::from);
        query.since = self.since.map(|since| since.system_time());
        query.until = self.until.map(|until| until.system_time());
        query
    }

    /// Whether it leaves nothing out.
    pub(super) fn is_everything(&self) -> bool {
        let Self {
            event_type,
            state,
            subject,
            since,
            until,
        } = self;
        event_type.is_none()
            && state.is_none()
            && subject.is_none()
            && since.is_none()
            && until.is_none()
    }
}
