//! Rows under headers.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// Lays rows out in columns: wrapped to the terminal, one line a row in a pipe.
pub fn lines(headers: &[&str], right_aligned: &[usize], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    within(None, headers, right_aligned, rows)
}

/// The same, wrapped to so many columns.
pub fn within(
    width: Option<u16>,
    headers: &[&str],
    right_aligned: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    // On anything but a terminal the table knows no width and wraps nothing.
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    if !headers.is_empty() {
        table.set_header(headers);
    }
    let mut columns = headers.len();
    for row in rows {
        columns = columns.max(row.len());
        table.add_row(row.iter().map(|cell| super::clean(cell)));
    }
    for index in 0..columns {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 3));
            if right_aligned.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}
