//! The certificate of `serve`: read at the start and on SIGHUP.

use std::io;
use std::time::{Duration, SystemTime};

use heygen_inbox::private_file::is_open_to_others;
use heygen_receiver::ServerTls;
use tokio::sync::watch;

use crate::api::web;
use crate::failure::Failure;
use crate::settings::origin;
use crate::settings::receiver::TlsFiles;
use crate::settings::when;
use crate::settings::written;

/// The certificate in force, and the files it is read from.
pub(super) struct Certificate {
    tls: ServerTls,
    files: TlsFiles,
}

impl Certificate {
    pub(super) fn load(files: TlsFiles) -> Result<Self, Failure> {
        for (option, file) in [("tls-cert", &files.certificate), ("tls-key", &files.key)] {
            match written::read(file) {
                // An unreadable file is reported below.
                Err(error) if !error.is::<io::Error>() => {
                    let place = format!(
                        "{}: cannot set up TLS: {}",
                        origin::name(option),
                        file.display()
                    );
                    return Err(error.context(place).into());
                }
                Ok(_) | Err(_) => {}
            }
        }
        let tls = ServerTls::from_pem_files(&files.certificate, &files.key).map_err(|error| {
            let is_key = error.path() == Some(&*files.key) && files.key != files.certificate;
            let option = origin::name(if is_key { "tls-key" } else { "tls-cert" });
            anyhow::Error::new(error).context(format!("{option}: cannot set up TLS"))
        })?;
        warn_of(&files, &tls);
        Ok(Self { tls, files })
    }

    pub(super) fn in_force(&self) -> &ServerTls {
        &self.tls
    }

    /// Reads the files again on every SIGHUP. What cannot be used leaves the certificate in force.
    pub(super) async fn keep_fresh(self, mut hangups: watch::Receiver<u64>) {
        let Self { tls, files } = self;
        while hangups.changed().await.is_ok() {
            match tls.replace_with_pem_files(&files.certificate, &files.key) {
                Ok(()) => {
                    tracing::info!("certificate reloaded");
                    warn_of(&files, &tls);
                }
                Err(error) => tracing::error!(
                    "could not reload the certificate, the previous one stays in effect: {:#}",
                    anyhow::Error::new(error)
                ),
            }
        }
    }
}

fn warn_of(files: &TlsFiles, tls: &ServerTls) {
    if is_open_to_others(&files.key) {
        tracing::warn!(
            "other users can read key file {0}: chmod 600 {0}",
            files.key.display()
        );
    }
    // What is no longer read here was good enough for rustls: only the warning is lost.
    let Some(until) = web::valid_until(&tls.certificate()) else {
        return;
    };
    let file = files.certificate.display();
    let day = when::short(until);
    match until.duration_since(SystemTime::now()) {
        Err(_) => tracing::warn!("certificate {file} expired on {day}: renew it, then send SIGHUP"),
        Ok(left) if left < RENEW_BEFORE => {
            tracing::warn!("certificate {file} expires on {day}: renew it, then send SIGHUP");
        }
        Ok(_) => {}
    }
}

const RENEW_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);
