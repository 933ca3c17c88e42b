//! Conversions between columns and types.

use std::str::FromStr;

use heygen_events::Outcome;
use rusqlite::Row;
use rusqlite::types::Type;

use crate::time::from_micros;
use crate::{AttemptOutcome, DeliveryId, DeliverySummary, DriftKind, Header, Source, State};

/// The columns that [`summary`] reads, in its order.
pub(super) const SUMMARY_COLUMNS: &str = "delivery.id, delivery.received_at, delivery.event_type, delivery.subject_id, delivery.callback_id, \
     delivery.outcome, delivery.state, delivery.attempts, delivery.source, \
     CASE state WHEN 'dead_lettered' THEN (SELECT started_at + duration FROM attempt WHERE delivery_id = delivery.id \
     ORDER BY number DESC LIMIT 1) END";

/// How many columns [`SUMMARY_COLUMNS`] has.
pub(super) const SUMMARY_LEN: usize = 10;

pub(super) fn summary(row: &Row<'_>, tag: u32) -> rusqlite::Result<DeliverySummary> {
    Ok(DeliverySummary {
        id: DeliveryId::new(row.get::<_, i64>(0)?.cast_unsigned(), tag),
        received_at: from_micros(row.get(1)?),
        event_type: row.get(2)?,
        subject_id: row.get(3)?,
        callback_id: row.get(4)?,
        outcome: optional_name(row, 5, outcome)?,
        state: state(row, 6)?,
        attempts: row.get(7)?,
        source: source(row, 8)?,
        dead_lettered_at: row.get::<_, Option<i64>>(9)?.map(from_micros),
    })
}

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    name(row, column, |name| State::from_str(name).ok())
}

pub(super) fn source(row: &Row<'_>, column: usize) -> rusqlite::Result<Source> {
    name(row, column, |name| Source::from_str(name).ok())
}

pub(super) fn drift_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<DriftKind> {
    name(row, column, |name| DriftKind::from_str(name).ok())
}

pub(super) fn attempt_result(row: &Row<'_>, column: usize) -> rusqlite::Result<AttemptOutcome> {
    name(row, column, |name| AttemptOutcome::from_str(name).ok())
}

/// `[["name","value"],…]`
pub(super) fn headers_to_text(headers: &[Header]) -> String {
    let pairs: Vec<_> = headers
        .iter()
        .map(|header| (header.name.as_str(), header.value.as_str()))
        .collect();
    // Strings can always be serialized.
    serde_json::to_string(&pairs).unwrap_or_else(|_| "[]".to_owned())
}

pub(super) fn headers(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Header>> {
    let text = row.get_ref(column)?.as_str()?;
    let pairs: Vec<(String, String)> = serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })?;
    Ok(pairs
        .into_iter()
        .map(|(name, value)| Header { name, value })
        .collect())
}

fn outcome(name: &str) -> Option<Outcome> {
    [Outcome::Success, Outcome::Failure, Outcome::Other]
        .into_iter()
        .find(|outcome| outcome.as_str() == name)
}

fn name<T>(row: &Row<'_>, column: usize, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    optional_name(row, column, read)?.ok_or_else(|| unknown_name(column, "NULL"))
}

fn optional_name<T>(
    row: &Row<'_>,
    column: usize,
    read: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    read(text)
        .map(Some)
        .ok_or_else(|| unknown_name(column, text))
}

fn unknown_name(column: usize, name: &str) -> rusqlite::Error {
    let reason = format!("`{name}` is not a word this program knows here");
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}
