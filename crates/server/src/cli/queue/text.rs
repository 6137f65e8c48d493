//! Numbers as a table shows them.

/// `40s`, `12m`, `3h`, `4d`: rounded down.
pub(in crate::cli) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `912`, `12K`, `3M`: rounded up, so that nothing is shown as nothing.
pub(in crate::cli) fn size(octets: u64) -> String {
    let unit = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)].into_iter().find(|(_, unit)| octets >= *unit);
    unit.map_or_else(|| octets.to_string(), |(name, unit)| format!("{}{name}", octets.div_ceil(unit)))
}

/// `2026-11-24 03:12:09` of RFC 3339.
pub(in crate::cli) fn time(rfc3339: &str) -> String {
    rfc3339.get(..19).unwrap_or(rfc3339).replace('T', " ")
}

pub(in crate::cli) fn sender(from: &str) -> &str {
    if from.is_empty() { "<>" } else { from }
}

#[cfg(test)]
mod tests;
