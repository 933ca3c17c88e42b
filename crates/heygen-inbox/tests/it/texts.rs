//! Every text of an error, as a snapshot.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use heygen_inbox::sqlite::{SqliteInbox, SqliteOptions};
use heygen_inbox::{ClaimRequest, DeliveryId, Inbox as _, InboxError, MemoryInbox, State};
use rusqlite::Connection;

use crate::support::{at, body, delivery};

fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

fn made_by(folder: &Path, name: &str, sql: &str) -> Result<SqliteInbox, InboxError> {
    let path = folder.join(name);
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    SqliteInbox::open_read_only(&path)
}

#[tokio::test]
async fn errors() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = folder.join("inbox.db");
    let mut options = SqliteOptions::default();
    options.lock_timeout = Duration::from_millis(1);
    let inbox = SqliteInbox::open_with(&path, options).unwrap();
    let mut lines = vec![
        chain(&SqliteInbox::open(&path).unwrap_err()),
        chain(&SqliteInbox::open(folder.join("no/such/folder.db")).unwrap_err()),
        chain(&SqliteInbox::open_read_only(folder.join("nowhere.db")).unwrap_err()),
        chain(&made_by(folder, "a.db", "CREATE TABLE a (b)").unwrap_err()),
        chain(&made_by(folder, "b.db", "VACUUM").unwrap_err()),
    ];
    let newer = made_by(folder, "inbox.db", "PRAGMA user_version = 9").unwrap_err();
    lines.push(chain(&newer));

    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    lines.push(chain(
        &inbox.append(delivery(0, body("a"))).await.unwrap_err(),
    ));
    lines.push(chain(
        &inbox.claim(ClaimRequest::due(1, at(0))).await.unwrap_err(),
    ));
    drop(other);

    inbox.close().await.unwrap();
    lines.push(chain(
        &inbox.append(delivery(0, body("a"))).await.unwrap_err(),
    ));
    let full = MemoryInbox::with_capacity(0)
        .append(delivery(0, body("a")))
        .await;
    lines.push(chain(&full.unwrap_err()));
    lines.push(chain(&"42".parse::<DeliveryId>().unwrap_err()));
    lines.push(chain(&"lost".parse::<State>().unwrap_err()));

    let text = lines
        .join("\n")
        .replace(&folder.display().to_string(), "FOLDER");
    insta::assert_snapshot!(text);
}
