//! One TLS handshake with the public address, and what it says of version, cipher and keys.
//!
//! HeyGen wants servers of OpenSSL's security level 2: keys of RSA and DSA from 2048 bits, of elliptic curves from 224. That
//! is looked at for every certificate the server sends; how they are signed, and the group of the key exchange, are not.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::Url;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
};
use rustls_platform_verifier::Verifier;
use tokio::time::timeout;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Reader as _, SliceReader, asn1::UintRef};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::Plan;
use super::finding::{Finding, Level};
use crate::settings::when;

pub(super) async fn finding(plan: &Plan, url: &Url) -> Finding {
    if url.scheme() != "https" {
        return match plan.is_sandbox {
            true => Finding::skipped(ID, "plain http, as with a sandbox"),
            false => Finding::problem(ID, "plain http: there is no TLS", "serve it by https"),
        };
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Finding::problem(ID, "the address names no host", "mend --public-url");
    };
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let shaking = tokio::task::spawn_blocking(move || handshake(&host, port));
    match timeout(WHOLE_TIME, shaking).await {
        Ok(Ok(Ok(seen))) => verdict(&seen, SystemTime::now()),
        Ok(Ok(Err(failed))) => failed,
        Ok(Err(_)) => Finding::skipped(ID, "the handshake could not be tried"),
        Err(_) => Finding::problem(
            ID,
            "no handshake within 6 s",
            "see that the port speaks TLS and answers quickly",
        ),
    }
}

/// What a handshake that succeeded has shown.
#[derive(Debug)]
struct Seen {
    version: String,
    cipher: String,
    /// In the order sent, the server's own first.
    keys: Vec<Key>,
    valid_until: Option<SystemTime>,
}

/// The key of a certificate.
#[derive(Debug, PartialEq)]
enum Key {
    Rsa(usize),
    Dsa(usize),
    /// An elliptic curve, with the bits of its field.
    Ec(usize),
    /// Of a kind, or in a shape, that is not judged here.
    Other,
}

fn handshake(host: &str, port: u16) -> Result<Seen, Finding> {
    let unusable =
        |text: String| Finding::skipped(ID, format!("{text} (SSL_CERT_FILE names certificates)"));
    let (config, witness) = witnessed().map_err(unusable)?;
    let not_reached =
        |error: io::Error| Finding::problem(ID, format!("cannot be reached: {error}"), REACH);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Finding::problem(ID, error.to_string(), "mend --public-url"))?;
    let mut connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| Finding::skipped(ID, error.to_string()))?;
    let mut stream = connect(host, port).map_err(not_reached)?;
    while connection.is_handshaking() {
        connection
            .complete_io(&mut stream)
            .map_err(|error| refused(&error, &witness.certificates()))?;
    }
    let certificates = witness.certificates();
    Ok(Seen {
        version: connection
            .protocol_version()
            .and_then(|version| version.as_str())
            .unwrap_or("an unknown version")
            .replace("TLSv1_", "TLS 1."),
        cipher: connection
            .negotiated_cipher_suite()
            .map(|suite| suite.suite())
            .and_then(|suite| suite.as_str())
            .unwrap_or("an unknown cipher")
            .to_owned(),
        valid_until: certificates
            .first()
            .and_then(Option::as_ref)
            .map(valid_until),
        keys: keys_of(&certificates),
    })
}

/// As [`tls_config`](crate::api::web::tls_config) for https, with a witness of what the server sends.
fn witnessed() -> Result<(ClientConfig, Arc<Witness>), String> {
    let failed = |error: rustls::Error| format!("TLS cannot be set up here: {error}");
    let provider = Arc::new(ring::default_provider());
    let witness = Arc::new(Witness {
        judge: Verifier::new(provider.clone()).map_err(failed)?,
        seen: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_no_client_auth();
    Ok((config, witness))
}

/// Leaves every judgement to the verifier of the system, and remembers what it was shown: rustls itself refuses weak keys, and
/// then tells neither the certificate nor that this was the reason.
#[derive(Debug)]
struct Witness {
    judge: Verifier,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl Witness {
    /// In the order sent; `None` for what cannot be read.
    fn certificates(&self) -> Vec<Option<Certificate>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter()
            .map(|certificate| Certificate::from_der(certificate).ok())
            .collect()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let all = all
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = all;
        self.judge
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, STEP_TIME) {
            Ok(stream) => {
                stream.set_read_timeout(Some(STEP_TIME))?;
                stream.set_write_timeout(Some(STEP_TIME))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn refused(error: &io::Error, certificates: &[Option<Certificate>]) -> Finding {
    if matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    ) {
        return Finding::problem(
            ID,
            "the handshake came to no end: nothing came for 3 s",
            "see that the port speaks TLS and answers quickly",
        );
    }
    let keys = keys_of(certificates);
    if keys.iter().any(|key| key.is_weak() == Some(true)) {
        let what = format!("a key is too weak: {}", texts(&keys));
        return Finding::problem(ID, what, STRONGER);
    }
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    if let Some(rustls::Error::InvalidCertificate(cause)) = cause {
        let own = certificates.first().and_then(Option::as_ref);
        if let Some(finding) = out_of_date(cause, own) {
            return finding;
        }
    }
    let todo = match cause {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "get a certificate for this name from a public authority, and have the server send the whole chain"
        }
        Some(rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_)) => {
            "have the server speak TLS 1.2 or 1.3 with present ciphers"
        }
        _ => "see that the port speaks TLS",
    };
    Finding::problem(ID, format!("the handshake failed: {error}"), todo)
}

/// A certificate whose time is over, or has not begun.
fn out_of_date(cause: &CertificateError, certificate: Option<&Certificate>) -> Option<Finding> {
    let day = |moment: Option<SystemTime>| match moment {
        Some(moment) => format!(" on {}", when::day(moment)),
        None => String::new(),
    };
    match cause {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some(Finding::problem(
                ID,
                format!("{EXPIRED}{}", day(certificate.map(valid_until))),
                "renew it, and see why that does not happen by itself",
            ))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some(Finding::problem(
                ID,
                format!("{NOT_YET}{}", day(certificate.map(valid_from))),
                "use the certificate that is in force, or set the clock",
            ))
        }
        _ => None,
    }
}

/// A certificate whose time is over fails everything that is sent to the address: it is told once, with its date.
pub(super) fn say_once(findings: &mut [Finding]) {
    let is_told = findings.iter().any(|finding| {
        finding.id == ID && (finding.what.starts_with(EXPIRED) || finding.what.starts_with(NOT_YET))
    });
    if !is_told {
        return;
    }
    for finding in findings {
        let is_of_address = ["address.", "sample."]
            .iter()
            .any(|group| finding.id.starts_with(group));
        let has_failed = matches!(finding.level, Level::Problem | Level::Warn)
            || finding.level == Level::Skipped && finding.what.contains("certificate");
        if is_of_address && has_failed && finding.id != ID {
            *finding = Finding::skipped(finding.id, format!("there is no TLS: see {ID}"));
        }
    }
}

fn verdict(seen: &Seen, now: SystemTime) -> Finding {
    let what = format!(
        "{}, {}, keys: {}",
        seen.version,
        seen.cipher,
        texts(&seen.keys)
    );
    if seen.keys.iter().any(|key| key.is_weak() == Some(true)) {
        return Finding::problem(ID, format!("{what}; a key is too weak"), STRONGER);
    }
    let soon = now + RENEW_BEFORE;
    if seen.valid_until.is_some_and(|until| until < soon) {
        return Finding::warn(
            ID,
            format!("{what}; the certificate ends within 7 days"),
            "renew it, and see why that does not happen by itself",
        );
    }
    if seen.keys.is_empty() || seen.keys.iter().any(|key| key.is_weak().is_none()) {
        return Finding::warn(
            ID,
            format!("{what}; the strength of a key cannot be judged here"),
            "compare it with OpenSSL's security level 2, which HeyGen wants: RSA from 2048 bits, elliptic curves from 224",
        );
    }
    Finding::ok(
        ID,
        format!("{what} (how certificates are signed is not looked at)"),
    )
}

impl Key {
    /// Whether OpenSSL's security level 2 refuses it; `None` when that cannot be told.
    fn is_weak(&self) -> Option<bool> {
        match self {
            Self::Rsa(bits) | Self::Dsa(bits) => Some(*bits < 2048),
            Self::Ec(bits) => Some(*bits < 224),
            Self::Other => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Rsa(bits) => format!("RSA {bits}"),
            Self::Dsa(bits) => format!("DSA {bits}"),
            Self::Ec(bits) => format!("elliptic curve {bits}"),
            Self::Other => "another kind".to_owned(),
        }
    }
}

fn texts(keys: &[Key]) -> String {
    keys.iter().map(Key::text).collect::<Vec<_>>().join(", ")
}

fn keys_of(certificates: &[Option<Certificate>]) -> Vec<Key> {
    let key = |certificate: &Option<Certificate>| certificate.as_ref().map_or(Key::Other, key_of);
    certificates.iter().map(key).collect()
}

fn valid_from(certificate: &Certificate) -> SystemTime {
    let validity = certificate.tbs_certificate().validity();
    SystemTime::UNIX_EPOCH + validity.not_before.to_unix_duration()
}

fn valid_until(certificate: &Certificate) -> SystemTime {
    let validity = certificate.tbs_certificate().validity();
    SystemTime::UNIX_EPOCH + validity.not_after.to_unix_duration()
}

fn key_of(certificate: &Certificate) -> Key {
    let key = certificate.tbs_certificate().subject_public_key_info();
    match key.algorithm.oid {
        RSA => rsa_bits(key).map_or(Key::Other, Key::Rsa),
        DSA => dsa_bits(key).map_or(Key::Other, Key::Dsa),
        EC => ec_bits(key).map_or(Key::Other, Key::Ec),
        ED25519 => Key::Ec(255),
        ED448 => Key::Ec(448),
        _ => Key::Other,
    }
}

/// The key is `SEQUENCE { modulus INTEGER, exponent INTEGER }`.
fn rsa_bits(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let bytes = key.subject_public_key.as_bytes()?;
    first_integer_bits(bytes)
}

/// The parameters are `SEQUENCE { p INTEGER, … }`.
fn dsa_bits(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    use x509_cert::der::Encode as _;
    let parameters = key.algorithm.parameters.as_ref()?.to_der().ok()?;
    first_integer_bits(&parameters)
}

fn first_integer_bits(sequence: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(sequence).ok()?;
    let read: x509_cert::der::Result<usize> = reader.sequence(|inner| {
        let modulus = UintRef::decode(inner)?;
        let bits = bits(modulus.as_bytes());
        inner.drain(inner.remaining_len())?;
        Ok(bits)
    });
    read.ok()
}

fn bits(big_endian: &[u8]) -> usize {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    let significant = &big_endian[zeros..];
    match significant.first() {
        Some(first) => significant.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

fn ec_bits(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let curve: ObjectIdentifier = key.algorithm.parameters.as_ref()?.decode_as().ok()?;
    let known = CURVES.iter().find(|(oid, _)| *oid == curve)?;
    Some(known.1)
}

const ID: &str = "address.tls";
const EXPIRED: &str = "the certificate expired";
const NOT_YET: &str = "the certificate is not valid yet: it begins";
const REACH: &str = "see that the receiver runs, and that name and port are right";
const STRONGER: &str = "get a certificate with a key of RSA from 2048 bits or of an elliptic curve from 224: HeyGen takes no weaker one";
const STEP_TIME: Duration = Duration::from_secs(3);
const WHOLE_TIME: Duration = Duration::from_secs(6);
const RENEW_BEFORE: Duration = Duration::from_secs(7 * 24 * 3600);

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ED448: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.113");

/// secp192r1, secp224r1, secp256r1, secp384r1, secp521r1.
const CURVES: [(ObjectIdentifier, usize); 5] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.1"), 192),
    (ObjectIdentifier::new_unwrap("1.3.132.0.33"), 224),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), 256),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), 384),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), 521),
];

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[track_caller]
    fn check(keys: Vec<Key>, days_left: u64, expected: Level) {
        let now = SystemTime::now();
        let seen = Seen {
            version: "TLS 1.3".to_owned(),
            cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
            keys,
            valid_until: Some(now + Duration::from_secs(days_left * 24 * 3600)),
        };
        let finding = verdict(&seen, now);
        assert_eq!(finding.level, expected, "{}", finding.what);
    }

    #[test]
    fn weak_keys_are_told() {
        check(vec![Key::Rsa(2048), Key::Ec(256)], 30, Level::Ok);
        check(vec![Key::Ec(224)], 30, Level::Ok);
        check(vec![Key::Rsa(2047)], 30, Level::Problem);
        check(vec![Key::Dsa(1024)], 30, Level::Problem);
        check(vec![Key::Ec(192)], 30, Level::Problem);
        check(vec![Key::Ec(256), Key::Rsa(1024)], 30, Level::Problem);
        check(vec![Key::Other], 30, Level::Warn);
        check(vec![], 30, Level::Warn);
        check(vec![Key::Ec(256)], 3, Level::Warn);
    }

    #[test]
    fn integers_are_measured() {
        // SEQUENCE { INTEGER 0x00ff01, INTEGER 3 }
        let sequence = [0x30, 0x08, 0x02, 0x03, 0x00, 0xff, 0x01, 0x02, 0x01, 0x03];
        assert_eq!(first_integer_bits(&sequence), Some(16));
        assert_eq!(first_integer_bits(&sequence[..9]), None);
        assert_eq!(first_integer_bits(b""), None);
        assert_eq!(bits(&[0, 1]), 1);
        assert_eq!(bits(&[]), 0);
    }

    #[test]
    fn the_key_of_a_certificate_is_read() {
        for (algorithm, expected) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Key::Ec(256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Key::Ec(384)),
            (&rcgen::PKCS_ED25519, Key::Ec(255)),
        ] {
            let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
            let names = vec!["localhost".to_owned()];
            let parameters = rcgen::CertificateParams::new(names).expect("parameters");
            let certificate = parameters.self_signed(&key).expect("a certificate");
            let certificate = Certificate::from_der(certificate.der()).expect("DER");
            assert_eq!(key_of(&certificate), expected);
        }
    }
}
