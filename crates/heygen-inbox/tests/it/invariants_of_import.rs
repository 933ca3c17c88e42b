//! What holds for every line to import. The fuzz target `import` checks the same.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{
    Appended, Attempt, DeliveryId, Imported, InboxAdmin as _, Source, State, StoredDelivery,
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Panics when something does not hold.
pub(crate) fn hold(line: &[u8]) {
    let latest = SystemTime::UNIX_EPOCH + LATEST;
    let Ok(imported) = Imported::from_line(line, latest) else {
        return;
    };
    assert_eq!(imported.delivery.source(), Source::Import, "nobody vouches");
    assert!(Imported::from_trusted_line(line, latest).is_ok());
    let received_at = imported.delivery.received_at();
    assert!((SystemTime::UNIX_EPOCH..=latest).contains(&received_at));
    let numbers: Vec<u32> = imported.attempts.iter().map(|one| one.number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert!(
        numbers
            .iter()
            .all(|number| (1..=imported.attempt_count).contains(number))
    );

    INBOX.with_borrow_mut(|inbox| {
        let inbox = match inbox {
            Some(inbox) if inbox.taken_in < ENOUGH => inbox,
            _ => inbox.insert(Inbox::new()),
        };
        if let Some(stored) = inbox.import(&imported) {
            check(&stored, &imported);
        }
    });
}

fn check(stored: &StoredDelivery, imported: &Imported) {
    let delivery = &imported.delivery;
    assert_eq!(stored.body, delivery.body(), "byte for byte");
    assert_eq!(stored.headers, delivery.headers());
    let summary = &stored.summary;
    assert_eq!(summary.source, delivery.source());
    assert_eq!(micros(summary.received_at), micros(delivery.received_at()));
    let state = match imported.state {
        State::Claimed => State::Pending,
        state => state,
    };
    assert_eq!(
        (summary.state, summary.attempts),
        (state, imported.attempt_count)
    );

    let attempts = |attempts: &[Attempt]| -> Vec<_> {
        let attempts = attempts.iter();
        attempts
            .map(|one| {
                (
                    one.number,
                    micros(one.started_at),
                    one.duration,
                    one.result,
                    one.detail.clone(),
                )
            })
            .collect()
    };
    assert_eq!(attempts(&stored.attempts), attempts(&imported.attempts));
    let redeliveries = &imported.redeliveries;
    assert_eq!(
        stored.redeliveries.last_at.map(micros),
        redeliveries.last_at.map(micros)
    );
    if redeliveries.last_at.is_some() {
        assert_eq!(stored.redeliveries.count, redeliveries.count);
        assert_eq!(stored.redeliveries.last_headers, redeliveries.last_headers);
    }
}

/// A time as it is stored.
fn micros(time: SystemTime) -> u128 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_micros()
}

/// An inbox for many lines, because opening one takes longer than all that is done with a line.
struct Inbox {
    inbox: SqliteInbox,
    runtime: Runtime,
    taken_in: usize,
    _folder: TempDir,
}

impl Inbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db");
        Self {
            inbox: SqliteInbox::open_beside(&path).unwrap(),
            runtime: Builder::new_current_thread().build().unwrap(),
            taken_in: 0,
            _folder: folder,
        }
    }

    /// As it is stored; `None` when an earlier line had the same event.
    fn import(&mut self, imported: &Imported) -> Option<StoredDelivery> {
        self.taken_in += 1;
        let appended = self.inbox.import(vec![imported.clone()]);
        match self.runtime.block_on(appended).unwrap()[..] {
            [Appended::New(id)] => Some(self.get(id)),
            _ => None,
        }
    }

    fn get(&self, id: DeliveryId) -> StoredDelivery {
        let stored = self.runtime.block_on(self.inbox.get(id));
        stored.unwrap().unwrap()
    }
}

thread_local! {
    static INBOX: RefCell<Option<Inbox>> = const { RefCell::new(None) };
}

/// The year 2033.
const LATEST: Duration = Duration::from_secs(2_000_000_000);

/// After so many lines the inbox has grown enough.
const ENOUGH: usize = 1000;
