//! Lists over several pages.

use std::future::poll_fn;
use std::pin::pin;

use futures_core::Stream;
use heygen_api::v3::EventQuery;
use heygen_api::{ApiError, ApiErrorKind, Client, Endpoint, EventType, PageRequest};

use crate::answers::{V3_EVENT, v3_events, v3_page};
use crate::server::{Reply, Server};

/// Pages of one endpoint each, named by their number, with what stands beside.
async fn pages(beside: &[&str]) -> Server {
    let replies: Vec<_> = beside
        .iter()
        .enumerate()
        .map(|(index, beside)| Reply::ok(v3_page(&[&index.to_string()], beside)))
        .collect();
    Server::playing(replies).await
}

fn more(token: &str) -> String {
    format!(r#","has_more":true,"next_token":"{token}""#)
}

const END: &str = r#","has_more":false,"next_token":null"#;

/// The ids in their order, and the error behind them.
async fn walk(client: &Client) -> (Vec<String>, Option<ApiError>) {
    let mut ids = Vec::new();
    let mut endpoints = client.v3().endpoints_stream();
    while let Some(endpoint) = endpoints.next().await {
        assert!(ids.len() < 10, "the list has no end");
        match endpoint {
            Ok(endpoint) => ids.push(endpoint.endpoint_id.to_string()),
            Err(error) => {
                assert!(endpoints.next().await.is_none(), "nothing follows an error");
                return (ids, Some(error));
            }
        }
    }
    assert!(endpoints.next().await.is_none());
    (ids, None)
}

async fn check(beside: &[&str], expected_ids: &[&str], expected_error: Option<&str>) -> Server {
    let server = pages(beside).await;
    let (ids, error) = walk(&server.client()).await;
    assert_eq!(ids, expected_ids, "{beside:?}");
    let error = error.map(|error| {
        assert_eq!(error.kind(), ApiErrorKind::UnexpectedBody);
        error.to_string()
    });
    assert_eq!(error.as_deref(), expected_error, "{beside:?}");
    assert_eq!(server.seen().len(), expected_ids.len(), "{beside:?}");
    server
}

#[tokio::test]
async fn pages_follow_their_tokens() {
    let server = check(&[&more("t/1"), &more("t 2"), END], &["0", "1", "2"], None).await;
    let targets: Vec<_> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(
        targets,
        [
            "/v3/webhooks/endpoints?limit=100",
            "/v3/webhooks/endpoints?limit=100&token=t%2F1",
            "/v3/webhooks/endpoints?limit=100&token=t+2",
        ]
    );
}

#[tokio::test]
async fn has_more_decides_the_end() {
    check(&[END], &["0"], None).await;
    check(&[""], &["0"], None).await;
    check(&[r#","has_more":false,"next_token":"t""#], &["0"], None).await;
    // Without it a token does.
    for unsaid in [
        r#","next_token":"t""#,
        r#","has_more":null,"next_token":"t""#,
    ] {
        check(&[unsaid, ""], &["0", "1"], None).await;
    }
}

#[tokio::test]
async fn endless_list_is_an_error_after_its_items() {
    let missing = "the answer is not as expected: next_token is missing, and has_more is true";
    check(&[r#","has_more":true"#], &["0"], Some(missing)).await;
    check(
        &[r#","has_more":true,"next_token":null"#],
        &["0"],
        Some(missing),
    )
    .await;
    check(
        &[r#","has_more":true,"next_token":"""#],
        &["0"],
        Some(missing),
    )
    .await;
    let again = "the answer is not as expected: next_token repeats an earlier one";
    check(&[&more("a"), &more("a")], &["0", "1"], Some(again)).await;
    let circle = [&*more("a"), &*more("b"), &*more("a")];
    check(&circle, &["0", "1", "2"], Some(again)).await;
}

#[tokio::test]
async fn empty_page_does_not_end_a_list() {
    let replies = [
        Reply::ok(v3_page(&[], &more("t"))),
        Reply::ok(v3_page(&["a", "b"], END)),
    ];
    let server = Server::playing(replies).await;
    let endpoints = server
        .client()
        .v3()
        .endpoints_stream()
        .try_collect()
        .await
        .unwrap();
    let ids: Vec<_> = endpoints
        .iter()
        .map(|one| one.endpoint_id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn error_follows_the_items_before_it() {
    let replies = [
        Reply::ok(v3_page(&["a", "b"], &more("t"))),
        Reply::new(403, ""),
    ];
    let server = Server::playing(replies.clone()).await;
    let (ids, error) = walk(&server.client()).await;
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(error.unwrap().kind(), ApiErrorKind::Forbidden);

    let server = Server::playing(replies).await;
    let all = server.client().v3().endpoints_stream().try_collect().await;
    assert_eq!(all.unwrap_err().kind(), ApiErrorKind::Forbidden);
}

#[tokio::test]
async fn listing_is_a_stream() {
    fn own<T: Send + 'static>(stream: T) -> T {
        stream
    }
    let server = pages(&[&more("t"), END]).await;
    // It outlives the client it was asked of.
    let mut stream = pin!(own(server.client().v3().endpoints_stream()));
    let mut ids = Vec::new();
    while let Some(endpoint) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        let endpoint: Endpoint = endpoint.unwrap();
        ids.push(endpoint.endpoint_id.to_string());
    }
    assert_eq!(ids, ["0", "1"]);
}

#[tokio::test]
async fn pages_one_by_one() {
    let server = pages(&[&more("t"), END]).await;
    let client = server.client();
    let first = PageRequest::new().with_limit(1);
    let page = client.v3().list_endpoints(&first).await.unwrap();
    let next = page.next_request().unwrap();
    assert_eq!(next, PageRequest::new().with_limit(1).with_token("t"));
    let page = client.v3().list_endpoints(&next).await.unwrap();
    assert_eq!(page.next_request(), None);
}

#[tokio::test]
async fn events_stream_sends_filters_and_starts_at_the_token() {
    let one = v3_events(&[V3_EVENT]);
    let first = one.replace(r#""has_more":false,"next_token":null"#, &more("t2")[1..]);
    let server = Server::playing([Reply::ok(first), Reply::ok(one)]).await;
    let query = EventQuery::new()
        .with_event_type(EventType::AvatarVideoSuccess)
        .with_entity_id("p")
        .with_page(PageRequest::new().with_token("t1"));
    let mut events = server.client().v3().events_stream(&query);
    assert_eq!(
        events.next_request(),
        Some(&PageRequest::new().with_limit(100).with_token("t1"))
    );
    assert!(events.next().await.unwrap().is_ok());
    assert_eq!(
        events.next_request(),
        Some(&PageRequest::new().with_limit(100).with_token("t2"))
    );
    assert!(events.next().await.unwrap().is_ok());
    assert_eq!(events.next_request(), None);
    assert!(events.next().await.is_none());

    let targets: Vec<_> = server.seen().into_iter().map(|seen| seen.target).collect();
    let base = "/v3/webhooks/events?event_type=avatar_video.success&entity_id=p&limit=100";
    assert_eq!(
        targets,
        [format!("{base}&token=t1"), format!("{base}&token=t2")]
    );
}

#[tokio::test]
async fn events_stream_keeps_the_limit_of_the_query() {
    let server = Server::playing([Reply::ok(v3_events(&[]))]).await;
    let query = EventQuery::new().with_page(PageRequest::new().with_limit(7));
    server
        .client()
        .v3()
        .events_stream(&query)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(server.only().target, "/v3/webhooks/events?limit=7");
}

#[tokio::test]
async fn event_types_stream_reads_all_pages() {
    let page = |name: &str, beside: &str| {
        Reply::ok(format!(r#"{{"data":[{{"event_type":"{name}"}}]{beside}}}"#))
    };
    let replies = [page("batch.finished", &more("t")), page("new.event", END)];
    let server = Server::playing(replies).await;
    let types = server
        .client()
        .v3()
        .event_types_stream()
        .try_collect()
        .await
        .unwrap();
    let known: Vec<_> = types
        .iter()
        .map(|entry| entry.event_type.is_known())
        .collect();
    assert_eq!(known, [true, false]);
    let targets: Vec<_> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(
        targets,
        [
            "/v3/webhooks/event-types",
            "/v3/webhooks/event-types?token=t"
        ]
    );
}
