//! What is done to the processes in turn, and what must hold after each.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::{Stretch, seconds};
use super::senders::Post;
use super::setting::{Blow, LONGEST, Setting};
use xtask_harness::audit::count;

/// Something that is done under load.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// To what it is done, with whatever has to be so before.
    choose: fn(&mut Setting) -> Result<Blow>,
    /// How many seconds until it is mended.
    lasts: u64,
}

const fn step(name: &'static str, lasts: u64, choose: fn(&mut Setting) -> Result<Blow>) -> Step {
    Step {
        name,
        choose,
        lasts,
    }
}

/// In the order in which they are done.
pub(super) const STEPS: &[Step] = &[
    step("nothing happens", 8, |_| Ok(Blow::Nothing)),
    step("SIGKILL to the stream's leader", 8, |setting| {
        Ok(Blow::KillNode(setting.leader()?))
    }),
    step("SIGKILL to a follower", 8, |setting| {
        Ok(Blow::KillNode(follower(setting)?))
    }),
    step("SIGKILL to a receiver", 3, |_| Ok(Blow::KillReceiver(0))),
    step("SIGKILL to a worker at work", 5, |_| {
        Ok(Blow::KillWorker(0))
    }),
    step("the leader is cut off", LONGER_THAN_A_PUBLISH, |setting| {
        let node = setting.leader()?;
        setting.place_receivers(node)?;
        Ok(Blow::CutNode(node))
    }),
    step("a follower is cut off", LONGER_THAN_A_PUBLISH, |setting| {
        let node = follower(setting)?;
        setting.place_receivers(node)?;
        Ok(Blow::CutNode(node))
    }),
    step("the leader hangs (SIGSTOP)", 10, |setting| {
        let node = setting.leader()?;
        setting.place_receivers(node)?;
        Ok(Blow::PauseNode(node))
    }),
    step("SIGKILL to all nodes at once", 2, |_| {
        Ok(Blow::KillAllNodes)
    }),
];

/// What came of a step, beside what came of the POSTs.
#[derive(Debug)]
pub(super) struct Stepped {
    pub(super) name: &'static str,
    pub(super) stretch: Stretch,
    /// Counted from the mending.
    pub(super) well_after: Option<Duration>,
    pub(super) notes: Vec<String>,
    pub(super) wrong: Vec<String>,
}

impl Step {
    pub(super) fn run(&self, setting: &mut Setting) -> Result<Stepped> {
        let name = self.name;
        let (mut notes, mut wrong) = (Vec::new(), Vec::new());
        let blow = (self.choose)(setting)?;
        let begin = Instant::now();
        let in_hand = setting.strike(blow)?;
        let struck = Instant::now();
        let goes_on = !matches!(blow, Blow::KillAllNodes);
        if goes_on && setting.wait_until_taken(struck).is_none() {
            wrong.push(format!("{name}: nothing was taken meanwhile"));
        }
        if !in_hand.is_empty() {
            let what = format!("the {} deliveries that the worker had", in_hand.len());
            match setting.wait_until_handed(&in_hand, struck) {
                Some(after) => notes.push(format!(
                    "{name}: {what} were handed over by the other {} later",
                    seconds(after)
                )),
                None => wrong.push(format!("{name}: {what} did not go to the other")),
            }
        }
        let lasts = Duration::from_secs(self.lasts);
        thread::sleep(lasts.saturating_sub(struck.elapsed()));
        let mending = Instant::now();
        if let Blow::CutNode(_) | Blow::PauseNode(_) = blow {
            let said = said_by_first(&setting.senders.posts(), struck, mending);
            notes.push(format!("{name}: {}", said.told()));
        }
        setting.mend(blow)?;
        let mended = match blow {
            // It waits until the nodes have found each other.
            Blow::KillAllNodes => mending,
            _ => Instant::now(),
        };
        let well_after = setting.wait_until_well(mended);
        if well_after.is_none() {
            wrong.push(format!(
                "{name}: not everything worked again within {} s",
                LONGEST.as_secs()
            ));
        }
        if let Err(error) = setting.cluster.wait_until_ready() {
            wrong.push(format!("{name}: {error:#}"));
        }
        let ended = setting.ended()?;
        wrong.extend(ended.into_iter().map(|who| format!("{name}: {who}")));
        thread::sleep(SETTLING);
        let end = Instant::now();
        Ok(Stepped {
            name,
            stretch: Stretch { begin, end },
            well_after,
            notes,
            wrong,
        })
    }
}

/// What receiver 0 said, whose node nobody else reaches.
#[derive(Debug, Default, Eq, PartialEq)]
struct Said {
    refused: u64,
    /// How long it was until it took something new.
    took_after: Option<Duration>,
}

impl Said {
    fn told(&self) -> String {
        let took = match self.took_after {
            Some(after) => format!("went on after {}", seconds(after)),
            None => "took nothing new until it was mended".to_owned(),
        };
        let refused = self.refused;
        format!("the receiver at that node answered {refused} posts 503, and {took}")
    }
}

/// Of what was sent and answered in this time. An event that was sent before may well be known.
fn said_by_first(posts: &[Post], from: Instant, to: Instant) -> Said {
    let here = posts
        .iter()
        .filter(|post| post.receiver == 0 && post.sent_at >= from && post.answered_at <= to);
    let new =
        |post: &&Post| post.is_taken() && !post.is_again && post.answered_at >= from + SETTLING;
    Said {
        refused: count(here.clone().filter(|post| post.status == Some(503)).count()),
        took_after: here.clone().find(new).map(|post| post.answered_at - from),
    }
}

/// One that does not lead the stream.
fn follower(setting: &Setting) -> Result<usize> {
    Ok((setting.leader()? + 1) % setting.cluster.size())
}

/// Seconds. A receiver tries for 7 s before it says 503.
const LONGER_THAN_A_PUBLISH: u64 = 15;

/// What was under way may still end as if nothing had happened.
const SETTLING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_in_that_time_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let post = |receiver, is_again, sent, answered, status| Post {
            number: 1,
            receiver,
            is_again,
            sent_at: at(sent),
            answered_at: at(answered),
            status: Some(status),
        };
        let posts = [
            post(0, false, 9, 11, 200),
            post(0, false, 10, 10, 200),
            post(0, false, 10, 17, 503),
            post(0, true, 11, 18, 503),
            post(1, false, 11, 12, 200),
            post(0, true, 12, 13, 200),
            post(0, false, 14, 16, 200),
            post(0, false, 14, 22, 503),
        ];
        let said = said_by_first(&posts, at(10), at(20));
        let expected = Said {
            refused: 2,
            took_after: Some(Duration::from_secs(6)),
        };
        assert_eq!(said, expected);
        assert_eq!(
            said.told(),
            "the receiver at that node answered 2 posts 503, and went on after 6.0 s"
        );
    }
}
