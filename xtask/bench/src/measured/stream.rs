//! Streams of NATS JetStream without a receiver or a worker: what publishing and taking cost with async-nats alone, and what the
//! store does by itself.
//!
//! What is published directly looks as what the store publishes: the same bodies, subjects, settings of the stream, and headers
//! as long as its. Servers are given as `host:port,host:port`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event::{self, USER_AGENT};
use anyhow::{Context as _, Result, anyhow, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use futures_util::{StreamExt as _, TryStreamExt as _};
use heygen_inbox::jetstream::{JetStreamInbox, JetStreamOptions};
use heygen_inbox::{Appended, Inbox};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Publishes for so many seconds, after one to warm up, with so many waiting for their acknowledgement at a time.
pub(crate) fn publish(
    servers: &str,
    replicas: usize,
    at_a_time: usize,
    seconds: f64,
) -> Result<Value> {
    super::runtime()?.block_on(async {
        let context = connect(servers).await?;
        let mut stream = make(&context, EVENTS, "heygen.events.>", replicas).await?;
        let publishing = context.clone();
        let mut measured = measure(at_a_time, seconds, move |number| {
            let context = publishing.clone();
            async move { publish_one(&context, number).await }
        })
        .await?;
        measured["kept"] = kept(&mut stream).await?.into();
        Ok(measured)
    })
}

/// The same with the store: `JetStreamInbox`, whose streams have to be new.
pub(crate) fn append(servers: &str, at_a_time: usize, seconds: f64) -> Result<Value> {
    super::runtime()?.block_on(async {
        let inbox = open(servers).await?;
        let appending = inbox.clone();
        let mut measured = measure(at_a_time, seconds, move |number| {
            let inbox = appending.clone();
            async move { append_one(&inbox, number).await }
        })
        .await?;
        let context = connect(servers).await?;
        let stream = context.get_stream(EVENTS).await;
        measured["kept"] = kept(&mut stream.context("find the stream")?).await?.into();
        inbox.close().await.context("close the inbox")?;
        Ok(measured)
    })
}

/// Appends so many events with the store to streams that are empty, for workers to hand out.
pub(crate) fn fill(servers: &str, count: u64) -> Result<Value> {
    super::runtime()?.block_on(async {
        let inbox = open(servers).await?;
        let appended = futures_util::stream::iter(0..count).map(Ok);
        appended
            .try_for_each_concurrent(FILLERS, |number| append_one(&inbox, number))
            .await?;
        inbox.close().await.context("close the inbox")?;
        let context = connect(servers).await?;
        let stream = context.get_stream(EVENTS).await;
        let kept = kept(&mut stream.context("find the stream")?).await?;
        match kept == count {
            true => Ok(json!({ "filled": kept })),
            false => bail!("{count} were appended and {kept} are in the stream"),
        }
    })
}

/// Publishes so many events and then takes them with a pull consumer: for each a record is written to another stream, as a worker
/// does, and when that is acknowledged so is the event; so many at a time.
pub(crate) fn take(servers: &str, replicas: usize, at_a_time: usize, count: u64) -> Result<Value> {
    super::runtime()?.block_on(async {
        let context = connect(servers).await?;
        let events = make(&context, EVENTS, "heygen.events.>", replicas).await?;
        let mut records = make(&context, RECORDS, "heygen.records.>", replicas).await?;
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
        let kept = kept(&mut records).await?;
        if kept != count {
            bail!("{count} were taken and {kept} records are in the stream");
        }
        Ok(json!({ "done_per_second": count as f64 / took.as_secs_f64() }))
    })
}

/// What one of `at_a_time` does over and over again, and how long it takes; the first second does not count.
async fn measure<F>(
    at_a_time: usize,
    seconds: f64,
    act: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<Value>
where
    F: Future<Output = Result<()>> + Send,
{
    let begin = Instant::now() + WARM_UP;
    let end = begin + Duration::from_secs_f64(seconds);
    let next = Arc::new(AtomicU64::new(0));
    let times = Arc::new(Mutex::new(BTreeMap::<u64, u64>::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..at_a_time {
        let (act, next, all) = (act.clone(), Arc::clone(&next), Arc::clone(&times));
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
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            for micros in own {
                *all.entry(u64::try_from(micros).unwrap_or(u64::MAX))
                    .or_default() += 1;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|_| anyhow!("a task panicked"))??;
    }
    let times = times.lock().unwrap_or_else(PoisonError::into_inner);
    let counted: u64 = times.values().sum();
    Ok(json!({
        "acknowledged": next.load(Ordering::Relaxed),
        "per_second": counted as f64 / seconds,
        "p50_micros": percentile(&times, 0.5),
        "p99_micros": percentile(&times, 0.99),
    }))
}

fn percentile(times: &BTreeMap<u64, u64>, part: f64) -> u64 {
    let all: u64 = times.values().sum();
    let mut left = (all as f64 * part) as u64;
    for (micros, count) in times {
        if *count > left {
            return *micros;
        }
        left -= count;
    }
    0
}

async fn publish_one(context: &Context, number: u64) -> Result<()> {
    let id = event::id(number);
    let message = PublishMessage::build()
        .payload(event::body(&id).into())
        .headers(headers(&id))
        .expected_stream(EVENTS);
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

async fn append_one(inbox: &JetStreamInbox, number: u64) -> Result<()> {
    match inbox
        .append(event::delivery(number))
        .await
        .context("append")?
    {
        Appended::New(_) => Ok(()),
        Appended::Duplicate(_) => bail!("an event was in the stream before"),
        _ => bail!("an append was answered in a way that this program does not know"),
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
    let address = format!("nats://{servers}/{EVENTS}")
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

async fn kept(stream: &mut Stream) -> Result<u64> {
    Ok(stream
        .info()
        .await
        .context("look at a stream")?
        .state
        .messages)
}

const EVENTS: &str = "HEYGEN";
const RECORDS: &str = "HEYGEN_RECORDS";

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

    #[test]
    fn what_is_acknowledged_is_in_the_stream() {
        let (_server, address) = start();
        let measured = publish(&address, 1, 4, 0.1).unwrap();
        assert!(measured["acknowledged"].as_u64() > Some(0), "{measured}");
        assert_eq!(measured["acknowledged"], measured["kept"]);
        let (_server, address) = start();
        let measured = append(&address, 4, 0.1).unwrap();
        assert!(measured["acknowledged"].as_u64() > Some(0), "{measured}");
        assert_eq!(measured["acknowledged"], measured["kept"]);
    }

    #[test]
    fn what_is_filled_was_empty() {
        let (_server, address) = start();
        assert_eq!(fill(&address, 300).unwrap()["filled"], 300);
        assert!(fill(&address, 1).is_err(), "300 are there");
    }

    #[test]
    fn what_is_published_is_taken() {
        let (_server, address) = start();
        let measured = take(&address, 1, 16, 300).unwrap();
        assert!(
            measured["done_per_second"].as_f64() > Some(0.0),
            "{measured}"
        );
    }

    #[track_caller]
    fn check(times: &[(u64, u64)], part: f64, expected: u64) {
        let times = times.iter().copied().collect();
        assert_eq!(percentile(&times, part), expected);
    }

    #[test]
    fn a_percentile_is_found_among_counts() {
        check(&[], 0.5, 0);
        check(&[(7, 1)], 0.99, 7);
        check(&[(10, 50), (20, 49), (90, 1)], 0.5, 20);
        check(&[(10, 50), (20, 49), (90, 1)], 0.49, 10);
        check(&[(10, 50), (20, 49), (90, 1)], 0.99, 90);
    }
}
