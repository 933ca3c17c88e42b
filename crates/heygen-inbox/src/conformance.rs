//! The conformance suite: what every store has to do, for stores of your own too.
//!
//! `conformance_tests!` makes a test of each case; [`failures`] runs all cases and names those that
//! fail. A case panics when the store does not conform. It needs an empty inbox of its own, and tokio
//! with the features `macros`, `rt` and `time`.
//!
//! # Examples
//!
//! ```
//! use heygen_inbox::{MemoryInbox, conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // Beside the inbox: what has to outlive it, such as a temporary folder or a server.
//! let make = async || (MemoryInbox::new(), ());
//! conformance::run("find_changes_nothing", make).await;
//! # }
//! ```
//!
//! In the tests of a crate:
//!
//! ```no_run
//! mod my_store {
//!     heygen_inbox::conformance_tests!(async || (heygen_inbox::MemoryInbox::new(), ()));
//! }
//! ```

use std::pin::Pin;
use std::time::Duration;

use crate::admin::InboxAdmin;

mod admin;
mod claim;
mod dedup;
mod order;
mod pairs;
mod record;
#[doc(hidden)]
pub mod support;
mod upkeep;

type Run<I> = fn(I) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The cases as a table, and as a macro that makes tests of them.
macro_rules! cases {
    ($d:tt $($module:ident { $($case:ident,)* })*) => {
        /// The name of each case, in the order in which [`failures`] runs them.
        pub const CASES: &[&str] = &[$($(stringify!($case),)*)*];

        fn case<I: InboxAdmin>(name: &str) -> Run<I> {
            match name {
                $($(stringify!($case) => |inbox| Box::pin(async move {
                    match stringify!($module) == "order" && !inbox.orders_by_subject() {
                        true => order::is_refused(inbox).await,
                        false => $module::$case(inbox).await,
                    }
                }),)*)*
                _ => panic!("there is no case `{name}`"),
            }
        }

        /// Makes a test of each case of the [conformance suite](crate::conformance), with an inbox that
        /// the argument makes: an async closure that gives an empty inbox, and what has to outlive it.
        #[macro_export]
        macro_rules! conformance_tests {
            ($d make:expr) => {
                $($(
                    #[tokio::test]
                    async fn $case() {
                        $d crate::conformance::run(stringify!($case), $d make).await;
                    }
                )*)*
            };
        }
    };
}

cases! { $
    record {
        redeliveries_are_counted_with_their_headers,
        backfilled_event_is_not_counted_as_redelivery,
        signed_body_is_stored_byte_for_byte,
        lists_are_newest_first_and_filtered,
        event_names_are_listed_by_pattern,
        get_returns_the_whole_delivery,
        ids_increase_when_the_clock_does_not,
        longest_due_is_claimed_first,
        each_delivery_is_claimed_once,
        completion_is_recorded,
        retry_is_claimed_when_due,
        late_completion_does_not_change_the_state,
        completion_of_an_unknown_id_is_ignored,
        append_ends_wait_for_append,
    }
    pairs {
        pairs_are_duplicates_or_not,
    }
    dedup {
        different_bodies_of_one_event_are_stored,
        events_without_data_are_duplicates_for_an_hour,
        equal_bodies_without_job_are_new_after_an_hour,
        event_of_a_job_is_always_a_duplicate,
        one_post_matches_one_record,
        two_posts_and_their_records_are_two_events,
        post_after_its_record_stores_its_signed_bytes,
        record_matches_one_post,
        record_read_again_matches_the_same_delivery,
        second_import_changes_nothing,
        unsigned_delivery_never_suppresses_a_signed_one,
    }
    claim {
        live_delivery_goes_before_a_backlog,
        backlog_has_its_turn_beside_live_deliveries,
        full_destination_holds_up_no_other,
        room_is_not_exceeded,
        released_delivery_leaves_no_trace,
        uncounted_attempts_are_reported,
        elapsed_time_is_kept_and_interruptions_are_counted,
        delivery_of_a_clock_ahead_is_claimed_at_once,
        backfill_of_a_clock_ahead_is_claimed_soon,
        retry_of_a_clock_ahead_is_claimed_soon,
    }
    order {
        one_delivery_per_subject_at_a_time,
        retry_delays_its_subject_only,
        dead_letter_releases_its_subject,
        removal_by_hand_releases_the_subject,
        delivery_without_subject_does_not_wait,
        order_can_be_switched_off_and_on,
        long_queue_of_one_subject_delays_no_other,
        order_is_kept_within_one_source,
        replayed_delivery_waits_for_a_newer_one_that_is_claimed,
    }
    upkeep {
        counts_report_each_state,
        prune_deletes_what_is_finished_and_old,
        prune_goes_on_past_what_is_unfinished,
        clock_set_back_is_noticed,
        readiness_check_stores_nothing,
        drift_is_counted_with_an_example,
    }
    admin {
        replayed_delivery_has_all_its_attempts_again,
        claimed_delivery_is_not_replayed,
        dead_lettered_by_hand_is_replayable,
        retry_dead_lettered_by_hand_does_not_come_back,
        finished_and_claimed_are_not_dead_lettered_by_hand,
        deleted_delivery_is_gone_and_new_when_it_comes_again,
        delivery_is_deleted_in_each_state_but_claimed,
        nothing_is_claimed_while_dispatch_is_paused,
        find_changes_nothing,
        imported_delivery_keeps_its_past,
        imported_delivery_can_be_replayed,
        stats_count_by_event_and_state,
        bookmarks_are_kept_and_forgotten,
        prunable_deliveries_are_counted,
    }
}

/// Runs one case on a new inbox.
///
/// # Panics
///
/// When the store does not conform, or does not end within five minutes, and when there is no case of
/// that name.
pub async fn run<I: InboxAdmin, G>(name: &str, make: impl AsyncFnOnce() -> (I, G)) {
    let case = case(name);
    let (inbox, guard) = make().await;
    let in_time = tokio::time::timeout(LONGEST, case(inbox)).await;
    assert!(in_time.is_ok(), "`{name}` does not end");
    drop(guard);
}

/// Whether a store fails one case. The reason is printed, as panics are.
///
/// # Panics
///
/// When there is no case of that name.
pub async fn fails<I: InboxAdmin, G>(name: &str, make: impl AsyncFnOnce() -> (I, G)) -> bool {
    let case = case(name);
    let (inbox, guard) = make().await;
    let ended = tokio::spawn(tokio::time::timeout(LONGEST, case(inbox))).await;
    drop(guard);
    !matches!(ended, Ok(Ok(())))
}

/// The names of the cases that a store fails, each run on a new inbox.
pub async fn failures<I: InboxAdmin, G>(make: impl AsyncFn() -> (I, G)) -> Vec<&'static str> {
    let mut failures = Vec::new();
    for name in CASES {
        if fails(name, &make).await {
            failures.push(*name);
        }
    }
    failures
}

/// A store on busy servers may take its time.
const LONGEST: Duration = Duration::from_secs(300);
