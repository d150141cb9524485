//! How commands print: a table for people, one JSON value for programs.

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use eyre::Result;
use serde::Serialize;

/// Prints `value` as one JSON document.
///
/// # Errors
/// When `value` cannot be serialised.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints rows under a header; `empty` instead when there are none.
pub fn print_table(header: &[&str], rows: Vec<Vec<String>>, empty: &str) {
    if rows.is_empty() {
        println!("{empty}");
        return;
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    println!("{table}");
}

/// Prints name/value pairs, names aligned.
pub fn print_pairs(pairs: &[(&str, String)]) {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in pairs {
        println!("{name:<width$}  {value}");
    }
}

/// Seconds as `3d 4h`, `5m 10s`, `7s`.
pub fn show_duration(seconds: u64) -> String {
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, minutes) => format!("{minutes}m {rest}s"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::show_duration;

    #[test]
    fn durations_read_naturally() {
        assert_eq!(show_duration(7), "7s");
        assert_eq!(show_duration(310), "5m 10s");
        assert_eq!(show_duration(3_600 * 5 + 61), "5h 1m");
        assert_eq!(show_duration(86_400 * 3 + 3_600 * 4), "3d 4h");
    }
}
