//! What a user of the published packages writes: types, the signature, an inbox, a receiver.

/// The README that everybody reads first; `cargo xtask package` says where it is.
#[cfg(doctest)]
#[doc = include_str!(concat!(env!("HEYGEN_REPOSITORY"), "/README.md"))]
struct ProjectReadme;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use heygen_events::{Event, EventType, Payload};
    use heygen_inbox::sqlite::SqliteInbox;
    use heygen_inbox::{InboxAdmin, Query};
    use heygen_receiver::{Receiver, Unverified};
    use heygen_signature::{Secret, Secrets, verify};
    use http_body_util::{BodyExt as _, Full};

    const BODY: &str =
        r#"{"event_type":"avatar_video.fail","event_data":{"video_id":"v1","msg":"no credit"}}"#;

    fn signed(secret: &Secret) -> http::Request<Full<Bytes>> {
        http::Request::post("/webhooks/heygen")
            .header("Signature", secret.sign(BODY.as_bytes()).to_string())
            .body(BODY.into())
            .expect("a request")
    }

    #[test]
    fn event_is_verified_and_typed() {
        let secret = Secret::new("whsec_test").expect("a secret");
        let secrets = Secrets::from(secret.clone());
        let signature = secret.sign(BODY.as_bytes()).to_string();
        assert!(verify([("Signature", signature.as_bytes())], BODY.as_bytes(), &secrets).is_ok());

        let event = Event::from_slice(BODY.as_bytes()).expect("an event");
        assert_eq!(event.event_type(), EventType::AvatarVideoFail);
        match event.payload() {
            Payload::AvatarVideoFail(data) => assert_eq!(data.video_id.as_str(), "v1"),
            other => panic!("{other:?}"),
        }
        let headers = signed(&secret).headers().clone();
        let verified = Unverified::new(headers, BODY).verify(&secrets);
        assert!(verified.is_ok());
    }

    #[tokio::test]
    async fn delivery_is_stored_once() {
        let folder = std::env::temp_dir().join(format!("heygen-downstream-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let inbox = SqliteInbox::open(folder.join("inbox.db")).expect("an inbox");
        let secret = Secret::new("whsec_test").expect("a secret");
        let receiver = Receiver::new(secret.clone(), inbox.clone());
        for expected in ["accepted", "duplicate"] {
            let answer = receiver.receive(signed(&secret)).await;
            assert_eq!(answer.status(), 200);
            let body = answer.into_body().collect().await.expect("a body");
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            assert!(body.contains(expected), "{body}");
        }
        let stored = inbox.list(Query::default()).await.expect("a list");
        assert_eq!(stored.len(), 1);
        std::fs::remove_dir_all(&folder).expect("an empty place");
    }
}
