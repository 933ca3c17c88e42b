//! The path of callbacks, which no one signs.

use heygen_inbox::{Authenticity, InboxAdmin as _, MemoryInbox, Query, Source};
use heygen_receiver::{ActiveSecrets, CallbackTokens, Receiver, ReceiverOptions};

use crate::client::{ask, request, sign};
use crate::support::{PATH, Running, body, count, secret};

const TOKEN: &str = "Zm9vYmFyYmF6cXV4MTIzNDU2";

fn path_of(token: &str) -> String {
    format!("{PATH}/callbacks/{token}")
}

fn post_to(path: &str, body: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let len = body.len().to_string();
    let headers = [headers, &[("Content-Length", len.as_str())]].concat();
    [&request("POST", path, &headers), body.as_bytes()].concat()
}

async fn start(
    secrets: impl Into<ActiveSecrets>,
    inbox: MemoryInbox,
    tokens: &CallbackTokens,
) -> Running {
    let mut options = ReceiverOptions::default();
    options.callback_tokens = tokens.clone();
    options.limits.max_body_bytes = 100;
    Running::start(Receiver::with(secrets, inbox, options)).await
}

#[tokio::test]
async fn callback_with_a_valid_token_needs_no_signature() {
    let inbox = MemoryInbox::new();
    let tokens = CallbackTokens::new([TOKEN]).unwrap();
    // Nothing here is signed, so no secret has to be known.
    let server = start(ActiveSecrets::none(), inbox.clone(), &tokens).await;
    let path = path_of(TOKEN);
    for method in ["OPTIONS", "GET", "HEAD"] {
        let answer = ask(server.address, request(method, &path, &[])).await;
        assert_eq!(answer.status, 204, "{method}");
        assert_eq!(answer.header("allow"), Some("POST, OPTIONS, GET, HEAD"));
    }
    let answer = ask(server.address, post_to(&path, &body("a"), &[])).await;
    assert_eq!(answer.verdict(), "accepted");
    let answer = ask(server.address, post_to(&path, &body("a"), &[])).await;
    assert_eq!(answer.verdict(), "duplicate");
    let long = "x".repeat(101);
    for (request, status) in [
        (post_to(&path, &long, &[]), 413),
        (
            post_to(&path, &body("b"), &[("Content-Encoding", "gzip")]),
            415,
        ),
        (request("PUT", &path, &[]), 405),
        // On the other path nothing has changed.
        (post_to(PATH, &body("b"), &[]), 503),
    ] {
        assert_eq!(ask(server.address, request).await.status, status);
    }
    let stored = inbox.list(Query::default()).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].source, Source::Callback);
    assert_eq!(stored[0].source.authenticity(), Authenticity::Token);
    let stored = inbox.get(stored[0].id).await.unwrap().unwrap();
    assert!(!format!("{stored:?}").contains(TOKEN));
}

#[tokio::test]
async fn callback_with_any_other_token_is_not_found() {
    let inbox = MemoryInbox::new();
    let tokens = CallbackTokens::new([TOKEN]).unwrap();
    let server = start(secret(), inbox.clone(), &tokens).await;
    let wrong = [
        path_of("Zm9vYmFyYmF6cXV4MTIzNDU3"),
        path_of(""),
        path_of("?"),
        path_of(&TOKEN[..23]),
        format!("{}//", path_of(TOKEN)),
        format!("{PATH}/{TOKEN}"),
        format!("{PATH}/callbacks"),
        format!("/callbacks/{TOKEN}"),
        path_of("%5Am9vYmFyYmF6cXV4MTIzNDU2"),
    ];
    let signature = sign(body("a").as_bytes());
    for method in ["OPTIONS", "HEAD", "PUT"] {
        let unknown = ask(server.address, request(method, "/no/where", &[])).await;
        assert_eq!(unknown.status, 404);
        for path in &wrong {
            let answer = ask(server.address, request(method, path, &[])).await;
            assert_eq!(without_date(&answer), without_date(&unknown), "{path}");
        }
    }
    let headers = [("Signature", signature.as_str())];
    let unknown = ask(server.address, post_to("/no/where", &body("a"), &headers)).await;
    for path in &wrong {
        let answer = ask(server.address, post_to(path, &body("a"), &headers)).await;
        assert_eq!(without_date(&answer), without_date(&unknown), "{path}");
    }
    assert_eq!(count(&inbox).await, 0);
}

#[tokio::test]
async fn callback_tokens_are_replaced_while_serving() {
    let inbox = MemoryInbox::new();
    let tokens = CallbackTokens::none();
    let server = start(secret(), inbox, &tokens).await;
    let probe = async |token: &str| {
        let request = request("OPTIONS", &path_of(token), &[]);
        ask(server.address, request).await.status
    };
    let other = TOKEN.to_lowercase();
    assert_eq!(probe(TOKEN).await, 404);
    tokens.set([TOKEN]).unwrap();
    assert_eq!(probe(TOKEN).await, 204);
    tokens.set([&other]).unwrap();
    assert_eq!((probe(TOKEN).await, probe(&other).await), (404, 204));
    assert!(tokens.set(["short"]).is_err());
    assert_eq!(probe(&other).await, 204);
}

fn without_date(answer: &crate::client::Answer) -> String {
    let mut text = format!("{answer:?}");
    if let Some(date) = answer.header("date") {
        text = text.replace(date, "");
    }
    text
}
