//! [`Row`]: what one fault did, and the table of all.

use super::audit::Audit;
use crate::table::Table;

/// One fault, audited.
#[derive(Debug)]
pub(super) struct Row {
    name: &'static str,
    kills: u64,
    audit: Audit,
    notes: Vec<String>,
    wrong: Vec<String>,
    detail: Option<String>,
}

impl Row {
    /// There is no row without an audit.
    pub(super) fn new(name: &'static str, kills: u64, audit: Audit) -> Self {
        Self {
            name,
            kills,
            audit,
            notes: Vec::new(),
            wrong: Vec::new(),
            detail: None,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Shows a table of its own, under what is said of all faults.
    pub(super) fn detail(&mut self, table: String) {
        self.detail = Some(table);
    }

    /// Says what else matters.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Says what is wrong beside a lost or doubled delivery.
    pub(super) fn wrong(&mut self, wrong: impl Into<String>) {
        self.wrong.push(wrong.into());
    }

    /// Whether the fault was survived.
    pub(super) fn is_sound(&self) -> bool {
        self.audit.is_sound() && self.wrong.is_empty()
    }

    fn cells(&self) -> [String; 7] {
        let Audit {
            requests,
            answered,
            kept,
            lost,
            duplicated,
            invented: _,
        } = self.audit;
        let numbers = [self.kills, requests, answered, kept, lost, duplicated];
        let [kills, requests, answered, kept, lost, duplicated] =
            numbers.map(|number| number.to_string());
        [
            self.name.to_owned(),
            kills,
            requests,
            answered,
            kept,
            lost,
            duplicated,
        ]
    }

    fn lines(&self) -> String {
        let mut lines: String = self
            .notes
            .iter()
            .map(|note| format!("- {}: {note}\n", self.name))
            .collect();
        if self.audit.invented > 0 {
            let invented = self.audit.invented;
            let name = self.name;
            lines.extend([format!(
                "- {name}: WRONG: {invented} records of what nobody sent\n"
            )]);
        }
        lines.extend(
            self.wrong
                .iter()
                .map(|wrong| format!("- {}: WRONG: {wrong}\n", self.name)),
        );
        lines
    }
}

/// The table, and under it what else each fault has to say.
pub(super) fn render(rows: &[&Row]) -> String {
    let mut table = Table::new(1, &HEADER);
    for row in rows {
        table.row(row.cells());
    }
    let mut text = table.render();
    let lines: String = rows.iter().map(|row| row.lines()).collect();
    if !lines.is_empty() {
        text.push('\n');
        text.push_str(&lines);
    }
    for detail in rows.iter().filter_map(|row| row.detail.as_ref()) {
        text.push('\n');
        text.push_str(detail);
    }
    text
}

const HEADER: [&str; 7] = [
    "fault",
    "kills",
    "requests",
    "answered",
    "kept",
    "lost",
    "duplicated",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn audit() -> Audit {
        Audit {
            requests: 12_345,
            answered: 12_000,
            kept: 12_010,
            ..Audit::default()
        }
    }

    #[test]
    fn the_table_is_aligned_and_says_what_else_matters() {
        let mut kills = Row::new("kills", 200, audit());
        kills.note("seed 7");
        let torn = Row::new("torn", 1, Audit { lost: 1, ..audit() });
        assert!(kills.is_sound());
        assert!(!torn.is_sound());
        assert_eq!(
            render(&[&kills, &torn]),
            "\
| fault | kills | requests | answered |  kept | lost | duplicated |
|-------|------:|---------:|---------:|------:|-----:|-----------:|
| kills |   200 |    12345 |    12000 | 12010 |    0 |          0 |
| torn  |     1 |    12345 |    12000 | 12010 |    1 |          0 |

- kills: seed 7
"
        );
    }

    #[test]
    fn what_is_wrong_makes_a_row_unsound() {
        let mut row = Row::new("queue", 0, audit());
        row.wrong("3 answers 500");
        assert!(!row.is_sound());
        assert!(render(&[&row]).ends_with("\n\n- queue: WRONG: 3 answers 500\n"));
        row.detail("| a |\n".to_owned());
        assert!(render(&[&row]).ends_with(" 500\n\n| a |\n"));
        let row = Row::new(
            "queue",
            0,
            Audit {
                invented: 2,
                ..audit()
            },
        );
        assert!(!row.is_sound());
        assert!(render(&[&row]).contains("WRONG: 2 records"));
    }
}
