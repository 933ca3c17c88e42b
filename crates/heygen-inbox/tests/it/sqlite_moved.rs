//! What becomes of an inbox whose file, or what SQLite keeps beside it, is removed, renamed or
//! replaced while it is open.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, ClaimedDelivery, Completion, DeliveryId, Inbox as _,
    InboxAdmin as _, InboxErrorKind, NewDelivery, Query, Source, State,
};
use tempfile::TempDir;

use crate::support::{append_new, at, body, claim_due, delivery, duplicate, file, get, new, until};

struct Rig {
    folder: TempDir,
    path: PathBuf,
    inbox: SqliteInbox,
    /// What was answered, oldest first.
    answered: Vec<DeliveryId>,
}

impl Rig {
    /// An inbox with three deliveries, of which one is in the file and two are in the log alone.
    async fn new() -> Self {
        let (folder, path) = file();
        let mut answered = vec![{
            let inbox = SqliteInbox::open(&path).unwrap();
            append_new(&inbox, 0, &body("0")).await
        }];
        let inbox = SqliteInbox::open(&path).unwrap();
        for number in 1..3 {
            answered.push(append_new(&inbox, number, &body(&number.to_string())).await);
        }
        Self {
            folder,
            path,
            inbox,
            answered,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.file(from), self.file(to)).unwrap();
    }

    fn remove(&self, names: &[&str]) {
        for name in names {
            fs::remove_file(self.file(name)).unwrap();
        }
    }

    /// Every request is rejected: appends, readiness, claims.
    async fn is_refused(&self, text: &str) {
        let appended = self.inbox.append(delivery(9, body("refused"))).await;
        let claimed = self.inbox.claim(ClaimRequest::due(9, at(9))).await;
        let ready = self.inbox.ready().await;
        for result in [appended.map(drop), claimed.map(drop), ready] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), InboxErrorKind::Storage);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    /// What was answered is in the copy, which is an inbox of its own, its owner's alone.
    async fn check_rescued(&self, name: &str) {
        let copy = self.file(name);
        until(async || match SqliteInbox::open_read_only(&copy) {
            Ok(reader) => reader.counts().await.is_ok(),
            Err(_) => false,
        })
        .await;
        let stored = ids(&copy).await;
        for id in &self.answered {
            assert!(stored.contains(id), "{id} of {stored:?}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&copy).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    async fn goes_on(&mut self) {
        let started = Instant::now();
        let mut number = 100;
        loop {
            let appended = self
                .inbox
                .append(delivery(number, body(&number.to_string())))
                .await;
            match appended {
                Ok(appended) => {
                    self.answered.push(new(appended));
                    break;
                }
                Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
            }
            number += 1;
            tokio::time::sleep(PAUSE).await;
        }
        self.inbox.ready().await.unwrap();
        let counts = self.inbox.counts().await.unwrap();
        assert!(counts.pending > 0);
    }
}

async fn ids(path: &Path) -> Vec<DeliveryId> {
    let reader = SqliteInbox::open_read_only(path).unwrap();
    let all = reader.list(Query::default()).await.unwrap();
    all.iter().map(|summary| summary.id).collect()
}

async fn back_up(path: &Path, to: &Path) {
    let reader = SqliteInbox::open_read_only(path).unwrap();
    reader.backup(to, |_, _| {}).await.unwrap();
}

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test]
async fn removed_inbox_rejects_and_is_rescued() {
    let rig = Rig::new().await;
    rig.remove(&["inbox.db", "inbox.db-wal", "inbox.db-shm"]);
    rig.is_refused("was removed or renamed").await;
    rig.check_rescued("inbox.db.rescued").await;
    rig.is_refused("was removed or renamed").await;
    assert!(!rig.path.exists(), "nothing new takes its place");
    assert!(rig.inbox.list(Query::default()).await.is_err());
    let error = rig.inbox.close().await.unwrap_err();
    assert!(error.to_string().contains("was removed"), "{error}");

    // The next start begins a new one, and writes over no copy.
    let inbox = SqliteInbox::open(&rig.path).unwrap();
    append_new(&inbox, 20, &body("later")).await;
    rig.remove(&["inbox.db", "inbox.db-wal", "inbox.db-shm"]);
    inbox.close().await.unwrap_err();
    assert_eq!(ids(&rig.file("inbox.db.rescued-2")).await.len(), 1);
    rig.check_rescued("inbox.db.rescued").await;
}

#[tokio::test]
async fn removed_inbox_is_noticed_while_idle() {
    let rig = Rig::new().await;
    rig.remove(&["inbox.db"]);
    rig.check_rescued("inbox.db.rescued").await;
}

#[tokio::test]
async fn closing_rescues_an_inbox_that_was_just_removed() {
    let rig = Rig::new().await;
    rig.remove(&["inbox.db", "inbox.db-wal", "inbox.db-shm"]);
    rig.inbox.close().await.unwrap_err();
    rig.check_rescued("inbox.db.rescued").await;
    let rig = Rig::new().await;
    rig.remove(&["inbox.db", "inbox.db-wal", "inbox.db-shm"]);
    let (folder, answered) = (rig.folder, rig.answered);
    drop(rig.inbox);
    assert_eq!(
        ids(&folder.path().join("inbox.db.rescued")).await.len(),
        answered.len()
    );
}

#[tokio::test]
async fn inbox_continues_after_it_is_renamed_back() {
    let mut rig = Rig::new().await;
    let claimed = claim_due(&rig.inbox, 1, 9).await[0].id;
    rig.rename("inbox.db", "away.db");
    rig.is_refused("was removed or renamed").await;
    rig.rename("away.db", "inbox.db");
    rig.goes_on().await;
    assert_eq!(ids(&rig.path).await.len(), rig.answered.len());
    let stored = get(&rig.inbox, claimed).await;
    assert_eq!(stored.summary.state, State::Claimed, "it stays in hand");
    for number in 0..3 {
        let again = rig.inbox.append(delivery(50, body(&number.to_string())));
        assert_eq!(
            duplicate(again.await.unwrap()),
            rig.answered[number as usize]
        );
    }
    rig.inbox.close().await.unwrap();
}

#[tokio::test]
async fn inbox_continues_after_its_folder_is_renamed_back() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("a");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("inbox.db");
    let inbox = SqliteInbox::open(&path).unwrap();
    let first = append_new(&inbox, 0, &body("a")).await;
    let away = outer.path().join("b");
    fs::rename(&folder, &away).unwrap();
    inbox.append(delivery(1, body("b"))).await.unwrap_err();
    // Nothing can be copied where there is no folder: it is tried again, and nothing is lost
    // meanwhile.
    inbox.ready().await.unwrap_err();
    fs::rename(&away, &folder).unwrap();
    until(async || inbox.ready().await.is_ok()).await;
    append_new(&inbox, 2, &body("c")).await;
    assert!(ids(&path).await.contains(&first));
}

/// A backup that is put over the inbox, in both ways in which that is done, and another inbox.
#[tokio::test]
async fn replaced_inbox_is_opened_once_the_file_is_complete() {
    for (is_renamed_over, with_log) in [(true, true), (true, false), (false, true), (false, false)]
    {
        let mut rig = Rig::new().await;
        let backup = rig.file("backup.db");
        back_up(&rig.path, &backup).await;
        let late = append_new(&rig.inbox, 8, &body("late")).await;
        rig.answered.push(late);
        if !with_log {
            rig.remove(&["inbox.db-wal", "inbox.db-shm"]);
        }
        match is_renamed_over {
            true => rig.rename("backup.db", "inbox.db"),
            false => {
                rig.rename("inbox.db", "old.db");
                fs::copy(&backup, &rig.path).unwrap();
            }
        }
        rig.is_refused("while it was open").await;
        rig.check_rescued("inbox.db.rescued").await;
        if with_log {
            // It belongs to the file that was there before.
            until(async || {
                let error = rig.inbox.ready().await.unwrap_err();
                error.to_string().contains("belongs to another file")
            })
            .await;
            for refused in [
                SqliteInbox::open_read_only(&rig.path),
                SqliteInbox::open_beside(&rig.path),
            ] {
                let error = refused.unwrap_err();
                assert!(error.to_string().contains("another file"), "{error}");
            }
            rig.remove(&["inbox.db-wal"]);
        }
        rig.answered.clear();
        rig.goes_on().await;
        let stored = ids(&rig.path).await;
        assert_eq!(stored.len(), 4, "three of the backup, and one since");
        assert!(!stored.contains(&late));
        rig.inbox.close().await.unwrap();
    }
}

impl Rig {
    /// A change of a file next to the inbox loses nothing, and the inbox continues.
    async fn check_beside(name: &str, happens: impl FnOnce(&Path)) {
        let mut rig = Self::new().await;
        happens(&rig.file(name));
        // What the log holds is copied first; its index is made again at once.
        let appended = rig.inbox.append(delivery(9, body("refused"))).await;
        match appended {
            Ok(appended) if name.ends_with("-shm") => rig.answered.push(new(appended)),
            appended => drop(appended.unwrap_err()),
        }
        rig.goes_on().await;
        let stored = ids(&rig.path).await;
        for id in &rig.answered {
            assert!(stored.contains(id), "{name}: {id} of {stored:?}");
        }
        rig.inbox.close().await.unwrap();
        let reader = SqliteInbox::open_read_only(&rig.path).unwrap();
        let issues = reader.check(heygen_inbox::sqlite::CheckLevel::Full);
        assert_eq!(issues.await.unwrap(), [], "{name}");
        assert_eq!(ids(&rig.path).await.len(), rig.answered.len());
    }
}

#[tokio::test]
async fn removed_write_ahead_log_loses_nothing() {
    Rig::check_beside("inbox.db-wal", |log| fs::remove_file(log).unwrap()).await;
    Rig::check_beside("inbox.db-wal", |log| {
        fs::remove_file(log).unwrap();
        fs::write(log, "").unwrap();
    })
    .await;
    Rig::check_beside("inbox.db-shm", |index| fs::remove_file(index).unwrap()).await;
}

#[tokio::test]
async fn removed_lock_file_admits_no_second_process() {
    let rig = Rig::new().await;
    rig.remove(&["inbox.db.lock"]);
    append_new(&rig.inbox, 8, &body("a")).await;
    assert!(rig.file("inbox.db.lock").exists(), "made again");
    let error = SqliteInbox::open(&rig.path).unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::InUse);

    // Another process that was faster owns it from then on.
    rig.remove(&["inbox.db.lock"]);
    let second = SqliteInbox::open(&rig.path).unwrap();
    rig.is_refused("is served by another process").await;
    append_new(&second, 10, &body("b")).await;
    second.close().await.unwrap();
    let mut rig = rig;
    rig.goes_on().await;
}

#[tokio::test]
async fn editor_reports_a_removed_inbox_and_creates_no_new_one() {
    let (folder, path) = file();
    let beside = SqliteInbox::open_beside(&path).unwrap();
    append_new(&beside, 0, &body("a")).await;
    fs::rename(&path, folder.path().join("away.db")).unwrap();
    let error = beside.append(delivery(1, body("b"))).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("was removed or renamed while it was open: nothing was written"),
        "{error}"
    );
    assert!(!path.exists());
    drop(beside);
    assert!(
        folder.path().join("inbox.db-wal").exists(),
        "the log of a file that is elsewhere stays"
    );
}

#[cfg(unix)]
mod names {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn inbox_with_a_hard_link_is_rejected_at_the_start() {
        let (folder, path) = file();
        drop(SqliteInbox::open(&path).unwrap());
        let other = folder.path().join("other.db");
        fs::hard_link(&path, &other).unwrap();
        for name in [&path, &other] {
            let refused = [
                SqliteInbox::open(name).map(drop),
                SqliteInbox::open_beside(name).map(drop),
            ];
            for refused in refused {
                let error = refused.unwrap_err();
                assert!(error.to_string().contains("a hard link"), "{error}");
            }
        }
        fs::remove_file(&path).unwrap();
        drop(SqliteInbox::open(&other).unwrap());
    }

    #[tokio::test]
    async fn hard_link_made_while_open_admits_no_second_process() {
        let rig = Rig::new().await;
        let other = rig.file("other.db");
        fs::hard_link(&rig.path, &other).unwrap();
        SqliteInbox::open(&other).unwrap_err();
        append_new(&rig.inbox, 9, &body("a")).await;
        // The name that is served decides.
        rig.remove(&["inbox.db"]);
        rig.is_refused("was removed or renamed").await;
    }

    #[tokio::test]
    async fn changed_symlink_is_a_replaced_inbox() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let link = file("link.db");
        for name in ["inbox.db", "other.db"] {
            drop(SqliteInbox::open(file(name)).unwrap());
        }
        symlink(file("inbox.db"), &link).unwrap();
        let inbox = SqliteInbox::open(&link).unwrap();
        append_new(&inbox, 9, &body("a")).await;
        fs::remove_file(&link).unwrap();
        symlink(file("other.db"), &link).unwrap();
        let error = inbox.append(delivery(10, body("b"))).await.unwrap_err();
        assert!(error.to_string().contains("was replaced"), "{error}");
        inbox.close().await.unwrap_err();
        assert_eq!(ids(&file("inbox.db.rescued")).await.len(), 1);
    }
}

/// As after a crash: a log with the last deliveries, and no process that has the files open.
fn crashed(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(name(from), name(to)).unwrap();
    }
}

#[tokio::test]
async fn write_ahead_log_of_another_file_is_rejected_at_the_start() {
    let rig = Rig::new().await;
    let backup = rig.file("backup.db");
    back_up(&rig.path, &backup).await;
    let place = rig.file("place.db");
    crashed(&rig.path, &place);
    // With its own log all is there.
    let inbox = SqliteInbox::open(&place).unwrap();
    assert_eq!(ids(&place).await.len(), 3);
    inbox.close().await.unwrap();

    crashed(&rig.path, &place);
    fs::remove_file(&place).unwrap();
    fs::copy(&backup, &place).unwrap();
    for refused in [
        SqliteInbox::open(&place).map(drop),
        SqliteInbox::open_beside(&place).map(drop),
        SqliteInbox::open_read_only(&place).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(
            error.to_string().contains("belongs to another file"),
            "{error}"
        );
    }
    assert!(rig.file("place.db-wal").exists());
    assert!(!rig.file("place.db.lock").exists() || rig.file("place.db").exists());
    fs::remove_file(rig.file("place.db-wal")).unwrap();
    assert_eq!(ids(&place).await.len(), 3);
    drop(SqliteInbox::open(&place).unwrap());
}

#[tokio::test]
async fn claimed_deliveries_without_a_process_are_interrupted() {
    let rig = Rig::new().await;
    let id = claim_due(&rig.inbox, 1, 9).await[0].id;
    let state = async |path: &Path, state| {
        let reader = SqliteInbox::open_read_only(path).unwrap();
        let found = reader.list(Query::default().state(state)).await.unwrap();
        let counted = reader.count(Query::default().state(state)).await.unwrap();
        assert_eq!(found.len() as u64, counted);
        let stats = reader.stats(at(0)).await.unwrap();
        let groups = stats.groups.iter().filter(|group| group.state == state);
        assert_eq!(groups.map(|group| group.count).sum::<u64>(), counted);
        for summary in &found {
            assert_eq!(summary.state, state);
            let stored = get(&reader, summary.id).await;
            assert_eq!(stored.summary.state, state);
        }
        found.iter().map(|summary| summary.id).collect::<Vec<_>>()
    };
    assert_eq!(state(&rig.path, State::Claimed).await, [id]);
    assert_eq!(state(&rig.path, State::Interrupted).await, []);
    rig.inbox.close().await.unwrap();
    assert_eq!(state(&rig.path, State::Claimed).await, []);
    assert_eq!(state(&rig.path, State::Interrupted).await, [id]);
    let inbox = SqliteInbox::open(&rig.path).unwrap();
    assert_eq!(state(&rig.path, State::Interrupted).await, []);
    assert_eq!(state(&rig.path, State::Pending).await.len(), 3);
    let now = std::time::SystemTime::now();
    inbox.claim(ClaimRequest::due(9, now)).await.unwrap();
    assert_eq!(state(&rig.path, State::Claimed).await.len(), 3);
}

/// Puts the copy in the place of the inbox, which may be open.
fn put_back(rig: &Rig, copy: &str) {
    for name in ["inbox.db-wal", "inbox.db-shm"] {
        // A closed inbox may have none.
        let _ = fs::remove_file(rig.file(name));
    }
    rig.rename(copy, "inbox.db");
}

/// The backup was made during one attempt and restored during the next.
#[tokio::test]
async fn delivery_that_a_backup_has_as_claimed_is_dispatched_again() {
    let mut rig = Rig::new().await;
    let claim = async |seconds| {
        let claim = rig.inbox.claim(ClaimRequest::due(1, at(seconds))).await;
        claim.unwrap().deliveries.remove(0)
    };
    let retry = |claimed: &ClaimedDelivery, seconds| {
        let result = AttemptOutcome::Retry;
        Completion::new(claimed, at(seconds), Duration::ZERO, result).due_at(at(0))
    };
    let first = claim(10).await;
    back_up(&rig.path, &rig.file("backup.db")).await;
    rig.inbox.complete(retry(&first, 10)).await.unwrap();
    let second = claim(20).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    put_back(&rig, "backup.db");
    rig.goes_on().await;
    rig.inbox.complete(retry(&second, 20)).await.unwrap();
    let claim = rig.inbox.claim(ClaimRequest::due(9, at(1000))).await;
    let claim = claim.unwrap().deliveries;
    assert!(claim.iter().any(|claimed| claimed.id == first.id));
}

/// While ids run ahead of the clock they are counted up, and an older file counts from where it is.
#[tokio::test]
async fn restored_backup_gives_no_id_twice() {
    // A clock may have been ahead by a year or by minutes.
    for seconds in [365 * 24 * 3600, 600] {
        check_restored(Duration::from_secs(seconds)).await;
    }
}

async fn check_restored(lead: Duration) {
    let mut rig = Rig::new().await;
    let ahead = NewDelivery::new(
        SystemTime::now() + lead,
        Source::Webhook,
        Vec::new(),
        body("ahead").into(),
    );
    rig.inbox.append(ahead).await.unwrap();
    for copy in ["1.db", "2.db", "3.db"] {
        back_up(&rig.path, &rig.file(copy)).await;
    }
    let mut given = vec![append_new(&rig.inbox, 20, &body("before")).await];
    put_back(&rig, "1.db");
    rig.answered.clear();
    rig.goes_on().await;
    given.append(&mut rig.answered);
    rig.inbox.close().await.unwrap();
    put_back(&rig, "2.db");
    let inbox = SqliteInbox::open(&rig.path).unwrap();
    given.push(append_new(&inbox, 30, &body("after a start")).await);
    inbox.close().await.unwrap();
    put_back(&rig, "3.db");
    let inbox = SqliteInbox::open_beside(&rig.path).unwrap();
    given.push(append_new(&inbox, 40, &body("beside")).await);
    let distinct: HashSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), 4, "{given:?}");
    let keys = given.iter().map(|id| id.key());
    let (least, most) = (keys.clone().min().unwrap(), keys.max().unwrap());
    assert!(most - least < 60_000_000, "a gap is seconds: {given:?}");
}
