//! Deleting what is finished and old.

use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::DeleteStatus;
use futures_util::StreamExt as _;

use super::JetStreamInbox;
use super::link::Link;
use super::reading::{Stretches, sequences};
use crate::{InboxError, Prune, Pruned, Query, State};

impl JetStreamInbox {
    /// Goes through the stream from the oldest on, and stops where what came in later begins: what was carried here from another
    /// inbox stands behind that, and waits until it is reached.
    pub(super) async fn prune_some(&self, step: &Prune) -> Result<Pruned, InboxError> {
        let shared = &self.shared;
        let mut query = Query::default().oldest_first();
        query.after = step.after;
        let mut stretches = Stretches::new(shared, &query).await?;
        let progress = shared.progress().await?;
        let all = shared.link.names.all_of("events");
        let mut deleted = 0;
        let mut next = None;
        let mut newer = 0;
        'stretches: while let Some((first, last)) = stretches.next() {
            let events = shared.stretch(first, last, &all, true).await?;
            let records = shared.records_of(sequences(&events)).await?;
            let mut doomed = Vec::new();
            for seen in &events {
                let sequence = seen.event.sequence;
                if deleted + doomed.len() == step.limit {
                    // It was looked at up to here; there may be more.
                    next = Some(shared.link.id(sequence - 1));
                    break;
                }
                if seen.event.received_at >= step.before {
                    newer += 1;
                    if newer > NEWER_IN_A_ROW {
                        break;
                    }
                    continue;
                }
                newer = 0;
                let record = records.get(&sequence);
                let state = shared.state(&seen.event, record, &progress);
                if matches!(state, State::Done | State::Dead) {
                    doomed.push(sequence);
                }
            }
            deleted += self.delete(doomed).await?;
            if next.is_some() || newer > NEWER_IN_A_ROW {
                break 'stretches;
            }
        }
        Ok(Pruned {
            deleted,
            next,
            bytes: self.sizes().await?.bytes,
        })
    }

    /// How many of these were deleted. The record goes last: as long as the event is there, so is what is known of it.
    async fn delete(&self, doomed: Vec<u64>) -> Result<usize, InboxError> {
        let link = &self.shared.link;
        let deleting = doomed.into_iter().map(|sequence| async move {
            // What was found may have come from a server that is behind, and somebody may have replayed it meanwhile.
            let found = link.record(sequence).await?;
            let record = found.map(|found| found.record);
            let begun = record.as_ref().filter(|record| record.is_begun());
            let is_open = |state| matches!(state, State::Pending | State::Claimed);
            if begun.is_some_and(|record| is_open(record.state())) {
                return Ok(false);
            }
            let letter = begun.map_or(0, |record| record.dead_sequence);
            if letter > 0 {
                // It may have been deleted by hand.
                let _ = link.delete(link.names.dead(), letter).await;
            }
            let deleted = link.delete(link.names.events(), sequence).await;
            if let Err(error) = deleted
                && link.event(sequence).await?.is_some()
            {
                // Otherwise another was faster.
                return Err(error);
            }
            let record = link
                .records
                .purge()
                .filter(link.names.record(sequence))
                .await;
            record.map_err(|error| link.cannot("delete from", error))?;
            Ok(true)
        });
        let mut count = 0;
        let mut ends = futures_util::stream::iter(deleting).buffer_unordered(AT_A_TIME);
        while let Some(end) = ends.next().await {
            count += usize::from(end?);
        }
        Ok(count)
    }
}

impl Link {
    /// Deletes a message. Its bytes are left to be overwritten: to make them unreadable at once, a server writes a whole block of
    /// the stream anew for each.
    pub(super) async fn delete(&self, stream: String, sequence: u64) -> Result<(), InboxError> {
        self.check_connected()?;
        let subject = format!("STREAM.MSG.DELETE.{stream}");
        let asked = serde_json::json!({ "seq": sequence, "no_erase": true });
        let answer: Result<Response<DeleteStatus>, _> = self.context.request(subject, &asked).await;
        match answer {
            Ok(Response::Ok(_)) => Ok(()),
            Ok(Response::Err { error }) => Err(self.cannot("delete from", error)),
            Err(error) => Err(self.cannot("delete from", error)),
        }
    }
}

const AT_A_TIME: usize = 16;

/// After so many in a row that came in later, all that follows is taken for later too.
const NEWER_IN_A_ROW: usize = 500;
