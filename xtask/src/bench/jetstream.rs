//! The inbox on NATS JetStream: receivers and workers beside what async-nats alone does with the same streams.
//!
//! [`place`] starts servers, new and empty for every measurement, [`taking_in`], [`both`] and [`handing_out`] are the three
//! tables, [`processes`] the receivers and workers in them, and [`found`] is what came of it. Whatever was answered 200 is
//! counted in the stream afterwards, and what was handed out in the stream of records.

mod both;
mod found;
mod handing_out;
mod place;
mod processes;
mod taking_in;

use anyhow::Result;

use super::ground::Ground;
use super::report::Report;
use crate::{nats, workspace};

pub(super) const WHAT: &str = "the inbox on NATS JetStream, one server and three: taking in and handing out, and async-nats alone";

pub(super) fn run(ground: &Ground) -> Result<Report> {
    nats::ensure(&workspace::root())?;
    // Made before anything is measured.
    ground.load()?;
    let mut report = Report::new("JetStream");
    let [mut taken, mut worked, mut handed] = [(); 3].map(|()| found::Found::default());
    for round in 1..=ground.options.rounds {
        eprintln!("round {round} of {}", ground.options.rounds);
        taking_in::measure(ground, &mut taken);
        both::measure(ground, &mut worked);
        handing_out::measure(ground, &mut handed);
    }
    report.table(taking_in::table(&taken));
    report.table(both::table(&worked));
    report.table(handing_out::table(&handed));
    report.note(format!(
        "nats-server {}; three are a cluster on this machine and this disk, each with every message",
        place::version()?
    ));
    report.note(
        "async-nats: publishing is the same bodies, headers and settings of the stream; handing out writes a record for each and \
         then acknowledges it, as a worker does; one connection",
    );
    report.note(format!(
        "receiver: `serve --no-work`; worker: `work --on '*=ignore'`; in the second table workers have --concurrency {}, and the \
         receivers share the {} connections of the load",
        both::CONCURRENCY,
        both::CONNECTIONS,
    ));
    for found in [&taken, &worked, &handed] {
        found.tell_failures(&mut report);
    }
    Ok(report)
}
