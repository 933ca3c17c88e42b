//! Event names and fields that this version does not know, counted by several receivers.

use std::time::Duration;

use heygen_inbox::{Drift, Inbox as _, InboxAdmin as _};

use crate::jetstream_support::{Streams, fast_server, open, options, started};
use crate::support::{append_new, at, until};

fn with_field(video: u64, field: &str) -> String {
    format!(
        r#"{{"event_type":"avatar_video.success","event_data":{{"video_id":"{video}","{field}":1}}}}"#
    )
}

fn text(drift: &Drift) -> String {
    format!("{} {} {}", drift.kind, drift.event_type, drift.name)
}

#[tokio::test]
async fn receivers_count_together_and_what_they_counted_outlives_them() {
    let (server, first) = started().await;
    let second = open(&server.url(), options()).await;
    let example = append_new(&first, 1, &with_field(1, "mood")).await;
    assert_eq!(first.drift().await.unwrap().len(), 1);
    append_new(&second, 5, &with_field(2, "mood")).await;
    let unknown = r#"{"event_type":"podcast.success","event_data":{}}"#;
    let of_unknown = append_new(&second, 3, unknown).await;
    second.close().await.unwrap();
    append_new(&first, 2, &with_field(3, "mood")).await;
    first.close().await.unwrap();

    let later = open(&server.url(), options()).await;
    let drift = later.drift().await.unwrap();
    let found: Vec<_> = drift
        .iter()
        .map(|one| (text(&one.drift), one.count, one.first_at, one.last_at))
        .collect();
    assert_eq!(
        found,
        [
            (
                "unknown_field avatar_video.success mood".to_owned(),
                3,
                at(1),
                at(5)
            ),
            (
                "unknown_event podcast.success podcast.success".to_owned(),
                1,
                at(3),
                at(3)
            ),
        ]
    );
    assert_eq!(drift[0].example, example);
    assert_eq!(drift[1].example, of_unknown);
}

#[tokio::test]
async fn ever_new_names_do_not_fill_the_stream() {
    let (_server, inbox) = started().await;
    for number in 0..1010 {
        append_new(&inbox, 0, &with_field(number, &format!("new{number}"))).await;
    }
    let drift = inbox.drift().await.unwrap();
    assert!(drift.len() <= 1001, "{}", drift.len());
    let sum: u64 = drift.iter().map(|one| one.count).sum();
    assert_eq!(sum, 1010, "each is counted somewhere");
    assert!(drift.iter().any(|one| one.drift.name == "(others)"));
    // Those that have a row of their own are still counted there.
    append_new(&inbox, 1, &with_field(5000, "new0")).await;
    let drift = inbox.drift().await.unwrap();
    let known = drift.iter().find(|one| one.drift.name == "new0").unwrap();
    assert_eq!(known.count, 2);
}

#[tokio::test]
async fn counts_survive_a_caller_that_gives_up() {
    let (_server, inbox) = started().await;
    append_new(&inbox, 0, &with_field(1, "mood")).await;
    tokio::select! {
        biased;
        _ = inbox.drift() => panic!("a server answers later"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(inbox.drift().await.unwrap().len(), 1);
}

#[tokio::test]
async fn counts_that_could_not_be_written_are_written_later() {
    let server = fast_server();
    let streams = Streams::on(&server.url()).await;
    let inbox = open(&server.url(), options()).await;
    let beside = open(&server.url(), options()).await;
    let refuse = async |most| {
        let change = streams.change("HEYGEN_RECORDS", |config| config.max_message_size = most);
        change.await;
    };
    refuse(1).await;
    append_new(&inbox, 0, &with_field(1, "mood")).await;
    // They are written after 5 seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(beside.drift().await.unwrap(), []);
    refuse(-1).await;
    until(async || !beside.drift().await.unwrap().is_empty()).await;
}
