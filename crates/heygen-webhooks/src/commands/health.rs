//! `health`: the answer of a running server's admin listener, as an exit status.

use std::time::Duration;

use super::management;
use crate::api::web;
use crate::cli::Health;
use crate::failure::{Failure, error_chain};
use crate::output;
use crate::server::admin;
use crate::settings::admin::{ADMIN, AdminAddress};
use crate::settings::local::from_here;
use crate::settings::socket::Socket;

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
    let socket = Socket::read("admin", &address)?;
    let client = client(socket.as_ref(), page)?;
    match socket {
        // Its admin listener accepts every name.
        Some(_) => management::run(ask(&client, &format!("http://localhost/{page}"), &address)),
        None => {
            let url = format!("http://{address}/{page}");
            management::run(ask(&client, &url, &url))
        }
    }
}

fn client(socket: Option<&Socket>, page: &str) -> Result<reqwest::Client, Failure> {
    let client = match socket {
        None => web::client(false),
        #[cfg(unix)]
        Some(Socket::Unix { path, .. }) => web::client_of_socket(path),
        Some(_) => {
            return Err(Failure::usage(format!(
                "this socket's address is not known here: give --admin an address or unix:FILE, or ask with curl --unix-socket FILE http://localhost/{page}"
            )));
        }
    };
    Ok(client.map_err(anyhow::Error::msg)?)
}

/// `address` is where it is asked, in messages.
async fn ask(client: &reqwest::Client, url: &str, address: &str) -> Result<(), Failure> {
    let answer = client.get(url).timeout(TIME).send().await;
    let answer = answer.map_err(|error| {
        anyhow::anyhow!(
            "no answer from {address}: {}; is the server running, with this --admin?",
            error_chain(&error.without_url())
        )
    })?;
    let status = answer.status();
    if !admin::has_answered(&answer) {
        return Err(anyhow::anyhow!(
            "another program answered {status} at {address}; is the server running, with this --admin?"
        )
        .into());
    }
    let text = answer.text().await.unwrap_or_default();
    if !status.is_success() {
        return Err(anyhow::anyhow!("{address} answered {status}: {}", text.trim()).into());
    }
    Ok(output::write(format!(
        "{}\n",
        output::tame_lines(text.trim())
    ))?)
}

/// Less than the interval of any health check.
const TIME: Duration = Duration::from_secs(3);
