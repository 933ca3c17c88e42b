//! What the errors say, as a snapshot. Their causes are the words of other crates.

use std::time::Duration;

use heygen_signature::Secret;
use heygen_testkit::Sender;
use tokio::net::TcpListener;

use crate::server::Server;

#[tokio::test]
async fn errors() {
    let send_error = async |sender: Sender| sender.deliver("").await.unwrap_err().to_string();
    let attempt_error = async |sender: Sender| {
        let report = sender.probe().await.unwrap();
        report.attempt().result.as_ref().unwrap_err().to_string()
    };
    let silent = Server::start(|_| None).await;
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let gone_url = format!("http://{}/", gone.local_addr().unwrap());
    drop(gone);
    let secret = Secret::new("whsec_test").unwrap();
    let accepting = Server::with_statuses(&[200]).await;
    let report = Sender::new(&accepting.url).hanging_up().deliver("{}").await;
    let report = report.unwrap();
    let [dropped] = report.attempts() else {
        panic!("one attempt");
    };

    let lines = [
        send_error(Sender::new("?")).await,
        send_error(
            Sender::new("http://127.0.0.1/")
                .secret(secret)
                .header_name("?"),
        )
        .await,
        send_error(Sender::new("http://127.0.0.1/").header("heygen-event-id", "\n")).await,
        attempt_error(Sender::new(&silent.url).probe_timeout(Duration::from_millis(20))).await,
        attempt_error(Sender::new(gone_url).probe_timeout(Duration::from_secs(60))).await,
        dropped.result.as_ref().unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}
