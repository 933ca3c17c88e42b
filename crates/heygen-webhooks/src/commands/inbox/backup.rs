//! `inbox backup`: one file that holds everything, also while `serve` writes.

use heygen_inbox::sqlite::SqliteInbox;
use heygen_inbox::{InboxAdmin as _, Query, private_file};
use serde_json::json;

use super::size;
use crate::cli::Backup;
use crate::commands::progress;
use crate::failure::Failure;
use crate::output;
use crate::secrets::new_file::NewFile;
use crate::store::location::InboxLocation;
use crate::store::{cannot_open, is_part_of};

pub(super) async fn run(options: &Backup) -> Result<(), Failure> {
    let location = options.file.location()?;
    let path = location.file(
        "inbox backup",
        "use `inbox export` for every delivery with its history, or `nats stream backup` for the streams themselves",
    )?;
    let reader =
        SqliteInbox::open_read_only(path).map_err(|error| cannot_open(&location, error))?;
    check_target(options, &location)?;
    let file = NewFile::create(&options.to)?;
    let progress = progress::pages()?;
    let shown = progress.clone();
    let copied = reader.backup(file.path(), move |done, all| {
        shown.set_length(all);
        shown.set_position(done);
    });
    let copied = copied.await;
    progress.finish_and_clear();
    copied?;
    // What it says of itself, before it gets its name.
    let copy = SqliteInbox::open_read_only(file.path())?;
    let deliveries = copy.count(Query::default()).await?;
    let bytes = copy.counts().await?.bytes;
    drop(copy);
    file.keep()?;
    if options.json {
        return Ok(output::json(&json!({
            "file": options.to,
            "deliveries": deliveries,
            "bytes": bytes,
        }))?);
    }
    Ok(output::write(format!(
        "{} in {}, {}\nTo restore: stop `serve`, move {inbox} and {inbox}-wal away (the second holds the latest deliveries), move the copy to {inbox}, and start `serve`.\n",
        size::deliveries(deliveries),
        options.to.display(),
        size::bytes(bytes),
        inbox = path.display(),
    ))?)
}

fn check_target(options: &Backup, inbox: &InboxLocation) -> Result<(), Failure> {
    let to = &options.to;
    if is_part_of(inbox, to) {
        return Err(Failure::usage(
            "the copy would replace the inbox itself, or a file beside it that belongs to it",
        ));
    }
    if to.exists() && !options.force {
        return Err(Failure::usage(format!(
            "{} exists: give --force to replace it",
            to.display()
        )));
    }
    // A log of another database would be taken for the copy's own.
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = private_file::with_suffix(to, suffix);
        if beside.exists() {
            return Err(Failure::usage(format!(
                "{} is beside the copy and belongs to another database, which may be in use: choose another name",
                beside.display()
            )));
        }
    }
    Ok(())
}
