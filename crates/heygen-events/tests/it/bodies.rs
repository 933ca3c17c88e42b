//! Bodies that no well-meaning sender sends: a table of named ones, and a source of ever
//! new ones.
//!
//! The tests of other crates take them from here.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One body with a name, and what becomes of it.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) body: Vec<u8>,
    /// `well-formed`, `malformed` or `unknown` for an event, `syntax` or `envelope` for what is
    /// none.
    #[allow(
        dead_code,
        reason = "not every crate that takes bodies from here reads events"
    )]
    pub(crate) fate: &'static str,
}

/// Every kind of hostility, without luck.
pub(crate) fn named() -> Vec<Named> {
    let data = |data: &str| format!(r#"{{"event_type":"avatar_video.fail","event_data":{data}}}"#);
    let field = |value: &str| data(&format!(r#"{{"video_id":"v","new":{value}}}"#));
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep_object =
        |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let keys = |count: usize| {
        let fields: String = (0..count)
            .map(|key| format!(r#""k{key}":{key},"#))
            .collect();
        data(&format!(r#"{{{fields}"video_id":"v"}}"#))
    };
    let megabyte = "x".repeat(1 << 20);
    let texts = [
        ("arrays 100 deep", field(&deep(100)), "well-formed"),
        (
            "arrays 126 deep, and no deeper is read",
            field(&deep(126)),
            "well-formed",
        ),
        ("arrays 127 deep", field(&deep(127)), "malformed"),
        ("arrays 100,000 deep", field(&deep(100_000)), "malformed"),
        (
            "objects 100,000 deep",
            field(&deep_object(100_000)),
            "malformed",
        ),
        ("nothing but brackets", deep(100_000), "envelope"),
        ("brackets that stay open", "[".repeat(100_000), "syntax"),
        (
            "objects that stay open",
            r#"{"a":"#.repeat(100_000),
            "syntax",
        ),
        ("a number out of range", field("1e999"), "malformed"),
        (
            "a number out of range, alone",
            "1e999".to_owned(),
            "envelope",
        ),
        (
            "a number of 10,000 digits",
            field(&"9".repeat(10_000)),
            "malformed",
        ),
        (
            "a fraction of 10,000 digits",
            field(&format!("0.{}", "3".repeat(10_000))),
            "well-formed",
        ),
        (
            "a fraction with more digits than a double",
            field("12.466666666666666666666666666666"),
            "well-formed",
        ),
        (
            "one beyond 64 bits",
            field("18446744073709551616"),
            "well-formed",
        ),
        (
            "the least of 64 bits",
            field("-9223372036854775808"),
            "well-formed",
        ),
        ("nought below nought", field("-0.0"), "well-formed"),
        ("too small to be anything", field("1e-999"), "well-formed"),
        (
            "a lone surrogate in a value",
            field(r#""\ud800""#),
            "malformed",
        ),
        (
            "a lone surrogate in a key",
            data(r#"{"video_id":"v","\udc00":1}"#),
            "malformed",
        ),
        (
            "surrogates the wrong way round",
            field(r#""\udc00\ud800""#),
            "malformed",
        ),
        (
            "a lone surrogate as the name",
            r#"{"event_type":"\ud800"}"#.to_owned(),
            "envelope",
        ),
        (
            "a key a thousand times",
            data(&format!(
                r#"{{{}"video_id":"v"}}"#,
                r#""video_id":[],"#.repeat(1000)
            )),
            "well-formed",
        ),
        (
            "two names",
            r#"{"event_type":"a","event_type":"avatar_video.fail","event_data":{"video_id":"v"}}"#
                .to_owned(),
            "well-formed",
        ),
        (
            "data twice",
            r#"{"event_type":"batch.finished","event_data":[],"event_data":{}}"#.to_owned(),
            "well-formed",
        ),
        (
            "a megabyte of text",
            field(&format!(r#""{megabyte}""#)),
            "well-formed",
        ),
        (
            "a megabyte of escapes",
            field(&format!(r#""{}""#, r"\u0041".repeat((1 << 20) / 6))),
            "well-formed",
        ),
        (
            "a megabyte of a name",
            format!(r#"{{"event_type":"{megabyte}","event_data":{{}}}}"#),
            "unknown",
        ),
        (
            "a megabyte of a key",
            data(&format!(r#"{{"video_id":"v","{megabyte}":1}}"#)),
            "well-formed",
        ),
        (
            "a megabyte of white space",
            format!("{}{}", " ".repeat(1 << 20), data("{}")),
            "malformed",
        ),
        ("ten thousand keys", keys(10_000), "well-formed"),
        ("NUL, escaped", field(r#""\u0000""#), "well-formed"),
        (
            "NUL in a name, escaped",
            r#"{"event_type":"\u0000","event_data":{}}"#.to_owned(),
            "unknown",
        ),
        ("NUL as it is", field("\"\0\""), "syntax"),
        ("NUL behind the end", format!("{}\0", data("{}")), "syntax"),
        ("nothing but NUL", "\0".repeat(100), "syntax"),
        (
            "a byte order mark",
            format!("\u{feff}{}", data("{}")),
            "syntax",
        ),
        (
            "no name",
            r#"{"event_type":"","event_data":{}}"#.to_owned(),
            "unknown",
        ),
        ("white space alone", " \t\r\n".to_owned(), "syntax"),
    ];
    let bytes = [
        ("nothing", &b""[..]),
        ("a byte that is not UTF-8", b"{\"event_type\":\"a\xff\"}"),
        (
            "a NUL written in two bytes",
            b"{\"event_type\":\"a\xc0\x80\"}",
        ),
        (
            "a surrogate in UTF-8",
            b"{\"event_type\":\"a\xed\xa0\x80\"}",
        ),
        (
            "cut inside of a character",
            b"{\"event_type\":\"a\xf0\x9f\x98",
        ),
        ("UTF-16", b"\xff\xfe{\0}\0"),
        (
            "not UTF-8, in a key that is not read",
            b"{\"event_type\":\"a\",\"\xff\":1}",
        ),
    ];
    let texts = texts.into_iter().map(|(name, body, fate)| Named {
        name,
        body: body.into_bytes(),
        fate,
    });
    let bytes = bytes.into_iter().map(|(name, body)| Named {
        name,
        body: body.to_vec(),
        fate: "syntax",
    });
    texts.chain(bytes).collect()
}

/// Events with anything in them, any JSON, fixtures that something happened to, and noise.
pub(crate) fn generated() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => event().prop_map(String::into_bytes),
        1 => json().prop_map(String::into_bytes),
        4 => damaged(),
        1 => vec(any::<u8>(), 0..200),
    ]
}

/// The text of an event whose data holds fields that HeyGen uses, with values that it does not.
pub(crate) fn event() -> impl Strategy<Value = String> {
    let data = vec((select(FIELDS), json()), 0..5).prop_map(|fields| object(&fields));
    let around = vec((select(AROUND), json()), 0..3);
    (select(NAMES), prop_oneof![9 => data, 1 => json()], around).prop_map(
        |(name, data, mut fields)| {
            fields.push(("event_type", format!("\"{name}\"")));
            fields.push(("event_data", data));
            object(&fields)
        },
    )
}

/// Any JSON, in any spelling.
pub(crate) fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(LEAVES).prop_map(str::to_owned),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no infinity", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        ".{0,12}".prop_map(|text| quoted(&text)),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let key = select(FIELDS);
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" , "))),
            vec((key, inner), 0..5).prop_map(|fields| object(&fields)),
        ]
    })
}

/// A fixture after one to three accidents.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let accident = (any::<Index>(), any::<Index>(), select(PIECES), 0..4_u8);
    (select(fixtures()), vec(accident, 1..4)).prop_map(|(mut body, accidents)| {
        for (from, to, piece, kind) in accidents {
            let len = body.len().max(1);
            let (from, to) = (from.index(len), to.index(len));
            let range = from.min(to).min(body.len())..from.max(to).min(body.len());
            match kind {
                0 => drop(body.splice(range.start..range.start, piece.iter().copied())),
                1 => drop(body.splice(range, piece.iter().copied())),
                2 => body.extend_from_within(range),
                _ => body.truncate(range.end),
            }
        }
        body
    })
}

/// Every file of `fixtures/` that is a body.
pub(crate) fn fixtures() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut folders = vec![root.join("bodies"), root.join("events")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    // In the order of their names, so that a seed gives the same bodies on every machine.
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn quoted(text: &str) -> String {
    let escape = |char: char| match char {
        ' '..='~' if char != '"' && char != '\\' => char.to_string(),
        _ => {
            let mut units = [0; 2];
            let units = char.encode_utf16(&mut units).iter();
            units.map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| format!("\"{key}\" : {value}"))
        .collect();
    format!("{{ {} }}", fields.join(", "))
}

const NAMES: &[&str] = &[
    "avatar_video.success",
    "avatar_video.fail",
    "avatar_video_gif.success",
    "video_translate.fail",
    "personalized_video",
    "ai_clipping.success",
    "hyperframes_video.fail",
    "batch.finished",
    "podcast.success",
    "avatar\\u005fvideo.fail",
    "\\ud800",
    "",
];

/// Few enough to come twice in one object.
const FIELDS: &[&str] = &[
    "video_id",
    "id",
    "url",
    "msg",
    "message",
    "callback_id",
    "clips",
    "created_at",
    "video\\u005fid",
    "\\udc00",
    "",
];

const AROUND: &[&str] = &[
    "event",
    "event_id",
    "created_at",
    "event_type",
    "event_data",
    "trace",
];

const LEAVES: &[&str] = &[
    "null",
    "true",
    "\"\"",
    "\"v\"",
    "\"\\u0076\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u0000\\/\"",
    "\"https://a.b/c?d=e\"",
    "-0",
    "-0.0",
    "1.0",
    "1e999",
    "1e-999",
    "9007199254740993",
    "18446744073709551616",
    "123456789012345678901234567890.5",
    "[]",
    "{}",
];

const PIECES: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\ud800",
    b"\\",
    b"1e999",
    b"\"event_type\":",
];
