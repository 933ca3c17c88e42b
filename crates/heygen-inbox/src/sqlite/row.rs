//! Conversions between columns and types.

use std::error::Error;
use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, Type, ValueRef};

use crate::time::from_micros;
use crate::{DeliveryId, DeliverySummary, Header};

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
        outcome: row.get::<_, Option<_>>(5)?.map(|Named(outcome)| outcome),
        state: named(row, 6)?,
        attempts: row.get(7)?,
        source: named(row, 8)?,
        dead_lettered_at: row.get::<_, Option<i64>>(9)?.map(from_micros),
    })
}

/// An enum that is stored by its name.
pub(super) struct Named<T>(T);

impl<T: FromStr<Err: Error + Send + Sync + 'static>> FromSql for Named<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let named = value.as_str()?.parse::<T>().map(Self);
        named.map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// Reads an enum that is stored by its name.
pub(super) fn named<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    Named<T>: FromSql,
{
    row.get(column).map(|Named(value)| value)
}

/// `[["name","value"],…]`
pub(super) fn headers_to_text(headers: &[Header]) -> String {
    // Strings can always be serialized.
    serde_json::to_string(headers).unwrap_or_else(|_| "[]".to_owned())
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
