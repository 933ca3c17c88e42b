//! [`Inputs`]: what `doctor` checks, put together from flags, environment and file.

use std::path::PathBuf;

use heygen_api::{Client, Credentials};
use heygen_connect::SecretStore;
use reqwest::Url;

use super::account::{LOCAL, Why};
use crate::api;
use crate::cli::Doctor;
use crate::failure::Failure;
use crate::settings::address::{is_loopback, public_url};
use crate::settings::admin::AdminAddress;
use crate::settings::local::Local;
use crate::settings::options::Options;
use crate::settings::receiver::Tls;
use crate::settings::web_address::http_url;
use crate::store::location::InboxLocation;
use crate::store::nats::Nats;

#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) client: Result<Client, Why>,
    /// Whether HeyGen is played on this machine: then http and loopback are as they should be.
    pub(super) is_sandbox: bool,
    pub(super) address: Option<Url>,
    /// Why there is none, if so.
    pub(super) no_address: &'static str,
    pub(super) inbox: InboxLocation,
    pub(super) nats: Nats,
    pub(super) store: SecretStore,
    /// The ids of the endpoints whose secrets are stored there, once it was read.
    pub(super) stored_ids: Vec<String>,
    pub(super) secret_files: Vec<PathBuf>,
    pub(super) sample: bool,
    pub(super) local: Local,
    pub(super) admin: AdminAddress,
}

impl Inputs {
    pub(super) fn of(options: &Doctor) -> Result<Self, Failure> {
        let file = options.file.config.read()?;
        let api_options = options.api.over(&file)?.whole()?;
        // An address of the API that makes no sense is a mistake on the command line; a missing key is a finding.
        api::client(&api_options, Credentials::api_key("none"))?;
        let client = match (options.local, api::has_credentials(&api_options)) {
            (true, _) => Err(Why::Local),
            (false, false) => Err(Why::NoKey),
            (false, true) => {
                api::connect(&api_options).map_err(|failure| Why::BadKey(failure.to_string()))
            }
        };
        let base_url = api_options.base_url.as_deref();
        let is_sandbox = base_url
            .and_then(|url| Url::parse(url.trim()).ok())
            .is_some_and(|url| is_loopback(&url));
        let listen = options.listen.over(&file)?;
        let given = options.public_url.over(&file)?.url()?;
        let given = given.filter(|_| !options.local);
        let address = given
            .map(|url| http_url("public-url", &public_url(&url, listen.path())))
            .transpose()?;
        let tls = Options::<Tls>::of_environment()?.over(&file)?;
        let local = Local::of(&listen, &tls)?;
        let admin = options.admin.over(&file)?.address()?;
        let inbox = options.file.location()?;
        let nats = options.file.nats(&inbox)?;
        Ok(Self {
            client,
            is_sandbox,
            address,
            store: SecretStore::beside(&inbox.beside()),
            stored_ids: Vec::new(),
            inbox,
            nats,
            secret_files: options.secrets.over(&file)?.files(),
            no_address: match options.local {
                true => LOCAL,
                false => "give your address with --public-url",
            },
            sample: !options.no_sample,
            local,
            admin,
        })
    }
}
