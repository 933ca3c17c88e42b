//! [`failure`]: a refusal of HeyGen's API, told with what can be done about it.

use heygen_api::{ApiError, ErrorKind};

use crate::failure::{Failure, error_chain};
use crate::output::tame;
use crate::settings::api::ApiVersion;

/// A failure that says what HeyGen said, and what can be done about it.
pub(crate) fn failure(version: ApiVersion, error: &ApiError) -> Failure {
    let mut text = format!("HeyGen's API: {}", error_chain(error));
    let advice = advice(version, error);
    if error.kind() == ErrorKind::Config {
        return Failure::usage(text);
    }
    for advice in [advice, after(error)].into_iter().flatten() {
        text = format!("{text}\n  {advice}");
    }
    for (name, value) in [
        ("request id", error.request_id()),
        ("HeyGen says more at", error.doc_url()),
    ] {
        if let Some(value) = value {
            text = format!("{text}\n  {name}: {}", tame(value));
        }
    }
    anyhow::Error::msg(text).into()
}

/// What can be done about a refusal.
pub(crate) fn advice(version: ApiVersion, error: &ApiError) -> Option<String> {
    let advice = match error.kind() {
        ErrorKind::Authentication => {
            "check HEYGEN_API_KEY (or the key's file, or HEYGEN_OAUTH_TOKEN): HeyGen shows the key under Settings, API"
        }
        ErrorKind::PaymentRequired => "look at the plan and the credit of the account",
        ErrorKind::Forbidden => {
            "use the key of an account that may do this: what belongs to an organisation may need its administrator's"
        }
        ErrorKind::NotFound => match version {
            // Only a v1 that still answers has this code.
            ApiVersion::V1 if error.has_code(V1_NO_SUCH_ENDPOINT) => {
                "there is no such endpoint any more: `endpoints list --api v1` shows which ids there are"
            }
            ApiVersion::V1 => {
                "HeyGen announced the end of v1 for 2026-10-31, and this may be it: use v3, which is what is asked without \
                 --api v1; otherwise check --base-url"
            }
            ApiVersion::V3 => {
                "`endpoints list` shows which ids there are; otherwise check --base-url"
            }
        },
        ErrorKind::InvalidParameter => return Some(parameter(version, error.param())),
        ErrorKind::RateLimited => {
            return Some(match error.retry_after() {
                Some(wait) => format!("try again in {} s", wait.as_secs().max(1)),
                None => "try again in a minute".to_owned(),
            });
        }
        ErrorKind::QuotaExceeded => {
            "waiting a little does not help: look at the limits of the account's plan"
        }
        ErrorKind::Conflict => "something else is at work on it: look again in a moment",
        ErrorKind::Server => "nothing is wrong here: try again in a while",
        ErrorKind::Transport => "check the network, a proxy, and --base-url",
        ErrorKind::Timeout => "try again; when it stays so, check the network and --base-url",
        ErrorKind::UnexpectedBody | ErrorKind::Refused => {
            "check --base-url: what answers there may not be HeyGen's API"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

fn parameter(version: ApiVersion, name: Option<&str>) -> String {
    match name {
        Some("url") => match version {
            ApiVersion::V1 => {
                "HeyGen has to reach the address, and to get an answer to OPTIONS within one second, best a 2xx: is the \
                 receiver up, and does the proxy before it let OPTIONS through?"
            }
            ApiVersion::V3 => {
                "the address has to be public and https, and may have to answer OPTIONS with 2xx within one second, as v1 \
                 wants: is the receiver up, and does the proxy before it let OPTIONS through?"
            }
        },
        Some("endpoint_id") => "`endpoints list` shows which ids there are",
        Some("events" | "event_type") => "`event-types` lists the names that HeyGen takes",
        Some(name) => return format!("mend `{}`", tame(name)),
        None => {
            "HeyGen does not name the value: check the id (`endpoints list`), that the address answers OPTIONS with 2xx \
             within one second, and the names of events (`event-types`)"
        }
    }
    .to_owned()
}

/// “Webhook endpoint not found”.
const V1_NO_SUCH_ENDPOINT: &str = "400131";

/// What was sent and not refused may have been done.
fn after(error: &ApiError) -> Option<String> {
    error.outcome_unknown().then(|| {
        "if this was a change, it may have been made all the same: look with `endpoints list`"
            .to_owned()
    })
}
