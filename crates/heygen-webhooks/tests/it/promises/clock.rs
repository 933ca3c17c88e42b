//! A clock that was set back: deliveries dated in the future wait for nothing.

use std::time::{Duration, SystemTime};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Inbox as _, NewDelivery, Source};
use serde_json::Value;

use super::{event, post};
use crate::support::Workdir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivery_dated_a_year_ahead_is_dispatched_at_once() {
    for order in [&[][..], &["--ordered"]] {
        let workdir = Workdir::new();
        let inbox = SqliteInbox::open(workdir.path().join("heygen-inbox.db")).expect("an inbox");
        let ahead = SystemTime::now() + Duration::from_secs(365 * 24 * 3600);
        for subject in ["a", "b", "c"] {
            let body = event("order.ahead", subject).into();
            let delivery = NewDelivery::new(ahead, Source::Webhook, Vec::new(), body);
            inbox.append(delivery).await.expect("kept");
        }
        inbox.close().await.expect("closed");
        let serve = workdir.serve(&[&["--json"], order].concat());
        // What comes now stands behind them, and is not later for it.
        assert_eq!(post(&serve, event("order.now", "a"))["status"], "accepted");
        let subject = || {
            let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
            line["subject_id"].as_str().expect("a subject").to_owned()
        };
        let mut handed_out = [subject(), subject(), subject(), subject()];
        handed_out.sort();
        assert_eq!(handed_out, ["a", "a", "b", "c"], "{order:?}");
        assert_eq!(workdir.list().len(), 4);
    }
}
