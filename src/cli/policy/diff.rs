//! `perms policy diff`: what two policies say differently.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::super::error::CliError;
use crate::report::escape::{escape, escape_path};
use crate::selinux::policy::Policy;

/// Show what two policies say differently
///
/// Numbers, order, and whether a rule is written by attribute or by type do not
/// count. `-` is what only the first says, `+` what only the second says.
///
/// Exit status: 0 the same, 4 different.
///
/// Examples:
///   perms policy diff /etc/selinux/default/policy/policy.33 /etc/selinux/mls/policy/policy.33
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct DiffArgs {
    /// The first policy
    #[arg(value_name = "A")]
    first: PathBuf,
    /// The second policy
    #[arg(value_name = "B")]
    second: PathBuf,
    /// Only the numbers of differences in each area
    #[arg(long)]
    summary: bool,
}

pub(super) fn run(args: &DiffArgs, as_json: bool, out: &mut dyn Write) -> Result<u8, CliError> {
    let open = |path: &PathBuf| Policy::open(path).map_err(|e| CliError::new(e.to_string()));
    let (first, second) = (open(&args.first)?, open(&args.second)?);
    let difference = first.difference(&second);
    let status = if difference.is_empty() { 0 } else { 4 };
    if as_json {
        let areas: Vec<_> = difference
            .areas
            .iter()
            .map(|(area, first, second)| {
                if args.summary {
                    json!({ "area": area, "only_first": first.len(), "only_second": second.len() })
                } else {
                    json!({ "area": area, "only_first": first, "only_second": second })
                }
            })
            .collect();
        let path = |p: &PathBuf| p.to_string_lossy().into_owned();
        let answer = json!({ "first": path(&args.first), "second": path(&args.second), "areas": areas });
        super::write_json(out, "policy-diff", answer)?;
        return Ok(status);
    }
    writeln!(out, "- {}\n+ {}", escape_path(&args.first), escape_path(&args.second))?;
    if difference.is_empty() {
        writeln!(out, "they say the same")?;
    }
    for (area, first, second) in &difference.areas {
        writeln!(out, "{area}: {} only in the first, {} only in the second", first.len(), second.len())?;
        if args.summary {
            continue;
        }
        for line in first {
            writeln!(out, "  - {}", escape(line))?;
        }
        for line in second {
            writeln!(out, "  + {}", escape(line))?;
        }
    }
    Ok(status)
}
