//! [`Pass`]: reads the event log once, page by page: fetch, store, save the bookmark.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use heygen_api::v3::LoggedEvent;
use heygen_api::{ApiError, ApiErrorKind, Page};
use heygen_inbox::{InboxAdmin, NewDelivery, Source};
use jiff::Timestamp;

use super::bookmark::{Bookmark, Complete, Unfinished, reaches};
use super::log::{Log, made_at};
use super::order::OrderTracker;
use super::target::Target;
use crate::error::{ConnectError, ConnectErrorKind};

/// The progress of a backfill.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BackfillProgress {
    /// Pages read.
    pub pages: u64,
    /// Records that were not in the inbox.
    pub new: u64,
    /// Records that were in the inbox.
    pub known: u64,
    /// Records of both that are no events. They are stored too.
    pub unreadable: u64,
    /// Records that were skipped because of their creation time.
    pub skipped: u64,
}

/// How a backfill ended without an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BackfillOutcome {
    /// It read the whole requested range.
    Complete,
    /// It was stopped. The next run continues from here.
    Stopped,
}

/// How much of the log a pass reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PassScope {
    /// Everything that may contain new records.
    Full,
    /// Everything once a day, otherwise only until a page of known records.
    Incremental,
}

/// The time range of a pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub(super) since: Option<Timestamp>,
    /// Whether to read again what an earlier pass read.
    pub(super) again: bool,
}

/// One pass over the log.
pub(super) struct Pass<'a, I> {
    pub(super) log: &'a Log,
    pub(super) target: &'a mut Target<I>,
    pub(super) range: Range,
    pub(super) scope: PassScope,
    /// Stops the pass between two pages.
    pub(super) stop: Pin<&'a mut (dyn Future<Output = ()> + Send)>,
    /// Called after each page.
    pub(super) on_progress: &'a mut (dyn FnMut(&BackfillProgress) + Send),
    pub(super) bookmark: Bookmark,
    pub(super) progress: BackfillProgress,
}

/// One walk through the log, from the newest page or from a token.
#[derive(Clone, Debug)]
struct Scan {
    goal: Complete,
    lower: Option<Timestamp>,
    token: Option<String>,
    /// An earlier pass. A page that it has read, with only known records, ends this scan.
    previous: Option<Complete>,
}

/// How a scan ended.
enum ScanEnd {
    Ended(BackfillOutcome),
    /// HeyGen rejected the token of a page.
    TokenRejected(ApiError),
}

/// What a stored page says about the need for another one.
struct PageSummary {
    newest: Option<Timestamp>,
    /// Whether every record has a creation time.
    is_timed: bool,
    is_all_known: bool,
}

impl<I: InboxAdmin> Pass<'_, I> {
    /// Continues an interrupted pass, if there is one, then reads what is newer.
    pub(super) async fn run(mut self) -> Result<BackfillOutcome, ConnectError> {
        let name = self.log.query.bookmark();
        self.bookmark = Bookmark::read(self.target.bookmark(&name).await?.as_deref());
        let mut just_done = None;
        if let Some(unfinished) = self.unfinished_scan(Timestamp::now()) {
            let goal = unfinished.goal;
            match self.scan(unfinished).await? {
                ScanEnd::Ended(BackfillOutcome::Complete) => just_done = Some(goal),
                ScanEnd::Ended(stopped) => return Ok(stopped),
                ScanEnd::TokenRejected(error) => {
                    tracing::debug!(%error, "the interrupted pass cannot continue and starts over");
                }
            }
        }
        let mut restarts = 0;
        loop {
            let mut head = self.new_scan(Timestamp::now());
            if let Some(goal) = just_done {
                // Only records since the start of the interrupted pass are left.
                head.lower = head.lower.max(Some(goal.floor()));
                head.previous = Some(goal);
            }
            match self.scan(head).await? {
                ScanEnd::Ended(outcome) => return Ok(outcome),
                ScanEnd::TokenRejected(error) if restarts == MAX_RESTARTS => {
                    return Err(error.into());
                }
                ScanEnd::TokenRejected(_) => restarts += 1,
            }
        }
    }

    /// A scan from the start of the log down to what was read before.
    fn new_scan(&self, now: Timestamp) -> Scan {
        let since = self.range.since;
        let before = self.bookmark.complete.filter(|complete| {
            !self.range.again
                && complete.is_past(now)
                && reaches(complete.since, since)
                && reaches(since, Some(complete.floor()))
        });
        let is_between = self.scope == PassScope::Incremental;
        Scan {
            goal: Complete {
                since: before.map_or(since, |complete| complete.since),
                deep_at: now,
                last_at: now,
            },
            lower: before.map(|complete| complete.floor()).or(since),
            token: None,
            previous: before.filter(|complete| is_between && complete.is_deep_enough(now)),
        }
    }

    /// The rest of an interrupted pass, if its range covers this one.
    fn unfinished_scan(&self, now: Timestamp) -> Option<Scan> {
        let head = self.new_scan(now);
        let unfinished = self.bookmark.unfinished.as_ref()?;
        let token = unfinished.fresh_token(now)?;
        if self.target.is_dry_run()
            || !unfinished.goal.is_past(now)
            || !reaches(unfinished.lower, head.lower)
        {
            return None;
        }
        let mut goal = unfinished.goal;
        if unfinished.lower != head.lower {
            goal.since = head.goal.since;
        }
        Some(Scan {
            goal,
            lower: head.lower,
            token: Some(token.to_owned()),
            previous: None,
        })
    }

    async fn scan(&mut self, mut scan: Scan) -> Result<ScanEnd, ConnectError> {
        let mut is_of_earlier_pass = scan.token.is_some();
        let mut tokens: HashSet<String> = scan.token.iter().cloned().collect();
        let mut order = OrderTracker::default();
        loop {
            let fetched = self.log.fetch(scan.token.as_deref(), self.stop.as_mut());
            let page = match fetched.await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(ScanEnd::Ended(BackfillOutcome::Stopped)),
                Err(error)
                    if scan.token.is_some() && may_be_token_error(&error, is_of_earlier_pass) =>
                {
                    return Ok(ScanEnd::TokenRejected(error));
                }
                Err(error) => return Err(error.into()),
            };
            is_of_earlier_pass = false;
            tokio::select! {
                biased;
                () = self.target.wait_until_synced() => {}
                () = self.stop.as_mut() => return Ok(ScanEnd::Ended(BackfillOutcome::Stopped)),
            }
            let summary = self.store_page(&page, scan.lower, &mut order).await?;
            (self.on_progress)(&self.progress);
            let known_before = scan.previous.filter(|before| summary.was_known_to(before));
            if !page.has_more || order.is_newest_first() && summary.is_below(scan.lower) {
                return self.save_complete(&scan).await;
            }
            if let Some(before) = known_before.filter(|_| order.is_newest_first()) {
                scan.goal.deep_at = before.deep_at;
                return self.save_complete(&scan).await;
            }
            let next = page.next_token.filter(|token| tokens.insert(token.clone()));
            scan.token = Some(next.ok_or_else(endless)?);
            self.bookmark.unfinished = Some(Unfinished {
                goal: scan.goal,
                lower: scan.lower,
                token: scan.token.clone(),
                token_at: Timestamp::now(),
            });
            self.save_bookmark().await?;
        }
    }

    /// Stores a page.
    async fn store_page(
        &mut self,
        page: &Page<LoggedEvent>,
        lower: Option<Timestamp>,
        order: &mut OrderTracker,
    ) -> Result<PageSummary, ConnectError> {
        let received_at = SystemTime::now();
        let mut deliveries = Vec::with_capacity(page.items.len());
        let mut newest = None;
        let mut is_timed = true;
        let mut page_order = OrderTracker::default();
        let (mut unreadable, mut skipped) = (0, 0);
        for record in &page.items {
            let made_at = made_at(record);
            if let Some(made_at) = made_at {
                order.observe(made_at);
                page_order.observe(made_at);
                newest = newest.max(Some(made_at));
            }
            is_timed &= made_at.is_some();
            if !self.log.query.wants(record) {
                continue;
            }
            if made_at
                .zip(lower)
                .is_some_and(|(made_at, lower)| made_at < lower)
            {
                skipped += 1;
                continue;
            }
            unreadable += u64::from(record.event().is_err());
            let body = record.json().to_owned().into_bytes().into();
            let source = Source::Backfill;
            deliveries.push(NewDelivery::new(received_at, source, Vec::new(), body));
        }
        if page_order.is_newest_first() {
            // Oldest first: deliveries are dispatched in the order in which they are stored.
            deliveries.reverse();
        }
        let wanted = deliveries.len() as u64;
        let new = self.target.append(deliveries).await?;
        let progress = &mut self.progress;
        progress.pages += 1;
        progress.new += new;
        progress.known += wanted - new;
        progress.unreadable += unreadable;
        progress.skipped += skipped;
        Ok(PageSummary {
            newest,
            is_timed,
            is_all_known: new == 0,
        })
    }

    async fn save_complete(&mut self, scan: &Scan) -> Result<ScanEnd, ConnectError> {
        self.bookmark.unfinished = None;
        // A valid bookmark that covers more is kept.
        let is_broader = self.bookmark.complete.is_some_and(|complete| {
            complete.is_past(Timestamp::now())
                && complete.since != scan.goal.since
                && reaches(complete.since, scan.goal.since)
        });
        if !is_broader {
            self.bookmark.complete = Some(scan.goal);
        }
        self.save_bookmark().await?;
        Ok(ScanEnd::Ended(BackfillOutcome::Complete))
    }

    async fn save_bookmark(&mut self) -> Result<(), ConnectError> {
        let name = self.log.query.bookmark();
        // Strings and timestamps: serialization cannot fail.
        let text = serde_json::to_string(&self.bookmark).unwrap_or_default();
        Ok(self.target.set_bookmark(&name, text).await?)
    }
}

impl PageSummary {
    /// Whether every record with a creation time is older than `bound`. A single old record proves
    /// nothing: it may have been logged late.
    fn is_below(&self, bound: Option<Timestamp>) -> bool {
        let newest = self.newest.zip(bound);
        newest.is_some_and(|(newest, bound)| newest < bound)
    }

    /// Whether an earlier pass has read every record, and the inbox has them.
    fn was_known_to(&self, before: &Complete) -> bool {
        self.is_all_known && self.is_timed && self.is_below(Some(before.known_before()))
    }
}

fn endless() -> ConnectError {
    let message =
        "HeyGen's event log cannot be read to its end: it announces more pages without a new token";
    ConnectError::new(ConnectErrorKind::EndlessLog, message)
}

/// Whether the error may be about the token. HeyGen does not document its answer to an expired
/// token, so any error is possible for one of an earlier pass, and a page that HeyGen cannot make
/// in time must not keep newer ones away. If HeyGen is down, the next request, for the first page,
/// fails too.
fn may_be_token_error(error: &ApiError, is_of_earlier_pass: bool) -> bool {
    match error.kind() {
        ApiErrorKind::InvalidParameter | ApiErrorKind::NotFound | ApiErrorKind::Refused => true,
        ApiErrorKind::Server
        | ApiErrorKind::Timeout
        | ApiErrorKind::Conflict
        | ApiErrorKind::UnexpectedBody => is_of_earlier_pass,
        _ => false,
    }
}

/// How often a pass starts over because HeyGen rejected a token.
const MAX_RESTARTS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_that_an_earlier_pass_could_not_read_keeps_no_newer_one_away() {
        use ApiErrorKind as K;
        for kind in [K::InvalidParameter, K::NotFound, K::Refused] {
            assert!(may_be_token_error(&ApiError::new(kind), false), "{kind:?}");
        }
        for kind in [K::Server, K::Timeout, K::Conflict, K::UnexpectedBody] {
            let error = ApiError::new(kind);
            assert!(may_be_token_error(&error, true), "{kind:?}");
            assert!(!may_be_token_error(&error, false), "{kind:?}");
        }
        for kind in [K::Authentication, K::RateLimited, K::Transport] {
            assert!(!may_be_token_error(&ApiError::new(kind), true), "{kind:?}");
        }
    }
}
