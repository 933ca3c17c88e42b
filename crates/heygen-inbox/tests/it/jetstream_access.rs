//! How the store on JetStream logs in, with and without TLS, and the permissions it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use heygen_inbox::jetstream::{Access, JetStreamInbox, JetStreamOptions};
use heygen_inbox::{
    AttemptOutcome, ClaimRequest, Imported, Inbox as _, InboxAdmin as _, InboxError,
    InboxErrorKind, PruneStep, Query, State,
};
use nkeys::KeyPair as Nkey;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use xtask_nats::{Options, PATIENCE, Program, Server};

use crate::jetstream_support::{claim_soon, in_time};
use crate::support::{
    all_ids, append_duplicate, append_new, at, body, claim_one, complete, delivery, new, until,
};

fn start(config: &str) -> Server {
    let options = Options::new().sync_interval("2m").config(config);
    Server::start(Program::Current, &options).unwrap()
}

fn with(set: impl FnOnce(&mut Access)) -> JetStreamOptions {
    let mut options = JetStreamOptions::default();
    // Errors that waiting cannot fix are reported before that.
    options.connect_timeout = PATIENCE * 2;
    set(&mut options.access);
    options
}

async fn try_open(url: &str, options: JetStreamOptions) -> Result<JetStreamInbox, InboxError> {
    let address = format!("{url}/HEYGEN").parse().unwrap();
    let opened = in_time(JetStreamInbox::open(&address, options.clone())).await;
    let text = match &opened {
        Ok(inbox) => format!("{options:?} {inbox:?}"),
        Err(error) => format!("{options:?} {error:?} {error}"),
    };
    assert!(!text.contains(SECRET), "{text}");
    for seed in [options.access.nkey_seed, options.access.token]
        .into_iter()
        .flatten()
    {
        assert!(!text.contains(&seed), "{text}");
    }
    opened
}

/// It opens, and stores something.
async fn check(url: &str, options: JetStreamOptions) {
    let inbox = try_open(url, options).await.unwrap();
    inbox.append(delivery(0, body("a"))).await.unwrap();
}

/// It cannot be reached so.
async fn check_refused(url: &str, options: JetStreamOptions, reason: &str) {
    check_error(url, options, InboxErrorKind::Storage, reason).await;
}

/// The server refuses the login.
async fn check_access_refused(url: &str, options: JetStreamOptions, reason: &str) {
    check_error(url, options, InboxErrorKind::Access, reason).await;
}

async fn check_error(url: &str, options: JetStreamOptions, kind: InboxErrorKind, reason: &str) {
    let error = try_open(url, options).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = all_of(&error);
    assert!(text.contains(reason), "{text}");
}

/// An error and its causes, as a log shows them.
fn all_of(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", all_of(source)),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn user_and_password_log_in() {
    let server = start(&format!(
        "authorization {{ user: ann, password: \"{SECRET}\" }}"
    ));
    let user = |password: &str| {
        with(|access| access.user_and_password = Some(("ann".into(), password.into())))
    };
    check(&server.url(), user(SECRET)).await;
    let in_address = server.url().replace("//", &format!("//ann:{SECRET}@"));
    check(&in_address, with(|_| ())).await;
    let violation = "authorization violation";
    check_access_refused(&server.url(), user("wrong"), violation).await;
    check_access_refused(&server.url(), with(|_| ()), violation).await;
}

#[tokio::test]
async fn token_logs_in() {
    let server = start(&format!("authorization {{ token: \"{SECRET}\" }}"));
    let token = |token: &str| with(|access| access.token = Some(token.into()));
    check(&server.url(), token(SECRET)).await;
    let in_address = server.url().replace("//", &format!("//{SECRET}@"));
    check(&in_address, with(|_| ())).await;
    check_access_refused(&server.url(), token("wrong"), "authorization violation").await;
}

#[tokio::test]
async fn nkey_seed_logs_in() {
    let (ours, other) = (Nkey::new_user(), Nkey::new_user());
    let server = start(&format!(
        "authorization {{ users: [{{ nkey: {} }}] }}",
        ours.public_key()
    ));
    let seed = |seed: String| with(|access| access.nkey_seed = Some(seed));
    check(&server.url(), seed(ours.seed().unwrap())).await;
    let violation = "authorization violation";
    check_access_refused(&server.url(), seed(other.seed().unwrap()), violation).await;
    check_access_refused(&server.url(), seed(SECRET.into()), "signing nonce").await;
}

/// A server that knows its users by JWTs, and a user of it.
struct Operator {
    server: Server,
    account: Nkey,
    user: Nkey,
    folder: TempDir,
}

impl Operator {
    fn start() -> Self {
        let operator = Nkey::new_operator();
        let (account, system) = (Nkey::new_account(), Nkey::new_account());
        let mut limits = unlimited();
        for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
            limits[limit] = json!(-1);
        }
        let of_operator = json!({ "type": "operator", "version": 2 });
        let of_account = json!({ "type": "account", "version": 2, "limits": limits });
        let of_system = json!({ "type": "account", "version": 2, "limits": unlimited() });
        let server = start(&format!(
            "operator: {}\nresolver: MEMORY\nsystem_account: {}\nresolver_preload: {{ {}: {}\n{}: {} }}",
            token(&operator, &operator, &of_operator, None),
            system.public_key(),
            system.public_key(),
            token(&operator, &system, &of_system, None),
            account.public_key(),
            token(&operator, &account, &of_account, None),
        ));
        Self {
            server,
            account,
            user: Nkey::new_user(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A file of credentials of the user, that `issuer` vouches for.
    fn file(&self, name: &str, issuer: &Nkey, expires_at: Option<u64>) -> PathBuf {
        let mut of_user = unlimited();
        of_user["type"] = json!("user");
        of_user["version"] = json!(2);
        let jwt = token(issuer, &self.user, &of_user, expires_at);
        let seed = self.user.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        write(&self.folder, name, &text)
    }
}

fn unlimited() -> serde_json::Value {
    json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
    })
}

fn with_file(file: PathBuf) -> JetStreamOptions {
    with(|access| access.credentials_file = Some(file))
}

#[tokio::test]
async fn credentials_file_logs_in() {
    let operator = Operator::start();
    let (url, folder) = (operator.server.url(), &operator.folder);
    let sound = operator.file("sound.creds", &operator.account, None);
    check(&url, with_file(sound)).await;
    let other = operator.file("other.creds", &Nkey::new_account(), None);
    check_access_refused(&url, with_file(other), "authorization violation").await;
    let missing = folder.path().join("missing.creds");
    check_refused(&url, with_file(missing), "cannot read the credentials").await;
    let empty = write(folder, "empty.creds", SECRET);
    check_refused(&url, with_file(empty), "cannot read the credentials").await;
}

#[tokio::test]
async fn renewed_credentials_are_used_when_the_old_ones_expire() {
    let operator = Operator::start();
    let url = operator.server.url();
    // It creates the streams, so that the next is open long before its credentials expire.
    let first = operator.file("first.creds", &operator.account, None);
    check(&url, with_file(first)).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let expires_at = Some(now.as_secs() + 10);
    let file = operator.file("user.creds", &operator.account, expires_at);
    let inbox = try_open(&url, with_file(file)).await.unwrap();
    inbox.ready().await.unwrap();
    until_ready_is(&inbox, false).await;
    operator.file("user.creds", &operator.account, None);
    until_ready_is(&inbox, true).await;
    inbox.append(delivery(0, body("b"))).await.unwrap();
}

async fn until_ready_is(inbox: &JetStreamInbox, is_ready: bool) {
    until(async || inbox.ready().await.is_ok() == is_ready).await;
}

/// A JWT of NATS: that `subject` is what `claims` say.
fn token(
    issuer: &Nkey,
    subject: &Nkey,
    claims: &serde_json::Value,
    expires_at: Option<u64>,
) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut payload = json!({
        "jti": subject.public_key(), "iat": 1_700_000_000, "name": "test",
        "iss": issuer.public_key(), "sub": subject.public_key(), "nats": claims,
    });
    if let Some(expires_at) = expires_at {
        payload["exp"] = json!(expires_at);
    }
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let signed = format!("{}.{}", part(header), part(payload));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// A certificate and its key, in files.
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

/// An authority of the test's own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &TempDir, name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let file = write(folder, name, &issuer.pem());
        Self { issuer, file }
    }

    fn identity(&self, folder: &TempDir, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let parameters = CertificateParams::new(names).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity {
            certificate: write(folder, &format!("{name}.pem"), &certificate.pem()),
            key: write(folder, &format!("{name}.key"), &key.serialize_pem()),
        }
    }
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn tls(identity: &Identity, more: &str) -> String {
    format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", {more} }}",
        identity.certificate.display(),
        identity.key.display(),
    )
}

fn trusting(file: &Path) -> JetStreamOptions {
    with(|access| access.ca_file = Some(file.to_owned()))
}

fn as_tls(server: &Server) -> String {
    server.url().replace("nats://", "tls://")
}

#[tokio::test]
async fn tls_server_is_verified_by_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(&folder, "ca.pem");
    let other = Authority::new(&folder, "other.pem");
    let server = start(&tls(&authority.identity(&folder, "server"), ""));
    check(&as_tls(&server), trusting(&authority.file)).await;
    check(&server.url(), trusting(&authority.file)).await;
    let by_name = as_tls(&server).replace("127.0.0.1", "localhost");
    check(&by_name, trusting(&authority.file)).await;
    check_refused(&as_tls(&server), trusting(&other.file), "certificate").await;
    check_refused(&as_tls(&server), with(|_| ()), "").await;
    let missing = folder.path().join("missing.pem");
    check_refused(
        &as_tls(&server),
        trusting(&missing),
        "cannot read the certificates",
    )
    .await;
    let nothing = write(&folder, "nothing.pem", "nothing\n");
    check_refused(&as_tls(&server), trusting(&nothing), "no certificate").await;
}

#[tokio::test]
async fn client_certificate_logs_in() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(&folder, "ca.pem");
    let other = Authority::new(&folder, "other.pem");
    let more = format!("ca_file: \"{}\", verify: true", authority.file.display());
    let server = start(&tls(&authority.identity(&folder, "server"), &more));
    let showing = |identity: Identity| {
        let mut options = trusting(&authority.file);
        options.access.client_certificate = Some((identity.certificate, identity.key));
        options
    };
    let ours = authority.identity(&folder, "ours");
    check(&as_tls(&server), showing(ours)).await;
    let theirs = other.identity(&folder, "theirs");
    check_refused(&as_tls(&server), showing(theirs), "").await;
    check_refused(&as_tls(&server), trusting(&authority.file), "").await;
}

#[tokio::test]
async fn tls_address_refuses_a_plain_server() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(&folder, "ca.pem");
    let server = start("");
    check_refused(&as_tls(&server), trusting(&authority.file), "").await;
}

/// As with a limit of consumers. Without a word it would look until it may.
#[tokio::test]
async fn import_that_may_not_read_the_events_fails() {
    let server = start(
        "authorization { users: [\n\
         { user: a, password: a }\n\
         { user: b, password: b, permissions: { publish: { deny: \"$JS.API.CONSUMER.CREATE.>\" } } }\n\
         ] }",
    );
    let as_user = |user: &str| server.url().replace("//", &format!("//{user}:{user}@"));
    let all = try_open(&as_user("a"), JetStreamOptions::default())
        .await
        .unwrap();
    append_new(&all, 0, &body("a")).await;
    let mut options = JetStreamOptions::default();
    options.answer_timeout = Duration::from_millis(100);
    let limited = try_open(&as_user("b"), options).await.unwrap();
    let found = in_time(limited.find(vec![delivery(0, body("a"))])).await;
    assert_eq!(found.unwrap_err().kind(), InboxErrorKind::Storage);
}

#[tokio::test]
async fn example_account_has_all_permissions() {
    let user = Nkey::new_user();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/nats/accounts.conf"
    );
    let text = fs::read_to_string(file).unwrap();
    let index = text.find("nkey: U").unwrap() + "nkey: ".len();
    let example = &text[index..index + user.public_key().len()];
    let server = start(&text.replace(example, &user.public_key()));
    let mut options = with(|access| access.nkey_seed = Some(user.seed().unwrap()));
    options.ack_wait = Duration::from_secs(1);
    let inbox = try_open(&server.url(), options.clone()).await.unwrap();
    let beside = try_open(&server.url(), options.clone()).await.unwrap();

    // The other is woken.
    let first = body("a");
    let (id, ()) =
        in_time(async { tokio::join!(append_new(&inbox, 0, &first), beside.wait_for_append()) })
            .await;
    append_duplicate(&inbox, 1, body("a")).await;
    for result in [AttemptOutcome::Retry, AttemptOutcome::DeadLettered] {
        let claimed = claim_soon(&inbox, 1).await;
        assert_eq!(claimed.id, id);
        complete(&inbox, &claimed, 1, result).await;
    }
    inbox.ready().await.unwrap();
    assert_eq!(all_ids(&inbox).await, [id]);
    inbox.replay(vec![id], at(2)).await.unwrap();
    let claimed = claim_soon(&beside, 2).await;
    complete(&beside, &claimed, 1, AttemptOutcome::DeadLettered).await;
    // The server counts what was acknowledged over another connection a moment later.
    until(async || inbox.counts().await.unwrap().pending == 0).await;
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 1);
    let stats = inbox.stats(UNIX_EPOCH).await.unwrap();
    assert_eq!(stats.groups.len(), 1);
    inbox
        .set_bookmark("x".into(), Some("y".into()))
        .await
        .unwrap();
    assert_eq!(
        inbox.bookmark("x".into()).await.unwrap().as_deref(),
        Some("y")
    );
    let pruned = inbox.prune(PruneStep::before(at(9))).await.unwrap();
    assert_eq!(pruned.deleted, 1);
    assert_eq!(inbox.get(id).await.unwrap(), None);
    assert_eq!(inbox.counts().await.unwrap().dead_lettered, 0);
    let mut carried = Imported::new(delivery(3, body("b")));
    carried.state = State::DeadLettered;
    new(inbox.import(vec![carried]).await.unwrap()[0]);
    let found = inbox.find(vec![delivery(4, body("b"))]).await.unwrap();
    assert!(found[0].is_some());
    append_new(&inbox, 5, &body("c")).await;
    claim_one(&inbox, 5).await;
    inbox.close().await.unwrap();
    assert_eq!(
        beside.list(Query::default().limit(1)).await.unwrap().len(),
        1
    );
    beside.claim(ClaimRequest::due(1, at(5))).await.unwrap();

    let log = server.log().unwrap();
    let violations: Vec<_> = log
        .lines()
        .filter(|line| line.contains("iolation"))
        .collect();
    assert!(violations.is_empty(), "{violations:#?}");
}

const SECRET: &str = "VERYsecretWORD";
