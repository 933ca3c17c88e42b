//! Concurrency: many tasks append while others read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Appended, Inbox as _, InboxAdmin as _, Query};

use crate::support::{all_ids, body, body_with_id, delivery, opened};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_of_one_event_store_it_once() {
    const TASKS: u64 = 8;
    const EVENTS: u64 = 200;
    let (_folder, _, inbox) = opened();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let inbox = inbox.clone();
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for step in 0..EVENTS {
                    // Each in an order of its own: 7 and 200 have no common divisor.
                    let event = (step * 7 + task * 25) % EVENTS;
                    let body = match event % 2 {
                        0 => body(&event.to_string()),
                        _ => body_with_id(&event.to_string(), "same"),
                    };
                    let appended = inbox.append(delivery(step, body)).await.unwrap();
                    answers.push((event, appended));
                }
                answers
            })
        })
        .collect();
    let mut ids = HashMap::new();
    let mut new = 0;
    for task in tasks {
        for (event, appended) in task.await.unwrap() {
            new += u64::from(matches!(appended, Appended::New(_)));
            let id = *ids.entry(event).or_insert(appended.id());
            assert_eq!(appended.id(), id, "one event, one id");
        }
    }
    assert_eq!(new, EVENTS);
    assert_eq!(all_ids(&inbox).await.len() as u64, EVENTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_work_while_the_inbox_grows() {
    let (_folder, path, inbox) = opened();
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = {
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move {
            let mut seen = 0;
            while !is_over.load(Ordering::Relaxed) {
                // Opened again each time, as by repeated runs of `inbox list`.
                let reader = SqliteInbox::open_read_only(&path).unwrap();
                let listed = reader.list(Query::default()).await.unwrap();
                assert!(listed.len() >= seen, "nothing goes away");
                assert!(listed.is_sorted_by(|newer, older| newer.id > older.id));
                seen = listed.len();
                if let Some(newest) = listed.first() {
                    assert!(reader.get(newest.id).await.unwrap().is_some());
                }
            }
        })
    };
    for event in 0..300 {
        inbox
            .append(delivery(event, body(&event.to_string())))
            .await
            .unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    assert_eq!(all_ids(&inbox).await.len(), 300);
}
