//! The log lines and errors of a backfill that runs within `serve`.

use std::future::Future;
use std::ops::ControlFlow;
use std::time::Duration;

use heygen_connect::{Backfill, BackfillEvent, BackfillProgress, ConnectError, ConnectErrorKind};
use heygen_inbox::InboxAdmin;

use crate::api;
use crate::failure::{Failure, error_chain};
use crate::server::metrics::BackfillCounts;
use crate::settings::api::ApiVersion;

/// Backfills at intervals until `stop`. A refusal that asking again does not change is no reason to end: the receiver goes on
/// beside it.
pub(crate) async fn watch(
    backfill: Backfill<impl InboxAdmin>,
    interval: Duration,
    counts: BackfillCounts,
    stop: impl Future<Output = ()> + Send,
) {
    let mut is_first = true;
    let on_event = |event: BackfillEvent<'_>| {
        counts.count(&event);
        log(&event, &mut is_first, "deliveries are received as usual");
        ControlFlow::Continue(())
    };
    // It ends for no error.
    let _ = backfill.watch(interval, stop, on_event).await;
}

/// As [`watch`], for a process that does nothing else: ends when HeyGen refuses and asking again would not change that, as
/// with a wrong key.
pub(crate) async fn watch_until_refused(
    backfill: Backfill<impl InboxAdmin>,
    interval: Duration,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Failure> {
    let is_refusal =
        |error: &ConnectError| error.kind() == ConnectErrorKind::Api && !error.is_temporary();
    let mut is_first = true;
    let on_event = |event: BackfillEvent<'_>| match &event {
        BackfillEvent::Failed { error, .. } if is_refusal(error) => ControlFlow::Break(()),
        _ => {
            log(
                &event,
                &mut is_first,
                "no events arrive until it works again",
            );
            ControlFlow::Continue(())
        }
    };
    let watched = backfill.watch(interval, stop, on_event).await;
    watched.map_err(failure)
}

/// With what can be done about it.
pub(crate) fn failure(error: ConnectError) -> Failure {
    match error.api_error() {
        Some(error) => api::failure(ApiVersion::V3, error),
        None => error.into(),
    }
}

/// A line for the first pass that succeeds, and for each that stores something.
fn log(event: &BackfillEvent<'_>, is_first: &mut bool, meanwhile: &str) {
    match event {
        BackfillEvent::Passed(BackfillProgress {
            pages,
            new,
            known,
            unreadable,
            skipped,
            ..
        }) if *new > 0 || *is_first => {
            *is_first = false;
            tracing::info!(new, known, unreadable, skipped, pages, "backfill complete");
        }
        BackfillEvent::Recovered => {
            tracing::info!("backfill works again");
        }
        BackfillEvent::Failed {
            error,
            progress: BackfillProgress { new, .. },
            retry_in,
            is_repeated,
            ..
        } => {
            let api_error = error.api_error();
            let advice = api_error.and_then(|error| api::advice(ApiVersion::V3, error));
            let (error, again_in_seconds) = (error_chain(*error), retry_in.as_secs());
            match *is_repeated && *new == 0 {
                true => tracing::debug!(error, again_in_seconds, "backfill failed"),
                false => tracing::warn!(
                    error,
                    new,
                    again_in_seconds,
                    advice,
                    "backfill failed; {meanwhile}"
                ),
            }
        }
        _ => {}
    }
}
