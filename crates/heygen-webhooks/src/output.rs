//! Writing to standard output: text for people, JSON for programs.

use std::io::{self, Write};

use serde_json::Value;

/// Writes a whole text and flushes it.
pub(crate) fn write(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()
}

/// Writes one JSON document over several lines.
pub(crate) fn json(value: &Value) -> io::Result<()> {
    write(format!("{value:#}\n"))
}

/// Writes a JSON array, an element a line.
pub(crate) fn json_array(values: impl ExactSizeIterator<Item = Value>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let last = values.len();
    stdout.write_all(b"[")?;
    for (place, value) in values.enumerate() {
        let comma = if place + 1 < last { "," } else { "" };
        write!(stdout, "\n{value}{comma}")?;
    }
    stdout.write_all(b"\n]\n")?;
    stdout.flush()
}

/// Columns as wide as their widest cell; the last one is not padded.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
    let lines = || std::iter::once(&heads).chain(rows);
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            lines()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for line in lines() {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Cuts the query string off a link, with which anybody can fetch the file, and `user:password@` out of it.
pub(crate) fn without_query(link: &str) -> String {
    let link = without_user(link);
    match link.find(['?', '#']) {
        Some(end) => format!("{}?…", &link[..end]),
        None => link,
    }
}

fn without_user(link: &str) -> String {
    let Some((scheme, rest)) = link.split_once("://") else {
        return link.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => link.to_owned(),
    }
}

/// Makes a text from outside safe for a terminal: control characters become visible.
pub(crate) fn tame(text: &str) -> String {
    text.chars()
        .map(|c| match c.is_control() {
            true => '\u{fffd}',
            false => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lose_what_gives_access() {
        assert_eq!(without_query("https://a.b/c.mp4"), "https://a.b/c.mp4");
        assert_eq!(
            without_query("https://a.b/c.mp4?X-Amz-Signature=1&e=2"),
            "https://a.b/c.mp4?…"
        );
        assert_eq!(without_query("https://a.b/c.mp4#t"), "https://a.b/c.mp4?…");
        assert_eq!(without_query("https://me:pass@a.b/c"), "https://a.b/c");
        assert_eq!(without_query("https://me:p@ss@a.b:1"), "https://a.b:1");
        assert_eq!(
            without_query("https://a.b/@c?to=d@e"),
            "https://a.b/@c?…",
            "an @ elsewhere is none"
        );
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(tame("a\x1b[31mb\nc"), "a\u{fffd}[31mb\u{fffd}c");
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["1".to_owned(), "é".to_owned(), String::new()]];
        assert_eq!(table(&["ID", "NAME", "X"], &rows), "ID  NAME  X\n1   é\n");
    }
}
