//! What is done to the processes in turn, and what must hold after each.

use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use xtask_harness::report::Report;

use super::figures::seconds;
use super::setting::{Blow, LONGEST, Setting};

/// What is done under load: its name; after how many seconds it is undone; what, and to which node.
pub(super) type Step = (&'static str, u64, Blow, Node);

/// In the order in which they are done.
pub(super) const STEPS: [Step; 9] = [
    ("nothing happens", 8, Blow::Nothing, LEADER),
    ("SIGKILL to the stream's leader", 8, Blow::KillNode, LEADER),
    ("SIGKILL to a follower", 8, Blow::KillNode, FOLLOWER),
    ("SIGKILL to a receiver", 3, Blow::Kill(0), LEADER),
    ("SIGKILL to a worker at work", 5, Blow::Kill(2), LEADER),
    // Longer than 7 s, for which a receiver tries before it says 503.
    ("the leader is cut off", 15, Blow::CutNode, LEADER),
    ("a follower is cut off", 15, Blow::CutNode, FOLLOWER),
    ("the leader hangs (SIGSTOP)", 10, Blow::PauseNode, LEADER),
    ("SIGKILL to all nodes at once", 2, Blow::KillAll, LEADER),
];

/// Counted from the stream's leader on.
type Node = usize;
const LEADER: Node = 0;
const FOLLOWER: Node = 1;

/// What came of a step, beside what came of the POSTs.
#[derive(Debug)]
pub(super) struct Stepped {
    pub(super) name: &'static str,
    pub(super) stretch: Range<Instant>,
    /// Counted from when it was undone.
    pub(super) well_after: Option<Duration>,
    pub(super) report: Report,
}

pub(super) fn run(step: Step, setting: &mut Setting) -> Result<Stepped> {
    let (name, lasts, blow, node) = step;
    let mut report = Report::default();
    let node = (setting.leader()? + node) % setting.cluster.size();
    if matches!(blow, Blow::CutNode | Blow::PauseNode) {
        setting.place_receivers(node)?;
    }
    let begin = Instant::now();
    let in_hand = setting.strike(blow, node)?;
    let struck = Instant::now();
    if blow != Blow::KillAll && !setting.wait_until_taken(struck) {
        report.wrong(format!("{name}: nothing was taken meanwhile"));
    }
    if !in_hand.is_empty() {
        let what = format!("the {} deliveries that the worker had", in_hand.len());
        match setting.wait_until_handed(&in_hand) {
            true => report.note(format!(
                "{name}: {what} were handed over by the other {} later",
                seconds(struck.elapsed())
            )),
            false => report.wrong(format!("{name}: {what} did not go to the other")),
        }
    }
    let lasts = Duration::from_secs(lasts);
    thread::sleep(lasts.saturating_sub(struck.elapsed()));
    let undoing = Instant::now();
    setting.undo(blow, node)?;
    let undone = match blow {
        // It waits until the nodes have found each other.
        Blow::KillAll => undoing,
        _ => Instant::now(),
    };
    let is_well = setting.wait_until_well(undone);
    let well_after = is_well.then(|| undone.elapsed());
    if !is_well {
        report.wrong(format!(
            "{name}: not everything worked again within {} s",
            LONGEST.as_secs()
        ));
    }
    if let Err(error) = setting.cluster.wait_until_ready() {
        report.wrong(format!("{name}: {error:#}"));
    }
    for who in setting.ended()? {
        report.wrong(format!("{name}: {who}"));
    }
    thread::sleep(SETTLING);
    Ok(Stepped {
        name,
        stretch: begin..Instant::now(),
        well_after,
        report,
    })
}

/// What was under way may still end as if nothing had happened.
const SETTLING: Duration = Duration::from_secs(1);
