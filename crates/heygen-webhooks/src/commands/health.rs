//! `health`: the answer of a running server's admin listener, as an exit status.

use std::time::Duration;

use super::management;
use crate::api::web;
use crate::cli::Health;
use crate::failure::{Failure, error_chain};
use crate::output;
use crate::settings::admin::{ADMIN, AdminAddress};
use crate::settings::local::from_here;

pub(super) fn run(options: &Health) -> Result<(), Failure> {
    let file = options.config.read()?;
    let address = match options.admin.over(&file)?.address()? {
        AdminAddress::Off => {
            return Err(Failure::usage(
                "the admin listener is off: give the server another --admin",
            ));
        }
        AdminAddress::Default => ADMIN.to_owned(),
        AdminAddress::At(address) => from_here(&address),
    };
    let page = if options.ready { "readyz" } else { "healthz" };
    let url = format!("http://{address}/{page}");
    management::run(ask(&url))
}

async fn ask(url: &str) -> Result<(), Failure> {
    let client = web::client(false).map_err(anyhow::Error::msg)?;
    let answer = client.get(url).timeout(TIME).send().await;
    let answer = answer.map_err(|error| {
        anyhow::anyhow!(
            "no answer from {url}: {}: is the server running, with this --admin?",
            error_chain(&error.without_url())
        )
    })?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    if !status.is_success() {
        return Err(anyhow::anyhow!("{url} answered {status}: {}", text.trim()).into());
    }
    output::write(format!("{}\n", output::tame_lines(text.trim())))?;
    Ok(())
}

/// Less than the interval of any health check.
const TIME: Duration = Duration::from_secs(3);
