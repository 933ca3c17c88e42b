//! The environment of a program that is run for a delivery.

use std::ffi::{OsStr, OsString};

use tokio::process::Command;

use crate::delivery::Delivery;
use crate::handlers::timestamp::rfc3339;

/// Inherits our environment without our settings and credentials, and adds the values of the
/// delivery.
pub(super) fn set(command: &mut Command, delivery: &Delivery) {
    for (name, value) in std::env::vars_os() {
        match inherited(&name, &value) {
            Inherited::Whole => {}
            Inherited::Without(value) => {
                command.env(name, value);
            }
            Inherited::Not => {
                command.env_remove(name);
            }
        }
    }
    let event = delivery.event().ok();
    let of_event = [
        (
            "HEYGEN_EVENT_TYPE",
            delivery.event_type().map(ToOwned::to_owned),
        ),
        (
            "HEYGEN_EVENT_ID",
            event.and_then(|event| Some(event.event_id()?.to_string())),
        ),
        (
            "HEYGEN_SUBJECT_ID",
            event.and_then(|event| Some(event.subject_id()?.to_string())),
        ),
        (
            "HEYGEN_DEAD_LETTER_REASON",
            delivery.dead_letter_reason().map(ToOwned::to_owned),
        ),
    ];
    let of_delivery = [
        ("HEYGEN_DELIVERY_ID", delivery.id().to_string()),
        ("HEYGEN_ATTEMPT", delivery.attempt().to_string()),
        (
            "HEYGEN_AUTHENTICITY",
            delivery.source().authenticity().as_str().to_owned(),
        ),
        ("HEYGEN_RECEIVED_AT", rfc3339(delivery.received_at())),
    ];
    let of_delivery = of_delivery.map(|(name, value)| (name, Some(value)));
    for (name, value) in of_event.into_iter().chain(of_delivery) {
        match value.and_then(fit) {
            Some(value) => command.env(name, value),
            // An inherited variable of that name would be taken for the delivery's.
            None => command.env_remove(name),
        };
    }
}

/// A value that an environment can hold: the system rejects a program whose environment has a NUL
/// or is too large, and would do so on every attempt.
fn fit(value: String) -> Option<String> {
    if value.len() > MAX_VALUE_BYTES {
        return None;
    }
    match value.contains('\0') {
        true => Some(value.replace('\0', "\u{fffd}")),
        false => Some(value),
    }
}

/// How much of a variable a program inherits.
#[derive(Debug, Eq, PartialEq)]
enum Inherited {
    Whole,
    /// This value, without the credentials.
    Without(OsString),
    Not,
}

/// Our settings and those of NATS may hold a secret, whatever their name, so a program inherits
/// none of them. Names are compared without regard to case, as some systems do.
fn inherited(name: &OsStr, value: &OsStr) -> Inherited {
    let name = name.to_string_lossy().to_ascii_uppercase();
    if ["HEYGEN_", "NATS_"]
        .iter()
        .any(|ours| name.starts_with(ours))
    {
        return Inherited::Not;
    }
    if OF_THE_SERVICE.contains(&name.as_str()) {
        return Inherited::Not;
    }
    match name.ends_with("_PROXY") {
        // A value that is not UTF-8 is no address.
        true => without_user(&value.to_string_lossy()).map_or(Inherited::Whole, Inherited::Without),
        false => Inherited::Whole,
    }
}

/// A proxy's address without `user:password@`, with a scheme or without; `None` when it has none.
fn without_user(address: &str) -> Option<OsString> {
    let start = address.find("://").map_or(0, |at| at + "://".len());
    // A password may hold a slash; the host is after the last `@` in any case.
    let at = start + address[start..].rfind('@')?;
    Some(format!("{}{}", &address[..start], &address[at + 1..]).into())
}

/// What systemd tells a service about itself: a program that took it for its own would report to
/// systemd in our name.
const OF_THE_SERVICE: [&str; 6] = [
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

const MAX_VALUE_BYTES: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, expected: Option<&str>) {
        let whole = Inherited::Whole;
        let expected = match expected {
            Some(expected) if expected == value => whole,
            Some(expected) => Inherited::Without(expected.into()),
            None => Inherited::Not,
        };
        assert_eq!(
            inherited(OsStr::new(name), OsStr::new(value)),
            expected,
            "{name}={value}"
        );
    }

    #[test]
    fn settings_and_credentials_are_not_inherited() {
        for name in [
            "HEYGEN_WEBHOOK_SECRET",
            "heygen_webhook_secret",
            "HEYGEN_API_KEY",
            "HEYGEN_WEBHOOKS_INBOX",
            "HEYGEN_WEBHOOKS_FORWARD",
            "HEYGEN_EVENT_TYPE",
            "HEYGEN_OF_TOMORROW",
            "NATS_PASSWORD",
            "NATS_URL",
            "LISTEN_FDS",
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
        ] {
            check(name, "x", None);
        }
        for name in ["AWS_SECRET_ACCESS_KEY", "PATH", "HEYGENX", "DATABASE_URL"] {
            check(
                name,
                "postgres://me:pass@db/x",
                Some("postgres://me:pass@db/x"),
            );
        }
        for (address, expected) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://me:pass@proxy:3128/", "http://proxy:3128/"),
            ("socks5h://me@proxy", "socks5h://proxy"),
            ("me:p@ss/word@proxy:3128", "proxy:3128"),
            ("http://me:p:/@ss@proxy", "http://proxy"),
            ("", ""),
        ] {
            for name in ["HTTPS_PROXY", "http_proxy", "ALL_PROXY", "FTP_PROXY"] {
                check(name, address, Some(expected));
            }
        }
    }

    #[test]
    fn values_that_an_environment_cannot_hold() {
        assert_eq!(fit("a\0b".to_owned()).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(
            fit("a".repeat(MAX_VALUE_BYTES)).map(|value| value.len()),
            Some(MAX_VALUE_BYTES)
        );
        assert_eq!(fit("a".repeat(MAX_VALUE_BYTES + 1)), None);
    }
}
