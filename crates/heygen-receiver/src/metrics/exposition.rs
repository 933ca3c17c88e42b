//! The two formats that Prometheus reads: which one a scrape asks for, and the older made of the
//! newer.

use http::{HeaderMap, header};

/// Whether `Accept` prefers `OpenMetrics`. The default is the older format, which every program
/// reads.
#[cfg_attr(
    not(any(feature = "admin", test)),
    expect(dead_code, reason = "only the admin listener is asked for a format")
)]
pub(crate) fn asks_for_open_metrics(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    let ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut best = (0.0, false);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut is_known) = (1.0, true);
        for part in parts {
            match part
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()))
            {
                Some(("q" | "Q", value)) => quality = value.parse().unwrap_or(0.0),
                Some(("version", value)) => is_known = VERSIONS.contains(&value.trim_matches('"')),
                _ => {}
            }
        }
        let is_open = match kind.as_str() {
            "application/openmetrics-text" => is_known,
            "text/plain" | "text/*" | "*/*" => false,
            _ => continue,
        };
        if quality > best.0 && (is_open || kind != "application/openmetrics-text") {
            best = (quality, is_open);
        }
    }
    best.1
}

/// Converts `OpenMetrics` to Prometheus' own text format 0.0.4, which names a counter with its
/// suffix and has neither a unit nor an end mark.
pub(super) fn as_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 512);
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let suffix = if kind == "counter" { "_total" } else { "" };
            let words = help.strip_prefix(name).unwrap_or_default();
            text.extend(["# HELP ", name, suffix, words, "\n"]);
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

/// Versions of `OpenMetrics` in which this output is the same.
const VERSIONS: [&str; 3] = ["1.0.0", "0.0.1", "0.0.4"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &[&str], expected: bool) {
        let mut headers = HeaderMap::new();
        for value in accept {
            let value = http::HeaderValue::from_str(value).expect("a value");
            headers.append(header::ACCEPT, value);
        }
        assert_eq!(asks_for_open_metrics(&headers), expected, "{accept:?}");
    }

    #[test]
    fn open_metrics_is_sent_only_on_request() {
        check(&[], false);
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/html,*/*;q=0.8",
            "text/plain;version=0.0.4",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=7.0.0",
            "application/openmetrics-text;q=0.1,text/plain",
        ] {
            check(&[accept], false);
        }
        for accept in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "text/plain;q=0.5, application/openmetrics-text;version=\"1.0.0\"",
        ] {
            check(&[accept], true);
        }
        check(&["text/plain;q=0.1", "application/openmetrics-text"], true);
    }

    #[test]
    fn counter_is_named_with_its_suffix() {
        let open_metrics = "# HELP a_b Things.\n# TYPE a_b counter\n# UNIT a_b b\na_b_total{x=\"# y\"} 1\n\
                            # HELP c How long.\n# TYPE c gauge\nc 2.5\n# EOF\n";
        assert_eq!(
            as_text(open_metrics),
            "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"# y\"} 1\n\
             # HELP c How long.\n# TYPE c gauge\nc 2.5\n"
        );
    }
}
