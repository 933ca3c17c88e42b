//! What `endpoints`, `event-types` and `events` share: one connection, how an endpoint is shown, notes beside the output.

use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::SystemTime;

use heygen_api::{ApiError, Client, Endpoint};
use heygen_events::id::EndpointId;
use jiff::Timestamp;
use tokio::runtime::Builder;

use crate::api;
use crate::cli::Connection;
use crate::failure::Failure;
use crate::output::table::Cell;
use crate::output::{tame, tame_lines};
use crate::process::runtime::run_on;
use crate::settings::api::ApiVersion;
use crate::settings::file::File;
use crate::settings::inbox::InboxOption;
use crate::settings::options::Options;
use crate::settings::when;

#[derive(Debug)]
pub(super) struct Api {
    pub(super) client: Client,
    pub(super) version: ApiVersion,
    file: File,
}

impl Api {
    pub(super) fn connect(connection: &Connection) -> Result<Self, Failure> {
        let file = connection.config.read()?;
        Ok(Self {
            client: api::connect(&connection.options.over(&file)?.whole()?)?,
            version: connection.api_version,
            file,
        })
    }

    /// The path beside which secrets are stored: that of the inbox, or what replaces it on streams.
    pub(super) fn inbox(&self, option: &Options<InboxOption>) -> Result<PathBuf, Failure> {
        Ok(option.location(&self.file)?.beside())
    }

    /// The answer of the API; an error comes with advice.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, Failure> {
        question
            .await
            .map_err(|error| api::failure(self.version, &error))
    }

    pub(super) async fn endpoints(&self) -> Result<Vec<Endpoint>, Failure> {
        match self.version {
            ApiVersion::V1 => self.ask(self.client.v1().list_endpoints()).await,
            ApiVersion::V3 => {
                self.ask(self.client.v3().endpoints_stream().try_collect())
                    .await
            }
        }
    }

    /// No version has an operation that gives one endpoint.
    pub(super) async fn endpoint(&self, id: &EndpointId) -> Result<Option<Endpoint>, Failure> {
        let all = self.endpoints().await?;
        Ok(all.into_iter().find(|one| one.endpoint_id == *id))
    }
}

/// Runs one command's questions to their end.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run_on(&mut Builder::new_current_thread(), work)
}

/// Says something beside the output, on standard error, so that what stands on standard output stays what was asked for.
pub(super) fn note(text: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(io::stderr().lock(), "{}", tame_lines(text));
}

/// A time as HeyGen wrote it: in the local zone where it says which moment it is, else as it stands (v1 names no zone).
pub(super) fn moment(text: Option<&str>) -> String {
    let text = text.unwrap_or("-");
    time(text).map_or_else(|| tame(text), when::short)
}

pub(super) fn moment_cell(text: Option<&str>) -> Cell {
    let text = text.unwrap_or("-");
    time(text).map_or_else(|| text.into(), Cell::time)
}

fn time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_not_guessed() {
        assert_eq!(moment(Some("2025-10-21T13:49:18")), "2025-10-21T13:49:18");
        assert_eq!(moment(Some("soon\x1b[2J")), "soon\u{fffd}[2J");
        assert_eq!(moment(None), "-");
        let known = moment(Some("2026-03-25T12:00:00Z"));
        assert!(
            known.starts_with("2026-03-2") && known.len() == 25,
            "{known}"
        );
    }
}
