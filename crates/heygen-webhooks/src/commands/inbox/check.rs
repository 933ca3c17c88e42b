//! `inbox check`: is everything sound?

use std::path::Path;
use std::time::SystemTime;

use heygen_inbox::sqlite::{CheckLevel, IntegrityIssue, SqliteInbox, is_damaged};
use serde::Serialize;
use serde_json::json;

use super::{progress, size};
use crate::cli::Check;
use crate::failure::{Failure, error_chain};
use crate::output::{self, tame};
use crate::store::cannot_look;
use crate::store::place::Place;

/// Something that is wrong, as it is told.
#[derive(Debug, Serialize)]
struct Wrong {
    what: String,
    count: u64,
    example: Option<String>,
}

pub(super) async fn run(options: &Check) -> Result<(), Failure> {
    let place = &options.file.place()?;
    let path = place.file(
        "inbox check",
        "the NATS servers maintain it; see `nats stream report`, and /readyz of `serve` and `work`",
    )?;
    let depth = match options.full {
        true => CheckLevel::Full,
        false => CheckLevel::Quick,
    };
    let wrong = look(place, path, depth).await?;
    if options.json {
        output::json(&json!({"sound": wrong.is_empty(), "flaws": wrong}))?;
    } else if wrong.is_empty() {
        output::write(format!("{} is sound\n", path.display()))?;
    } else {
        let lines: String = wrong.iter().map(Wrong::line).collect();
        output::write(format!("{lines}\n{WHAT_TO_DO}"))?;
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

/// What is wrong. A file that is damaged too badly to be opened is wrong too, and no failure to look.
async fn look(place: &Place, path: &Path, depth: CheckLevel) -> Result<Vec<Wrong>, Failure> {
    let reader = match SqliteInbox::open_read_only(path) {
        Ok(reader) => reader,
        Err(error) if is_damaged(&error) => {
            return Ok(vec![Wrong {
                what: error_chain(&error),
                count: 1,
                example: None,
            }]);
        }
        Err(error) => return Err(cannot_look(place, error)),
    };
    let progress = progress::spinner("reading the inbox")?;
    let flaws = reader.check(depth, SystemTime::now()).await;
    progress.finish_and_clear();
    Ok(flaws?.into_iter().map(Wrong::from).collect())
}

impl Wrong {
    fn line(&self) -> String {
        let what = tame(&self.what);
        let count = size::count(self.count);
        match &self.example {
            Some(id) => format!("damaged: {what} ({count}, the first is {id})\n"),
            None => format!("damaged: {what} ({count})\n"),
        }
    }
}

impl From<IntegrityIssue> for Wrong {
    fn from(flaw: IntegrityIssue) -> Self {
        Self {
            what: flaw.what,
            count: flaw.count,
            example: flaw.example.map(|id| id.to_string()),
        }
    }
}

const WHAT_TO_DO: &str = "What to do: stop `serve`, copy the file and those beside it (-wal, -shm), and restore the last backup that `inbox check` finds sound, as docs/operations.md describes. `inbox export` skips unreadable deliveries; `inbox import` adds the others to the restored inbox. Then check the disk.\n";
