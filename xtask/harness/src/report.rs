//! [`Report`]: what a run has to say: tables and notes for people, figures for marks; and [`Table`].

use std::collections::BTreeMap;

/// Tables, notes, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Rendered.
    pub tables: Vec<String>,
    /// What else matters.
    pub notes: Vec<String>,
    /// A promise that was broken: the command fails.
    pub wrong: Vec<String>,
    /// What is compared with marks.
    pub figures: BTreeMap<String, f64>,
}

impl Report {
    /// Says what else matters.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Says what is wrong.
    pub fn wrong(&mut self, wrong: impl Into<String>) {
        self.wrong.push(wrong.into());
    }

    /// Says that so many are wrong, if any.
    pub fn wrong_if<T: Copy + Default + PartialEq + std::fmt::Display>(
        &mut self,
        count: T,
        what: &str,
    ) {
        if count != T::default() {
            self.wrong.push(format!("{count} {what}"));
        }
    }

    /// Shows a table.
    pub fn table(&mut self, table: &Table) {
        self.tables.push(table.render());
    }

    /// Keeps a figure; one that could not be measured is none.
    pub fn figure(&mut self, name: &str, figure: Option<f64>) {
        let figure = figure.map(|figure| (name.to_owned(), figure));
        self.figures.extend(figure);
    }

    /// Adds what another says.
    pub fn add(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.notes.extend(other.notes);
        self.wrong.extend(other.wrong);
        self.figures.extend(other.figures);
    }

    /// A line for each note, and for each thing that is wrong; each begins with `begin`.
    #[must_use]
    pub fn lines(&self, begin: &str) -> String {
        let wrong = self.wrong.iter().map(|wrong| format!("WRONG: {wrong}"));
        let lines = self.notes.iter().cloned().chain(wrong);
        lines.map(|line| format!("- {begin}{line}\n")).collect()
    }
}

/// A figure as a cell of a table; a dash where there is none.
#[must_use]
pub fn cell(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
}

/// The one in the middle, or the mean of the two there, which one bad round cannot move; `None` of nothing.
pub fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let high = *figures.get(figures.len() / 2)?;
    let low = *figures.get((figures.len() - 1) / 2)?;
    Some(f64::midpoint(low, high))
}

/// The one that so many percent do not exceed; the default of nothing.
pub fn quantile<T: Copy + Default + Ord>(figures: &mut [T], percent: usize) -> T {
    figures.sort_unstable();
    let rank = (figures.len() * percent).div_ceil(100);
    let found = figures.get(rank.saturating_sub(1));
    found.copied().unwrap_or_default()
}

/// Rows under a header. Words stand at the left, numbers at the right.
#[derive(Debug)]
pub struct Table {
    /// How many columns, from the first, hold words.
    words: usize,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table; the first `words` columns hold words, the others numbers.
    #[must_use]
    pub fn new(words: usize, header: &[&str]) -> Self {
        Self {
            words,
            header: header.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each column.
    pub fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// As Markdown.
    #[must_use]
    pub fn render(&self) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| lines().map(|cells| cells[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.header.len()).filter_map(width).collect();
        let line = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, &width))| match column < self.words {
                true => format!("| {cell:<width$} "),
                false => format!("| {cell:>width$} "),
            });
            cells.collect::<String>() + "|\n"
        };
        let rules = widths.iter().enumerate();
        let rules = rules.map(|(column, &width)| match column < self.words {
            true => format!("|-{:-<width$}-", ""),
            false => format!("|-{:-<width$}:", ""),
        });
        let rule = rules.collect::<String>() + "|\n";
        let rows: String = self.rows.iter().map(line).collect();
        line(&self.header) + &rule + &rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median([]), None);
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }

    #[test]
    fn a_quantile_is_one_of_the_figures() {
        assert_eq!(quantile(&mut [0; 0], 50), 0);
        assert_eq!(quantile(&mut [7], 99), 7);
        assert_eq!(quantile(&mut [20, 10, 90, 20], 50), 20);
        assert_eq!(quantile(&mut [20, 10, 90, 20], 100), 90);
    }
}
