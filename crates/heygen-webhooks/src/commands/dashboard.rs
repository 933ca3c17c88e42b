//! `dashboard`: shows an inbox in the browser, without receiving or dispatching.

use anyhow::Context as _;
use heygen_connect::SecretStore;
use heygen_dashboard::Dashboard;
use heygen_inbox::sqlite::{RejectedAt, rejected_path};
use heygen_receiver::{Admin, AdminPages};
use tokio::runtime::Builder;

use crate::cli;
use crate::failure::Failure;
use crate::output::logging;
use crate::process::runtime::run_on;
use crate::process::signals::asked_to_stop;
use crate::secrets::secret;
use crate::server::admin::{self, Bound};
use crate::server::dashboard::{Access, facts, named_secrets};
use crate::settings::admin::AdminAddress;
use crate::store::{self, cannot_open};

pub(super) fn run(options: &cli::Dashboard) -> Result<(), Failure> {
    let file = options.file.config.read()?;
    logging::start(&options.log.over(&file)?)?;
    let location = options.file.location()?;
    let access = options.dashboard.over(&file)?;
    let is_read_only = access.admin_read_only;
    let access = Access::read(&access)?;
    let hosts = options.admin_hosts.over(&file)?.names()?;
    let address = options.admin.over(&file)?.address()?;
    let nats = options.file.nats(&location)?;
    let secrets = secret::of_receivers(
        &options.secrets.over(&file)?.files(),
        &SecretStore::beside(&location.beside()),
    )?;
    run_on(&mut Builder::new_multi_thread(), async {
        let asked = asked_to_stop(Vec::new())?;
        // It makes no inbox where there is none, whatever it may do with one.
        let opened = store::open_existing(&location, &nats).await;
        let mut inbox = opened.map_err(|error| cannot_open(&location, error))?;
        if !is_read_only {
            inbox = store::open_beside(&location, &nats).await?;
        }
        let admin = bind(&address).await?;
        let shown = Dashboard::new(inbox.clone())
            .facts(facts(&location, None, None))
            .secrets(named_secrets(secrets))
            .rejected(RejectedAt::new(rejected_path(&location.beside())));
        let pages = AdminPages::new(inbox.clone()).hosts(&hosts);
        access.require(&admin)?;
        let pages = access.mount(pages, &admin, &hosts, shown);
        access.log(&admin);
        admin
            .serve(pages, async {
                // It stops, whatever came of waiting for that.
                let _ = asked.await;
            })
            .await;
        Ok(store::close(&inbox).await?)
    })
}

/// At the usual place, or, where a server has that, at a free port.
async fn bind(address: &AdminAddress) -> Result<Bound, Failure> {
    match address {
        AdminAddress::Off => Err(Failure::usage("--admin off leaves nothing to show")),
        AdminAddress::At(_) => admin::bind(address).await,
        AdminAddress::Default => match admin::bind(address).await? {
            bound if bound.is_there() => Ok(bound),
            _ => {
                let admin = Admin::bind("127.0.0.1:0").await;
                Bound::at(admin.context("cannot listen on loopback")?)
            }
        },
    }
}
