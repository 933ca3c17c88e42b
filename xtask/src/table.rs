//! [`Table`]: Markdown that is aligned for people too.

/// Rows under a header. Words stand at the left, numbers at the right.
#[derive(Debug)]
pub(crate) struct Table {
    /// How many columns, from the first, hold words.
    words: usize,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table; the first `words` columns hold words, the others numbers.
    pub(crate) fn new(words: usize, header: &[&str]) -> Self {
        Self {
            words,
            header: header.iter().map(|&name| name.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    pub(crate) fn render(&self) -> String {
        let mut widths: Vec<usize> = self
            .header
            .iter()
            .map(|cell| cell.chars().count())
            .collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let rules: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(column, &width)| match column < self.words {
                true => "-".repeat(width + 2),
                false => format!("{}:", "-".repeat(width + 1)),
            })
            .collect();
        let mut text = self.line(&self.header, &widths);
        text.extend(["|", &rules.join("|"), "|\n"]);
        text.extend(self.rows.iter().map(|row| self.line(row, &widths)));
        text
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let cells: Vec<String> = cells
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, &width))| match column < self.words {
                true => format!(" {cell:<width$} "),
                false => format!(" {cell:>width$} "),
            })
            .collect();
        format!("|{}|\n", cells.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(2, &["server", "peer", "n"]);
        table.row(["limit", "–", "1"].map(str::to_owned));
        table.row(["flask", "yes", "12345"].map(str::to_owned));
        assert_eq!(
            table.render(),
            "\
| server | peer |     n |
|--------|------|------:|
| limit  | –    |     1 |
| flask  | yes  | 12345 |
"
        );
    }
}
