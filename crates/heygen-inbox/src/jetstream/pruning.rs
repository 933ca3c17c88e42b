//! Deleting what is finished and old.

use async_nats::jetstream::stream::DeleteMessageErrorKind;
use futures_util::StreamExt as _;

use super::JetStreamInbox;
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
                    doomed.push((sequence, record.map_or(0, |record| record.dead_sequence)));
                }
            }
            deleted += doomed.len();
            self.delete(doomed).await?;
            if next.is_some() || newer > NEWER_IN_A_ROW {
                break 'stretches;
            }
        }
        Ok(Pruned {
            deleted,
            next,
            bytes: self.counts_now().await?.bytes,
        })
    }

    /// The event goes last: as long as it is there, so is what is known of it.
    async fn delete(&self, doomed: Vec<(u64, u64)>) -> Result<(), InboxError> {
        let link = &self.shared.link;
        let deleting = doomed
            .into_iter()
            .map(|(sequence, dead_sequence)| async move {
                // It may have been replayed since it was looked at, or not have been seen to be.
                let record = link.record(sequence).await?.map(|found| found.record);
                if record.is_some_and(|record| !matches!(record.state(), State::Done | State::Dead))
                {
                    return Ok(());
                }
                if dead_sequence > 0 {
                    // It may have been deleted by hand.
                    let _ = link.dead.delete_message(dead_sequence).await;
                }
                match link.events.delete_message(sequence).await {
                    Ok(_) => {}
                    // Another receiver prunes too.
                    Err(error)
                        if matches!(error.kind(), DeleteMessageErrorKind::JetStream(_))
                            && link.event(sequence).await?.is_none() => {}
                    Err(error) => return Err(link.cannot("delete from", error)),
                }
                let record = link
                    .records
                    .purge()
                    .filter(link.names.record(sequence))
                    .await;
                record.map_err(|error| link.cannot("delete from", error))?;
                Ok(())
            });
        let mut ends = futures_util::stream::iter(deleting).buffer_unordered(AT_A_TIME);
        while let Some(end) = ends.next().await {
            end?;
        }
        Ok(())
    }
}

const AT_A_TIME: usize = 16;

/// After so many in a row that came in later, all that follows is taken for later too.
const NEWER_IN_A_ROW: usize = 500;
