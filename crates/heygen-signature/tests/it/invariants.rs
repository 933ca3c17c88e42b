//! Invariants of every request. The fuzz target `signature_header` checks them too.

use heygen_signature::{Diagnosis, Secret, Secrets, diagnose, find_signature, verify};

/// Panics when an invariant fails for a request: lines of `name: value`, an empty line, the body.
///
/// In a value, `{first}`, `{second}` and `{other}` stand for the signatures of the body by these
/// secrets, so that generators of requests need not sign.
pub(crate) fn hold(request: &[u8]) {
    let (head, body) = split(request);
    let head = sign(head, body);
    let headers: Vec<(&str, &[u8])> = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            Some((name, &line[colon + 1..]))
        })
        .collect();
    let secrets = Secrets::try_from(vec![secret(FIRST), secret(SECOND)]).unwrap();

    let verified = verify(headers.iter().copied(), body, &secrets);
    let expected = signer(&headers, body);
    assert_eq!(verified.ok().map(|found| found.index()), expected);
    let read = find_signature(headers.iter().copied());
    assert!(
        read.is_ok() || expected.is_none(),
        "an unreadable signature verifies nothing"
    );

    let diagnosis = diagnose(headers.iter().copied(), body, &secrets);
    match diagnosis {
        Diagnosis::Verified { secret } => assert_eq!(Some(secret), expected),
        _ => assert_eq!(expected, None, "{diagnosis}"),
    }
    let shown = format!("{diagnosis} {diagnosis:?} {verified:?} {read:?} {secrets:?}");
    for hidden in [FIRST, SECOND, OTHER].map(|text| text.trim_matches([' ', '"'])) {
        let bare = hidden.trim_start_matches("whsec_");
        assert!(!shown.contains(bare), "a secret is shown");
    }
}

/// Which secret signed it, by the rule of the protocol, with no code of the crate except signing.
fn signer(headers: &[(&str, &[u8])], body: &[u8]) -> Option<usize> {
    let values = |wanted: &str| -> Vec<&[u8]> {
        let named = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| *value).collect()
    };
    let mut deciding = values("Signature");
    if deciding.is_empty() {
        deciding = values("Heygen-Signature");
    }
    let [value] = deciding[..] else {
        return None;
    };
    let value = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    [FIRST, SECOND].iter().position(|text| {
        let signature = secret(text).sign(body).to_string();
        signature.eq_ignore_ascii_case(value)
    })
}

fn split(request: &[u8]) -> (&[u8], &[u8]) {
    let end = request.windows(2).position(|pair| pair == b"\n\n");
    end.map_or((request, &[]), |end| (&request[..end], &request[end + 2..]))
}

fn sign(head: &[u8], body: &[u8]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(head.len());
    let mut rest = head;
    while let Some((first, after)) = rest.split_first() {
        let found = PLACEHOLDERS
            .iter()
            .find(|(mark, _)| rest.starts_with(mark.as_bytes()));
        if let Some((mark, text)) = found {
            signed.extend_from_slice(secret(text).sign(body).to_string().as_bytes());
            rest = &rest[mark.len()..];
        } else {
            signed.push(*first);
            rest = after;
        }
    }
    signed
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

const PLACEHOLDERS: [(&str, &str); 3] =
    [("{first}", FIRST), ("{second}", SECOND), ("{other}", OTHER)];
const FIRST: &str = "whsec_dGhlIGZpcnN0IG9mIHRoZW0=";
/// With white space and quotes around it, so that a diagnosis has something to find.
const SECOND: &str = " \"dGhlIHNlY29uZCBvZiB0aGVt\" ";
const OTHER: &str = "dGhlIHNlY29uZCBvZiB0aGVt";
