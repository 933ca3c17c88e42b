//! What is done to the processes in turn, and what must hold after each.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::figures::{Stretch, seconds};
use super::senders::Post;
use super::setting::{Blow, LONGEST, Setting};
use crate::faults::audit::count;

/// Something that is done under load.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// To what it is done, with whatever has to be so before.
    choose: fn(&mut Setting) -> Result<Blow>,
    /// How long until it is mended.
    lasts: Duration,
    /// Whether deliveries are taken before it is mended.
    goes_on: bool,
}

/// In the order in which they are done.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "nothing happens",
        choose: |_| Ok(Blow::Nothing),
        lasts: Duration::from_secs(8),
        goes_on: true,
    },
    Step {
        name: "SIGKILL to the stream's leader",
        choose: |setting| Ok(Blow::KillNode(setting.leader()?)),
        lasts: Duration::from_secs(8),
        goes_on: true,
    },
    Step {
        name: "SIGKILL to a follower",
        choose: |setting| Ok(Blow::KillNode(follower(setting)?)),
        lasts: Duration::from_secs(8),
        goes_on: true,
    },
    Step {
        name: "SIGKILL to a receiver",
        choose: |_| Ok(Blow::KillReceiver(0)),
        lasts: Duration::from_secs(3),
        goes_on: true,
    },
    Step {
        name: "SIGKILL to a worker at work",
        choose: |_| Ok(Blow::KillWorker(0)),
        lasts: Duration::from_secs(5),
        goes_on: true,
    },
    Step {
        name: "the leader is cut off",
        choose: |setting| {
            let node = setting.leader()?;
            setting.place_receivers(node)?;
            Ok(Blow::CutNode(node))
        },
        lasts: LONGER_THAN_A_PUBLISH,
        goes_on: true,
    },
    Step {
        name: "a follower is cut off",
        choose: |setting| {
            let node = follower(setting)?;
            setting.place_receivers(node)?;
            Ok(Blow::CutNode(node))
        },
        lasts: LONGER_THAN_A_PUBLISH,
        goes_on: true,
    },
    Step {
        name: "the leader hangs (SIGSTOP)",
        choose: |setting| {
            let node = setting.leader()?;
            setting.place_receivers(node)?;
            Ok(Blow::PauseNode(node))
        },
        lasts: Duration::from_secs(10),
        goes_on: true,
    },
    Step {
        name: "SIGKILL to all nodes at once",
        choose: |_| Ok(Blow::KillAllNodes),
        lasts: Duration::from_secs(2),
        goes_on: false,
    },
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
        if self.goes_on && setting.wait_until_taken(struck).is_none() {
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
        thread::sleep(self.lasts.saturating_sub(struck.elapsed()));
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

/// A receiver tries for 7 s before it says 503.
const LONGER_THAN_A_PUBLISH: Duration = Duration::from_secs(15);

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
