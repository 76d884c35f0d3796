//! `program/SPEC.md`: its sections and tables.

/// The document.
pub const SPEC: &str = include_str!("../../program/SPEC.md");

/// A table: its header and rows, cells trimmed.
pub type Table = Vec<Vec<String>>;

/// Text under a heading, up to the next heading of any level.
pub fn section(heading: &str) -> &'static str {
    let is_it = |line: &str| line.starts_with('#') && line.trim_start_matches('#').trim() == heading;
    let start = SPEC.lines().position(is_it).unwrap_or_else(|| panic!("no heading '{heading}'"));
    let mut lines = SPEC.split_inclusive('\n');
    let skipped: usize = lines.by_ref().take(start + 1).map(str::len).sum();
    let length: usize = lines.take_while(|line| !line.starts_with('#')).map(str::len).sum();
    &SPEC[skipped..skipped + length]
}

/// The tables of a text.
pub fn tables(text: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|') else {
            inside = false;
            continue;
        };
        let cells: Vec<String> = row.trim_end_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
        if !inside {
            tables.push(Table::new());
        }
        inside = true;
        if !cells.iter().all(|cell| cell.starts_with("---")) {
            tables.last_mut().unwrap().push(cells);
        }
    }
    tables
}

/// Rows, without the header, of the only table of a section that has this first column.
pub fn table(heading: &str, first_column: &str) -> Table {
    let mut found: Vec<Table> =
        tables(section(heading)).into_iter().filter(|table| table[0][0] == first_column).collect();
    assert_eq!(found.len(), 1, "tables with column '{first_column}' in '{heading}'");
    found.remove(0).split_off(1)
}

/// What stands in backticks.
pub fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
