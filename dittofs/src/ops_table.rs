use std::io::Write;

use dittofs_framework::registry::Registry;

use crate::start::StartError;

/// Prints the operation table as Markdown.
pub(crate) fn print() -> Result<(), StartError> {
    let table = Registry::linked().build()?;
    let mut out = std::io::stdout().lock();
    let mut lines = vec![
        "| number | operation | minor versions | flags | from |".to_owned(),
        "|---:|---|---|---|---|".to_owned(),
    ];
    lines.extend(table.rows().iter().map(|(row, origin)| {
        let flags: Vec<_> = row.flags.iter_names().map(|(name, _)| name.to_lowercase()).collect();
        let (number, name, minors, flags) = (row.opnum.code(), row.name, row.minors, flags.join(", "));
        format!("| {number} | {name} | {minors} | {flags} | `{origin}` |")
    }));
    for line in lines {
        writeln!(out, "{line}").map_err(StartError::Output)?;
    }
    Ok(())
}
