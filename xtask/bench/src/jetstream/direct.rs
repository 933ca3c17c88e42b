//! Streams of NATS JetStream without a receiver or a worker: what publishing and taking cost with async-nats alone, and what the
//! store does by itself.
//!
//! What is published directly looks as what the store publishes: the same bodies, subjects, settings of the stream, and headers
//! as long as its. Servers are given as `host:port,host:port`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use futures_util::{StreamExt as _, TryStreamExt as _};
use heygen_inbox::Inbox as _;
use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
use tokio::task::JoinSet;
use xtask_harness::report::quantile;

use super::place::{RECORDS, STREAM};
use crate::backlog::{all, append_all, append_one};
use crate::event::{self, USER_AGENT};
use crate::rounds::{Measured, WRONG};
use crate::wrk::{P50, P99};

/// Publishes for so many seconds, after one to warm up, with so many waiting for their acknowledgement at a time.
#[tokio::main]
pub(super) async fn publish(
    servers: &str,
    replicas: usize,
    at_a_time: usize,
    seconds: f64,
) -> Measured {
    let context = connect(servers).await?;
    make(&context, STREAM, "heygen.events.>", replicas).await?;
    let act = move |number| {
        let context = context.clone();
        async move { publish_one(&context, number).await }
    };
    measure(servers, at_a_time, seconds, act).await
}

/// The same with the store: `JetStreamInbox`, whose streams have to be new.
#[tokio::main]
pub(super) async fn append(servers: &str, at_a_time: usize, seconds: f64) -> Measured {
    let inbox = open(servers).await?;
    let appending = inbox.clone();
    let act = move |number| {
        let inbox = appending.clone();
        async move { append_one(&inbox, event::delivery(number)).await }
    };
    let measured = measure(servers, at_a_time, seconds, act).await;
    inbox.close().await.context("close the inbox")?;
    measured
}

/// Appends so many events with the store to streams that are empty, for workers to dispatch.
#[tokio::main]
pub(super) async fn fill(servers: &str, count: u64) -> Result<()> {
    let inbox = open(servers).await?;
    append_all(&inbox, 0..count).await?;
    inbox.close().await.context("close the inbox")?;
    check_kept(servers, STREAM, count).await
}

/// Publishes so many events and then takes them with a pull consumer: for each a record is written to another stream, as a worker
/// does, and when that is acknowledged so is the event; so many at a time. Tells how many in a second.
#[tokio::main]
pub(super) async fn take(
    servers: &str,
    replicas: usize,
    at_a_time: usize,
    count: u64,
) -> Result<f64> {
    let context = connect(servers).await?;
    let events = make(&context, STREAM, "heygen.events.>", replicas).await?;
    make(&context, RECORDS, "heygen.records.>", replicas).await?;
    let filled = futures_util::stream::iter(0..count).map(Ok);
    filled
        .try_for_each_concurrent(FILLERS, |number| publish_one(&context, number))
        .await?;
    let config = PullConfig {
        durable_name: Some("direct".to_owned()),
        ack_policy: AckPolicy::Explicit,
        max_ack_pending: -1,
        ..PullConfig::default()
    };
    let consumer: PullConsumer = events
        .create_consumer(config)
        .await
        .context("make a consumer")?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(FILLERS)
        .messages()
        .await
        .context("take from the stream")?;
    let clock = Instant::now();
    let take = usize::try_from(count).context("count")?;
    messages
        .take(take)
        .map_err(anyhow::Error::from)
        .try_for_each_concurrent(at_a_time, |message| {
            let context = &context;
            async move {
                let info = message.info().map_err(|error| anyhow!(error))?;
                let subject = format!("heygen.records.{}", info.stream_sequence);
                let record = PublishMessage::build()
                    .payload(RECORD.into())
                    .expected_last_subject_sequence(0);
                acknowledged(context, subject, record).await?;
                message.ack().await.map_err(|error| anyhow!(error))
            }
        })
        .await?;
    let took = clock.elapsed();
    check_kept(servers, RECORDS, count).await?;
    Ok(count as f64 / took.as_secs_f64())
}

/// What one of `at_a_time` does over and over again, and how long it takes; the first second does not count. Each has put one message
/// into the stream.
async fn measure<F>(
    servers: &str,
    at_a_time: usize,
    seconds: f64,
    act: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Measured
where
    F: Future<Output = Result<()>> + Send,
{
    let begin = Instant::now() + WARM_UP;
    let end = begin + Duration::from_secs_f64(seconds);
    let next = Arc::new(AtomicU64::new(0));
    let times = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..at_a_time {
        let (act, next, times) = (act.clone(), Arc::clone(&next), Arc::clone(&times));
        tasks.spawn(async move {
            let mut own = Vec::new();
            let mut started = Instant::now();
            while started < end {
                act(next.fetch_add(1, Ordering::Relaxed)).await?;
                let ended = Instant::now();
                if started >= begin && ended < end {
                    own.push((ended - started).as_micros());
                }
                started = ended;
            }
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.append(&mut own);
            Ok(())
        });
    }
    all(tasks).await?;
    check_kept(servers, STREAM, next.load(Ordering::Relaxed)).await?;
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    let latencies = [50, 99].map(|percent| quantile(&mut times, percent) as f64 / 1000.0);
    Ok(vec![
        (IN, times.len() as f64 / seconds),
        (P50, latencies[0]),
        (P99, latencies[1]),
    ])
}

async fn publish_one(context: &Context, number: u64) -> Result<()> {
    let id = event::id(number);
    let message = PublishMessage::build()
        .payload(event::body(&id).into())
        .headers(headers(&id))
        .expected_stream(STREAM);
    let subject = "heygen.events.avatar_video.success".to_owned();
    acknowledged(context, subject, message).await
}

async fn acknowledged(context: &Context, subject: String, message: PublishMessage) -> Result<()> {
    let started = Instant::now();
    let acknowledgement = loop {
        let sent = context.send_publish(subject.clone(), message.clone()).await;
        match sent.context("publish")?.await {
            // A server of a cluster may hear of a new stream a moment after its leader.
            Err(error)
                if error.kind() == PublishErrorKind::StreamNotFound
                    && started.elapsed() < STREAM_IS_KNOWN =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            sent => break sent.context("publish")?,
        }
    };
    match acknowledgement.duplicate {
        true => bail!("a message was in the stream before"),
        false => Ok(()),
    }
}

/// Those of the store, with values as long as its.
fn headers(id: &str) -> HeaderMap {
    let request = format!(
        r#"[["content-type","application/json"],["user-agent","{USER_AGENT}"],["signature","{id}{id}"]]"#
    );
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", format!("p{id}").as_str());
    headers.insert("Heygen-Inbox-Received-At", "2026-01-01T00:00:00.000000000Z");
    headers.insert("Heygen-Inbox-Source", "webhook");
    headers.insert("Heygen-Inbox-Authenticity", "verified");
    headers.insert("Heygen-Inbox-Fingerprints", &id[..16]);
    headers.insert(
        "Heygen-Inbox-Dedup-Fingerprints",
        format!("{},{}", &id[..16], &id[16..]).as_str(),
    );
    headers.insert("Heygen-Inbox-Request-Headers", request.as_str());
    headers
}

async fn connect(servers: &str) -> Result<Context> {
    let servers: Vec<String> = servers
        .split(',')
        .map(|server| format!("nats://{server}"))
        .collect();
    let client = async_nats::connect(servers).await;
    Ok(jetstream::new(client.context("connect")?))
}

async fn open(servers: &str) -> Result<JetStreamInbox> {
    let address = format!("nats://{servers}/{STREAM}")
        .parse()
        .context("read the address")?;
    let opened = JetStreamInbox::open(&address, JetStreamOptions::default()).await;
    opened.context("open the inbox")
}

/// With the settings of the store's.
async fn make(context: &Context, name: &str, subjects: &str, replicas: usize) -> Result<Stream> {
    let made = context.create_stream(Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        storage: StorageType::File,
        num_replicas: replicas,
        discard: DiscardPolicy::New,
        duplicate_window: Duration::from_secs(25 * 3600),
        allow_direct: true,
        ..Config::default()
    });
    made.await.context("make a stream")
}

/// Whatever was acknowledged is in the stream.
async fn check_kept(servers: &str, stream: &str, acknowledged: u64) -> Result<()> {
    let stream = connect(servers).await?.get_stream(stream).await;
    let kept = stream
        .context("find the stream")?
        .cached_info()
        .state
        .messages;
    if kept != acknowledged {
        bail!("{WRONG}: {acknowledged} were acknowledged and {kept} are in the stream");
    }
    Ok(())
}

pub(super) const IN: &str = "in/s";

/// As long as the one that says that the first attempt succeeded.
const RECORD: &str = r#"{"state":"acknowledged","due_at":1789084800000000,"handed_out":1,"first_attempt":1,"generation":0,"dead_sequence":0,"attempts":[{"number":1,"started_at":1789084800000000,"micros":25,"result":"done"}],"repeats":{"count":0,"last_at":null,"last_headers":[]}}"#;

const WARM_UP: Duration = Duration::from_secs(1);

/// The longest that a cluster may take until every server knows a new stream.
const STREAM_IS_KNOWN: Duration = Duration::from_secs(10);

const FILLERS: usize = 256;

#[cfg(test)]
mod tests {
    use xtask_nats::{Options, Program, Server};

    use super::*;

    fn start() -> (Server, String) {
        let server = Server::start(Program::Current, &Options::new()).unwrap();
        let address = server.address().to_string();
        (server, address)
    }

    /// Both have counted what is in the stream.
    #[track_caller]
    fn check(measure: impl FnOnce(&str) -> Measured) {
        let (_server, address) = start();
        let measured = measure(&address).unwrap();
        let names: Vec<_> = measured.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [IN, P50, P99]);
    }

    #[test]
    fn what_is_acknowledged_is_in_the_stream() {
        check(|address| publish(address, 1, 4, 0.1));
        check(|address| append(address, 4, 0.1));
    }

    #[test]
    fn what_is_filled_was_empty() {
        let (_server, address) = start();
        fill(&address, 300).unwrap();
        let error = fill(&address, 1).unwrap_err().to_string();
        assert!(
            error.contains("an event was in the inbox before"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_was_acknowledged_and_is_not_there_is_wrong() {
        let (_server, address) = start();
        let context = connect(&address).await.unwrap();
        make(&context, STREAM, "heygen.events.>", 1).await.unwrap();
        publish_one(&context, 0).await.unwrap();
        assert!(check_kept(&address, STREAM, 1).await.is_ok());
        let error = check_kept(&address, STREAM, 2)
            .await
            .unwrap_err()
            .to_string();
        assert_eq!(error, "WRONG: 2 were acknowledged and 1 are in the stream");
    }

    #[test]
    fn what_is_published_is_taken() {
        let (_server, address) = start();
        assert!(take(&address, 1, 16, 300).unwrap() > 0.0);
    }
}
