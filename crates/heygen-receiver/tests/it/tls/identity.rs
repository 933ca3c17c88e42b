//! A certificate of a test's own.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heygen_receiver::ServerTls;
use rustls::pki_types::CertificateDer;

/// A key and its certificate for `localhost`.
pub(super) struct Identity {
    pub(super) der: CertificateDer<'static>,
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Identity {
    pub(super) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            certificate: pem("CERTIFICATE", certificate.der()),
            key: pem("PRIVATE KEY", &key.serialize_der()),
            der: certificate.der().clone(),
        }
    }

    pub(super) fn tls(&self) -> ServerTls {
        ServerTls::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// Written into this folder: the certificate's file and the key's.
    pub(super) fn files(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        (certificate, key)
    }
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}
