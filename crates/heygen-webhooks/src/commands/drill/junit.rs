//! The scorecard as CI servers read it: the XML of `JUnit`.

use heygen_testkit::drill::{CheckResult, Scorecard, Verdict};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

/// The whole file. A check is a test case; what could not be checked is skipped, everything but a failure has passed.
pub(super) fn document(url: &str, scorecard: &Scorecard) -> Result<String, SerializeError> {
    let name = format!("heygen-webhooks drill {url}");
    let results = scorecard.results();
    let mut suite = TestSuite::new(name.as_str());
    suite.add_test_cases(results.iter().map(case));
    suite.set_time(results.iter().map(|result| result.duration).sum());
    let mut report = Report::new(name);
    report.add_test_suite(suite);
    report.to_string()
}

fn case(result: &CheckResult) -> TestCase {
    let seen = result.seen.as_str();
    let mut status = match result.verdict {
        Verdict::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Skip => TestCaseStatus::skipped(),
        _ => TestCaseStatus::success(),
    };
    // Of a success they say nothing.
    status.set_message(seen);
    if result.verdict == Verdict::Fail {
        let (title, cost, fix) = (result.check.title(), result.cost, &result.fix);
        status.set_description(format!("{title}; cost of a failure: {cost}; fix: {fix}"));
    }
    let mut case = TestCase::new(result.check.id(), status);
    case.set_classname("heygen-webhooks.drill");
    case.set_time(result.duration);
    if !matches!(result.verdict, Verdict::Fail | Verdict::Skip) {
        case.set_system_out(format!("{}: {seen}", result.verdict.as_str()));
    }
    case
}
