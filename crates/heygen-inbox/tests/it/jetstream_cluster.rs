//! Three servers under load, of which some are killed or cut off: whatever was acknowledged is dispatched and finished.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use heygen_inbox::jetstream::JetStreamInbox;
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, DeliveryId, Inbox as _, InboxAdmin as _, Query, State,
};
use tokio::runtime::Runtime;
use xtask_nats::{Cluster, Options, Program, until};

use crate::jetstream_support::{end, in_time, open, options};
use crate::support::{append_new, at, body, delivery, duplicate};

/// What all tasks count.
#[derive(Debug, Default)]
struct Figures {
    acknowledged: Mutex<HashSet<DeliveryId>>,
    /// How often each was dispatched.
    dispatched: Mutex<HashMap<DeliveryId, usize>>,
    finished: Mutex<HashSet<DeliveryId>>,
    refused: AtomicUsize,
    slowest_append: Mutex<Duration>,
    is_over: AtomicBool,
    is_drained: AtomicBool,
}

/// A cluster with two receivers and two workers at it.
struct Load {
    runtime: Runtime,
    inboxes: Vec<JetStreamInbox>,
    figures: Arc<Figures>,
    receivers: Vec<tokio::task::JoinHandle<usize>>,
    workers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(cluster: &Cluster) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let urls = cluster.urls().join(",").replace(",nats://", ",");
        let open_one = || {
            let mut options = options();
            options.ack_wait = Duration::from_secs(3);
            runtime.block_on(open(&urls, options))
        };
        let inboxes: Vec<JetStreamInbox> = (0..4).map(|_| open_one()).collect();
        assert_eq!(inboxes[0].replicas(), 3);
        let figures = Arc::new(Figures::default());
        let mut receivers = Vec::new();
        let mut workers = Vec::new();
        for (number, inbox) in inboxes.iter().enumerate() {
            let (inbox, figures) = (inbox.clone(), Arc::clone(&figures));
            match number % 2 {
                0 => receivers.push(runtime.spawn(receive(number, inbox, figures))),
                _ => workers.push(runtime.spawn(work(inbox, figures))),
            }
        }
        Self {
            runtime,
            inboxes,
            figures,
            receivers,
            workers,
        }
    }

    /// Waits until so many more were acknowledged, and as many finished.
    fn goes_on(&self, what: &str, more: usize) {
        let len = |ids: &Mutex<HashSet<DeliveryId>>| ids.lock().unwrap().len();
        let before = (len(&self.figures.acknowledged), len(&self.figures.finished));
        until(what, || {
            let now = (len(&self.figures.acknowledged), len(&self.figures.finished));
            let is_so = now.0 >= before.0 + more && now.1 >= before.1 + more;
            Ok(is_so
                .then_some(())
                .ok_or_else(|| format!("{now:?} after {before:?}")))
        })
        .unwrap();
    }

    fn check(self, what: &str) {
        let Self {
            runtime,
            inboxes,
            figures,
            receivers,
            workers,
        } = self;
        figures.is_over.store(true, Ordering::Relaxed);
        let mut sent = 0;
        for receiver in receivers {
            sent += runtime.block_on(receiver).unwrap();
        }
        let acknowledged = figures.acknowledged.lock().unwrap().clone();
        until("all that was acknowledged to be finished", || {
            let finished = figures.finished.lock().unwrap();
            let left = acknowledged.difference(&finished).count();
            Ok((left == 0)
                .then_some(())
                .ok_or_else(|| format!("{left} are left")))
        })
        .unwrap();
        figures.is_drained.store(true, Ordering::Relaxed);
        for worker in workers {
            runtime.block_on(worker).unwrap();
        }
        let dispatched = figures.dispatched.lock().unwrap().clone();
        // A list reads records from any replica, and one that was just restarted is behind.
        let all = until("all to be listed as acknowledged", || {
            let listed = runtime.block_on(inboxes[0].list(Query::default()));
            let all = match listed {
                Ok(all) => all,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let not_done = all.iter().filter(|one| one.state != State::Acknowledged);
            let not_done: Vec<_> = not_done.take(5).cloned().collect();
            Ok(match not_done.is_empty() {
                true => Ok(all),
                false => Err(format!("{not_done:?}")),
            })
        })
        .unwrap();
        // Each that was tried again is dispatched twice.
        let tried_again = dispatched.keys().filter(|id| is_tried_again(**id)).count();
        let doubled = dispatched.values().sum::<usize>() - dispatched.len() - tried_again;
        #[expect(clippy::print_stdout, reason = "figures for people")]
        {
            println!(
                "{what}: {} acknowledged, {} refused, {} dispatched, {doubled} more than once, the slowest append {:?}",
                acknowledged.len(),
                figures.refused.load(Ordering::Relaxed),
                dispatched.len(),
                figures.slowest_append.lock().unwrap(),
            );
        }
        assert_eq!(acknowledged.len(), sent, "each event under one id");
        assert_eq!(all.len(), sent, "each event is stored once");
        assert!(acknowledged.iter().all(|id| dispatched.contains_key(id)));
    }
}

/// Sends one event after the other, each until it is acknowledged, as HeyGen does; how many.
async fn receive(number: usize, inbox: JetStreamInbox, figures: Arc<Figures>) -> usize {
    let mut sent = 0;
    while !figures.is_over.load(Ordering::Relaxed) {
        let text = body(&format!("r{number}-{sent}"));
        loop {
            let begun_at = Instant::now();
            let appended = inbox.append(delivery(0, &text)).await;
            let took = begun_at.elapsed();
            {
                let mut slowest = figures.slowest_append.lock().unwrap();
                *slowest = took.max(*slowest);
            }
            match appended {
                Ok(appended) => {
                    figures.acknowledged.lock().unwrap().insert(appended.id());
                    break;
                }
                Err(_) => {
                    figures.refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        sent += 1;
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    sent
}

fn is_tried_again(id: DeliveryId) -> bool {
    id.key().is_multiple_of(10)
}

async fn work(inbox: JetStreamInbox, figures: Arc<Figures>) {
    while !figures.is_drained.load(Ordering::Relaxed) {
        let Ok(claim) = inbox.claim(ClaimRequest::due(8, at(1))).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if claim.deliveries.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for claimed in claim.deliveries {
            let times = {
                let mut dispatched = figures.dispatched.lock().unwrap();
                let times = dispatched.entry(claimed.id).or_default();
                *times += 1;
                *times
            };
            let result = match is_tried_again(claimed.id) && times == 1 {
                true => AttemptOutcome::Retry,
                false => AttemptOutcome::Acknowledged,
            };
            while inbox.complete(end(&claimed, result)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if result == AttemptOutcome::Acknowledged {
                figures.finished.lock().unwrap().insert(claimed.id);
            }
        }
    }
}

#[test]
fn nothing_is_lost_when_servers_are_killed() {
    let mut cluster = Cluster::start(Program::Current, 3, &Options::new()).unwrap();
    let load = Load::start(&cluster);
    load.goes_on("work before anything happens", 50);

    let leader = cluster.leader_of_stream("HEYGEN").unwrap();
    cluster.kill(leader).unwrap();
    load.goes_on("work without the leader", 50);
    cluster.restart(leader).unwrap();
    cluster.wait_until_ready().unwrap();

    cluster.kill_all().unwrap();
    cluster.restart_all().unwrap();
    load.goes_on("work after all were killed", 50);
    load.check("three servers, killed");
}

#[test]
fn nothing_is_lost_when_the_leader_is_cut_off() {
    let mut cluster = Cluster::start(Program::Current, 3, &Options::new()).unwrap();
    let load = Load::start(&cluster);
    load.goes_on("work before anything happens", 50);

    let leader = cluster.leader_of_stream("HEYGEN").unwrap();
    cluster.cut(leader).unwrap();
    load.goes_on("work without the one that was cut off", 50);
    cluster.heal(leader).unwrap();
    cluster.wait_until_ready().unwrap();
    load.goes_on("work after it was let in again", 50);
    load.check("three servers, one cut off");
}

/// Clusters refuse a write that meets another on its way with a code of its own.
#[tokio::test(flavor = "multi_thread")]
async fn redeliveries_at_many_receivers_are_all_counted() {
    let cluster = Cluster::start(Program::Current, 3, &Options::new()).unwrap();
    let mut receivers = Vec::new();
    for node in 0..3 {
        receivers.push(open(&cluster.node(node).url(), options()).await);
    }
    let id = append_new(&receivers[0], 0, &body("a")).await;
    let again = (0..30).map(|number| {
        let receiver = receivers[number % 3].clone();
        async move { receiver.append(delivery(1, body("a"))).await.unwrap() }
    });
    let appended = in_time(futures_util::future::join_all(again)).await;
    assert!(appended.into_iter().all(|one| duplicate(one) == id));
    let stored = receivers[0].get(id).await.unwrap().unwrap();
    assert_eq!(stored.redeliveries.count, 30);
}

#[test]
fn nothing_is_lost_when_the_leader_of_2_9_is_killed() {
    let mut cluster = Cluster::start(Program::Debian, 3, &Options::new()).unwrap();
    let load = Load::start(&cluster);
    load.goes_on("work before anything happens", 30);
    let leader = cluster.leader_of_stream("HEYGEN").unwrap();
    cluster.kill(leader).unwrap();
    load.goes_on("work without the leader", 30);
    cluster.restart(leader).unwrap();
    load.check("three servers of 2.9");
}
