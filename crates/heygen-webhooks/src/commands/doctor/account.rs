//! The account at HeyGen: the key, the registered endpoints and the event types.

use std::future::Future;
use std::time::Duration;

use heygen_api::{ApiError, ApiErrorKind, Client, Endpoint};
use heygen_events::EventType;
use tokio::time::timeout;

use super::finding::{Finding, Level};
use crate::failure::error_chain;

#[derive(Debug)]
pub(super) struct Account {
    pub(super) v3: Result<Vec<Endpoint>, Why>,
    pub(super) v1: Result<Vec<Endpoint>, Why>,
    pub(super) catalogue: Result<Vec<EventType>, Why>,
}

/// Why HeyGen did not say.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// No one asked: there is no key.
    NoKey,
    /// No one asked: only this machine is checked.
    Local,
    /// No one asked: the key cannot be used.
    BadKey(String),
    /// It did not say in the time there is.
    Late,
    Refused(ApiErrorKind, String),
}

impl Account {
    /// Asks everything at once; what is not there after `limit` is late.
    pub(super) async fn ask(client: Client, limit: Duration) -> Self {
        let v3 = async { client.v3().endpoints_stream().try_collect().await };
        let v1 = async { client.v1().list_endpoints().await };
        let catalogue = async {
            let entries = client.v3().event_types_stream().try_collect().await?;
            Ok(entries.into_iter().map(|entry| entry.event_type).collect())
        };
        let (v3, v1, catalogue) = tokio::join!(
            within(limit, v3),
            within(limit, v1),
            within(limit, catalogue)
        );
        Self { v3, v1, catalogue }
    }

    pub(super) fn without(why: &Why) -> Self {
        Self {
            v3: Err(why.clone()),
            v1: Err(why.clone()),
            catalogue: Err(why.clone()),
        }
    }

    /// Every endpoint that is known of: those of v3, and those that v1 alone lists.
    pub(super) fn endpoints(&self) -> Vec<&Endpoint> {
        let mut all: Vec<&Endpoint> = self.v3.iter().flatten().collect();
        let only_v1 = self.v1.iter().flatten();
        let only_v1: Vec<_> = only_v1
            .filter(|endpoint| !all.iter().any(|known| is_same(known, endpoint)))
            .collect();
        all.extend(only_v1);
        all
    }

    pub(super) fn shown_secret(&self, endpoint: &Endpoint) -> Option<&str> {
        let same = self
            .v1
            .iter()
            .flatten()
            .find(|shown| is_same(shown, endpoint))?;
        Some(same.secret.as_ref()?.expose())
    }

    /// Why nothing that HeyGen would know is checked, if so.
    pub(super) fn unasked(&self) -> Option<&'static str> {
        match &self.v3 {
            Err(Why::NoKey) => Some(NO_KEY),
            Err(Why::Local) => Some(LOCAL),
            _ => None,
        }
    }

    pub(super) fn key(&self) -> Finding {
        let Err(why) = &self.v3 else {
            return Finding::ok("key", "set, and accepted by HeyGen");
        };
        let fix = match why {
            Why::NoKey => {
                return Finding::new("key", Level::Skipped, NO_KEY, Some(SET_KEY.to_owned()));
            }
            Why::Local => return Finding::skipped("key", LOCAL),
            Why::BadKey(_) => "correct the key, or the file that --api-key-file names",
            Why::Refused(ApiErrorKind::Authentication, _) => {
                "create a new key at HeyGen under Settings, API, and set HEYGEN_API_KEY to it"
            }
            Why::Refused(ApiErrorKind::Forbidden | ApiErrorKind::PaymentRequired, _) => {
                "use a key of an account whose inputs allows managing webhooks"
            }
            Why::Late | Why::Refused(..) => {
                "run again; if the problem stays, check the network, proxies, --base-url and HeyGen's status page"
            }
        };
        Finding::problem("key", why.text("HeyGen"), fix)
    }

    pub(super) fn v1_finding(&self) -> Finding {
        const ID: &str = "endpoints.v1";
        match &self.v1 {
            Ok(list) => Finding::ok(ID, format!("v1 still answers and lists {}", list.len())),
            Err(why @ (Why::NoKey | Why::Local | Why::BadKey(_))) => {
                Finding::skipped(ID, why.text("v1"))
            }
            Err(why @ Why::Refused(ApiErrorKind::NotFound | ApiErrorKind::Forbidden, _)) => {
                let what = why.text("v1");
                Finding::ok(
                    ID,
                    format!("{what}; HeyGen announced its end for 2026-10-31"),
                )
            }
            Err(why) => Finding::new(
                ID,
                // Where v3 does not answer either, the key says so already.
                match self.v3 {
                    Ok(_) => Level::Warn,
                    Err(_) => Level::Skipped,
                },
                why.text("v1"),
                self.v3.is_ok().then(|| {
                    "endpoints that only v1 knows are not checked; v3 is what counts".to_owned()
                }),
            ),
        }
    }
}

impl Why {
    pub(super) fn text(&self, who: &str) -> String {
        match self {
            Self::NoKey => NO_KEY.to_owned(),
            Self::Local => LOCAL.to_owned(),
            Self::BadKey(text) => text.clone(),
            Self::Late => format!("{who} did not answer in time"),
            Self::Refused(ApiErrorKind::Authentication, text) => {
                format!("{who} does not accept the key: {text}")
            }
            Self::Refused(_, text) => format!("{who}: {text}"),
        }
    }
}

pub(super) const LOCAL: &str = "only this machine is checked (--local)";
const NO_KEY: &str = "HeyGen was not asked: there is no API key";
const SET_KEY: &str = "set HEYGEN_API_KEY (find the key at HeyGen under Settings, API), or name a file with --api-key-file; \
                       receiving works without one";

/// Whether both are one endpoint. Whether the two versions write an id alike, with hyphens or without, is not documented.
fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    let digits = |endpoint: &Endpoint| {
        let id = endpoint.endpoint_id.as_str();
        id.replace('-', "").to_ascii_lowercase()
    };
    digits(one) == digits(other)
}

async fn within<T>(
    limit: Duration,
    asking: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, Why> {
    match timeout(limit, Box::pin(asking)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Why::Refused(error.kind(), error_chain(&error))),
        Err(_) => Err(Why::Late),
    }
}
