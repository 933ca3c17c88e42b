//! Every store by the conformance suite, and stores that are broken.

use std::sync::Mutex;
use std::time::SystemTime;

use heygen_inbox::{
    Appended, Claim, ClaimRequest, Completion, Counts, DeadLetterReport, DeleteReport, DeliveryId,
    DeliverySummary, Imported, Inbox, InboxAdmin, InboxError, MemoryInbox, NewDelivery,
    PruneReport, PruneStep, Query, ReplayReport, Stats, StoredDelivery, conformance,
};

mod memory {
    heygen_inbox::conformance_tests!(async || (heygen_inbox::MemoryInbox::new(), ()));
}

mod boxed {
    use heygen_inbox::{BoxInbox, MemoryInbox};

    heygen_inbox::conformance_tests!(async || (BoxInbox::new(MemoryInbox::new()), ()));
}

#[cfg(feature = "sqlite")]
mod sqlite {
    heygen_inbox::conformance_tests!(async || {
        let (folder, path) = crate::support::file();
        (
            heygen_inbox::sqlite::SqliteInbox::open(path).unwrap(),
            folder,
        )
    });
}

#[cfg(feature = "jetstream")]
mod jetstream {
    use crate::support::on_shared_server;

    heygen_inbox::conformance_tests!(async || on_shared_server(xtask_nats::Program::Current).await);
}

#[cfg(feature = "jetstream")]
mod jetstream_2_9 {
    use crate::support::on_shared_server;

    heygen_inbox::conformance_tests!(async || on_shared_server(xtask_nats::Program::Debian).await);
}

/// What a store can get wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// A duplicate is said to be new.
    KnowsNoDuplicates,
    /// A completion is acknowledged and not recorded.
    ForgetsCompletions,
    /// What was claimed once is claimed again.
    ClaimsTwice,
    /// A replay is acknowledged and changes nothing.
    ReplaysNothing,
    /// A body is stored as text.
    ChangesBodies,
    /// What is finished is imported as pending.
    ForgetsThePast,
    /// Dead-lettering by hand is acknowledged and changes nothing.
    DeadLettersNothing,
    /// A deletion is acknowledged and changes nothing.
    DeletesNothing,
    /// A claim does not look whether dispatch is paused.
    IgnoresPauses,
}

/// An inbox in memory with one fault.
struct Broken {
    inbox: MemoryInbox,
    fault: Fault,
    /// What the last claim gave.
    last: Mutex<Claim>,
}

#[tokio::test]
async fn broken_stores_do_not_pass() {
    for (fault, case) in [
        (Fault::KnowsNoDuplicates, "pairs_are_duplicates_or_not"),
        (Fault::ForgetsCompletions, "completion_is_recorded"),
        (Fault::ClaimsTwice, "each_delivery_is_claimed_once"),
        (
            Fault::ReplaysNothing,
            "replayed_delivery_has_all_its_attempts_again",
        ),
        (Fault::ChangesBodies, "signed_body_is_stored_byte_for_byte"),
        (Fault::ForgetsThePast, "imported_delivery_keeps_its_past"),
        (
            Fault::DeadLettersNothing,
            "dead_lettered_by_hand_is_replayable",
        ),
        (
            Fault::DeletesNothing,
            "deleted_delivery_is_gone_and_new_when_it_comes_again",
        ),
        (
            Fault::IgnoresPauses,
            "nothing_is_claimed_while_dispatch_is_paused",
        ),
    ] {
        let make = |fault| {
            async move || {
                let (inbox, last) = (MemoryInbox::new(), Mutex::default());
                (Broken { inbox, fault, last }, ())
            }
        };
        assert!(conformance::fails(case, make(fault)).await, "{fault:?}");
        assert!(!conformance::fails(case, make(Fault::None)).await, "{case}");
    }
}

#[tokio::test]
async fn failures_names_the_cases_that_fail() {
    let make = async || (MemoryInbox::new(), ());
    assert_eq!(conformance::failures(make).await, [] as [&str; 0]);
    let make = async || (MemoryInbox::with_capacity(299), ());
    let failures = conformance::failures(make).await;
    assert!(failures.contains(&"full_destination_holds_up_no_other"));
    assert!(failures.len() < conformance::CASES.len() / 2);
}

impl Inbox for Broken {
    async fn append(&self, delivery: NewDelivery) -> Result<Appended, InboxError> {
        let delivery = match self.fault {
            Fault::ChangesBodies => {
                let text = String::from_utf8_lossy(delivery.body()).into_owned();
                let headers = delivery.headers().to_vec();
                NewDelivery::new(
                    delivery.received_at(),
                    delivery.source(),
                    headers,
                    text.into(),
                )
            }
            _ => delivery,
        };
        let appended = self.inbox.append(delivery).await?;
        Ok(match self.fault {
            Fault::KnowsNoDuplicates => Appended::New(appended.id()),
            _ => appended,
        })
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, InboxError> {
        let paused = match self.fault {
            Fault::IgnoresPauses => self.inbox.paused().await?,
            _ => None,
        };
        if paused.is_some() {
            self.inbox.resume().await?;
        }
        let claim = self.inbox.claim(request).await?;
        if let Some(since) = paused {
            self.inbox.pause(since).await?;
        }
        let last = std::mem::replace(&mut *self.last.lock().unwrap(), claim.clone());
        Ok(match self.fault {
            Fault::ClaimsTwice if claim.deliveries.is_empty() => last,
            _ => claim,
        })
    }

    async fn complete(&self, completion: Completion) -> Result<(), InboxError> {
        match self.fault {
            Fault::ForgetsCompletions => Ok(()),
            _ => self.inbox.complete(completion).await,
        }
    }

    async fn wait_for_append(&self) {
        self.inbox.wait_for_append().await;
    }

    async fn ready(&self) -> Result<(), InboxError> {
        self.inbox.ready().await
    }

    fn orders_by_subject(&self) -> bool {
        true
    }
}

/// Methods that only pass on.
macro_rules! pass_on {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(async fn $name(&self, $($argument: $type),*) -> Result<$result, InboxError> {
            self.inbox.$name($($argument),*).await
        })*
    };
}

impl InboxAdmin for Broken {
    pass_on! {
        list(query: Query) -> Vec<DeliverySummary>;
        get(id: DeliveryId) -> Option<StoredDelivery>;
        count(query: Query) -> u64;
        counts() -> Counts;
        stats(attempts_since: SystemTime) -> Stats;
        find(deliveries: Vec<NewDelivery>) -> Vec<Option<DeliveryId>>;
        prune(step: PruneStep) -> PruneReport;
        bookmark(name: String) -> Option<String>;
        set_bookmark(name: String, value: Option<String>) -> ();
    }

    async fn import(&self, mut deliveries: Vec<Imported>) -> Result<Vec<Appended>, InboxError> {
        if self.fault == Fault::ForgetsThePast {
            for one in &mut deliveries {
                *one = Imported::new(one.delivery.clone());
            }
        }
        self.inbox.import(deliveries).await
    }

    async fn replay(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<ReplayReport, InboxError> {
        match self.fault {
            Fault::ReplaysNothing => Ok(ReplayReport::default()),
            _ => self.inbox.replay(ids, now).await,
        }
    }

    async fn dead_letter(
        &self,
        ids: Vec<DeliveryId>,
        now: SystemTime,
    ) -> Result<DeadLetterReport, InboxError> {
        match self.fault {
            Fault::DeadLettersNothing => Ok(DeadLetterReport::default()),
            _ => self.inbox.dead_letter(ids, now).await,
        }
    }

    async fn delete(&self, ids: Vec<DeliveryId>) -> Result<DeleteReport, InboxError> {
        match self.fault {
            Fault::DeletesNothing => Ok(DeleteReport::default()),
            _ => self.inbox.delete(ids).await,
        }
    }
}
