//! What holds for every connection, whatever is sent on it. The fuzz target `request` holds the same.

use std::collections::BTreeSet;
use std::time::Duration;

use heygen_inbox::{InboxAdmin as _, MemoryInbox, Query, Source, StoredDelivery};
use heygen_receiver::{CallbackTokens, Receiver, ReceiverOptions, Secret, Secrets};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};

/// Panics when something does not hold for a client that sends this, and returns how many
/// deliveries are stored.
///
/// Requests are divided by [`NEXT`]. In the head of each `{sign}` stands for the signature and
/// `{length}` for the length of what follows the first empty line, so that whatever makes requests
/// need not know how to sign to get in.
pub(crate) fn hold(script: &[u8]) -> usize {
    let pieces = pieces(script);
    // Time stands still while anything can go on, and jumps to the next limit when nothing can.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let inbox = MemoryInbox::new();
    let answer = runtime.block_on(async {
        let (client, server) = duplex(64 * 1024);
        let talk = async { tokio::join!(speak(client, &pieces), serve(server, inbox.clone())).0 };
        let talk = tokio::time::timeout(PATIENCE, talk).await;
        talk.unwrap_or_else(|_| panic!("the connection hangs"))
    });
    let stored = runtime.block_on(everything(&inbox));

    let sent = pieces.concat();
    let is_http2 = sent.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let secrets = Secrets::from(secret());
    for one in &stored {
        match one.summary.source {
            Source::Webhook => {
                let pairs = one.headers.iter();
                let pairs = pairs.map(|header| (header.name.as_str(), header.value.as_bytes()));
                let verified = heygen_signature::verify(pairs, &one.body, &secrets);
                assert!(verified.is_ok(), "stored, and not signed: {:?}", one.body);
            }
            // Names in HTTP/2 may be compressed, and so not be seen as they are.
            Source::Callback if is_http2 => {}
            Source::Callback => {
                assert!(contains(&sent, TOKEN.as_bytes()), "stored without a token");
            }
            other => panic!("nothing comes this way: {other:?}"),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let accepted = ids(&text, "accepted");
    let duplicate = ids(&text, "duplicate");
    let distinct: BTreeSet<&str> = accepted.iter().copied().collect();
    assert_eq!(distinct.len(), accepted.len(), "no id is given twice");
    for id in accepted.iter().chain(&duplicate) {
        let same = stored
            .iter()
            .filter(|one| one.summary.id.to_string() == *id);
        assert_eq!(same.count(), 1, "answered, and not stored exactly once");
    }
    if !is_http2 {
        // On HTTP/2 a client may take back what it has asked for; here it waits for the answers.
        assert_eq!(accepted.len(), stored.len(), "stored, and not answered");
        check_answers(&text, accepted.len() + duplicate.len());
    }
    stored.len()
}

/// Every status that HTTP/1 shows here has a reason, and 200 is said for a delivery that is stored
/// and for nothing else.
fn check_answers(text: &str, stored: usize) {
    let mut answers = text.split("HTTP/1.");
    assert_eq!(
        answers.next(),
        Some(""),
        "an answer begins with its version"
    );
    let statuses: Vec<&str> = answers.filter_map(|answer| answer.get(2..5)).collect();
    for status in &statuses {
        assert!(STATUSES.contains(status), "{status}");
    }
    let good = statuses.iter().filter(|status| **status == "200");
    assert_eq!(good.count(), stored, "{text}");
}

/// As the crate's own server serves a connection.
async fn serve(stream: DuplexStream, inbox: MemoryInbox) {
    let mut options = ReceiverOptions::default();
    options.callback_tokens = CallbackTokens::new([TOKEN]).unwrap();
    options.limits.max_body_bytes = 16 * 1024;
    options.limits.max_buffered_bytes = 64 * 1024;
    let receiver = Receiver::with(secret(), inbox, options);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let max_header_bytes = 32 * 1024;
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(max_header_bytes)
        .max_headers(100);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(max_header_bytes as u32);
    let service = service_fn(|request| {
        let receiver = receiver.clone();
        async move { Ok::<_, std::convert::Infallible>(receiver.receive(request).await) }
    });
    // However it ends, what the client did wrong is its own affair.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Says everything, waits until nothing goes on, hangs up, and returns what came back.
async fn speak(stream: DuplexStream, pieces: &[Vec<u8>]) -> Vec<u8> {
    let (mut answers, mut requests) = split(stream);
    let say = async {
        for piece in pieces {
            if requests.write_all(piece).await.is_err() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(LONGER_THAN_LIMITS).await;
        let _ = requests.shutdown().await;
    };
    let listen = async {
        let mut heard = Vec::new();
        let _ = answers.read_to_end(&mut heard).await;
        heard
    };
    tokio::join!(say, listen).1
}

async fn everything(inbox: &MemoryInbox) -> Vec<StoredDelivery> {
    let mut stored = Vec::new();
    for summary in inbox.list(Query::default()).await.unwrap() {
        stored.extend(inbox.get(summary.id).await.unwrap());
    }
    stored
}

fn pieces(script: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut rest = script;
    while let Some(end) = find(rest, NEXT) {
        pieces.push(filled_in(&rest[..end]));
        rest = &rest[end + NEXT.len()..];
    }
    pieces.push(filled_in(rest));
    pieces
}

fn filled_in(request: &[u8]) -> Vec<u8> {
    let ends = [&b"\r\n\r\n"[..], b"\n\n"].map(|end| Some(find(request, end)? + end.len()));
    let end = ends.into_iter().flatten().min().unwrap_or(request.len());
    let (head, body) = request.split_at(end);
    let signature = secret().sign(body).to_string();
    let head = replace(head, b"{sign}", signature.as_bytes());
    let mut filled = replace(&head, b"{length}", body.len().to_string().as_bytes());
    filled.extend_from_slice(body);
    filled
}

fn replace(text: &[u8], mark: &[u8], with: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = find(rest, mark) {
        replaced.extend_from_slice(&rest[..place]);
        replaced.extend_from_slice(with);
        rest = &rest[place + mark.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    find(text, wanted).is_some()
}

/// The ids of the answers that say so.
fn ids<'a>(text: &'a str, status: &str) -> Vec<&'a str> {
    let start = format!(r#"{{"status":"{status}","id":""#);
    text.split(start.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

fn secret() -> Secret {
    Secret::new("whsec_test").unwrap()
}

/// What divides requests in a script. The client waits there, so that they come one after the
/// other.
pub(crate) const NEXT: &[u8] = b"\n{next}\n";
pub(crate) const TOKEN: &str = "Zm9vYmFyYmF6cXV4MTIzNDU2";

const STATUSES: [&str; 12] = [
    "100", "200", "204", "400", "401", "404", "405", "408", "413", "414", "415", "431",
];

const PAUSE: Duration = Duration::from_millis(1);
const LONGER_THAN_LIMITS: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(3600);
