//! [`table`] and [`line()`]: columns, shortened and left out until they fit the screen.

use std::iter;
use std::time::SystemTime;

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::output::screen::{PLAIN, Screen};
use crate::output::tame;
use crate::settings::when;

/// A column, and what becomes of it where there is no room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    head: &'static str,
    fit: Fit,
    /// Left out where there is no room, the highest first; 0 for never.
    rank: u8,
    style: fn(&str) -> Style,
}

/// How cells are shortened, and to how many columns at least.
#[derive(Clone, Copy, Debug)]
enum Fit {
    Whole,
    Middle(usize),
    End(usize),
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    /// Says the same, used for the whole column where there is no room for the other.
    short: Option<String>,
}

impl Column {
    pub(crate) const fn new(head: &'static str) -> Self {
        Self {
            head,
            fit: Fit::Whole,
            rank: 0,
            style: |_| PLAIN,
        }
    }

    /// Of ids and names, which differ at both ends.
    pub(crate) const fn cut_middle(mut self, least: usize) -> Self {
        self.fit = Fit::Middle(least);
        self
    }

    /// Of sentences and links.
    pub(crate) const fn cut_end(mut self, least: usize) -> Self {
        self.fit = Fit::End(least);
        self
    }

    /// Left out before all with a lower rank.
    pub(crate) const fn optional(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    pub(crate) const fn styled(mut self, style: fn(&str) -> Style) -> Self {
        self.style = style;
        self
    }
}

impl Cell {
    /// A moment; today, its time alone will do.
    pub(crate) fn time(time: SystemTime) -> Self {
        Self::from(when::short(time)).or(when::brief(time))
    }

    /// What says enough of it where there is no room.
    pub(crate) fn or(mut self, short: impl Into<String>) -> Self {
        self.short = Some(short.into());
        self
    }

    fn shown(&self, is_short: bool) -> &str {
        match &self.short {
            Some(short) if is_short => short,
            _ => &self.text,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            short: None,
        }
    }
}

/// Rows under their heads. Cells may hold anything: it is shown, and obeyed by no terminal.
pub(crate) fn table(columns: &[Column], rows: &[Vec<Cell>], screen: Screen) -> String {
    let layout = Layout::of(columns, rows, true, screen.width);
    let heads: Vec<_> = columns
        .iter()
        .map(|column| Cell::from(column.head))
        .collect();
    let plain = columns.iter().map(|column| column.styled(|_| PLAIN));
    let heads = layout.row(&plain.collect::<Vec<_>>(), &heads, screen);
    let rows = rows.iter().map(|row| layout.row(columns, row, screen));
    iter::once(heads).chain(rows).collect()
}

pub(crate) fn line(columns: &[Column], row: Vec<Cell>, screen: Screen) -> String {
    let rows = [row];
    let layout = Layout::of(columns, &rows, false, screen.width);
    layout.row(columns, &rows[0], screen)
}

#[derive(Debug)]
struct Layout {
    widths: Vec<Option<usize>>,
    is_short: bool,
}

impl Layout {
    fn of(columns: &[Column], rows: &[Vec<Cell>], has_heads: bool, room: Option<usize>) -> Self {
        let is_shown = |width: usize| (has_heads || width > 0).then_some(width);
        let natural = |is_short| -> Vec<usize> {
            let width = |(index, column): (usize, &Column)| {
                let cells = rows
                    .iter()
                    .map(|row| tame(row[index].shown(is_short)).width());
                let head = if has_heads { column.head.width() } else { 0 };
                cells.max().unwrap_or(0).max(head)
            };
            columns.iter().enumerate().map(width).collect()
        };
        let whole = natural(false);
        let whole: Vec<_> = whole.into_iter().map(is_shown).collect();
        let Some(room) = room.filter(|room| total(whole.iter().flatten()) > *room) else {
            let (widths, is_short) = (whole, false);
            return Self { widths, is_short };
        };
        let short = natural(true).into_iter().map(is_shown).collect();
        let (widths, is_short) = (fitted(columns, short, room), true);
        Self { widths, is_short }
    }

    fn row(&self, columns: &[Column], row: &[Cell], screen: Screen) -> String {
        let cells = columns.iter().zip(row).zip(&self.widths);
        let cells = cells.map(|((column, cell), width)| {
            let text = tame(cell.shown(self.is_short));
            let shown = cut(&text, column.fit, width.unwrap_or_default());
            (
                screen.paint((column.style)(&text), &shown),
                (shown.width(), *width),
            )
        });
        joined(cells)
    }
}

/// Cells with their own width and that of their column; the last one is not padded.
fn joined(cells: impl Iterator<Item = (String, (usize, Option<usize>))>) -> String {
    let mut text = String::new();
    let mut missing = 0;
    for (cell, (shown, width)) in cells {
        let Some(width) = width else { continue };
        if shown > 0 {
            text.extend(iter::repeat_n(' ', missing));
            text.push_str(&cell);
            missing = 0;
        }
        missing += width.saturating_sub(shown) + GAP;
    }
    text.push('\n');
    text
}

/// Widths that fit the room, as far as the columns allow.
fn fitted(columns: &[Column], mut widths: Vec<Option<usize>>, room: usize) -> Vec<Option<usize>> {
    let least = |index: usize, width: usize| match columns[index].fit {
        Fit::Whole => width,
        Fit::Middle(least) | Fit::End(least) => width.min(least.max(columns[index].head.width())),
    };
    let at_least = |widths: &[Option<usize>]| {
        let shown = widths.iter().enumerate();
        let shown = shown.filter_map(|(index, width)| Some(least(index, (*width)?)));
        total(shown.collect::<Vec<_>>().iter())
    };
    while at_least(&widths) > room {
        let shown = (0..columns.len()).filter(|index| widths[*index].is_some());
        match shown.max_by_key(|index| columns[*index].rank) {
            Some(index) if columns[index].rank > 0 => widths[index] = None,
            _ => break,
        }
    }
    // What has the most to give gives first.
    while total(widths.iter().flatten()) > room {
        let can_give = widths.iter().enumerate().filter_map(|(index, width)| {
            let width = (*width)?;
            let spare = width - least(index, width);
            (spare > 0).then_some((index, width, spare))
        });
        match can_give.max_by_key(|(_, _, spare)| *spare) {
            Some((index, width, _)) => widths[index] = Some(width - 1),
            None => break,
        }
    }
    widths
}

fn total<'a>(widths: impl Iterator<Item = &'a usize>) -> usize {
    widths
        .map(|width| width + GAP)
        .sum::<usize>()
        .saturating_sub(GAP)
}

fn cut(text: &str, fit: Fit, width: usize) -> String {
    match fit {
        Fit::Whole => text.to_owned(),
        Fit::Middle(_) => middle(text, width),
        Fit::End(_) => end(text, width),
    }
}

/// Its beginning and its end, where it is wider.
pub(crate) fn middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let letters = width.saturating_sub(1);
    let tail = letters / 2;
    let from_end = text.chars().rev();
    let tail: Vec<char> = leading(from_end, tail).collect();
    let tail: String = tail.into_iter().rev().collect();
    let head: String = leading(text.chars(), letters - letters / 2).collect();
    format!("{head}…{tail}")
}

pub(crate) fn end(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let head: String = leading(text.chars(), width.saturating_sub(1)).collect();
    format!("{}…", head.trim_end())
}

fn leading(letters: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    letters.scan(width, |room, letter| {
        *room = room.checked_sub(letter.width().unwrap_or(0))?;
        Some(letter)
    })
}

const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::screen;

    const COLUMNS: [Column; 4] = [
        Column::new("ID"),
        Column::new("NAME").cut_middle(9),
        Column::new("NOTE").cut_end(6).optional(1),
        Column::new("STATE").optional(2).styled(screen::of_word),
    ];

    fn on(width: Option<usize>) -> Screen {
        let has_color = false;
        Screen { width, has_color }
    }

    #[track_caller]
    fn check(width: Option<usize>, expected: &str) {
        let name = "personalized_video_translation_batch.success";
        let rows = [
            vec!["1".into(), name.into(), "all is well".into(), "ok".into()],
            vec!["2".into(), "é".into(), "".into(), "".into()],
        ];
        let text = table(&COLUMNS, &rows, on(width));
        assert_eq!(text, expected, "{width:?}\n{text}");
        if let Some(width) = width.filter(|width| *width >= 12) {
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
        }
    }

    #[test]
    fn columns_shrink_and_give_way_until_they_fit() {
        check(
            None,
            "ID  NAME                                          NOTE         STATE\n\
             1   personalized_video_translation_batch.success  all is well  ok\n\
             2   é\n",
        );
        check(
            Some(50),
            "ID  NAME                        NOTE         STATE\n\
             1   personalized_…atch.success  all is well  ok\n\
             2   é\n",
        );
        check(
            Some(28),
            "ID  NAME       NOTE    STATE\n\
             1   pers…cess  all i…  ok\n\
             2   é\n",
        );
        check(
            Some(24),
            "ID  NAME         NOTE\n\
             1   perso…ccess  all is…\n\
             2   é\n",
        );
        check(Some(16), "ID  NAME\n1   person…ccess\n2   é\n");
        // Nothing can give any more.
        check(Some(5), "ID  NAME\n1   pers…cess\n2   é\n");
    }

    #[test]
    fn wide_letters_take_two_columns() {
        assert_eq!(end("日本語です", 6), "日本…");
        assert_eq!(middle("日本語です", 7), "日…す");
        assert_eq!(middle("abc", 3), "abc");
        assert_eq!(end("a b", 2), "a…");
        let columns = [Column::new("A"), Column::new("B")];
        let rows = [
            vec!["日本".into(), "x".into()],
            vec!["a".into(), "y".into()],
        ];
        assert_eq!(
            table(&columns, &rows, on(None)),
            "A     B\n日本  x\na     y\n"
        );
    }

    #[test]
    fn colours_take_no_room_and_nothing_else_steers_the_terminal() {
        let screen = Screen {
            width: None,
            has_color: true,
        };
        let columns = [Column::new("S").styled(screen::of_word), Column::new("X")];
        let row = vec!["acknowledged".into(), "a\u{1b}[2J\nb".into()];
        let expected = "\u{1b}[32macknowledged\u{1b}[0m  a\u{fffd}[2J\u{fffd}b\n";
        assert_eq!(line(&columns, row, screen), expected);
    }

    #[test]
    fn today_needs_no_date_where_there_is_no_room() {
        let now = SystemTime::now();
        let columns = [Column::new("AT"), Column::new("B").optional(1)];
        let row = || vec![Cell::time(now), "x".into()];
        let whole = format!("{}  x\n", when::short(now));
        assert_eq!(line(&columns, row(), on(Some(80))), whole);
        let brief = format!("{}  x\n", when::brief(now));
        assert_eq!(line(&columns, row(), on(Some(27))), brief);
    }
}
