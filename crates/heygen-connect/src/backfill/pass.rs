//! [`Pass`]: reads the log once. A page is fetched, stored, and noted, then the next.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use heygen_api::v3::LoggedEvent;
use heygen_api::{ApiError, ErrorKind, Page};
use heygen_inbox::{InboxAdmin, NewDelivery, Source};
use jiff::Timestamp;

use super::bookmark::{Bookmark, Complete, Unfinished, reaches};
use super::log::{Log, made_at};
use super::order::Descent;
use super::target::Target;
use crate::error::{ConnectError, ConnectErrorKind};

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BackfillProgress {
    /// Pages read.
    pub pages: u64,
    /// Records that the inbox did not have.
    pub new: u64,
    /// Records that it had.
    pub known: u64,
    /// How many of both cannot be read as an event. They are stored all the same.
    pub unreadable: u64,
    /// Records left out because of when they were made.
    pub skipped: u64,
}

/// How a backfill ended, if nothing went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BackfillOutcome {
    /// Everything that was asked for was read.
    Complete,
    /// It was asked to stop. The next one goes on from here.
    Stopped,
}

/// How far down a pass reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Depth {
    /// Everything that may have something new.
    Deep,
    /// Once a day deep, otherwise only down to a page of known events.
    Between,
}

/// From when on a pass reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub(super) since: Option<Timestamp>,
    /// Whether what an earlier pass read is read again.
    pub(super) again: bool,
}

/// One pass over the log.
pub(super) struct Pass<'a, I> {
    pub(super) log: &'a Log,
    pub(super) target: &'a mut Target<I>,
    pub(super) range: Range,
    pub(super) depth: Depth,
    /// Ends it between two pages.
    pub(super) stop: Pin<&'a mut (dyn Future<Output = ()> + Send)>,
    /// Called after each page.
    pub(super) on_progress: &'a mut (dyn FnMut(&BackfillProgress) + Send),
    pub(super) bookmark: Bookmark,
    pub(super) progress: BackfillProgress,
}

/// What a way through the log begins with.
#[derive(Clone, Debug)]
struct Plan {
    goal: Complete,
    lower: Option<Timestamp>,
    token: Option<String>,
    /// What went before: a page of events it has seen, all of them known, ends this way too.
    shallow: Option<Complete>,
}

/// How one way through the log ended.
enum Way {
    Ended(BackfillOutcome),
    /// HeyGen did not take the token of a later page.
    Refused(ApiError),
}

/// A page that was stored, as far as it tells whether another is needed.
struct Taken {
    newest: Option<Timestamp>,
    /// Whether every record says when it was made.
    is_timed: bool,
    is_all_known: bool,
}

impl<I: InboxAdmin> Pass<'_, I> {
    /// On from where an interrupted pass ended, if there is one, then over what came meanwhile.
    pub(super) async fn run(mut self) -> Result<BackfillOutcome, ConnectError> {
        let name = self.log.query.bookmark();
        self.bookmark = Bookmark::read(self.target.bookmark(&name).await?.as_deref());
        let mut just_done = None;
        if let Some(rest) = self.rest(Timestamp::now()) {
            let goal = rest.goal;
            match self.go(rest).await? {
                Way::Ended(BackfillOutcome::Complete) => just_done = Some(goal),
                Way::Ended(stopped) => return Ok(stopped),
                Way::Refused(error) => {
                    tracing::debug!(%error, "the interrupted pass cannot be continued, and starts over");
                }
            }
        }
        let mut restarts = 0;
        loop {
            let mut head = self.plan(Timestamp::now());
            if let Some(goal) = just_done {
                // Only what is new since the interrupted pass began is left.
                head.lower = head.lower.max(Some(goal.floor()));
                head.shallow = Some(goal);
            }
            match self.go(head).await? {
                Way::Ended(outcome) => return Ok(outcome),
                Way::Refused(error) if restarts == MAX_RESTARTS => return Err(error.into()),
                Way::Refused(_) => restarts += 1,
            }
        }
    }

    /// From the head of the log down to where everything was read already.
    fn plan(&self, now: Timestamp) -> Plan {
        let since = self.range.since;
        let before = self.bookmark.complete.filter(|complete| {
            !self.range.again
                && complete.is_past(now)
                && reaches(complete.since, since)
                && reaches(since, Some(complete.floor()))
        });
        let is_between = self.depth == Depth::Between;
        Plan {
            goal: Complete {
                since: before.map_or(since, |complete| complete.since),
                deep_at: now,
                last_at: now,
            },
            lower: before.map(|complete| complete.floor()).or(since),
            token: None,
            shallow: before.filter(|complete| is_between && complete.is_deep_enough(now)),
        }
    }

    /// What an interrupted pass has left over, where it left out no more than this one does.
    fn rest(&self, now: Timestamp) -> Option<Plan> {
        let head = self.plan(now);
        let unfinished = self.bookmark.unfinished.as_ref()?;
        let token = unfinished.fresh_token(now)?;
        if self.target.is_dry_run() || !reaches(unfinished.lower, head.lower) {
            return None;
        }
        let mut goal = unfinished.goal;
        if unfinished.lower != head.lower {
            goal.since = head.goal.since;
        }
        Some(Plan {
            goal,
            lower: head.lower,
            token: Some(token.to_owned()),
            shallow: None,
        })
    }

    async fn go(&mut self, mut plan: Plan) -> Result<Way, ConnectError> {
        let mut is_of_earlier_process = plan.token.is_some();
        let mut tokens: HashSet<String> = plan.token.iter().cloned().collect();
        let mut descent = Descent::default();
        loop {
            let fetched = self.log.fetch(plan.token.as_deref(), self.stop.as_mut());
            let page = match fetched.await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(Way::Ended(BackfillOutcome::Stopped)),
                Err(error)
                    if plan.token.is_some() && may_be_the_token(&error, is_of_earlier_process) =>
                {
                    return Ok(Way::Refused(error));
                }
                Err(error) => return Err(error.into()),
            };
            is_of_earlier_process = false;
            let taken = self.take(&page, plan.lower, &mut descent).await?;
            (self.on_progress)(&self.progress);
            let old_news = plan.shallow.filter(|before| taken.is_old_news(before));
            if !page.has_more || descent.holds() && taken.is_below(plan.lower) {
                return self.note_complete(&plan).await;
            }
            if let Some(before) = old_news.filter(|_| descent.holds()) {
                plan.goal.deep_at = before.deep_at;
                return self.note_complete(&plan).await;
            }
            let next = page.next_token.filter(|token| tokens.insert(token.clone()));
            plan.token = Some(next.ok_or_else(endless)?);
            self.bookmark.unfinished = Some(Unfinished {
                goal: plan.goal,
                lower: plan.lower,
                token: plan.token.clone(),
                token_at: Timestamp::now(),
            });
            self.note().await?;
        }
    }

    /// Stores a page.
    async fn take(
        &mut self,
        page: &Page<LoggedEvent>,
        lower: Option<Timestamp>,
        descent: &mut Descent,
    ) -> Result<Taken, ConnectError> {
        let received_at = SystemTime::now();
        let mut deliveries = Vec::with_capacity(page.items.len());
        let mut newest = None;
        let mut is_timed = true;
        let mut of_page = Descent::default();
        let (mut unreadable, mut skipped) = (0, 0);
        for record in &page.items {
            let made_at = made_at(record);
            if let Some(made_at) = made_at {
                descent.see(made_at);
                of_page.see(made_at);
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
        if of_page.holds() {
            // They are delivered in the order in which they are stored.
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
        Ok(Taken {
            newest,
            is_timed,
            is_all_known: new == 0,
        })
    }

    async fn note_complete(&mut self, plan: &Plan) -> Result<Way, ConnectError> {
        self.bookmark.unfinished = None;
        // One that covers more is still true, and worth more.
        let is_broader = self.bookmark.complete.is_some_and(|complete| {
            complete.since != plan.goal.since && reaches(complete.since, plan.goal.since)
        });
        if !is_broader {
            self.bookmark.complete = Some(plan.goal);
        }
        self.note().await?;
        Ok(Way::Ended(BackfillOutcome::Complete))
    }

    async fn note(&mut self) -> Result<(), ConnectError> {
        let name = self.log.query.bookmark();
        // Plain texts and times: there is nothing that JSON could not hold.
        let text = serde_json::to_string(&self.bookmark).unwrap_or_default();
        Ok(self.target.set_bookmark(&name, text).await?)
    }
}

impl Taken {
    /// Whether everything here that says when it was made is older than this. One old record at the end of a page may be
    /// one that came into the log late.
    fn is_below(&self, bound: Option<Timestamp>) -> bool {
        let newest = self.newest.zip(bound);
        newest.is_some_and(|(newest, bound)| newest < bound)
    }

    /// Whether everything here was there at an earlier pass, and is in the inbox.
    fn is_old_news(&self, before: &Complete) -> bool {
        self.is_all_known && self.is_timed && self.is_below(Some(before.known_before()))
    }
}

fn endless() -> ConnectError {
    let message =
        "HeyGen's log does not come to its end: it says that there is more, and not where";
    ConnectError::new(ConnectErrorKind::EndlessLog, message)
}

/// HeyGen does not document what it answers to a token that it no longer knows. To one of an earlier process it may answer in
/// any way; where HeyGen itself is down, the request for the first page, which is next, fails too.
fn may_be_the_token(error: &ApiError, is_of_earlier_process: bool) -> bool {
    match error.kind() {
        ErrorKind::InvalidParameter | ErrorKind::NotFound | ErrorKind::Refused => true,
        ErrorKind::Server | ErrorKind::Conflict | ErrorKind::UnexpectedBody => {
            is_of_earlier_process
        }
        _ => false,
    }
}

/// How often a pass starts over because HeyGen forgot where it was.
const MAX_RESTARTS: u32 = 2;
