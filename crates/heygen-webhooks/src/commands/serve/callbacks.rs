//! The tokens of callback paths: read at the start and on SIGHUP.

use std::future::pending;
use std::path::{Path, PathBuf};

use heygen_receiver::CallbackTokens;
use tokio::sync::watch;

use crate::failure::Failure;
use crate::process::signals::on_each;
use crate::secrets::secret;
use crate::settings::origin;
use crate::settings::written;

/// The tokens in force, and the file they are read from; none without a file.
pub(super) struct Callbacks {
    pub(super) tokens: CallbackTokens,
    file: Option<PathBuf>,
}

impl Callbacks {
    pub(super) fn load(file: Option<&Path>) -> Result<Self, Failure> {
        let tokens = CallbackTokens::none();
        if let Some(file) = file {
            if read_into(&tokens, file)? == 0 {
                return Err(Failure::usage(format!(
                    "callback token file {} is empty: put one token per line, for instance from `openssl rand -hex 32`",
                    file.display()
                )));
            }
            secret::warn_of_open_files(&[file.to_owned()]);
            tracing::info!(
                tokens = tokens.len(),
                "accepting callbacks at PATH/callbacks/TOKEN"
            );
        }
        let file = file.map(Path::to_owned);
        Ok(Self { tokens, file })
    }

    /// Reads the file again on every SIGHUP. One that holds no token any more, or is gone, takes all back; what cannot be read, or
    /// holds something else, leaves those in force.
    pub(super) async fn keep_fresh(self, hangups: watch::Receiver<u64>) {
        let Self { tokens, file } = self;
        match file {
            Some(file) => on_each(hangups, move || read_again(&tokens, &file)).await,
            None => pending().await,
        }
    }
}

fn read_again(tokens: &CallbackTokens, file: &Path) {
    if written::stays_as_read(file) {
        return;
    }
    let read = match file.try_exists() {
        Ok(false) => tokens.set([""; 0]).map(|()| 0).map_err(Failure::from),
        Ok(true) | Err(_) => read_into(tokens, file),
    };
    match read {
        Ok(0) => tracing::warn!(
            file = %file.display(),
            "callback token file is empty now: every callback is answered with 404"
        ),
        Ok(_) => tracing::info!(tokens = tokens.len(), "callback tokens reloaded"),
        Err(error) => {
            tracing::error!(
                "could not reload callback tokens, the previous ones stay in effect: {error}"
            );
        }
    }
}

/// How many it holds now.
fn read_into(tokens: &CallbackTokens, file: &Path) -> Result<usize, Failure> {
    let option = origin::name("callback-token-file");
    let text = written::read_of("callback-token-file", "callback token file", file)?;
    // No token has a character that stands around one, so what does cannot be meant.
    let is_token = |text: &str| CallbackTokens::new([text]).is_ok();
    let lines = written::lines(&text).map(|(line, number)| (written::bare(line, is_token), number));
    let (found, numbers): (Vec<_>, Vec<_>) = lines.unzip();
    let count = found.len();
    tokens.set(found).map(|()| count).map_err(|error| {
        let number: usize = numbers.get(error.index()).copied().unwrap_or_default();
        Failure::usage(format!(
            "{option}: callback token file {}, line {number}: the token has {}",
            file.display(),
            error.kind()
        ))
    })
}
