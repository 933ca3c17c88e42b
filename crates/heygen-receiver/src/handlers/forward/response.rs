//! The response of an application, and the disposition it means.

use std::time::{Duration, SystemTime};

use heygen_events::text::{one_line, truncated};
use heygen_http::{readable, retry_after};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::target::Target;
use crate::handler::Disposition;

/// The status decides; the text goes into the record of the attempt.
pub(super) async fn disposition(response: Response<Incoming>, target: &Target) -> Disposition {
    let status = response.status();
    // A wait of zero is ignored: attempts without a pause would soon be used up.
    let after = retry_after(response.headers(), SystemTime::now()).filter(|wait| !wait.is_zero());
    let text = read(response.into_body()).await;
    if status.is_success() {
        let note = format!("answered {status}");
        return Disposition::AckWithNote { note };
    }
    let mut reason = format!("{target} answered {status}");
    if status == StatusCode::NOT_MODIFIED {
        reason.push_str(", which acknowledges nothing: answer 2xx");
    } else if status.is_redirection() {
        reason.push_str(", and redirects are not followed: forward to the target of the redirect");
    } else if !text.is_empty() {
        reason.push_str(": ");
        reason.push_str(&text);
    }
    match status {
        StatusCode::GONE => Disposition::dead_letter(reason),
        _ => match after {
            Some(after) => Disposition::pause(after, reason),
            None => Disposition::retry(reason),
        },
    }
}

/// The beginning of the text. Some more is read and discarded, because a connection can be reused
/// only after its response was read to the end.
async fn read(mut body: Incoming) -> String {
    let mut start = Vec::new();
    let mut read_bytes = 0;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            read_bytes += chunk.len();
            let missing = MAX_START_BYTES.saturating_sub(start.len());
            start.extend_from_slice(&chunk[..chunk.len().min(missing)]);
            if read_bytes > MAX_READ_BYTES {
                break;
            }
        }
    };
    // A response that ends later is used as far as it was read.
    let _ = tokio::time::timeout(READING, reading).await;
    let text = one_line(&readable(&String::from_utf8_lossy(&start)));
    truncated(&text, MAX_TEXT_BYTES).to_owned()
}

const MAX_TEXT_BYTES: usize = 200;
/// Of a page the tags go.
const MAX_START_BYTES: usize = 4 * 1024;
const MAX_READ_BYTES: usize = 64 * 1024;
const READING: Duration = Duration::from_secs(1);
