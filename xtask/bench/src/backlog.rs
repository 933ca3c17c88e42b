//! Inboxes with many events in them; files are made once, and copied to be changed.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{Appended, Inbox, NewDelivery};
use rustix::fs::statvfs;

use crate::event;
use crate::testbed::Testbed;

/// The number of the first event in such a file, far from those of the requests.
pub(super) const FIRST: u64 = 1 << 40;

/// A file with so many rows, as the store itself writes them: all pending. To be copied before it is changed.
pub(super) fn filled(testbed: &Testbed, rows: u64) -> Result<PathBuf> {
    let folder = testbed.shared("filled")?;
    let file = folder.join(format!("{rows}.db"));
    if file.exists() {
        return Ok(file);
    }
    room_for(&folder, rows)?;
    eprintln!("filling an inbox with {rows} rows");
    let unfinished = folder.join("unfinished.db");
    // What an earlier one left that failed.
    let _ = fs::remove_file(&unfinished);
    fill(&unfinished, FIRST..FIRST + rows)?;
    fs::rename(&unfinished, &file).context("keep the inbox")?;
    Ok(file)
}

/// Appends the events of these numbers: the file is then as the store itself leaves it.
#[tokio::main]
pub(super) async fn fill(file: &Path, numbers: Range<u64>) -> Result<()> {
    let inbox = SqliteInbox::open(file).context("open the inbox")?;
    append_all(&inbox, numbers).await?;
    inbox.close().await.context("close the inbox")
}

/// The same to any inbox.
pub(super) async fn append_all(inbox: &impl Inbox, numbers: Range<u64>) -> Result<()> {
    let numbers = futures_util::stream::iter(numbers).map(Ok);
    let append = |number| append_one(inbox, event::delivery(number));
    numbers.try_for_each_concurrent(AT_A_TIME, append).await
}

/// A duplicate would be answered without being kept, so it must not come up.
pub(super) async fn append_one(inbox: &impl Inbox, delivery: NewDelivery) -> Result<()> {
    match inbox.append(delivery).await.context("append")? {
        Appended::New(_) => Ok(()),
        Appended::Duplicate(_) => bail!("an event was in the inbox before"),
        _ => bail!("an append was answered in a way that this program does not know"),
    }
}

/// Copies it, until it is on the disk, so that the system does not write it while something else is measured.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).context("copy an inbox")?;
    let copied = File::options().write(true).open(to);
    let synced = copied.and_then(|copied| copied.sync_all());
    synced.context("copy an inbox")
}

/// Fails before the disk is full, which it would be for everybody else too.
fn room_for(folder: &Path, rows: u64) -> Result<()> {
    let disk = statvfs(folder).context("ask how much of the disk is free")?;
    let (free, needed) = (disk.f_bavail * disk.f_frsize, rows * MOST_BYTES_A_ROW);
    if free < needed {
        let [free, needed] = [free, needed].map(|bytes| bytes as f64 / 1e9);
        bail!("{rows} rows may need {needed:.1} GB and {free:.1} GB are free");
    }
    Ok(())
}

/// How many appends of a filler wait for their commit.
const AT_A_TIME: usize = 512;

/// Generous: the body, its row, its place in the index, and the write-ahead log.
const MOST_BYTES_A_ROW: u64 = 2048;
