//! The scorecard as CI servers read it: the XML of `JUnit`.

use heygen_testkit::drill::{CheckResult, Scorecard, Verdict};

/// The whole file. A check is a test case; what could not be told is skipped, everything but a failure has passed.
pub(super) fn document(url: &str, scorecard: &Scorecard) -> String {
    let results = scorecard.results();
    let seconds: f64 = results
        .iter()
        .map(|result| result.duration.as_secs_f64())
        .sum();
    let cases: String = results.iter().map(case).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites>\n\
         <testsuite name=\"heygen-webhooks drill {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{seconds:.3}\">\n\
         {cases}\
         </testsuite>\n\
         </testsuites>\n",
        escape(url),
        results.len(),
        scorecard.count(Verdict::Fail),
        scorecard.count(Verdict::Skip),
    )
}

fn case(result: &CheckResult) -> String {
    let seen = escape(&result.seen);
    let inside = match result.verdict {
        Verdict::Fail => format!(
            "<failure message=\"{seen}\">{}; it costs: {}</failure>",
            escape(result.check.title()),
            escape(result.check.cost())
        ),
        Verdict::Skip => format!("<skipped message=\"{seen}\"/>"),
        other => format!("<system-out>{}: {seen}</system-out>", other.as_str()),
    };
    format!(
        "<testcase classname=\"heygen-webhooks.drill\" name=\"{}\" time=\"{:.3}\">{inside}</testcase>\n",
        escape(result.check.id()),
        result.duration.as_secs_f64()
    )
}

/// Good in texts and in attributes. What XML cannot hold at all is replaced; a line end would become a space.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_leaves_its_place() {
        assert_eq!(
            escape("<a b=\"c\">'&\x1b\u{0}\u{ffff}\n</a>é"),
            "&lt;a b=&quot;c&quot;&gt;&apos;&amp;\u{fffd}\u{fffd}\u{fffd}\u{fffd}&lt;/a&gt;é"
        );
    }
}
