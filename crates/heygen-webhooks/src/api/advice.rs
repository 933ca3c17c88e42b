//! [`failure`]: an error of HeyGen's API, with advice on what to do.

use heygen_api::{ApiError, ApiErrorKind};

use crate::failure::{Failure, error_chain};
use crate::output::tame;
use crate::settings::api::ApiVersion;

/// A failure that says what HeyGen said, and what can be done about it.
pub(crate) fn failure(version: ApiVersion, error: &ApiError) -> Failure {
    let mut text = format!("HeyGen's API: {}", error_chain(error));
    let advice = advice(version, error);
    if error.kind() == ApiErrorKind::Config {
        return Failure::usage(text);
    }
    for advice in [advice, after(error)].into_iter().flatten() {
        text = format!("{text}\n  {advice}");
    }
    for (name, value) in [("request id", error.request_id()), ("see", error.doc_url())] {
        if let Some(value) = value {
            text = format!("{text}\n  {name}: {}", tame(value));
        }
    }
    anyhow::Error::msg(text).into()
}

pub(crate) fn advice(version: ApiVersion, error: &ApiError) -> Option<String> {
    let advice = match error.kind() {
        ApiErrorKind::Authentication => {
            "check HEYGEN_API_KEY (or the key file, or HEYGEN_OAUTH_TOKEN): find the key at HeyGen under Settings, API"
        }
        ApiErrorKind::PaymentRequired => "check the plan and the credit of the account",
        ApiErrorKind::Forbidden => {
            "use the key of an account that is allowed to do this; resources of an organisation may need an administrator's key"
        }
        ApiErrorKind::NotFound => match version {
            // Only a v1 that still answers has this code.
            ApiVersion::V1 if error.has_code(V1_NO_SUCH_ENDPOINT) => {
                "this endpoint no longer exists: list the ids with `endpoints list --api v1`"
            }
            ApiVersion::V1 => {
                "HeyGen announced the end of v1 for 2026-10-31, which may have come: use v3 (leave out --api v1); otherwise check --base-url"
            }
            ApiVersion::V3 => "list the ids with `endpoints list`; otherwise check --base-url",
        },
        ApiErrorKind::InvalidParameter => return Some(parameter(version, error.param())),
        ApiErrorKind::RateLimited => {
            return Some(match error.retry_after() {
                Some(wait) => format!("try again in {} s", wait.as_secs().max(1)),
                None => "try again in a minute".to_owned(),
            });
        }
        ApiErrorKind::QuotaExceeded => {
            "retrying soon does not help: check the limits of the account's plan"
        }
        ApiErrorKind::Conflict => "another change is in progress: try again in a moment",
        ApiErrorKind::Server => "the problem is at HeyGen: try again later",
        ApiErrorKind::Transport => "check the network, a proxy, and --base-url",
        ApiErrorKind::Timeout => {
            "try again; if the problem stays, check the network and --base-url"
        }
        ApiErrorKind::UnexpectedBody | ApiErrorKind::Refused => {
            "check --base-url: the server there may not be HeyGen's API"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

fn parameter(version: ApiVersion, name: Option<&str>) -> String {
    match name {
        Some("url") => match version {
            ApiVersion::V1 => {
                "HeyGen must reach the address and get an answer to OPTIONS within one second, preferably a 2xx: check that the receiver runs, and that your proxy passes OPTIONS on"
            }
            ApiVersion::V3 => {
                "the address must be public and https, and may have to answer OPTIONS with 2xx within one second, as v1 requires: check that the receiver runs, and that your proxy passes OPTIONS on"
            }
        },
        Some("endpoint_id") => "list the ids with `endpoints list`",
        Some("events" | "event_type") => "list the names HeyGen accepts with `event-types`",
        Some(name) => return format!("correct `{}`", tame(name)),
        None => {
            "HeyGen does not name the wrong value: check the id (`endpoints list`), that the address answers OPTIONS with 2xx within one second, and the event names (`event-types`)"
        }
    }
    .to_owned()
}

/// “Webhook endpoint not found”.
const V1_NO_SUCH_ENDPOINT: &str = "400131";

/// What was sent and not refused may have been done.
fn after(error: &ApiError) -> Option<String> {
    error.outcome_unknown().then(|| {
        "if this was a change, it may have been made anyway: check with `endpoints list`; repeat a rotation, whose new secret is not known otherwise".to_owned()
    })
}
