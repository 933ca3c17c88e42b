//! The environment of a program that is run for a delivery.

use std::ffi::OsStr;

use tokio::process::Command;

use crate::Delivery;
use crate::handlers::timestamp::rfc3339;

/// Ours without our secrets, and with what is known of the delivery.
pub(super) fn set(command: &mut Command, delivery: &Delivery) {
    for (name, _) in std::env::vars_os() {
        if is_secret(&name) {
            command.env_remove(name);
        }
    }
    let event = delivery.event().ok();
    let of_event = [
        (
            "HEYGEN_EVENT_TYPE",
            event.map(|event| event.event_name().to_owned()),
        ),
        (
            "HEYGEN_EVENT_ID",
            event.and_then(|event| Some(event.event_id.as_ref()?.to_string())),
        ),
        (
            "HEYGEN_SUBJECT_ID",
            event.and_then(|event| Some(event.subject_id()?.to_string())),
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
            // Ours may have one of that name, which would be taken for the delivery's.
            None => command.env_remove(name),
        };
    }
}

/// What an environment can hold: the system refuses a program whose environment has a NUL or is too large, and would do so on
/// every attempt.
fn fit(value: String) -> Option<String> {
    if value.len() > MAX_VALUE_BYTES {
        return None;
    }
    match value.contains('\0') {
        true => Some(value.replace('\0', "\u{fffd}")),
        false => Some(value),
    }
}

/// Where names are compared without regard to case, a secret is one however it is written.
fn is_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    name.starts_with("HEYGEN_") && SECRET_WORDS.iter().any(|word| name.contains(word))
}

const SECRET_WORDS: [&str; 4] = ["KEY", "PASSWORD", "SECRET", "TOKEN"];
const MAX_VALUE_BYTES: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: bool) {
        assert_eq!(is_secret(OsStr::new(name)), expected, "{name}");
    }

    #[test]
    fn our_secrets_and_nothing_else() {
        check("HEYGEN_WEBHOOK_SECRET", true);
        check("heygen_webhook_secret", true);
        check("HEYGEN_API_KEY", true);
        check("HEYGEN_OAUTH_TOKEN", true);
        check("HEYGEN_WEBHOOKS_FORWARD_SECRET", true);
        check("HEYGEN_WEBHOOKS_INBOX", false);
        check("HEYGEN_EVENT_TYPE", false);
        check("AWS_SECRET_ACCESS_KEY", false);
        check("PATH", false);
    }

    #[test]
    fn what_no_environment_can_hold() {
        assert_eq!(fit("a\0b".to_owned()).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(
            fit("a".repeat(MAX_VALUE_BYTES)).map(|value| value.len()),
            Some(MAX_VALUE_BYTES)
        );
        assert_eq!(fit("a".repeat(MAX_VALUE_BYTES + 1)), None);
    }
}
