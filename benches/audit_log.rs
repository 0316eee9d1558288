//! Writes an audit log for measuring to standard output (see benches/denials.sh):
//!
//!     cargo bench --bench audit_log -- LINES PERCENT TRIPLES SETS
//!
//! LINES lines, of whose events PERCENT in a hundred are denials, of TRIPLES triples of domain, type and class, each with
//! SETS sets of permissions (7 at the most).

use std::io::Write as _;

#[path = "support/audit_log.rs"]
mod audit_log;

fn main() -> std::io::Result<()> {
    let numbers: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let [lines, percent, triples, sets] = numbers[..] else {
        return Err(std::io::Error::other("LINES PERCENT TRIPLES SETS"));
    };
    let mut generator = audit_log::Generator::new(percent, triples, sets);
    let mut out = std::io::stdout().lock();
    let mut text = String::new();
    let mut written = 0;
    while written < lines {
        text.clear();
        while text.len() < 1 << 16 && written < lines {
            written += u64::try_from(generator.event(&mut text)).unwrap_or(0);
        }
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}
