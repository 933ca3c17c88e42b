//! [`Log`]: HeyGen's event log, page by page.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use heygen_api::v3::{EventQuery, LoggedEvent};
use heygen_api::{ApiError, ApiErrorKind, Client, Page, PageRequest};
use heygen_events::{Event, Pattern};
use jiff::Timestamp;

/// Which records of which log to read.
#[derive(Clone, Debug, Default)]
pub(super) struct LogQuery {
    /// The base URL of the log. `None`: HeyGen.
    pub(super) base_url: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) entity_id: Option<String>,
}

/// HeyGen's event log, page by page.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) client: Client,
    pub(super) query: LogQuery,
}

impl LogQuery {
    /// Whether a record matches the query, of those that HeyGen lists.
    pub(super) fn wants(&self, record: &LoggedEvent) -> bool {
        // Without a pattern, HeyGen lists only matching ones.
        let pattern = self.event_type.as_deref();
        pattern
            .filter(|name| name.contains('*'))
            .is_none_or(|pattern| {
                let name = record.event().map_or("", Event::event_name);
                Pattern::text_matches(pattern, name)
            })
    }

    /// The name of the bookmark of this query.
    pub(super) fn bookmark(&self) -> String {
        let mut name = "backfill".to_owned();
        let parts = [
            ("at", &self.base_url),
            ("event_type", &self.event_type),
            ("entity_id", &self.entity_id),
        ];
        for (word, value) in parts {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = write!(name, " {word}={value:?}");
            }
        }
        name
    }
}

impl Log {
    /// Fetches one page. `None` if it was stopped.
    ///
    /// The client has its own retries. If HeyGen still answers “too many requests”, this waits as
    /// long as HeyGen asks, up to a limit.
    pub(super) async fn fetch(
        &self,
        token: Option<&str>,
        mut stop: Pin<&mut (dyn Future<Output = ()> + Send)>,
    ) -> Result<Option<Page<LoggedEvent>>, ApiError> {
        let mut waited = Duration::ZERO;
        loop {
            // Nothing of the page is stored yet, so nothing is lost.
            let answer = tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(None),
                answer = self.page(token) => answer,
            };
            let error = match answer {
                Ok(page) => return Ok(Some(page)),
                Err(error) => error,
            };
            let wait = error.retry_after().unwrap_or(DEFAULT_WAIT).max(MIN_WAIT);
            waited += wait;
            if error.kind() != ApiErrorKind::RateLimited || waited > MAX_WAIT {
                return Err(error);
            }
            tracing::debug!(
                seconds = wait.as_secs(),
                "HeyGen asks to wait before the next request"
            );
            tokio::select! {
                biased;
                () = stop.as_mut() => return Ok(None),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn page(&self, token: Option<&str>) -> Result<Page<LoggedEvent>, ApiError> {
        let mut page = PageRequest::new().with_limit(PAGE_LIMIT);
        if let Some(token) = token {
            page = page.with_token(token);
        }
        let mut query = EventQuery::new().with_page(page);
        // HeyGen accepts no patterns: see `LogQuery::wants`.
        if let Some(event_type) = &self.query.event_type
            && !event_type.contains('*')
        {
            query = query.with_event_type(event_type.as_str());
        }
        if let Some(entity_id) = &self.query.entity_id {
            query = query.with_entity_id(entity_id);
        }
        self.client.v3().list_events(&query).await
    }
}

/// The creation time of the event. `None` if it is missing, unreadable or without a time zone.
pub(super) fn made_at(record: &LoggedEvent) -> Option<Timestamp> {
    record.event().ok()?.created_at()?.parse().ok()
}

const PAGE_LIMIT: u32 = 100;

/// The wait after “too many requests” without `Retry-After`.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
const MIN_WAIT: Duration = Duration::from_secs(1);

/// The longest wait for one page.
const MAX_WAIT: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_query_has_its_bookmark() {
        let whole = LogQuery::default();
        let odd = |event_type: &str, entity_id: Option<&str>| LogQuery {
            event_type: Some(event_type.to_owned()),
            entity_id: entity_id.map(str::to_owned),
            ..whole.clone()
        };
        let names: std::collections::HashSet<_> = [
            whole.clone(),
            LogQuery {
                base_url: Some("http://127.0.0.1:8090".to_owned()),
                ..whole.clone()
            },
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
