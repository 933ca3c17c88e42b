//! [`Log`]: HeyGen's log of events, page by page.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use heygen_api::v3::{EventQuery, LoggedEvent};
use heygen_api::{ApiError, Client, ErrorKind, Page, PageRequest};
use heygen_events::Pattern;
use jiff::Timestamp;

/// Which log is read, and what of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogQuery {
    pub(crate) base_url: Option<String>,
    pub(crate) event_type: Option<String>,
    pub(crate) entity_id: Option<String>,
}

/// HeyGen's log of events, page by page.
#[derive(Debug)]
pub(super) struct Log {
    client: Client,
    query: LogQuery,
}

impl LogQuery {
    /// All of the log at this address; `None` is HeyGen's own.
    pub(crate) fn whole(base_url: Option<&str>) -> Self {
        Self {
            base_url: base_url.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Under which name the inbox keeps how far this one has come.
    fn bookmark(&self) -> String {
        let mut name = "backfill".to_owned();
        let parts = [
            ("at", &self.base_url),
            ("event_type", &self.event_type),
            ("entity_id", &self.entity_id),
        ];
        for (word, value) in parts {
            if let Some(value) = value {
                // Writing to a text cannot fail.
                let _ = write!(name, " {word}={value:?}");
            }
        }
        name
    }
}

impl Log {
    pub(super) fn new(client: Client, query: LogQuery) -> Self {
        Self { client, query }
    }

    pub(super) fn bookmark(&self) -> String {
        self.query.bookmark()
    }

    /// One page; `None` when it was told to stop meanwhile.
    ///
    /// The client repeats what failed a few times by itself. Where HeyGen still says that these are too many requests, this
    /// waits for as long as it is told, up to a limit.
    pub(super) async fn fetch(
        &self,
        token: Option<&str>,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<Option<Page<LoggedEvent>>, ApiError> {
        let mut waited = Duration::ZERO;
        loop {
            // Nothing of the answer is kept yet, so that nothing is lost.
            let answer = tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(None),
                answer = self.page(token) => answer,
            };
            let error = match answer {
                Ok(page) => return Ok(Some(page)),
                Err(error) => error,
            };
            let wait = error
                .retry_after()
                .unwrap_or(UNTOLD_WAIT)
                .max(SHORTEST_WAIT);
            waited += wait;
            if error.kind() != ErrorKind::RateLimited || waited > LONGEST_WAIT {
                return Err(error);
            }
            tracing::debug!(seconds = wait.as_secs(), "HeyGen asks to wait");
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(None),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Whether a record is one that was asked for, of all that HeyGen lists.
    pub(super) fn wants(&self, record: &LoggedEvent) -> bool {
        let pattern = self.query.event_type.as_ref();
        let Some(pattern) = pattern.filter(|name| name.contains('*')) else {
            return true;
        };
        record.event().map_or_else(
            |_| Pattern::text_matches(pattern, ""),
            |event| Pattern::text_matches(pattern, event.event_name()),
        )
    }

    async fn page(&self, token: Option<&str>) -> Result<Page<LoggedEvent>, ApiError> {
        let mut page = PageRequest::new().limit(LONGEST_PAGE);
        if let Some(token) = token {
            page = page.token(token);
        }
        let mut query = EventQuery::new().page(page);
        // HeyGen knows names and no patterns: see `wants`.
        if let Some(event_type) = &self.query.event_type
            && !event_type.contains('*')
        {
            query = query.event_type(event_type.as_str());
        }
        if let Some(entity_id) = &self.query.entity_id {
            query = query.entity_id(entity_id);
        }
        self.client.v3().list_events(&query).await
    }
}

/// When HeyGen says it made the event; `None` when it does not say, or not in a way that names one moment.
pub(super) fn made_at(record: &LoggedEvent) -> Option<Timestamp> {
    record.event().ok()?.created_at()?.parse().ok()
}

const LONGEST_PAGE: u32 = 100;

/// The wait after “too many requests” where HeyGen does not tell one.
const UNTOLD_WAIT: Duration = Duration::from_secs(30);
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// How long a pass waits for one page.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_bookmarks_of_their_own() {
        let whole = LogQuery::whole(None);
        let odd = |event_type: &str, entity_id: Option<&str>| LogQuery {
            event_type: Some(event_type.to_owned()),
            entity_id: entity_id.map(str::to_owned),
            ..whole.clone()
        };
        let names: std::collections::HashSet<_> = [
            whole.clone(),
            LogQuery::whole(Some("http://127.0.0.1:8090")),
            odd("a", None),
            odd("a", Some("b")),
            odd("a\" entity_id=\"b", None),
        ]
        .iter()
        .map(LogQuery::bookmark)
        .collect();
        assert_eq!(names.len(), 5, "{names:?}");
        assert!(names.contains("backfill"));
    }
}
