//! `inbox stats`: deliveries counted by state, event, source and attempt result.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use heygen_inbox::{
    BoxInbox, Counts, InboxAdmin as _, InboxError, Query, Source, State, Stats, StatsGroup,
};
use serde_json::{Map, Value, json};

use super::open_existing;
use super::size::{bytes, count, on_disk};
use crate::cli;
use crate::failure::Failure;
use crate::output::screen::{self, Screen, of_word};
use crate::output::table::{Column, table};
use crate::output::{self, tame};
use crate::settings::when;
use crate::store::location::InboxLocation;

struct Report {
    stats: Stats,
    counts: Counts,
    paused: Option<SystemTime>,
    last_hour: u64,
    last_day: u64,
    bytes_on_disk: Option<u64>,
    now: SystemTime,
}

pub(super) async fn run(options: &cli::Stats) -> Result<(), Failure> {
    let bytes_on_disk = match options.file.location()? {
        InboxLocation::File(path) => Some(on_disk(&path)),
        InboxLocation::Streams(_) => None,
    };
    let inbox = open_existing(&options.file).await?;
    let report = Report::ask(&inbox, bytes_on_disk, SystemTime::now()).await?;
    match options.json {
        true => output::json(&report.json())?,
        false => output::write_bytes(report.text(options.all, Screen::stdout()))?,
    }
    Ok(())
}

impl Report {
    async fn ask(
        inbox: &BoxInbox,
        bytes_on_disk: Option<u64>,
        now: SystemTime,
    ) -> Result<Self, InboxError> {
        let since = |ago| now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Self {
            stats: inbox.stats(since(DAY)).await?,
            counts: inbox.counts().await?,
            paused: inbox.paused().await?,
            last_hour: inbox.count(Query::default().since(since(HOUR))).await?,
            last_day: inbox.count(Query::default().since(since(DAY))).await?,
            bytes_on_disk,
            now,
        })
    }

    fn total(&self) -> u64 {
        self.of(|_| true)
    }

    fn of_state(&self, state: State) -> u64 {
        self.of(|group| group.state == state)
    }

    fn of_source(&self, source: Source) -> u64 {
        self.of(|group| group.source == source)
    }

    fn of(&self, is_meant: impl Fn(&StatsGroup) -> bool) -> u64 {
        let groups = self.stats.groups.iter().filter(|group| is_meant(group));
        groups.map(|group| group.count).sum()
    }

    /// The most frequent first.
    fn events(&self) -> Vec<(Option<&str>, u64)> {
        let mut counts = BTreeMap::new();
        for group in &self.stats.groups {
            *counts.entry(group.event_type.as_deref()).or_default() += group.count;
        }
        let mut events: Vec<_> = counts.into_iter().collect();
        events.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        events
    }

    fn oldest_pending_age(&self) -> Option<Duration> {
        let oldest = self.counts.oldest_pending?;
        Some(self.now.duration_since(oldest).unwrap_or_default())
    }

    fn json(&self) -> Value {
        let words = |pairs: Vec<(&str, u64)>| -> Map<String, Value> {
            let pairs = pairs.into_iter();
            pairs
                .map(|(word, count)| (word.to_owned(), count.into()))
                .collect()
        };
        let states = State::ALL.map(|state| (state.as_str(), self.of_state(state)));
        let sources = Source::ALL.map(|source| (source.as_str(), self.of_source(source)));
        let attempts = self.stats.attempts.iter();
        let attempts = attempts.map(|(result, count)| (result.as_str(), *count));
        let events: Vec<_> = self
            .events()
            .into_iter()
            .map(|(event_type, count)| json!({"event_type": event_type, "count": count}))
            .collect();
        json!({
            "total": self.total(),
            "states": words(states.to_vec()),
            "sources": words(sources.to_vec()),
            "event_types": events,
            "received_last_hour": self.last_hour,
            "received_last_day": self.last_day,
            "oldest_pending_at": self.counts.oldest_pending.map(when::exact),
            "oldest_pending_seconds": self.oldest_pending_age().map(|age| age.as_secs()),
            "dispatch_paused_since": self.paused.map(when::exact),
            "attempts_last_day": words(attempts.collect()),
            "bytes_in_use": self.counts.bytes,
            "bytes_in_log": self.bytes_on_disk.map(|_| self.counts.log_bytes),
            "bytes_on_disk": self.bytes_on_disk,
        })
    }

    fn text(&self, all: bool, screen: Screen) -> String {
        let mut facts = vec![("deliveries", count(self.total()))];
        facts.extend(State::ALL.map(|state| (state.as_str(), count(self.of_state(state)))));
        if let (Some(oldest), Some(age)) = (self.counts.oldest_pending, self.oldest_pending_age()) {
            let age = indicatif::HumanDuration(age);
            let oldest = format!("{}, {age} ago", when::short(oldest));
            facts.push(("oldest pending", oldest));
        }
        if let Some(since) = self.paused {
            let since = when::short(since);
            facts.push((
                "dispatch",
                format!("paused since {since}; `inbox resume` resumes it"),
            ));
        }
        facts.extend([
            ("last hour", count(self.last_hour)),
            ("last 24 hours", count(self.last_day)),
            ("in use", bytes(self.counts.bytes)),
        ]);
        if let Some(on_disk) = self.bytes_on_disk {
            facts.push(("in the log", bytes(self.counts.log_bytes)));
            facts.push(("on disk", bytes(on_disk)));
        }
        let facts: String = facts
            .into_iter()
            .map(|(name, fact)| {
                let style = match fact.as_str() {
                    "0" => screen::PLAIN,
                    _ => of_word(name),
                };
                let name = screen.paint(style, &format!("{name:<15}"));
                format!("{name} {fact}\n")
            })
            .collect();
        let sources = Source::ALL
            .into_iter()
            .map(|source| (source.to_string(), self.of_source(source)))
            .filter(|(_, count)| *count > 0);
        let attempts = self.stats.attempts.iter();
        let attempts = attempts.map(|(result, count)| (result.to_string(), *count));
        [
            facts,
            self.events_text(all, screen),
            counted("SOURCE", sources.collect(), screen),
            counted("ATTEMPTS IN 24 HOURS", attempts.collect(), screen),
        ]
        .concat()
    }

    fn events_text(&self, all: bool, screen: Screen) -> String {
        let events = self.events();
        let shown = if all { events.len() } else { MOST_FREQUENT };
        let rest = events.len().saturating_sub(shown);
        let name = |event_type: Option<&str>| event_type.map_or("(unreadable)".to_owned(), tame);
        let rows = events.iter().take(shown);
        let rows = rows.map(|(event_type, count)| (name(*event_type), *count));
        let text = counted("EVENT", rows.collect(), screen);
        match rest {
            0 => text,
            _ => format!("{text}and {rest} more: --all shows them\n"),
        }
    }
}

/// A table with a count a line; nothing where there is nothing to count.
fn counted(head: &'static str, rows: Vec<(String, u64)>, screen: Screen) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, number)| vec![name.into(), count(number).into()])
        .collect();
    let columns = [
        Column::new(head).cut_middle(16).styled(of_word),
        Column::new("COUNT"),
    ];
    format!("\n{}", table(&columns, &rows, screen))
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MOST_FREQUENT: usize = 20;
