//! [`Chosen`]: the deliveries that a command is to change, by id or by options that choose.

use std::collections::BTreeMap;

use heygen_inbox::{BoxInbox, DeliveryId, DeliverySummary, InboxAdmin as _, State};
use serde_json::{Value, json};

use super::chunks::Chunks;
use super::{id, open_existing, size};
use crate::cli::Selection;
use crate::failure::Failure;
use crate::output;
use crate::output::screen::{Screen, of_word};
use crate::output::table::{Column, table};
use crate::settings::location::InboxFile;

#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) ids: Vec<DeliveryId>,
    /// The subjects of the first [`NAMED`] ids.
    subjects: Vec<Option<String>>,
    kinds: BTreeMap<(Option<String>, &'static str), u64>,
    /// Ids that were named and are not there.
    pub(super) missing: Vec<DeliveryId>,
}

impl Chosen {
    /// Finds what a command is to change, and shows it unless JSON is asked for. Never everything by accident: either ids, or options
    /// that choose, or `all`, which a command may not have.
    pub(super) async fn show(
        file: &InboxFile,
        (ids, selection, all): (&[String], &Selection, Option<bool>),
        json: bool,
    ) -> Result<Self, Failure> {
        check_use(ids, selection, all)?;
        let chosen = Self::find(&open_existing(file).await?, ids, selection).await?;
        if !json {
            output::write_bytes(chosen.text(Screen::stdout()))?;
        }
        Ok(chosen)
    }

    /// Those with these ids; without any, those that `selection` chooses.
    async fn find(
        inbox: &BoxInbox,
        ids: &[String],
        selection: &Selection,
    ) -> Result<Self, Failure> {
        let mut chosen = Self::default();
        if ids.is_empty() {
            let mut chunks = Chunks::new(inbox, selection.query()?).await?;
            loop {
                let chunk = chunks.next().await?;
                if chunk.is_empty() {
                    break;
                }
                chunk.iter().for_each(|summary| chosen.add(summary));
            }
            if chosen.ids.is_empty() {
                selection.found_nothing();
            }
            return Ok(chosen);
        }
        let mut found = Vec::new();
        for text in ids {
            found.push(id::find(inbox, text).await?);
        }
        found.sort_unstable();
        found.dedup();
        for id in found {
            match inbox.get(id).await? {
                Some(stored) => chosen.add(&stored.summary),
                None => chosen.missing.push(id),
            }
        }
        Ok(chosen)
    }

    fn add(&mut self, summary: &DeliverySummary) {
        self.ids.push(summary.id);
        if self.subjects.len() < NAMED {
            self.subjects.push(summary.subject_id.clone());
        }
        let kind = (summary.event_type.clone(), State::as_str(summary.state));
        *self.kinds.entry(kind).or_default() += 1;
    }

    pub(super) fn kinds_json(&self) -> Vec<Value> {
        let kinds = self.kinds.iter().map(|((event_type, state), count)| {
            json!({"event_type": event_type, "state": state, "count": count})
        });
        kinds.collect()
    }

    /// The first of them, by id and subject.
    fn names(&self, screen: Screen) -> String {
        let rows = self.ids.iter().zip(&self.subjects).map(|(id, subject)| {
            let subject = subject.as_deref().unwrap_or_default();
            vec![id.to_string().into(), subject.into()]
        });
        let mut text = table(&NAMES, &rows.collect::<Vec<_>>(), screen);
        let others = self.ids.len() - self.subjects.len();
        if others > 0 {
            text.extend(["… and ", &size::count(others as u64), " more\n"]);
        }
        text
    }

    fn text(&self, screen: Screen) -> String {
        let name =
            |event_type: &Option<String>| event_type.as_deref().unwrap_or("(unreadable)").into();
        let rows: Vec<_> = self
            .kinds
            .iter()
            .map(|((event_type, state), count)| {
                vec![
                    name(event_type),
                    (*state).into(),
                    size::count(*count).into(),
                ]
            })
            .collect();
        let mut text = match rows.is_empty() {
            true => "no deliveries match\n".to_owned(),
            false => table(&KINDS, &rows, screen),
        };
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&self.names(screen));
        }
        for id in &self.missing {
            text.push_str("not in this inbox: ");
            text.push_str(&id.to_string());
            text.push('\n');
        }
        text
    }
}

/// How many deliveries are named: enough to notice that they are others than were meant.
const NAMED: usize = 10;

const NAMES: [Column; 2] = [Column::new("ID"), Column::new("SUBJECT").cut_middle(9)];

const KINDS: [Column; 3] = [
    Column::new("EVENT").cut_middle(16),
    Column::new("STATE").styled(of_word),
    Column::new("COUNT"),
];

fn check_use(ids: &[String], selection: &Selection, all: Option<bool>) -> Result<(), Failure> {
    let ways = [
        !ids.is_empty(),
        !selection.is_everything(),
        all.unwrap_or(false),
    ];
    let or_all = all.map_or("", |_| ", or give --all");
    match ways.iter().filter(|way| **way).count() {
        1 => Ok(()),
        0 => Err(Failure::usage(format!(
            "no deliveries chosen: give ids, choose by --state, --event-type, --subject, --callback-id, --since or --until{or_all}"
        ))),
        _ => Err(Failure::usage(match all {
            Some(_) => "give either ids, or options that choose, or --all",
            None => "give either ids, or options that choose",
        })),
    }
}
