//! Tables in Markdown.

use std::fmt::Write;

/// A table with a heading and what a reader must know about it.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Heading.
    pub title: String,
    /// What is measured, in sentences.
    pub text: String,
    /// Names of the columns; the first one's is of the rows.
    pub columns: Vec<String>,
    /// Cells; each row is as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(title: &str, text: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).into()).collect();
        Self { title: title.into(), text: text.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Drops the columns in which no row says anything.
    fn condense(&mut self) {
        let said = |column: usize| self.rows.iter().any(|row| row.get(column).is_some_and(|text| text != DASH));
        let keep: Vec<bool> = (0..self.columns.len()).map(said).collect();
        for line in self.rows.iter_mut().chain([&mut self.columns]) {
            let mut column = keep.iter();
            line.retain(|_| column.next().copied().unwrap_or(true));
        }
    }

    /// As Markdown, columns aligned; the first is flush left, numbers are flush right.
    fn render(&self, out: &mut String) {
        let lines = || std::iter::once(&self.columns).chain(&self.rows);
        let cell = |line: &Vec<String>, column: usize| line.get(column).cloned().unwrap_or_default();
        let wide = |column| lines().map(|line| cell(line, column).chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..self.columns.len()).map(wide).collect();
        let numeric = |column: usize| self.rows.iter().all(|row| row.get(column).is_none_or(|text| is_number(text)));
        let right: Vec<bool> = (0..self.columns.len()).map(|column| column > 0 && numeric(column)).collect();
        let mut line = |cells: &dyn Fn(usize) -> String| {
            for (column, width) in widths.iter().enumerate() {
                let (text, width) = (cells(column), *width);
                let padded = if right[column] { format!("{text:>width$}") } else { format!("{text:<width$}") };
                out.push_str(if column == 0 { "| " } else { " | " });
                out.push_str(&padded);
            }
            out.push_str(" |\n");
        };
        line(&|column| cell(&self.columns, column));
        line(&|column| {
            let dashes = "-".repeat(widths[column] - 1);
            if right[column] { format!("{dashes}:") } else { format!("-{dashes}") }
        });
        for row in &self.rows {
            line(&|column| cell(row, column));
        }
    }

    /// The whole section, without the columns in which no row says anything.
    pub fn section(mut self, out: &mut String) {
        self.condense();
        // Writing to a String cannot fail.
        let _ = write!(out, "\n## {}\n\n{}\n\n", self.title, self.text);
        self.render(out);
    }
}

fn is_number(text: &str) -> bool {
    text == DASH || text.starts_with(|first: char| first.is_ascii_digit())
}

/// What stands where there is nothing to say.
pub const DASH: &str = "–";

/// A count, its thousands apart; a dash for none.
pub fn number(value: Option<u64>) -> String {
    value.map_or_else(|| DASH.into(), grouped)
}

/// 1234567 → "1,234,567".
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How often `ours` goes into `theirs`.
pub fn ratio(theirs: u64, ours: u64) -> String {
    // WHY: integers, so that no rounding of a float depends on anything; one decimal, rounded down.
    let tenths = theirs * 10 / ours.max(1);
    format!("{}.{}×", grouped(tenths / 10), tenths % 10)
}

/// Whether `measured` is within `target`.
pub fn verdict(measured: u64, target: u64) -> String {
    if measured <= target {
        return "met".into();
    }
    format!("missed by {}%", ((measured - target) * 100).div_ceil(target.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!(number(Some(1_234_567)), "1,234,567");
        assert_eq!(number(None), DASH);
        assert_eq!(ratio(3_157, 1_000), "3.1×");
        assert_eq!(ratio(306_396, 25), "12,255.8×");
        assert_eq!(verdict(1_000, 1_000), "met");
        assert_eq!(verdict(1_001, 1_000), "missed by 1%");
        assert_eq!(verdict(2_250, 1_500), "missed by 50%");
    }

    #[test]
    fn tables_are_aligned_and_condensed() {
        let mut table = Table::new("Title", "Text.", &["case", "CU", "none", "note"]);
        table.row(vec!["a".into(), "1,000".into(), DASH.into(), "met".into()]);
        table.row(vec!["long name".into(), DASH.into(), DASH.into(), "".into()]);
        table.condense();
        let mut out = String::new();
        table.render(&mut out);
        assert_eq!(
            out,
            "| case      |    CU | note |\n\
             | --------- | ----: | ---- |\n\
             | a         | 1,000 | met  |\n\
             | long name |     – |      |\n"
        );
    }
}
