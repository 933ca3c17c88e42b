//! [`Told`]: what libFuzzer prints, as a row of a table.

/// What became of one target.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Told {
    executions: u64,
    per_second: u64,
    /// Edges of the program that were taken.
    edges: u64,
    /// Edges with how often they were taken, and comparisons.
    features: u64,
    /// The inputs that are worth keeping.
    corpus: u64,
    /// Where the bytes are that broke something.
    pub(super) finding: Option<String>,
}

impl Told {
    /// Reads the whole log of a run, however it ended.
    pub(super) fn read(log: &str) -> Self {
        let mut told = Self::default();
        for line in log.lines() {
            if let Some((_, rest)) = line.split_once(" cov: ") {
                told.edges = number(rest);
                told.features = after(rest, " ft: ").unwrap_or(told.features);
                told.corpus = after(rest, " corp: ").unwrap_or(told.corpus);
            }
            told.executions =
                after(line, "stat::number_of_executed_units: ").unwrap_or(told.executions);
            told.per_second =
                after(line, "stat::average_exec_per_sec: ").unwrap_or(told.per_second);
            if let Some((_, path)) = line.split_once("Test unit written to ") {
                told.finding = Some(path.trim().to_owned());
            }
        }
        told
    }

    pub(super) fn row(&self, name: &str) -> String {
        let Self {
            executions,
            per_second,
            edges,
            features,
            corpus,
            finding,
        } = self;
        let findings = finding.iter().count();
        format!(
            "| {name:<16} | {executions:>10} | {per_second:>8} | {edges:>6} | {features:>8} | {corpus:>6} | {findings:>8} |"
        )
    }
}

fn after(line: &str, mark: &str) -> Option<u64> {
    let (_, rest) = line.split_once(mark)?;
    Some(number(rest))
}

/// The digits it begins with, after blanks.
fn number(text: &str) -> u64 {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().unwrap_or(0)
}

pub(super) const HEAD: &str = "\
| target           | executions | a second |  edges | features | corpus | findings |
|------------------|-----------:|---------:|-------:|---------:|-------:|---------:|";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_is_read() {
        let log = "#2\tINITED cov: 7 ft: 8 corp: 1/2b exec/s: 0 rss: 30Mb\n\
                   #90\tDONE   cov: 7596 ft: 16793 corp: 1818/614Kb lim: 1483 exec/s: 7756 rss: 36Mb\n\
                   stat::number_of_executed_units: 4645281\n\
                   stat::average_exec_per_sec:     7741\n";
        let told = Told::read(log);
        let row =
            "| event            |    4645281 |     7741 |   7596 |    16793 |   1818 |        0 |";
        assert_eq!(told.row("event"), row);
        assert_eq!(row.len(), HEAD.lines().next().unwrap().len());
    }

    #[test]
    fn a_finding_is_named() {
        let log = "artifact_prefix='/a/'; Test unit written to /a/crash-1\nBase64: e30=\n";
        assert_eq!(Told::read(log).finding.as_deref(), Some("/a/crash-1"));
    }
}
