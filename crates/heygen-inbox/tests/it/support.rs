//! Deliveries to append, and the answers taken apart.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heygen_inbox::{
    Appended, ClaimRequest, Claimed, DeliveryId, Header, InboxAdmin, NewDelivery, Query, Source,
};

/// Each case is run on each inbox.
macro_rules! on_every_inbox {
    ($($case:ident),* $(,)?) => {
        on_every_inbox_that_keeps_order!($($case),*);

        #[cfg(feature = "jetstream")]
        mod jetstream {
            $(#[tokio::test]
            async fn $case() {
                let server = crate::support::server(xtask_nats::Program::Current);
                super::$case(crate::support::on_server(&server).await).await;
            })*
        }

        #[cfg(feature = "jetstream")]
        mod jetstream_2_9 {
            $(#[tokio::test]
            async fn $case() {
                let server = crate::support::server(xtask_nats::Program::Debian);
                super::$case(crate::support::on_server(&server).await).await;
            })*
        }
    };
}

/// Each case is run on each inbox that can hand out what is about the same in its order, which streams cannot.
macro_rules! on_every_inbox_that_keeps_order {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(heygen_inbox::MemoryInbox::new()).await;
            })*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("inbox.db");
                super::$case(heygen_inbox::sqlite::SqliteInbox::open(path).unwrap()).await;
            })*
        }
    };
}

/// A server of its own for a test.
#[cfg(feature = "jetstream")]
pub(crate) fn server(program: xtask_nats::Program) -> xtask_nats::Server {
    xtask_nats::Server::start(program, &xtask_nats::Options::new()).unwrap()
}

/// The inbox on a server.
#[cfg(feature = "jetstream")]
pub(crate) async fn on_server(
    server: &xtask_nats::Server,
) -> heygen_inbox::jetstream::JetStreamInbox {
    use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
    let address = format!("{}/HEYGEN", server.url()).parse().unwrap();
    JetStreamInbox::open(&address, JetStreamOptions::default())
        .await
        .unwrap()
}

/// So many seconds into the test's day.
pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

/// A delivery that came in at `seconds`, with one header that tells it from others of the same body.
pub(crate) fn delivery(seconds: u64, body: impl AsRef<[u8]>) -> NewDelivery {
    NewDelivery::new(
        at(seconds),
        Source::Webhook,
        vec![came_at(seconds)],
        body.as_ref().to_vec().into(),
    )
}

/// The header that [`delivery`] gives.
pub(crate) fn came_at(seconds: u64) -> Header {
    Header::new("Heygen-Timestamp", seconds.to_string().as_bytes())
}

/// A body about the video of that name.
pub(crate) fn body(video_id: &str) -> String {
    format!(r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{video_id}"}}}}"#)
}

/// The same with an `event_id`.
pub(crate) fn body_with_id(event_id: &str, video_id: &str) -> String {
    body(video_id).replacen('{', &format!(r#"{{"event_id":"{event_id}","#), 1)
}

#[track_caller]
pub(crate) fn new(appended: Appended) -> DeliveryId {
    match appended {
        Appended::New(id) => id,
        other => panic!("expected a new delivery, got {other:?}"),
    }
}

#[track_caller]
pub(crate) fn duplicate(appended: Appended) -> DeliveryId {
    match appended {
        Appended::Duplicate(id) => id,
        other => panic!("expected a duplicate, got {other:?}"),
    }
}

/// Appends a body that was not here before.
pub(crate) async fn append_new(inbox: &impl InboxAdmin, seconds: u64, body: &str) -> DeliveryId {
    new(inbox.append(delivery(seconds, body)).await.unwrap())
}

/// Claims the one delivery that is due.
pub(crate) async fn claim_one(inbox: &impl InboxAdmin, seconds: u64) -> Claimed {
    let mut claim = inbox
        .claim(ClaimRequest::due(10, at(seconds)))
        .await
        .unwrap();
    assert_eq!(claim.deliveries.len(), 1, "one is due");
    claim.deliveries.remove(0)
}

/// The ids of all that is kept, newest first.
pub(crate) async fn all_ids(inbox: &impl InboxAdmin) -> Vec<DeliveryId> {
    let all = inbox.list(Query::default()).await.unwrap();
    all.iter().map(|summary| summary.id).collect()
}

/// Begins what a future does, and lets go of it.
#[cfg(feature = "sqlite")]
pub(crate) async fn poll_once_and_drop<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
