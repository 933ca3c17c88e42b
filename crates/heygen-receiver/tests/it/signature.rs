//! What counts as signed.

use heygen_inbox::MemoryInbox;
use heygen_receiver::{ActiveSecrets, Rejection, Secret, Secrets, Unverified};
use http::HeaderMap;

use crate::client::{ask, post, sign};
use crate::support::{body, count, secret, start, start_with};

/// The headers under test: names and values, in order.
type Headers<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn headers() {
    let body = body("a");
    let good = sign(body.as_bytes());
    let upper = good.to_uppercase();
    let bad = sign(b"something else");
    let prefixed = format!("sha256={good}");
    let joined = format!("{good}, {good}");
    let spaced = format!("  {good}\t");
    let short = &good[..62];
    let cases: &[(Headers<'_>, u16)] = &[
        (&[("Signature", &good)], 200),
        (&[("signature", &good)], 200),
        (&[("SIGNATURE", &upper)], 200),
        (&[("Signature", &spaced)], 200),
        (&[("Heygen-Signature", &good)], 200),
        (&[("Signature", &good), ("Heygen-Signature", &bad)], 200),
        (&[("Signature", &good), ("Heygen-Timestamp", "1")], 200),
        (&[("Signature", &bad), ("Heygen-Signature", &good)], 401),
        (&[("Signature", ""), ("Heygen-Signature", &good)], 401),
        (&[("Signature", &good), ("Signature", &good)], 401),
        (&[("Signature", &good), ("Signature", &bad)], 401),
        (&[("Signature", &joined)], 401),
        (
            &[("Heygen-Signature", &good), ("Heygen-Signature", &good)],
            401,
        ),
        (&[("X-HeyGen-Signature", &good)], 401),
        (&[("Signature", &prefixed)], 401),
        (&[("Signature", short)], 401),
        (&[("Signature", &bad)], 401),
        (&[("Signature", "")], 401),
        (&[], 401),
    ];
    for (headers, status) in cases {
        let inbox = MemoryInbox::new();
        let server = start(inbox.clone(), |_| {}).await;
        let answer = ask(server.address, post(&body, headers)).await;
        assert_eq!(answer.status, *status, "{headers:?}");
        assert_eq!(
            count(&inbox).await,
            usize::from(*status == 200),
            "{headers:?}"
        );

        // The same without a server.
        let mut map = HeaderMap::new();
        for (name, value) in *headers {
            map.append(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.trim().parse().unwrap(),
            );
        }
        let verified = Unverified::new(map, body.clone()).verify(&secret().into());
        match status {
            200 => assert_eq!(verified.unwrap().body(), &body),
            _ => assert_eq!(verified.unwrap_err(), Rejection::Unauthorized),
        }
    }
}

#[tokio::test]
async fn any_active_secret_verifies() {
    let old = Secret::new("whsec_old").unwrap();
    let new = Secret::new("whsec_new").unwrap();
    let active = ActiveSecrets::none();
    let server = start_with(active.clone(), MemoryInbox::new(), |_| {}).await;
    let status = async |secret: &Secret| {
        let body = body("a");
        let signature = secret.sign(body.as_bytes()).to_string();
        ask(server.address, post(&body, &[("Signature", &signature)]))
            .await
            .status
    };
    let statuses = async || [status(&old).await, status(&new).await];
    assert_eq!(statuses().await, [503, 503], "none yet");
    active.set(old.clone().into());
    assert_eq!(statuses().await, [200, 401], "set while running");
    active.set(Secrets::try_from(vec![new.clone(), old.clone()]).unwrap());
    assert_eq!(
        statuses().await,
        [200, 200],
        "both, while one replaces the other"
    );
    active.set(new.clone().into());
    assert_eq!(statuses().await, [401, 200]);
}

#[test]
fn debug_output_holds_no_secret() {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", "Bearer t0ken".parse().unwrap());
    headers.insert("signature", sign(b"links").parse().unwrap());
    let active = ActiveSecrets::from(secret());
    let unverified = Unverified::new(headers, "links");
    let before = format!("{unverified:?} {active:?}");
    let verified = unverified.verify(&secret().into()).unwrap();
    assert!(
        verified
            .headers()
            .iter()
            .all(|header| header.name != "authorization")
    );
    let receiver = heygen_receiver::Receiver::new(active, MemoryInbox::new());
    let printed = format!("{before} {verified:?} {receiver:?}");
    for hidden in ["whsec", "t0ken", "links", &sign(b"links")] {
        assert!(!printed.contains(hidden), "{hidden} in {printed}");
    }
}
