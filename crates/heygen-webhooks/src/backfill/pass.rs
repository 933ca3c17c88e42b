//! One way through the log: a page is asked for, kept, and noted, then the next.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use heygen_api::v3::LoggedEvent;
use heygen_api::{ApiError, ErrorKind, Page};
use heygen_inbox::{InboxError, NewDelivery, Source};
use jiff::Timestamp;

use super::Backfill;
use super::bookmark::{Bookmark, Complete, Unfinished, reaches};
use super::log::made_at;
use super::order::Descent;

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Pages read.
    pub(crate) pages: u64,
    /// Records that the inbox did not have.
    pub(crate) new: u64,
    /// Records that it had.
    pub(crate) known: u64,
    /// How many of both cannot be read as an event. They are kept all the same.
    pub(crate) unreadable: u64,
    /// Records left out because of when they were made.
    pub(crate) skipped: u64,
}

/// How a pass ended, if nothing went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Everything that was asked for was gone over.
    Done,
    /// It was told to stop. The next one goes on from here.
    Stopped,
}

/// Why a pass did not come to its end. What it has taken by then is kept.
#[derive(Debug)]
pub(crate) enum PassError {
    /// HeyGen's API refused, or could not be reached.
    Api(ApiError),
    /// The inbox could not keep it.
    Inbox(InboxError),
    /// HeyGen says that there is more, and not where.
    NotWhole,
}

/// How far down a pass goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Depth {
    /// Over everything that may have something new.
    Deep,
    /// Once a day deep, otherwise only down to a page of old acquaintances.
    Between,
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
    Done,
    Stopped,
    /// HeyGen did not take the token of a later page.
    Refused(ApiError),
}

/// A page that was kept, as far as it tells whether another is needed.
struct Taken {
    newest: Option<Timestamp>,
    /// Whether every record says when it was made.
    is_timed: bool,
    is_all_known: bool,
}

impl Backfill {
    /// Goes over the log: on from where an interrupted pass ended, if there is one, then over what came meanwhile.
    ///
    /// `stop` ends it between two pages. `tell` is called after each; the last tally is complete also after an error.
    pub(crate) async fn run(
        &mut self,
        stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        tell: &mut (dyn FnMut(&Tally) + Send),
    ) -> Result<End, PassError> {
        self.pass(Depth::Deep, stop, tell).await
    }

    pub(super) async fn pass(
        &mut self,
        depth: Depth,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        tell: &mut (dyn FnMut(&Tally) + Send),
    ) -> Result<End, PassError> {
        let name = self.log.bookmark();
        let mut bookmark = Bookmark::read(self.keeper.bookmark(&name).await?.as_deref());
        let mut tally = Tally::default();
        let head = self.plan(&bookmark, depth, Timestamp::now());
        let mut just_done = None;
        if let Some(rest) = self.rest(&bookmark, &head, Timestamp::now()) {
            let goal = rest.goal;
            let way = self.go(rest, &mut bookmark, &mut tally, stop.as_mut(), tell);
            match way.await? {
                Way::Done => just_done = Some(goal),
                Way::Stopped => return Ok(End::Stopped),
                Way::Refused(error) => {
                    tracing::debug!(%error, "the interrupted pass cannot be continued, and begins anew");
                }
            }
        }
        let mut restarts = 0;
        loop {
            let mut head = self.plan(&bookmark, depth, Timestamp::now());
            if let Some(goal) = just_done {
                // Only what is new since the interrupted pass began is left.
                head.lower = head.lower.max(Some(goal.floor()));
                head.shallow = Some(goal);
            }
            let way = self.go(head, &mut bookmark, &mut tally, stop.as_mut(), tell);
            match way.await? {
                Way::Done => return Ok(End::Done),
                Way::Stopped => return Ok(End::Stopped),
                Way::Refused(error) if restarts == MAX_RESTARTS => return Err(error.into()),
                Way::Refused(_) => restarts += 1,
            }
        }
    }

    /// From the head of the log down to where everything is gone over already.
    fn plan(&self, bookmark: &Bookmark, depth: Depth, now: Timestamp) -> Plan {
        let before = bookmark.complete.filter(|complete| {
            !self.again
                && complete.is_past(now)
                && reaches(complete.since, self.since)
                && reaches(self.since, Some(complete.floor()))
        });
        Plan {
            goal: Complete {
                since: before.map_or(self.since, |complete| complete.since),
                deep_at: now,
                last_at: now,
            },
            lower: before.map(|complete| complete.floor()).or(self.since),
            token: None,
            shallow: before
                .filter(|complete| depth == Depth::Between && complete.is_deep_enough(now)),
        }
    }

    /// What an interrupted pass has left over, where it left out no more than this one does.
    fn rest(&self, bookmark: &Bookmark, head: &Plan, now: Timestamp) -> Option<Plan> {
        let unfinished = bookmark.unfinished.as_ref()?;
        let token = unfinished.fresh_token(now)?;
        if self.keeper.is_dry_run() || !reaches(unfinished.lower, head.lower) {
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

    async fn go(
        &mut self,
        mut plan: Plan,
        bookmark: &mut Bookmark,
        tally: &mut Tally,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        tell: &mut (dyn FnMut(&Tally) + Send),
    ) -> Result<Way, PassError> {
        let is_rest = plan.token.is_some();
        let mut tokens: HashSet<String> = plan.token.iter().cloned().collect();
        let mut descent = Descent::default();
        let mut is_first = true;
        loop {
            let page = match self.log.fetch(plan.token.as_deref(), stop.as_mut()).await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(Way::Stopped),
                Err(error)
                    if plan.token.is_some() && may_be_the_token(&error, is_rest && is_first) =>
                {
                    return Ok(Way::Refused(error));
                }
                Err(error) => return Err(error.into()),
            };
            let next = page.next_token.clone().filter(|_| page.has_more);
            is_first = false;
            let taken = self.take(&page, plan.lower, &mut descent, tally).await?;
            tell(tally);
            let is_below = descent.holds() && taken.is_below(plan.lower);
            if !page.has_more || is_below {
                return self.note_complete(bookmark, &plan).await;
            }
            if let Some(before) = plan.shallow
                && taken.is_old_news(&before)
                && descent.holds()
            {
                plan.goal.deep_at = before.deep_at;
                return self.note_complete(bookmark, &plan).await;
            }
            plan.token = Some(
                next.filter(|token| tokens.insert(token.clone()))
                    .ok_or(PassError::NotWhole)?,
            );
            self.note_unfinished(bookmark, &plan).await?;
        }
    }

    /// Keeps a page.
    async fn take(
        &mut self,
        page: &Page<LoggedEvent>,
        lower: Option<Timestamp>,
        descent: &mut Descent,
        tally: &mut Tally,
    ) -> Result<Taken, PassError> {
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
            if !self.log.wants(record) {
                continue;
            }
            if made_at.is_some_and(|made_at| lower.is_some_and(|lower| made_at < lower)) {
                skipped += 1;
                continue;
            }
            unreadable += u64::from(record.event().is_err());
            let body = record.json().to_owned().into_bytes().into();
            deliveries.push(NewDelivery::new(
                received_at,
                Source::Backfill,
                Vec::new(),
                body,
            ));
        }
        if of_page.holds() {
            // They are handed out in the order in which they are kept.
            deliveries.reverse();
        }
        let wanted = deliveries.len() as u64;
        let new = self.keeper.keep(deliveries).await?;
        tally.pages += 1;
        tally.new += new;
        tally.known += wanted - new;
        tally.unreadable += unreadable;
        tally.skipped += skipped;
        Ok(Taken {
            newest,
            is_timed,
            is_all_known: new == 0,
        })
    }

    async fn note_unfinished(
        &mut self,
        bookmark: &mut Bookmark,
        plan: &Plan,
    ) -> Result<(), InboxError> {
        bookmark.unfinished = Some(Unfinished {
            goal: plan.goal,
            lower: plan.lower,
            token: plan.token.clone(),
            token_at: Timestamp::now(),
        });
        self.note(bookmark).await
    }

    async fn note_complete(
        &mut self,
        bookmark: &mut Bookmark,
        plan: &Plan,
    ) -> Result<Way, PassError> {
        bookmark.unfinished = None;
        // One that went over more is still true, and worth more.
        let is_broader = bookmark.complete.is_some_and(|complete| {
            complete.since != plan.goal.since && reaches(complete.since, plan.goal.since)
        });
        if !is_broader {
            bookmark.complete = Some(plan.goal);
        }
        self.note(bookmark).await?;
        Ok(Way::Done)
    }

    async fn note(&mut self, bookmark: &Bookmark) -> Result<(), InboxError> {
        let name = self.log.bookmark();
        // Plain texts and times: there is nothing that JSON could not hold.
        let text = serde_json::to_string(bookmark).unwrap_or_default();
        self.keeper.set_bookmark(&name, text).await
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

impl PassError {
    /// How long HeyGen asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            Self::Inbox(_) | Self::NotWhole => None,
        }
    }
}

/// HeyGen does not document what it answers to a token that it no longer knows. To one of an earlier process it may answer in
/// any way; where HeyGen itself is down, the first page, which is asked for next, tells so.
fn may_be_the_token(error: &ApiError, is_of_earlier_process: bool) -> bool {
    match error.kind() {
        ErrorKind::InvalidParameter | ErrorKind::NotFound | ErrorKind::Refused => true,
        ErrorKind::Server | ErrorKind::Conflict | ErrorKind::UnexpectedBody => {
            is_of_earlier_process
        }
        _ => false,
    }
}

impl fmt::Display for PassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(_) => f.write_str("cannot read HeyGen's log of events"),
            Self::Inbox(_) => f.write_str("cannot keep what HeyGen's log has"),
            Self::NotWhole => f.write_str(
                "HeyGen's log does not come to its end: it says that there is more, and not where",
            ),
        }
    }
}

impl std::error::Error for PassError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Api(error) => Some(error),
            Self::Inbox(error) => Some(error),
            Self::NotWhole => None,
        }
    }
}

impl From<ApiError> for PassError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<InboxError> for PassError {
    fn from(error: InboxError) -> Self {
        Self::Inbox(error)
    }
}

/// How often a pass begins anew because HeyGen forgot where it was.
const MAX_RESTARTS: u32 = 2;
