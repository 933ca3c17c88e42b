//! A certificate of a test's own.

use std::path::{Path, PathBuf};

use heygen_receiver::ServerTls;
use rustls::pki_types::CertificateDer;

/// A key and its certificate.
pub(crate) struct Identity {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        Self::for_name("localhost")
    }

    pub(crate) fn for_name(name: &str) -> Self {
        Self::made(name, rcgen::IsCa::NoCa)
    }

    /// One that may sign others.
    #[cfg(feature = "forward")]
    pub(crate) fn of_authority() -> Self {
        Self::made(
            "localhost",
            rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        )
    }

    fn made(name: &str, is_ca: rcgen::IsCa) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = is_ca;
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        }
    }

    pub(crate) fn tls(&self) -> ServerTls {
        ServerTls::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// Written into this folder: the certificate's file and the key's.
    pub(crate) fn files(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        (certificate, key)
    }
}
