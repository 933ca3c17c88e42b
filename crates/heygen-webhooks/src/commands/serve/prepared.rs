//! [`Prepared`]: what a start reads and binds before it opens the inbox, which is what `serve --check` checks.

use std::io::ErrorKind;

use heygen_api::Client;
use heygen_connect::SecretStore;
use heygen_receiver::Server;

use super::callbacks::Callbacks;
use super::demo::Demo;
use super::registration::{Registration, Wanted};
use super::tls::Certificate;
use crate::api;
use crate::dispatch::BuiltHandler;
use crate::failure::Failure;
use crate::output::printer::Printer;
use crate::secrets::secret::SecretSources;
use crate::server::{admin, dashboard, listen};
use crate::settings::address::public_url;
use crate::settings::config::Config;
use crate::settings::local::from_here;
use crate::settings::origin;
use crate::settings::socket::Socket;

/// Whatever may fail at a start before the inbox is opened: nothing is left behind by a start that fails. Connections wait meanwhile.
pub(super) struct Prepared {
    pub(super) sources: SecretSources,
    pub(super) client: Option<Client>,
    pub(super) built: BuiltHandler,
    pub(super) callbacks: Callbacks,
    pub(super) certificate: Option<Certificate>,
    pub(super) listener: Server,
    pub(super) admin: admin::Bound,
    pub(super) dashboard: dashboard::Access,
    pub(super) show: Option<Demo>,
    pub(super) registration: Option<Registration>,
}

impl Prepared {
    pub(super) async fn new(config: &Config, printer: &Printer) -> Result<Self, Failure> {
        let sources = SecretSources::load(
            &config.secret_files,
            SecretStore::beside(&config.inbox.beside()),
        )?;
        // Without a key there is nothing to start.
        let needs_api = config.public_url.is_some() || config.backfill.is_some();
        let client = match needs_api {
            true => Some(api::connect(&config.api)?),
            false => None,
        };
        let forward_secret = match config.is_working {
            true => config.dispatch.forward_secret(&config.inbox)?,
            false => None,
        };
        let built = config
            .dispatch
            .build(printer, forward_secret, &sources.active)?;
        let callbacks = Callbacks::load(config.callback_token_file.as_deref())?;
        let certificate = config.tls.clone().map(Certificate::load).transpose()?;
        let dashboard = dashboard::Access::read(&config.dashboard)?;
        let listener = bind(config, certificate.as_ref()).await?;
        let admin = admin::bind(&config.admin).await?;
        listen::warn_of_unserved();
        let show = match config.sandbox {
            true => Some(Demo::start().await?),
            false => None,
        };
        let local_url = match &show {
            Some(_) => {
                // The sandbox takes plain http on loopback alone.
                let address = from_here(&listener.local_addr()?.to_string());
                Some(format!("http://{address}{}", config.path))
            }
            None => None,
        };
        let registration = registration(
            config,
            client.clone(),
            show.as_ref().zip(local_url),
            sources.clone(),
        )?;
        Ok(Self {
            sources,
            client,
            built,
            callbacks,
            certificate,
            listener,
            admin,
            dashboard,
            show,
            registration,
        })
    }
}

async fn bind(config: &Config, certificate: Option<&Certificate>) -> Result<Server, Failure> {
    let listener = listen::bind("listen", &config.listen).await?;
    let listener = listener.map_err(|error| {
        let option = origin::name("listen");
        let (listen, kind) = (&config.listen, error.kind());
        let cause = anyhow::Error::from(error);
        cause.context(match kind {
            ErrorKind::AddrInUse => format!(
                "cannot listen on {listen}: another program does, perhaps another `serve`; {option} chooses another address"
            ),
            ErrorKind::PermissionDenied if !Socket::is_one(listen) => format!(
                "cannot listen on {listen}: a port below 1024 takes root or CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE); {option} chooses another, and a proxy can forward to it"
            ),
            _ => format!("cannot listen on {listen} ({option} chooses another)"),
        })
    })?;
    let server = Server::from(listener);
    Ok(match certificate {
        Some(certificate) => server.tls(certificate.tls.clone()),
        None => server,
    })
}

/// What to register, and where; `None` when nothing is to be registered.
fn registration(
    config: &Config,
    client: Option<Client>,
    show: Option<(&Demo, String)>,
    sources: SecretSources,
) -> Result<Option<Registration>, Failure> {
    let at = match show {
        Some(_) => "the sandbox",
        None => "HeyGen",
    };
    let (client, url) = match (show, client, &config.public_url) {
        (Some((show, local_url)), ..) => {
            let mut options = config.api.clone();
            options.base_url = Some(show.base_url().to_owned());
            (api::client(&options, show.credentials())?, local_url)
        }
        (None, Some(client), Some(url)) => (client, public_url(url, &config.path)),
        (None, ..) => return Ok(None),
    };
    let events = config.events.as_deref().map(api::events).transpose()?;
    let wanted = Wanted {
        at,
        url,
        events,
        rotate: config.rotate_secret,
    };
    Ok(Some(Registration::new(client, sources, wanted)))
}
