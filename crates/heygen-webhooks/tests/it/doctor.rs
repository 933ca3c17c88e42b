//! `doctor`: what it finds, and what it makes of it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use heygen_testkit::sandbox::{Fault, Misbehaviour, Operation, Sandbox};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Ended, Place, SECRET};

/// HeyGen, played in this process.
struct HeyGen {
    runtime: Runtime,
    sandbox: Sandbox,
}

impl HeyGen {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let sandbox = Sandbox::builder().api_key(KEY).probe(false).start();
        let sandbox = runtime.block_on(sandbox).expect("a port");
        Self { runtime, sandbox }
    }

    /// Registers an address and returns its id and secret.
    fn register(&self, url: &str) -> (String, String) {
        let endpoint = self
            .runtime
            .block_on(self.sandbox.register(url))
            .expect("registered");
        (endpoint.endpoint_id, endpoint.secret.expose().to_owned())
    }

    /// Runs `doctor` against it.
    fn examine(&self, place: &Place, arguments: &[&str], secret: Option<&str>) -> Seen {
        let base_url = ["--base-url", self.sandbox.url()];
        let mut environment = vec![("HEYGEN_API_KEY", KEY)];
        environment.extend(secret.map(|secret| ("HEYGEN_WEBHOOK_SECRET", secret)));
        examine(place, &[&base_url, arguments].concat(), &environment)
    }

    fn without_v1(&self) {
        let fault = Fault::refuse(404).on(Operation::V1List).times(100);
        self.sandbox.misbehave(Misbehaviour::default().fault(fault));
    }
}

/// What `doctor --json` said.
struct Seen {
    ended: Ended,
    report: Value,
}

fn examine(place: &Place, arguments: &[&str], environment: &[(&str, &str)]) -> Seen {
    let arguments = [&["doctor", "--json"], arguments].concat();
    let ended = place.run_with(&arguments, b"", environment);
    let Ok(report) = serde_json::from_str(&ended.stdout) else {
        panic!("{}\n{}", ended.stdout, ended.stderr);
    };
    Seen { ended, report }
}

impl Seen {
    #[track_caller]
    fn finding(&self, id: &str) -> &Value {
        let findings = self.report["findings"].as_array().expect("a list");
        findings
            .iter()
            .find(|finding| finding["id"] == id)
            .unwrap_or_else(|| panic!("no {id} in {:#}", self.report))
    }

    #[track_caller]
    fn is(&self, id: &str, level: &str, text: &str) -> &Self {
        let finding = self.finding(id);
        assert_eq!(finding["level"], level, "{finding:#}");
        assert!(finding.to_string().contains(text), "{finding:#}");
        self
    }

    /// The exit status, what the report says of it, and whether the problems are these and no others.
    #[track_caller]
    fn problems(&self, expected: &[&str]) -> &Self {
        let findings = self.report["findings"].as_array().expect("a list");
        let problems: Vec<_> = findings
            .iter()
            .filter(|finding| finding["level"] == "problem")
            .collect();
        let ids: Vec<_> = problems.iter().map(|finding| &finding["id"]).collect();
        assert_eq!(ids, expected, "{:#}", self.report);
        assert!(
            problems.iter().all(|finding| finding["todo"].is_string()),
            "each says what to do: {:#}",
            self.report
        );
        assert_eq!(self.ended.status, i32::from(!expected.is_empty()));
        assert_eq!(self.report["healthy"], expected.is_empty());
        self
    }
}

#[test]
fn what_was_refused_is_told_with_the_reason() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let serve = place.serve(&[]);
    let refused = serve.trigger(&place, &["avatar_video.fail", "--tamper"]);
    assert_eq!(refused.status, 1);
    serve.signal("TERM");
    assert_eq!(serve.wait().0, 0);
    heygen.examine(&place, &["--no-sample"], Some(SECRET)).is(
        "rejected",
        "warn",
        "matches-no-secret",
    );
}

#[test]
fn all_is_well() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let serve = place.serve_with(
        &[
            "--public-url",
            "http://127.0.0.1:1/webhooks/heygen",
            "--base-url",
            heygen.sandbox.url(),
        ],
        &[("HEYGEN_API_KEY", KEY)],
    );
    serve.log_line("registered at HeyGen");
    // The server's port is known only now: HeyGen is told the real address afterwards.
    let (id, _) = registered(&heygen, &serve.url);

    let seen = heygen.examine(&place, &["--public-url", &serve.url], None);
    seen.problems(&[])
        .is("key", "ok", "accepts")
        .is("endpoints", "ok", &id)
        .is("endpoints.v1", "ok", "lists 1")
        .is("endpoints.registered", "ok", "")
        .is("endpoints.duplicates", "ok", "")
        .is("endpoints.disabled", "ok", "")
        .is("endpoints.plain-http", "ok", "sandbox")
        .is("endpoints.private", "ok", "sandbox")
        .is("endpoints.foreign", "ok", "no endpoint")
        .is("events.known", "ok", "30")
        .is("events.offered", "ok", "")
        .is("events.subscribed", "ok", "all events")
        .is("secrets", "ok", "the one that HeyGen shows")
        .is("address", "ok", "sandbox")
        .is("address.options", "ok", "5 probes passed")
        .is("address.get", "ok", "204")
        .is("address.tls", "skipped", "plain http")
        .is("sample.signed", "ok", "accepted")
        .is("sample.unsigned", "ok", "401")
        .is("inbox", "ok", "heygen-inbox.db")
        .is("inbox.last-delivery", "warn", "no delivery has come yet")
        .is("rejected", "ok", "");
    #[cfg(unix)]
    seen.is("secrets.files", "ok", "owner");

    // The sample was kept like any other, and is not taken for one of HeyGen's.
    assert!(serve.line().contains("http://"), "where it listens");
    assert!(serve.line().contains("heygen-webhooks.doctor"));
    heygen
        .sandbox
        .send(heygen_testkit::EventBuilder::new("avatar_video.success"));
    heygen.runtime.block_on(heygen.sandbox.settled());
    heygen
        .examine(&place, &["--public-url", &serve.url], None)
        .problems(&[])
        .is("inbox.last-delivery", "ok", "avatar_video.success")
        .is("inbox.backlog", "ok", "0 given up");

    let silent = heygen.examine(&place, &["--public-url", &serve.url, "--no-sample"], None);
    silent
        .problems(&[])
        .is("sample.signed", "skipped", "--no-sample")
        .is("sample.unsigned", "skipped", "--no-sample");
}

/// Moves the one endpoint there is to this address.
fn registered(heygen: &HeyGen, url: &str) -> (String, String) {
    use heygen_api::{Client, Credentials, v3::EndpointUpdate};
    let endpoint = heygen.sandbox.endpoints().swap_remove(0);
    let client = Client::builder(Credentials::api_key(KEY)).base_url(heygen.sandbox.url());
    let client = client.build().expect("a client");
    let id = endpoint.endpoint_id.as_str().into();
    let update = EndpointUpdate::url(url);
    heygen
        .runtime
        .block_on(client.v3().update_endpoint(&id, &update))
        .expect("moved");
    (endpoint.endpoint_id, endpoint.secret.expose().to_owned())
}

#[test]
fn every_run_has_the_same_shape() {
    let place = Place::new();
    let ids = |seen: &Seen| -> Vec<String> {
        let findings = seen.report["findings"].as_array().expect("a list");
        let keys = ["id", "items", "level", "todo", "what"];
        for finding in findings {
            let object = finding.as_object().expect("an object");
            let mut found: Vec<_> = object.keys().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!(found, keys);
            let id = finding["id"].as_str().expect("a text");
            assert!(
                !finding["what"].as_str().expect("a text").is_empty(),
                "{id}"
            );
        }
        findings
            .iter()
            .map(|finding| finding["id"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let certificates = certificates(&place);
    let bare = examine(&place, &[], &[("SSL_CERT_FILE", &certificates)]);
    let heygen = HeyGen::start();
    let serve = place.serve(&[]);
    let full = heygen.examine(&place, &["--public-url", &serve.url], Some(SECRET));
    let nobody = heygen.examine(&place, &[], None);
    assert_eq!(ids(&bare), ids(&full));
    assert_eq!(ids(&bare), ids(&nobody));
    assert_eq!(ids(&bare).len(), 24);
    assert_eq!(bare.report["public_url"], Value::Null);
    assert_eq!(full.report["public_url"], json!(serve.url));
    assert!(!full.ended.stdout.contains(SECRET));
}

#[test]
fn people_get_one_screen() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let arguments = ["doctor", "--base-url", heygen.sandbox.url()];
    let ended = place.run_with(&arguments, b"", &[("HEYGEN_API_KEY", KEY)]);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.lines().count() < 50, "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("\nno problem was found (problems: 0, "),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("→ register one"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "", "no terminal, no note");
}

#[test]
fn a_key_that_is_missing_wrong_or_not_heard() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let base_url = ["--base-url", heygen.sandbox.url()];
    examine(&place, &base_url, &[])
        .problems(&["key"])
        .is("key", "problem", "HEYGEN_API_KEY")
        .is("endpoints", "skipped", "")
        .is("endpoints.v1", "skipped", "")
        .is("events.known", "skipped", "");
    examine(&place, &base_url, &[("HEYGEN_API_KEY", "wrong-key")])
        .problems(&["key"])
        .is("key", "problem", "does not accept the key");
    let closed = format!("http://{}", closed_address());
    examine(&place, &["--base-url", &closed], &[("HEYGEN_API_KEY", KEY)])
        .problems(&["key"])
        .is("key", "problem", "HeyGen: ");
}

#[test]
fn what_is_registered_and_cannot_work() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let serve = place.serve(&[]);
    let url = ["--public-url", serve.url.as_str()];

    let seen = heygen.examine(&place, &url, Some(SECRET));
    seen.problems(&["endpoints", "endpoints.registered"]);
    heygen
        .examine(&place, &[], Some(SECRET))
        .problems(&[])
        .is("endpoints", "warn", "none");

    heygen.register("https://elsewhere.example/hook?token=hidden");
    let seen = heygen.examine(&place, &url, Some(SECRET));
    seen.problems(&["endpoints.registered"])
        .is("endpoints.foreign", "ok", "elsewhere.example");
    assert!(!seen.ended.stdout.contains("hidden"));

    let (first, secret) = heygen.register(&serve.url);
    let (second, _) = heygen.register(&serve.url);
    let secrets = format!("{SECRET},{secret}");
    let seen = heygen.examine(&place, &url, Some(&secrets));
    seen.is("endpoints.duplicates", "warn", &first)
        .is("endpoints.duplicates", "warn", &second)
        .is("endpoints.registered", "ok", "")
        .is("secrets", "problem", "signs with another one");

    heygen.sandbox.set_status(&first, "disabled");
    heygen
        .examine(&place, &url, Some(&secrets))
        .is("endpoints.disabled", "problem", &first);
    heygen.sandbox.set_status(&first, "resting");
    heygen
        .examine(&place, &url, Some(&secrets))
        .is("endpoints.disabled", "warn", "resting");
}

#[test]
fn v1_may_be_gone() {
    let heygen = HeyGen::start();
    let place = Place::new();
    heygen.without_v1();
    heygen
        .examine(&place, &[], None)
        .problems(&[])
        .is("endpoints.v1", "ok", "retired");
}

#[test]
fn a_secret_that_nobody_here_knows() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let serve = place.serve(&[]);
    let (_, secret) = heygen.register(&serve.url);
    let url = ["--public-url", serve.url.as_str()];

    heygen
        .examine(&place, &url, None)
        .problems(&["secrets"])
        .is("secrets", "problem", "not known here")
        .is("sample.signed", "skipped", "no secret");
    // With HeyGen's own secret the sample shows that the receiver has another one.
    heygen
        .examine(&place, &url, Some(&secret))
        .problems(&["sample.signed"])
        .is("secrets", "ok", "the one that HeyGen shows")
        .is("sample.signed", "problem", "401");
    heygen.without_v1();
    heygen
        .examine(&place, &url, Some(SECRET))
        .problems(&[])
        .is("secrets", "ok", "perhaps")
        .is("sample.signed", "ok", "accepted");
    let missing = heygen.examine(&place, &["--secret-file", "nowhere"], None);
    missing
        .problems(&["secrets"])
        .is("secrets", "problem", "nowhere");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let heygen = HeyGen::start();
    let place = Place::new();
    let file = place.file("secret", SECRET);
    for (mode, level) in [(0o644, "warn"), (0o600, "ok")] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, permissions).expect("a mode");
        heygen
            .examine(&place, &["--secret-file", "secret"], None)
            .problems(&[])
            .is("secrets.files", level, "");
    }
}

#[test]
fn an_address_where_nobody_is() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let url = format!("http://{}/", closed_address());
    heygen.register(&format!("{url}webhooks/heygen"));
    heygen
        .examine(&place, &["--public-url", &url], Some(SECRET))
        .is("endpoints.registered", "ok", "")
        .problems(&["secrets", "address.options", "sample.signed"])
        .is("address.options", "problem", "probe 1 of 5")
        .is("address.get", "warn", "")
        .is("sample.unsigned", "skipped", "no answer");
}

#[test]
fn an_address_that_does_not_answer_options() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let url = small_server(|head| match head.starts_with("OPTIONS") {
        true => None,
        false => Some("200 OK"),
    });
    heygen
        .examine(&place, &["--public-url", &url], Some(SECRET))
        .is("address.options", "problem", "within 1 s")
        .is("address.get", "ok", "200")
        .is("sample.signed", "ok", "200")
        .is("sample.unsigned", "problem", "taken");
    let refusing = small_server(|_| Some("405 Method Not Allowed"));
    heygen
        .examine(&place, &["--public-url", &refusing], Some(SECRET))
        .is("address.options", "problem", "405")
        .is("address.get", "warn", "405")
        .is("sample.signed", "problem", "mend the path")
        .is("sample.unsigned", "warn", "405");
}

#[test]
fn private_and_plain_addresses_at_the_real_heygen() {
    let place = Place::new();
    let seen = examine(
        &place,
        &["--public-url", "http://127.0.0.1:1/", "--no-sample"],
        &[("SSL_CERT_FILE", &certificates(&place))],
    );
    seen.is("address", "problem", "cannot reach")
        .is("address.tls", "problem", "plain http");
}

#[test]
fn names_that_are_new_and_names_that_nobody_wants() {
    use heygen_api::{Client, Credentials, v3::NewEndpoint};
    let heygen = HeyGen::start();
    let place = Place::new();
    let client = Client::builder(Credentials::api_key(KEY)).base_url(heygen.sandbox.url());
    let client = client.build().expect("a client");
    let new = NewEndpoint::new("https://a.example/").event("avatar_video.success");
    heygen
        .runtime
        .block_on(client.v3().create_endpoint(&new))
        .expect("created");
    let catalogue = json!({"data": [
        {"event_type": "avatar_video.fail"},
        {"event_type": "podcast.success"},
    ], "has_more": false});
    let fault = Fault::refuse(200)
        .on(Operation::EventTypes)
        .body(catalogue.to_string());
    heygen
        .sandbox
        .misbehave(Misbehaviour::default().fault(fault));
    heygen
        .examine(&place, &[], Some(SECRET))
        .is("events.known", "warn", "podcast.success")
        .is("events.offered", "warn", "avatar_video.success")
        .is("events.subscribed", "problem", "nothing will come");
    heygen.examine(&place, &[], Some(SECRET)).problems(&[]).is(
        "events.subscribed",
        "ok",
        "to 1 of 30 events",
    );
}

#[test]
fn the_inbox_is_one_or_is_not() {
    let heygen = HeyGen::start();
    let place = Place::new();
    heygen
        .examine(&place, &[], None)
        .is("inbox", "warn", "there is none")
        .is("inbox.backlog", "skipped", "");
    place.file(
        "text.db",
        "this is no inbox, and long enough to be read as something else",
    );
    heygen
        .examine(&place, &["--inbox", "text.db"], None)
        .problems(&["inbox"]);
}

#[test]
fn tls_is_tried_and_told() {
    let heygen = HeyGen::start();
    let place = Place::new();
    let (url, certificate) = tls_server();
    let (_, other) = tls_server();
    let trusted = place.file("trusted.pem", certificate);
    let foreign = place.file("foreign.pem", other);
    let run = |certificates: &std::path::Path| {
        let file = certificates.to_str().expect("UTF-8");
        examine(
            &place,
            &["--base-url", heygen.sandbox.url(), "--public-url", &url],
            &[("HEYGEN_API_KEY", KEY), ("SSL_CERT_FILE", file)],
        )
    };
    run(&trusted)
        .is("address.tls", "ok", "TLS 1.3")
        .is("address.tls", "ok", "elliptic curve 256")
        .is("address.options", "ok", "5 probes passed")
        .is("address.get", "ok", "200");
    run(&foreign)
        .is("address.tls", "problem", "public authority")
        .is("address.options", "problem", "");
}

#[test]
fn used_wrongly() {
    let place = Place::new();
    for arguments in [
        ["--public-url", "hooks.example.com"],
        ["--public-url", "ftp://hooks.example.com"],
        ["--base-url", "http://hooks.example.com"],
    ] {
        let ended = place.run_with(
            &[&["doctor"], &arguments[..]].concat(),
            b"",
            &[("HEYGEN_API_KEY", KEY)],
        );
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.stderr);
    }
}

/// An address at which nobody listens.
fn closed_address() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// A server that answers each request by its head with a status line, or leaves it without an answer.
fn small_server(answer: fn(&str) -> Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer_one(stream, answer));
        }
    });
    url
}

fn answer_one(mut stream: TcpStream, answer: fn(&str) -> Option<&'static str>) {
    let mut buffer = [0; 4096];
    let read = stream.read(&mut buffer).unwrap_or(0);
    let head = String::from_utf8_lossy(&buffer[..read]).into_owned();
    match answer(&head) {
        Some(status) => {
            let text =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(text.as_bytes());
        }
        // Until the other side has had enough.
        None => drop(stream.read(&mut buffer)),
    }
}

/// A file with a certificate: a machine may have none, and then there is no https.
fn certificates(place: &Place) -> String {
    let (_, certificate) = tls_server();
    let file = place.file("some.pem", certificate);
    file.to_str().expect("UTF-8").to_owned()
}

/// A server that answers 200 to everything behind TLS, and its certificate.
fn tls_server() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]);
    let certificate = parameters
        .and_then(|it| it.self_signed(&key))
        .expect("a certificate");
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("versions")
    .with_no_client_auth()
    .with_single_cert(vec![certificate.der().clone()], private)
    .expect("a configuration");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = config.clone();
            thread::spawn(move || {
                let connection = rustls::ServerConnection::new(config).expect("a connection");
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    );
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            });
        }
    });
    (
        format!("https://localhost:{port}/hook"),
        pem(certificate.der()),
    )
}

fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (place, chunk) in der.chunks(3).enumerate() {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes(group);
        for digit in 0..4 {
            let value = (number >> (18 - 6 * digit)) & 63;
            let is_there = digit <= chunk.len();
            text.push(if is_there {
                char::from(DIGITS[value as usize])
            } else {
                '='
            });
        }
        if place % 16 == 15 {
            text.push('\n');
        }
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

const KEY: &str = "key-of-the-tests";
