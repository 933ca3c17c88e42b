//! The requests that `wrk` sends: a template, where to write what differs, and a row of that for each request.
//!
//! HeyGen's events are unique and signed, so no two requests are the same; but signing is the sender's work and must not
//! cost anything while the receiver is measured.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::event::{self, USER_AGENT};
use anyhow::{Context, Result};
use heygen_signature::Secret;

/// Writes `template` (the request of event 0), `layout` (its places, for `wrk.lua`) and `rows` (an id and a signature for
/// each event) into `folder`.
pub(crate) fn write(folder: &Path, secret: &Secret, count: u64) -> Result<()> {
    let id = event::id(0);
    let template = request(secret, &id);
    fs::write(folder.join("template"), &template).context("write the template")?;
    fs::write(folder.join("layout"), layout(secret, &template, &id)).context("write the layout")?;
    let rows = fs::File::create(folder.join("rows")).context("create the rows")?;
    let mut rows = BufWriter::new(rows);
    for number in 0..count {
        rows.write_all(row(secret, number).as_bytes())
            .context("write the rows")?;
    }
    rows.flush().context("write the rows")
}

fn request(secret: &Secret, id: &str) -> String {
    let body = event::body(id);
    let signature = secret.sign(body.as_bytes());
    let length = body.len();
    format!(
        "POST /webhooks/heygen HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {USER_AGENT}\r\nAccept-Encoding: gzip, deflate\r\n\
         Accept: */*\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Signature: {signature}\r\n\r\n{body}"
    )
}

/// What differs from one request to the next: the id, then the signature.
fn row(secret: &Secret, number: u64) -> String {
    let id = event::id(number);
    let signature = secret.sign(event::body(&id).as_bytes());
    format!("{id}{signature}")
}

/// Offsets from 0: of the signature, then of each place of the id.
fn layout(secret: &Secret, template: &str, id: &str) -> String {
    let signature = secret.sign(event::body(id).as_bytes()).to_string();
    let mut places = vec![template.find(&signature).unwrap_or_default()];
    places.extend(event::places(template, id).iter().map(|place| place.start));
    let places: Vec<String> = places.iter().map(ToString::to_string).collect();
    places.join(" ")
}

#[cfg(test)]
mod tests {
    use heygen_signature::{Secrets, Signature};

    use super::*;

    /// Puts a row into the template as `wrk.lua` does.
    fn assembled(template: &str, layout: &str, row: &str) -> String {
        let mut request = template.to_owned();
        let (id, signature) = row.split_at(event::ID_LEN);
        let mut places = layout
            .split(' ')
            .map(|place| place.parse::<usize>().unwrap());
        let place = places.next().unwrap();
        request.replace_range(place..place + signature.len(), signature);
        for place in places {
            request.replace_range(place..place + id.len(), id);
        }
        request
    }

    #[test]
    fn every_assembled_request_is_rightly_signed() {
        let secret = Secret::new("whsec_test").unwrap();
        let template = request(&secret, &event::id(0));
        let layout = layout(&secret, &template, &event::id(0));
        for number in [0, 1, 7, 1_000_000] {
            let request = assembled(&template, &layout, &row(&secret, number));
            assert_eq!(request, super::request(&secret, &event::id(number)));
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.len(), event::BODY_LEN);
            let signature = head.split("Signature: ").nth(1).unwrap();
            let signature: Signature = signature.lines().next().unwrap().parse().unwrap();
            let secrets = Secrets::new(secret.clone());
            assert!(secrets.verify(&signature, body.as_bytes()).is_ok());
        }
    }

    /// `LuaJIT` hashes long strings by a few of their bytes: those before a quarter of the length must differ from request to
    /// request, or all strings would fall into one bucket and the load generator would slow down.
    #[test]
    fn a_string_of_lua_is_told_apart_by_its_signature() {
        let secret = Secret::new("whsec_test").unwrap();
        let template = request(&secret, &event::id(0));
        let layout = layout(&secret, &template, &event::id(0));
        let signature: usize = layout.split(' ').next().unwrap().parse().unwrap();
        let hashed = (template.len() >> 2) - 1;
        assert!(
            (signature..signature + 61).contains(&hashed),
            "{signature}, {hashed}"
        );
    }

    #[test]
    fn the_files_hold_a_row_for_each_request() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::new("whsec_test").unwrap();
        write(folder.path(), &secret, 3).unwrap();
        let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        let (template, layout, rows) = (read("template"), read("layout"), read("rows"));
        assert_eq!(rows.len(), 3 * (event::ID_LEN + 64));
        let last = &rows[2 * (event::ID_LEN + 64)..];
        assert_eq!(
            assembled(&template, &layout, last),
            request(&secret, &event::id(2))
        );
    }
}
