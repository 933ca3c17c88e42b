//! [`Report`]: what one part has measured: tables and notes for people, figures for the marks.

use std::collections::BTreeMap;

use crate::table::Table;

/// What one part has measured.
#[derive(Debug)]
pub(super) struct Report {
    title: &'static str,
    tables: Vec<String>,
    notes: Vec<String>,
    wrong: Vec<String>,
    figures: BTreeMap<String, f64>,
}

impl Report {
    pub(super) fn new(title: &'static str) -> Self {
        Self {
            title,
            tables: Vec::new(),
            notes: Vec::new(),
            wrong: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a table is made to be shown once"
    )]
    pub(super) fn table(&mut self, table: Table) {
        self.tables.push(table.render());
    }

    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Says that a promise was broken, or that there is nothing to tell: the command fails.
    pub(super) fn wrong(&mut self, wrong: impl Into<String>) {
        self.wrong.push(wrong.into());
    }

    /// Whether nothing is wrong, however slow it is.
    pub(super) fn is_sound(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Keeps a figure for the marks; one that could not be measured is none.
    pub(super) fn figure(&mut self, name: &str, figure: Option<f64>) {
        self.figures
            .extend(figure.map(|figure| (name.to_owned(), figure)));
    }

    pub(super) fn figures(&self) -> &BTreeMap<String, f64> {
        &self.figures
    }

    /// As Markdown, under a heading.
    pub(super) fn render(&self) -> String {
        let mut text = format!("### {}\n", self.title);
        for table in &self.tables {
            text.extend(["\n", table]);
        }
        let notes: Vec<&String> = self.notes.iter().chain(&self.wrong).collect();
        if !notes.is_empty() {
            text.push('\n');
        }
        for note in notes {
            text.extend(["- ", note, "\n"]);
        }
        text
    }
}

/// A figure as a cell of a table; a dash where there is none.
pub(super) fn cell(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_tables_then_notes() {
        let mut report = Report::new("Store");
        let mut table = Table::new(1, &["a", "b"]);
        table.row(["x", "1"].map(str::to_owned));
        report.table(table);
        report.note("so it is");
        report.figure("f", Some(0.5));
        report.figure("g", None);
        assert_eq!(
            report.render(),
            "### Store\n\n| a | b |\n|---|--:|\n| x | 1 |\n\n- so it is\n"
        );
        assert_eq!(report.figures().len(), 1);
    }
}
