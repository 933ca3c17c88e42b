//! The consumer that workers share: deleted, created again, changed or unfit while they run.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{DeliverPolicy, PullConsumer, ReplayPolicy};
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt as _;
use heygen_inbox::jetstream::JetStreamInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, ClaimedDelivery, DeliveryId, Inbox as _, InboxErrorKind,
};
use xtask_nats::{Options, Program, Server};

use crate::jetstream_support::{Streams, fast_server, in_time, open, options, started};
use crate::support::{
    append_new, at, body, claim_due, claim_one, claimed_ids, complete, server, until,
};

type Change = fn(&mut Config);

async fn stream(url: &str, name: &str) -> Stream {
    let context = Streams::on(url).await.context;
    context.get_stream(name).await.unwrap()
}

async fn append_and_acknowledge(inbox: &JetStreamInbox, name: &str) -> DeliveryId {
    let id = append_new(inbox, 0, &body(name)).await;
    let claimed = claim_one(inbox, 0).await;
    complete(inbox, &claimed, 1, AttemptOutcome::Acknowledged).await;
    id
}

/// Claims through failures, as a dispatcher does.
async fn claim_in_spite_of_failures(inbox: &JetStreamInbox, seconds: u64) -> ClaimedDelivery {
    in_time(async {
        loop {
            let claim = inbox.claim(ClaimRequest::due(10, at(seconds))).await;
            let mut deliveries = claim.map_or(Vec::new(), |claim| claim.deliveries);
            assert!(deliveries.len() <= 1, "{deliveries:?}");
            if let Some(claimed) = deliveries.pop() {
                return claimed;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

async fn goes_on_without_its_consumers(program: Program) {
    let server = server(program);
    let inbox = open(&server.url(), options()).await;
    append_and_acknowledge(&inbox, "done").await;
    for name in ["HEYGEN", "HEYGEN_AGAIN"] {
        let stream = stream(&server.url(), name).await;
        stream.delete_consumer("workers").await.unwrap();
    }
    let id = append_new(&inbox, 1, &body("new")).await;
    let claimed = claim_in_spite_of_failures(&inbox, 1).await;
    assert_eq!(claimed.id, id, "what was acknowledged stays so");
    complete(&inbox, &claimed, 1, AttemptOutcome::Retry).await;
    let again = claim_in_spite_of_failures(&inbox, 2).await;
    assert_eq!((again.id, again.attempt), (id, 2));
    complete(&inbox, &again, 1, AttemptOutcome::Acknowledged).await;
    assert_eq!(inbox.ack_wait(), options().ack_wait);
}

#[tokio::test]
async fn consumer_deleted_while_a_worker_runs_is_created_again() {
    goes_on_without_its_consumers(Program::Current).await;
}

#[tokio::test]
async fn consumer_deleted_while_a_worker_runs_is_created_again_with_2_9() {
    goes_on_without_its_consumers(Program::Debian).await;
}

/// A consumer that was created again delivers everything as if for the first time, which a worker
/// takes for the first attempt unless it notices.
#[tokio::test]
async fn worker_notices_that_another_process_created_the_consumer_again() {
    let (server, worker) = started().await;
    for name in ["a", "b", "last"] {
        append_and_acknowledge(&worker, name).await;
    }
    let stream = stream(&server.url(), "HEYGEN").await;
    stream.delete_consumer("workers").await.unwrap();
    let config = Config {
        durable_name: Some("workers".to_owned()),
        ack_wait: Duration::from_secs(30),
        max_ack_pending: -1,
        ..Config::default()
    };
    let consumer: PullConsumer = stream.create_consumer(config).await.unwrap();
    // It makes more deliveries than the one before, but not of the last event.
    for _ in 0..3 {
        let mut fetched = consumer.fetch().max_messages(2).messages().await.unwrap();
        while let Some(message) = fetched.next().await {
            let nak = async_nats::jetstream::AckKind::Nak(None);
            message.unwrap().double_ack_with(nak).await.unwrap();
        }
    }
    // A worker looks at its consumer once a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let new = append_new(&worker, 1, &body("new")).await;
    let claimed = claim_in_spite_of_failures(&worker, 1).await;
    assert_eq!(claimed.id, new, "nothing is dispatched again");
    complete(&worker, &claimed, 1, AttemptOutcome::Acknowledged).await;
}

#[tokio::test]
async fn ack_wait_changed_while_a_worker_runs_is_noticed() {
    let (server, worker) = started().await;
    let stream = stream(&server.url(), "HEYGEN").await;
    let consumer: PullConsumer = stream.get_consumer("workers").await.unwrap();
    let changed = Config {
        durable_name: Some("workers".to_owned()),
        ack_wait: options().ack_wait / 2,
        max_ack_pending: -1,
        max_deliver: -1,
        ..Config::default()
    };
    drop(consumer);
    stream.create_consumer(changed).await.unwrap();
    until(async || {
        worker.claim(ClaimRequest::due(1, at(0))).await.unwrap();
        worker.ack_wait() == options().ack_wait / 2
    })
    .await;
}

#[tokio::test]
async fn consumer_that_would_not_dispatch_every_event_is_refused() {
    let server = fast_server();
    open(&server.url(), options()).await;
    let stream = stream(&server.url(), "HEYGEN").await;
    let cases: [(&str, Change); 9] = [
        ("max deliver", |config| config.max_deliver = 5),
        ("headers only", |config| config.headers_only = true),
        ("filter", |config| {
            config.filter_subject = "heygen.events.a.>".to_owned();
        }),
        ("filter", |config| {
            config.filter_subjects = vec!["heygen.events.a.>".to_owned()];
        }),
        ("backoff", |config| {
            config.max_deliver = -1;
            config.backoff = vec![Duration::from_secs(1)];
        }),
        ("deliver policy", |config| {
            config.deliver_policy = DeliverPolicy::New;
        }),
        ("deliver policy", |config| {
            config.deliver_policy = DeliverPolicy::Last;
        }),
        ("deliver policy", |config| {
            config.deliver_policy = DeliverPolicy::ByStartTime {
                start_time: std::time::SystemTime::now().into(),
            };
        }),
        ("deliver policy", |config| {
            config.deliver_policy = DeliverPolicy::ByStartSequence { start_sequence: 5 };
        }),
    ];
    let address = format!("{}/HEYGEN", server.url()).parse().unwrap();
    for (reason, change) in cases {
        stream.delete_consumer("workers").await.unwrap();
        let mut config = Config {
            durable_name: Some("workers".to_owned()),
            ..Config::default()
        };
        change(&mut config);
        let _: PullConsumer = stream.create_consumer(config).await.unwrap();
        let refused = JetStreamInbox::open(&address, options()).await.unwrap_err();
        assert_eq!(refused.kind(), InboxErrorKind::Version, "{refused:?}");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}

#[tokio::test]
async fn consumer_that_loses_its_position_or_is_slow_is_reported() {
    let (server, _inbox) = started().await;
    let stream = stream(&server.url(), "HEYGEN").await;
    stream.delete_consumer("workers").await.unwrap();
    let config = Config {
        durable_name: Some("workers".to_owned()),
        max_ack_pending: -1,
        ack_wait: options().ack_wait,
        inactive_threshold: Duration::from_secs(3600),
        replay_policy: ReplayPolicy::Original,
        ..Config::default()
    };
    let _: PullConsumer = stream.create_consumer(config).await.unwrap();
    let inbox = open(&server.url(), options()).await;
    assert_eq!(
        inbox.config_drift(),
        [
            "the inactive threshold of the consumer of HEYGEN is 1h, not unlimited: without workers it is deleted",
            "the replay policy of the consumer of HEYGEN is original, not instant: what waits is delivered as slowly as it came",
        ]
    );
}

#[tokio::test]
async fn consumer_that_became_filtered_while_a_worker_runs_is_refused() {
    let filter = |config: &mut Config| config.filter_subject = "heygen.events.a.>".to_owned();
    is_refused_while_a_worker_runs("it has a filter", filter).await;
}

#[tokio::test]
async fn consumer_of_new_events_only_is_refused_while_a_worker_runs() {
    let new_only = |config: &mut Config| config.deliver_policy = DeliverPolicy::New;
    is_refused_while_a_worker_runs("its deliver policy is not all", new_only).await;
}

async fn is_refused_while_a_worker_runs(reason: &str, change: Change) {
    let (server, worker) = started().await;
    append_and_acknowledge(&worker, "done").await;
    let stream = stream(&server.url(), "HEYGEN").await;
    let fit = Config {
        durable_name: Some("workers".to_owned()),
        max_ack_pending: -1,
        ..Config::default()
    };
    let mut unfit = fit.clone();
    change(&mut unfit);
    stream.delete_consumer("workers").await.unwrap();
    let _: PullConsumer = stream.create_consumer(unfit).await.unwrap();
    let id = append_new(&worker, 1, &body("new")).await;
    let refused = in_time(async {
        loop {
            let claim = worker.claim(ClaimRequest::due(10, at(1))).await;
            match claim {
                Err(error) if error.kind() == InboxErrorKind::Version => return error,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let refused = refused.await.to_string();
    assert!(refused.contains(reason), "{refused}");
    let claim = worker.claim(ClaimRequest::due(10, at(1))).await;
    assert_eq!(claim.unwrap_err().kind(), InboxErrorKind::Version, "still");
    stream.delete_consumer("workers").await.unwrap();
    let _: PullConsumer = stream.create_consumer(fit).await.unwrap();
    assert_eq!(claim_in_spite_of_failures(&worker, 1).await.id, id);
}

/// What was fetched counts as an attempt, and comes again only after the ack wait.
#[tokio::test]
async fn fetched_delivery_is_claimed_though_the_consumer_cannot_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.conf");
    let deny = |subject: &str| {
        let denied = format!(r#"permissions: {{ publish: {{ deny: ["{subject}"] }} }}"#);
        let user = format!("{{ user: a, password: b, {denied} }}");
        let text = format!("authorization {{ users: [ {user} ] }}\n");
        std::fs::write(&file, text).unwrap();
    };
    deny("nothing");
    // A path relative to the server's own configuration.
    let include = format!("include \"{}{}\"", "../".repeat(20), file.display());
    let of_server = Options::new().sync_interval("2m").config(&include);
    let mut server = Server::start(Program::Current, &of_server).unwrap();
    let url = server.url().replace("nats://", "nats://a:b@");
    let inbox = open(&url, options()).await;
    append_and_acknowledge(&inbox, "done").await;

    server.kill().unwrap();
    deny("$JS.API.CONSUMER.INFO.>");
    server.restart().unwrap();
    until(async || inbox.ready().await.is_ok()).await;
    let id = append_new(&inbox, 1, &body("new")).await;
    // A worker looks at its consumer once a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(claimed_ids(&claim_due(&inbox, 10, 1).await), [id]);
}

/// One of these who created the consumers decides, and all others see what it decided.
#[tokio::test]
async fn processes_that_start_at_once_agree() {
    for program in [Program::Current, Program::Debian] {
        let server = server(program);
        let url = server.url();
        let opening = (1..=8).map(|number| {
            let mut options = options();
            options.ack_wait = Duration::from_secs(number);
            options.streams.max_bytes = Some(1_000_000_000 + number);
            open(&url, options)
        });
        let opened = in_time(futures_util::future::join_all(opening)).await;
        let events = stream(&url, "HEYGEN").await;
        let consumer: PullConsumer = events.get_consumer("workers").await.unwrap();
        let ack_wait = consumer.cached_info().config.ack_wait;
        let id = append_new(&opened[0], 0, &body("a")).await;
        let mut claimed = Vec::new();
        in_time(async {
            while claimed.is_empty() {
                for inbox in &opened {
                    let claim = inbox.claim(ClaimRequest::due(1, at(1))).await.unwrap();
                    claimed.extend(claim.deliveries.iter().map(|one| one.id));
                }
            }
        })
        .await;
        assert_eq!(claimed, [id]);
        if program == Program::Current {
            for inbox in &opened {
                assert!(inbox.ack_wait() <= ack_wait, "{:?}", inbox.ack_wait());
                assert_eq!(inbox.ack_wait(), opened[0].ack_wait());
            }
        }
    }
}
