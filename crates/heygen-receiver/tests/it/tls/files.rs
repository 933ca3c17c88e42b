//! What can be wrong with a certificate and a key, and what the error shows.

use heygen_receiver::{ServerTls, TlsErrorKind};

use super::identity::Identity;

#[test]
fn each_fault_is_told_and_no_key_is() {
    let (me, other) = (Identity::new(), Identity::new());
    let text = |all: &[&str]| all.concat();
    let whole = [me.certificate.as_str(), &me.key];
    ServerTls::from_pem(text(&whole).as_bytes(), text(&whole).as_bytes()).unwrap();
    // Some editors leave a byte order mark.
    let marked = format!("\u{feff}\r\n{}", text(&whole));
    ServerTls::from_pem(marked.as_bytes(), marked.as_bytes()).unwrap();

    // As an editor or a variable without line ends leaves it.
    let in_one_line = me.key.replace('\n', " ");
    let damaged = me.key.replace("\nM", "\n*");
    let under_a_passphrase = pem("ENCRYPTED PRIVATE KEY", "c29tZXRoaW5n");
    let (no_certificate, no_key) = (pem("CERTIFICATE", NO_DER), pem("PRIVATE KEY", NO_DER));
    let cases = [
        ("", me.key.as_str(), TlsErrorKind::NoCertificate),
        (&me.key, &me.key, TlsErrorKind::NoCertificate),
        (&me.certificate, "", TlsErrorKind::NoKey),
        (&me.certificate, &me.certificate, TlsErrorKind::NoKey),
        (&me.certificate, &under_a_passphrase, TlsErrorKind::NoKey),
        (&me.certificate, &other.key, TlsErrorKind::KeyDoesNotFit),
        (&me.certificate, &in_one_line, TlsErrorKind::Unusable),
        (&me.certificate, &damaged, TlsErrorKind::Unusable),
        (&me.certificate, &no_key, TlsErrorKind::Unusable),
        (&no_certificate, &me.key, TlsErrorKind::Unusable),
    ];
    let hidden = me.key.lines().nth(1).unwrap();
    for (certificate, key, expected) in cases {
        let error = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        assert_eq!(error.path(), None);
        let mut shown = format!("{error} {error:?}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            shown = format!("{shown} {error} {error:?}");
            cause = error.source();
        }
        assert!(!shown.contains(&hidden[..16]), "{shown}");
        // Nor as the bytes of that text.
        let bytes = format!("{:?}", &hidden.as_bytes()[..8]);
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
    assert!(!format!("{:?}", me.tls()).contains(&hidden[..16]));
}

#[test]
fn the_file_at_fault_is_named() {
    let (me, other) = (Identity::new(), Identity::new());
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = me.files(folder.path());
    ServerTls::from_pem_files(&certificate, &key).unwrap();

    let none = folder.path().join("none.pem");
    let error = ServerTls::from_pem_files(&certificate, &none).unwrap_err();
    assert_eq!(error.kind(), TlsErrorKind::CannotRead);
    assert_eq!(error.path(), Some(none.as_path()));
    assert_eq!(
        error.to_string(),
        format!("cannot be read: {}", none.display())
    );

    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let error = ServerTls::from_pem_files(&empty, &key).unwrap_err();
    assert_eq!(error.kind(), TlsErrorKind::NoCertificate);
    assert_eq!(error.path(), Some(empty.as_path()));

    std::fs::write(&key, &other.key).unwrap();
    let error = ServerTls::from_pem_files(&certificate, &key).unwrap_err();
    assert_eq!(error.kind(), TlsErrorKind::KeyDoesNotFit);
    assert_eq!(error.path(), Some(key.as_path()));
}

fn pem(label: &str, base64: &str) -> String {
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}

/// Readable base64, and neither a certificate nor a key.
const NO_DER: &str = "bm8gREVS";
