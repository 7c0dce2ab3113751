use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::cli::Format;
use crate::run::ControlError;

/// What is written as a table: rows of a kind.
pub(crate) trait Row {
    /// The heads of the columns.
    const HEADS: &'static [&'static str];

    /// What is in them.
    fn cells(&self) -> Vec<String>;
}

/// Writes `whole` as JSON or YAML, or `rows` of it as a table.
pub(crate) fn write<T: Serialize, R: Row>(format: Format, whole: &T, rows: &[R]) -> Result<(), ControlError> {
    let text = match format {
        Format::Table => table(rows),
        Format::Json => serde_json::to_string_pretty(whole).map_err(ControlError::unwritable)?,
        Format::Yaml => serde_saphyr::to_string(whole).map_err(ControlError::unwritable)?,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()).map_err(ControlError::Output)
}

fn table<R: Row>(rows: &[R]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(R::HEADS.iter().copied());
    table.add_rows(rows.iter().map(|row| row.cells().into_iter().map(one_line)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A client may call itself what it likes: what a terminal would act on is shown as U+FFFD.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}") } else { text }
}
