//! The rows of a mail merge: a table from a CSV or JSON file, each row a set of names and values.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::Value;

use crate::cli::{Exit, Failure};

/// The rows a table may have.
const ROWS_MAX: usize = 10_000_000;

/// One row: what the templates may name.
pub(super) type Row = BTreeMap<String, Value>;

/// Reads a table: `.json` is an array of objects, `.jsonl` an object on each line, everything else CSV (RFC 4180) with the names on its first line.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let wrong = |error: String| Failure::say(Exit::Data, format_args!("{}: {error}", path.display()));
    let octets = super::letter::read_whole(path)?;
    let text = String::from_utf8(octets).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    let rows = match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => serde_json::from_str::<Vec<Row>>(&text).map_err(|error| wrong(error.to_string()))?,
        Some("jsonl" | "ndjson") => {
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            lines
                .map(|(number, line)| serde_json::from_str(line).map_err(|error| wrong(format!("line {}: {error}", number + 1))))
                .collect::<Result<_, _>>()?
        }
        _ => of_csv(&text).map_err(wrong)?,
    };
    match rows.len() {
        0 => Err(wrong("there are no rows in it".to_owned())),
        1..=ROWS_MAX => Ok(rows),
        _ => Err(wrong(format!("it has more than {ROWS_MAX} rows"))),
    }
}

fn of_csv(text: &str) -> Result<Vec<Row>, String> {
    // Spreadsheets begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = records(text, separator(text))?.into_iter();
    let (_, names) = records.next().ok_or("the first line must name the columns")?;
    let mut met = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !met.insert(name.trim())) {
        return Err(format!("two columns have the name `{}`", twice.trim()));
    }
    records
        .map(|(line, fields)| {
            if fields.len() != names.len() {
                return Err(format!("line {line} has {} fields, the first line names {}", fields.len(), names.len()));
            }
            Ok(names.iter().map(|name| name.trim().to_owned()).zip(fields.into_iter().map(Value::String)).collect())
        })
        .collect()
}

/// What stands between the fields: a comma, or what spreadsheets write instead of it where the comma is in numbers. The first of them in the first line counts.
fn separator(text: &str) -> char {
    let mut quoted = false;
    let mut outside = text.chars().take_while(|&c| c != '\n').filter(|&c| {
        quoted ^= c == '"';
        !quoted
    });
    outside.find(|c| [',', ';', '\t'].contains(c)).unwrap_or(',')
}

/// `record = field *(COMMA field)` (RFC 4180 §2), each with the number of its first line; empty lines are passed over.
fn records(text: &str, separator: char) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut line, mut first_line, mut quoted) = (1, 1, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            _ if quoted => field.push(c),
            _ if c == separator => fields.push(std::mem::take(&mut field)),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                end_record(&mut records, first_line, &mut fields, &mut field);
                first_line = line;
            }
            _ => field.push(c),
        }
    }
    if quoted {
        return Err(format!("the quotes that begin in the record of line {first_line} are never closed"));
    }
    end_record(&mut records, first_line, &mut fields, &mut field);
    Ok(records)
}

fn end_record(records: &mut Vec<(usize, Vec<String>)>, line: usize, fields: &mut Vec<String>, field: &mut String) {
    if fields.is_empty() && field.is_empty() {
        return;
    }
    fields.push(std::mem::take(field));
    records.push((line, std::mem::take(fields)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_as_spreadsheets_write_them() {
        let text = "\u{feff}email,name\r\nbob@x.test,\"Bob, \"\"B\"\"\r\nof X\"\r\n\r\ncarol@x.test,Carol";
        let rows = of_csv(text).unwrap();
        let cells: Vec<_> = rows.iter().map(|row| (row["email"].as_str().unwrap(), row["name"].as_str().unwrap())).collect();
        assert_eq!(cells, [("bob@x.test", "Bob, \"B\"\r\nof X"), ("carol@x.test", "Carol")]);
        for text in ["a;b\n1,5;2\n", "a\tb\n1,5\t2\n", "\"a\",b\n\"1,5\",2\n"] {
            assert_eq!(of_csv(text).unwrap()[0]["a"], "1,5", "{text}");
        }
        assert_eq!(of_csv("a,b, a\n1,2,3\n").unwrap_err(), "two columns have the name `a`");
        assert_eq!(of_csv("a,b\n1\n").unwrap_err(), "line 2 has 1 fields, the first line names 2");
        assert!(of_csv("a\n\"1\n").unwrap_err().contains("line 2"));
        assert!(of_csv("").is_err());
    }
}
