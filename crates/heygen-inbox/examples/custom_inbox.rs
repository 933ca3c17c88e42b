//! A custom store, with the public API alone: a folder with a file for each delivery.
//!
//! It is small and slow: it holds everything in memory too, scans all of it, and blocks while it
//! writes. `cargo test --all-features --example custom_inbox` runs the conformance suite on it.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use heygen_inbox::transfer::to_record;
use heygen_inbox::{
    Appended, Attempt, AttemptOutcome, Candidate, Claim, ClaimRequest, ClaimedDelivery, Completion,
    Counts, DeadLetterReport, DeleteReport, DeliveryId, DeliverySummary, DispatchOrder, Imported,
    Inbox, InboxAdmin, InboxError, InboxErrorKind, NewDelivery, PruneReport, PruneStep, Query,
    ReplayReport, SignedPost, Source, State, Stats, StoredDelivery, find_duplicate,
};
use tokio::sync::Notify;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let inbox = FolderInbox::open(folder.path())?;
    let body = r#"{"event_type":"avatar_video.success","event_data":{"video_id":"a"}}"#;
    let delivery = NewDelivery::new(SystemTime::now(), Source::Webhook, Vec::new(), body.into());
    inbox.append(delivery).await?;
    for summary in inbox.list(Query::default()).await? {
        println!("{}", serde_json::to_string(&summary)?);
    }
    Ok(())
}

/// A folder with a file for each delivery, for one process.
#[derive(Debug)]
pub struct FolderInbox {
    folder: PathBuf,
    entries: Mutex<BTreeMap<DeliveryId, Entry>>,
    appended: Notify,
}

/// A delivery, and what its file lacks: after a restart a retry is due at once.
#[derive(Debug)]
struct Entry {
    delivery: NewDelivery,
    /// The second form of the same event.
    linked: Option<NewDelivery>,
    matched: Option<String>,
    stored: StoredDelivery,
    due_at: SystemTime,
    first_attempt: u32,
    uncounted: u32,
    elapsed: Duration,
    is_live: bool,
}

/// The tag of every id. A store whose data may be copied should draw it at random, once.
const TAG: u32 = 0xf01de;

impl FolderInbox {
    /// Opens the inbox in `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or something else is in it.
    pub fn open(folder: &Path) -> Result<Self, InboxError> {
        let mut entries = BTreeMap::new();
        for file in fs::read_dir(folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            let name = path.file_stem().and_then(|name| name.to_str());
            // A bookmark, or a file that was being written when the process ended.
            let Some(id) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            let line = fs::read(&path).map_err(failed)?;
            let latest = SystemTime::now() + Duration::from_secs(365 * 24 * 3600);
            let imported = Imported::from_trusted_line(&line, latest).map_err(failed)?;
            let was_claimed = imported.state == State::Claimed;
            let mut entry = Entry::imported(id, imported);
            if was_claimed {
                let number = entry.stored.summary.attempts;
                let (now, result) = (SystemTime::now(), AttemptOutcome::Interrupted);
                entry.uncounted = 1;
                let attempt = Attempt::new(number, now, Duration::ZERO, result);
                entry.stored.attempts.push(attempt);
            }
            entries.insert(id, entry);
        }
        Ok(Self {
            folder: folder.to_owned(),
            entries: Mutex::new(entries),
            appended: Notify::new(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<DeliveryId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a file atomically and durably.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), InboxError> {
        let written = || {
            let temporary = self.folder.join("new");
            let mut file = File::create(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(temporary, self.folder.join(name))?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(failed)
    }

    fn save(&self, entry: &Entry) -> Result<(), InboxError> {
        let line = serde_json::to_vec(&to_record(&entry.stored)).map_err(failed)?;
        self.write(&format!("{}.json", entry.stored.summary.id), &line)
    }

    fn bookmark_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.bookmark"))
    }

    /// Stores a new delivery, or links the second form of an event.
    fn store(&self, imported: Imported, is_live: bool) -> Result<Appended, InboxError> {
        let mut entries = self.entries();
        let delivery = &imported.delivery;
        if let Some(found) = find(&entries, delivery) {
            if let Some(entry) = entries.get_mut(&found.id).filter(|_| found.is_linked) {
                entry.link(delivery);
                self.save(entry)?;
            }
            return Ok(Appended::Duplicate(found.id));
        }
        let last = entries.last_key_value().map(|(id, _)| *id);
        let id = DeliveryId::next(delivery.received_at(), last, TAG);
        let mut entry = Entry::imported(id, imported);
        entry.is_live = is_live;
        self.save(&entry)?;
        entries.insert(id, entry);
        self.appended.notify_one();
        Ok(Appended::New(id))
    }
}

impl Inbox for FolderInbox {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        let is_received = matches!(delivery.source(), Source::Webhook | Source::Callback);
        let appended = self.store(Imported::new(delivery.clone()), is_received)?;
        if let Appended::Duplicate(id) = appended
            && is_received
            && let Some(entry) = self.entries().get_mut(&id)
        {
            entry.stored.redeliveries.count += 1;
            entry.stored.redeliveries.last_at = Some(delivery.received_at());
            entry.stored.redeliveries.last_headers = delivery.headers().to_vec();
            self.save(entry)?;
        }
        Ok(appended)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        if request.order == DispatchOrder::PerSubject {
            let message = "a folder keeps no order by subject";
            return Err(InboxError::new(InboxErrorKind::Unsupported, message));
        }
        if self.paused().await?.is_some() {
            return Ok(Claim::paused());
        }
        let mut entries = self.entries();
        let pending = entries
            .values()
            .filter(|entry| entry.state() == State::Pending);
        let (mut due, waiting): (Vec<_>, Vec<_>) =
            pending.partition(|entry| entry.is_due(&request));
        due.sort_by_key(|entry| (entry.due_at, entry.stored.summary.id));
        let due = due.iter().map(|entry| {
            let summary = &entry.stored.summary;
            (summary.id, summary.event_type.as_deref(), entry.is_live)
        });
        let is_all = due.len() <= request.limit();
        let next_due = waiting.iter().map(|entry| entry.due_at).min();
        let mut deliveries = Vec::new();
        for id in request.pick(due) {
            if let Some(entry) = entries.get_mut(&id) {
                deliveries.push(entry.claim());
                self.save(entry)?;
            }
        }
        Ok(Claim::new(deliveries, next_due.filter(|_| is_all)))
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        match self.entries().get_mut(&completion.id) {
            Some(entry) => {
                entry.complete(completion);
                self.save(entry)
            }
            None => Ok(()),
        }
    }

    async fn wait_for_append(&self) {
        self.appended.notified().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        self.write("ready", b"")
    }
}

impl InboxAdmin for FolderInbox {
    async fn list(&self, query: Query) -> Result<Vec<DeliverySummary>, InboxError> {
        let entries = self.entries();
        let all = entries.values().map(|entry| &entry.stored.summary);
        let mut found: Vec<_> = all
            .filter(|summary| query.matches(summary))
            .cloned()
            .collect();
        if !query.oldest_first {
            found.reverse();
        }
        found.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn get(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, InboxError> {
        Ok(self.entries().get(&id).map(|entry| entry.stored.clone()))
    }

    async fn count(&self, mut query: Query) -> Result<u64, InboxError> {
        query.limit = None;
        Ok(self.list(query).await?.len() as u64)
    }

    async fn counts(&self) -> Result<Counts, InboxError> {
        let entries = self.entries();
        let mut counts = Counts::default();
        for Entry { stored, .. } in entries.values() {
            counts.bytes += stored.body.len() as u64;
            match stored.summary.state {
                State::Pending => {
                    counts.pending += 1;
                    counts
                        .oldest_pending
                        .get_or_insert(stored.summary.received_at);
                }
                State::Claimed => counts.claimed += 1,
                State::DeadLettered => counts.dead_lettered += 1,
                _ => {}
            }
        }
        Ok(counts)
    }

    async fn stats(&self, attempts_since: SystemTime) -> Result<Stats, InboxError> {
        let mut stats = Stats::default();
        for Entry { stored, .. } in self.entries().values() {
            let attempts = stored.attempts.iter();
            let since = attempts.filter(|attempt| attempt.started_at >= attempts_since);
            stats.add(&stored.summary, since);
        }
        Ok(stats)
    }

    async fn find(
        &self,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Vec<Option<DeliveryId>>, InboxError> {
        let entries = self.entries();
        let found = deliveries.iter().map(|delivery| find(&entries, delivery));
        Ok(found.map(|found| found.map(|found| found.id)).collect())
    }

    async fn import(&self, deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        let imported = deliveries.into_iter();
        imported.map(|one| self.store(one, false)).collect()
    }

    async fn replay(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<ReplayReport, InboxError> {
        let mut entries = self.entries();
        let mut replayed = ReplayReport::default();
        for id in ids {
            let entry = entries.get_mut(&id);
            replayed.add(entry.as_ref().map(|entry| entry.state()));
            if let Some(entry) = entry.filter(|entry| entry.state() != State::Claimed) {
                entry.replay(now);
                self.save(entry)?;
            }
        }
        self.appended.notify_one();
        Ok(replayed)
    }

    async fn dead_letter(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<DeadLetterReport, InboxError> {
        let mut entries = self.entries();
        let mut report = DeadLetterReport::default();
        for id in ids {
            let entry = entries.get_mut(&id);
            report.add(entry.as_ref().map(|entry| entry.state()));
            if let Some(entry) = entry.filter(|entry| entry.state() == State::Pending) {
                let (claimed, result) = (entry.claim(), AttemptOutcome::DeadLettered);
                let completion = Completion::new(&claimed, now, Duration::ZERO, result);
                entry.complete(completion.detail(Some("dead-lettered by hand".to_owned())));
                self.save(entry)?;
            }
        }
        Ok(report)
    }

    async fn delete(&self, ids: Vec<DeliveryId>) -> Result<DeleteReport, InboxError> {
        let mut entries = self.entries();
        let mut report = DeleteReport::default();
        for id in ids {
            let state = entries.get(&id).map(Entry::state);
            report.add(state);
            if state.is_some_and(|state| state != State::Claimed) {
                fs::remove_file(self.folder.join(format!("{id}.json"))).map_err(failed)?;
                entries.remove(&id);
            }
        }
        Ok(report)
    }

    async fn prune(&self, step: PruneStep) -> Result<PruneReport, InboxError> {
        let mut entries = self.entries();
        let is_old = |entry: &&Entry| {
            let is_finished = matches!(entry.state(), State::Acknowledged | State::DeadLettered);
            let is_next = step.after < Some(entry.stored.summary.id);
            is_finished && is_next && entry.delivery.received_at() < step.before
        };
        let old = entries.values().filter(is_old).take(step.limit);
        let old: Vec<_> = old.map(|entry| entry.stored.summary.id).collect();
        for id in &old {
            fs::remove_file(self.folder.join(format!("{id}.json"))).map_err(failed)?;
            entries.remove(id);
        }
        let bytes = entries.values().map(|entry| entry.stored.body.len() as u64);
        let next = old.last().copied().filter(|_| old.len() == step.limit);
        Ok(PruneReport::new(old.len(), next, bytes.sum()))
    }

    async fn bookmark(&self, name: String) -> Result<Option<String>, InboxError> {
        let path = self.bookmark_path(&name);
        match path.exists() {
            true => fs::read_to_string(path).map(Some).map_err(failed),
            false => Ok(None),
        }
    }

    async fn set_bookmark(&self, name: String, value: Option<String>) -> Result<(), InboxError> {
        match value {
            Some(value) => self.write(&format!("{name}.bookmark"), value.as_bytes()),
            None => fs::remove_file(self.bookmark_path(&name)).map_err(failed),
        }
    }
}

impl Entry {
    fn imported(id: DeliveryId, imported: Imported) -> Self {
        let state = imported.initial_state();
        let mut entry = Self {
            stored: StoredDelivery::new(id, &imported.delivery),
            due_at: imported.delivery.received_at(),
            first_attempt: 1,
            uncounted: 0,
            elapsed: Duration::ZERO,
            is_live: false,
            linked: None,
            matched: imported.matched_event_id,
            delivery: imported.delivery,
        };
        if let Some(post) = imported.signed {
            let (at, source) = (post.received_at, Source::Webhook);
            entry.link(&NewDelivery::new(at, source, post.headers, post.body));
        }
        if entry.stored.event_id.is_none() {
            entry.stored.event_id.clone_from(&entry.matched);
        }
        if imported.is_replayed {
            entry.first_attempt = imported.attempt_count + 1;
        }
        entry.stored.summary.attempts = imported.attempt_count;
        entry.stored.attempts = imported.attempts;
        entry.stored.redeliveries = imported.redeliveries;
        entry.set_state(state);
        entry
    }

    fn state(&self) -> State {
        self.stored.summary.state
    }

    fn candidate(&self) -> Candidate {
        let mut candidate = Candidate::of(&self.delivery);
        if let Some(event_id) = &self.matched {
            candidate = candidate.matched(event_id);
        }
        match &self.linked {
            Some(other) => candidate.linked(other),
            None => candidate,
        }
    }

    fn link(&mut self, other: &NewDelivery) {
        match other.source() {
            Source::Backfill => {
                let event_id = other.dedup_key().event_id().map(str::to_owned);
                self.stored.event_id = self.stored.event_id.take().or(event_id);
            }
            _ => self.stored.signed = Some(SignedPost::new(other)),
        }
        self.linked = Some(other.clone());
    }

    fn is_due(&self, request: &ClaimRequest) -> bool {
        let last = self.stored.attempts.last();
        request.is_due(self.due_at, last.map(|last| last.started_at))
    }

    fn claim(&mut self) -> ClaimedDelivery {
        self.stored.summary.attempts += 1;
        self.set_state(State::Claimed);
        let id = self.stored.summary.id;
        let mut claimed = ClaimedDelivery::new(id, &self.delivery, self.stored.summary.attempts);
        let attempts = self.stored.attempts.iter();
        let interrupted = attempts
            .filter(|attempt| attempt.number >= self.first_attempt)
            .filter(|attempt| attempt.result == AttemptOutcome::Interrupted);
        claimed.interrupted = u32::try_from(interrupted.count()).unwrap_or(u32::MAX);
        claimed.first_attempt = self.first_attempt;
        claimed.uncounted = self.uncounted;
        claimed.elapsed = self.elapsed;
        claimed.due_at = self.due_at;
        claimed.is_live = std::mem::take(&mut self.is_live);
        claimed
    }

    fn complete(&mut self, completion: Completion) {
        let summary = &mut self.stored.summary;
        let is_current = summary.state == State::Claimed && summary.attempts == completion.attempt;
        if completion.is_released {
            if !is_current {
                return;
            }
            summary.attempts -= 1;
            self.is_live = summary.attempts == 0;
        } else {
            let mut attempt = Attempt::new(
                completion.attempt,
                completion.started_at,
                completion.duration,
                completion.result,
            );
            attempt.detail = completion.detail;
            let attempts = &mut self.stored.attempts;
            attempts.retain(|known| known.number != attempt.number);
            attempts.push(attempt);
            attempts.sort_by_key(|attempt| attempt.number);
            let is_interrupted = completion.result == AttemptOutcome::Interrupted;
            self.uncounted += u32::from(is_current && (is_interrupted || !completion.is_counted));
        }
        if is_current || completion.result == AttemptOutcome::Acknowledged {
            self.due_at = completion.due_at;
            self.elapsed = completion.elapsed;
            self.set_state(match completion.result {
                AttemptOutcome::Acknowledged => State::Acknowledged,
                AttemptOutcome::DeadLettered => State::DeadLettered,
                _ => State::Pending,
            });
        }
    }

    fn replay(&mut self, now: SystemTime) {
        self.due_at = now;
        self.first_attempt = self.stored.summary.attempts + 1;
        self.elapsed = Duration::ZERO;
        self.uncounted = 0;
        self.set_state(State::Pending);
    }

    fn set_state(&mut self, state: State) {
        let last = self.stored.attempts.last();
        let last = last.filter(|_| state == State::DeadLettered);
        self.stored.summary.dead_lettered_at = last.map(|last| last.started_at + last.duration);
        self.stored.summary.state = state;
        self.stored.due_at = (state == State::Pending).then_some(self.due_at);
    }
}

/// The newest first, as [`find_duplicate`] expects.
fn find(
    entries: &BTreeMap<DeliveryId, Entry>,
    delivery: &NewDelivery,
) -> Option<heygen_inbox::Duplicate<DeliveryId>> {
    let stored = entries.iter().rev();
    find_duplicate(delivery, stored.map(|(id, entry)| (*id, entry.candidate())))
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> InboxError {
    InboxError::new(InboxErrorKind::Storage, "cannot use the folder").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    heygen_inbox::conformance_tests!(async || {
        let folder = tempfile::tempdir().unwrap();
        (FolderInbox::open(folder.path()).unwrap(), folder)
    });

    #[tokio::test]
    async fn stored_deliveries_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = FolderInbox::open(folder.path()).unwrap();
        let now = SystemTime::now();
        let delivery = NewDelivery::new(now, Source::Webhook, Vec::new(), "{}".into());
        let id = inbox.append(delivery.clone()).await.unwrap().id();
        inbox.claim(ClaimRequest::due(1, now)).await.unwrap();
        drop(inbox);
        let inbox = FolderInbox::open(folder.path()).unwrap();
        assert_eq!(
            inbox.append(delivery).await.unwrap(),
            Appended::Duplicate(id)
        );
        let claim = inbox.claim(ClaimRequest::due(1, now)).await.unwrap();
        assert_eq!(
            (claim.deliveries[0].id, claim.deliveries[0].attempt),
            (id, 2)
        );
    }
}
