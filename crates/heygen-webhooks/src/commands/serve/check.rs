//! `serve --check`: whether a start would succeed. Does what a start does before it opens the inbox, and undoes it.

use serde_json::json;

use super::prepared::Prepared;
use crate::failure::Failure;
use crate::output;
use crate::server::listen;
use crate::settings::admin::{ADMIN, AdminAddress};
use crate::settings::config::Config;
use crate::store;

/// Reports what a start has found to be right, once nothing was found to be wrong.
pub(super) async fn run(config: &Config, prepared: Prepared) -> Result<(), Failure> {
    let inbox = store::check(&config.inbox, &config.nats, &config.promise).await?;
    let secrets = prepared.sources.active.get();
    let secrets = match secrets.map_or(0, |secrets| secrets.len()) {
        0 => "none: deliveries would be answered with 503".to_owned(),
        count => format!("{count} known"),
    };
    let configuration = match config.file.path() {
        Some(path) => path.display().to_string(),
        None => "no file".to_owned(),
    };
    let tls = match &config.tls {
        Some(files) => format!("{} matches its key", files.certificate.display()),
        None => "plain http".to_owned(),
    };
    let admin = match &config.admin {
        AdminAddress::Off => "off".to_owned(),
        AdminAddress::Default if prepared.admin.is_there() => format!("{ADMIN} is free"),
        AdminAddress::Default => {
            prepared.admin.log();
            format!("none: {ADMIN} is taken")
        }
        AdminAddress::At(address) => listen::checked(address),
    };
    let callbacks = match prepared.callbacks.tokens.len() {
        0 => "none".to_owned(),
        1 => "1 token".to_owned(),
        count => format!("{count} tokens"),
    };
    let handlers = match config.is_working {
        true => config.dispatch.described()?,
        false => "none: `work` dispatches".to_owned(),
    };
    let heygen = match prepared.client {
        Some(_) => "a key is set; HeyGen was not called",
        None => "not needed",
    };
    let checked = [
        ("configuration", configuration),
        ("listen", listen::checked(&config.listen)),
        ("tls", tls),
        ("admin", admin),
        ("secrets", secrets),
        ("callbacks", callbacks),
        ("handlers", handlers),
        ("HeyGen", heygen.to_owned()),
        ("inbox", format!("{} {inbox}", config.inbox)),
    ];
    if config.printing.json {
        let checked: serde_json::Map<_, _> = checked
            .into_iter()
            .map(|(what, found)| (what.to_owned(), found.into()))
            .collect();
        return Ok(output::json(&json!({ "ready": true, "checked": checked }))?);
    }
    for (what, found) in checked {
        output::write(format!("{what:<13}  {found}\n"))?;
    }
    Ok(output::write(
        "`serve` can start with this configuration\n",
    )?)
}
