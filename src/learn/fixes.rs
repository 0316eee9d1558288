//! The remedies of one application together: each said once, for however many denials it helps.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::advice::shell_word;
use super::files::Below;
use super::text;
use super::verdict::Remedy;
use super::{Group, Learned};
use crate::report::Code;

/// A remedy, and how many distinct denials it helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The remedy's word, as [`Remedy::word`].
    pub remedy: &'static str,
    /// What it is about, in a few words.
    pub what: String,
    /// What else is to be known.
    pub note: String,
    /// Commands to type, or sentences to follow.
    pub steps: Vec<String>,
    /// How many distinct denials.
    pub denials: usize,
}

/// More files of one folder than this are restored by the folder.
const FILES_EACH: usize = 3;

/// The fixes of a group, rules apart, in the order in which they are to be applied.
pub fn fixes(group: &Group<'_>) -> Vec<Fix> {
    // Most need a rule; of these there is nothing to be told here.
    let is_rule = |remedy: &Remedy| matches!(remedy, Remedy::Allow { .. } | Remedy::Silence { .. });
    let with_fix = |learned: &&Learned<'_>| learned.verdict.as_ref().is_some_and(|v| !is_rule(&v.remedy));
    let denials: Vec<&Learned<'_>> = group.denials.iter().filter(with_fix).collect();
    let denials = denials.as_slice();
    let mut out = relabels(denials);
    out.extend(places(denials));
    out.extend(ports(denials));
    out.extend(booleans(denials));
    let mut statements: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for learned in denials {
        if let Some(verdict) = &learned.verdict
            && let Remedy::Statement(statement) = &verdict.remedy
        {
            let entry = statements.entry(statement.to_string()).or_insert((verdict.cause.clone(), 0));
            entry.1 += 1;
        }
    }
    out.extend(statements.into_iter().map(|(what, (note, denials))| Fix {
        remedy: "statement",
        what,
        note,
        steps: Vec::new(),
        denials,
    }));
    out
}

/// What of a group's denials goes together.
#[derive(Default)]
struct Together<'g> {
    paths: BTreeSet<&'g [u8]>,
    more: bool,
    opens: usize,
    denials: usize,
    below: Option<&'g Below>,
}

fn relabels(denials: &[&Learned<'_>]) -> Vec<Fix> {
    let mut by_type: BTreeMap<(&str, bool), Together<'_>> = BTreeMap::new();
    for learned in denials {
        let Some(Remedy::Relabel { paths, more, to, force, below }) =
            learned.verdict.as_ref().map(|v| &v.remedy)
        else {
            continue;
        };
        let entry = by_type.entry((to, *force)).or_default();
        entry.paths.extend(paths.iter().map(|p| &**p));
        entry.more |= more;
        entry.denials += 1;
        entry.below = entry.below.into_iter().chain(below.as_deref()).max_by_key(|b| b.wrong);
    }
    by_type
        .into_iter()
        .map(|((to, force), together)| {
            let n = text::count(text::len(together.paths.len()), "path", "paths");
            Fix {
                remedy: "relabel",
                what: format!("{n}{} to {to}", if together.more { " and more" } else { "" }),
                note: together.below.map_or_else(String::new, |b| b.text(force)),
                steps: restorecon(&together.paths, force),
                denials: together.denials,
            }
        })
        .collect()
}

/// `restorecon` on paths: on their folder where they are many.
fn restorecon(paths: &BTreeSet<&[u8]>, force: bool) -> Vec<String> {
    let flag = if force { "F" } else { "" };
    let mut by_folder: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
    for path in paths {
        let end = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        by_folder.entry(path.get(..end).unwrap_or_default()).or_default().push(path);
    }
    let mut steps: Vec<String> = Vec::new();
    let mut plain: Vec<String> = Vec::new();
    let mut unsafe_paths = false;
    for (folder, files) in by_folder {
        let deep = folder.iter().filter(|b| **b == b'/').count() >= 2;
        if files.len() > FILES_EACH && deep {
            match shell_word(folder) {
                Some(word) => steps.push(format!("restorecon -R{flag}v {word}")),
                None => unsafe_paths = true,
            }
            continue;
        }
        for file in files {
            match shell_word(file) {
                Some(word) => plain.push(word),
                None => unsafe_paths = true,
            }
        }
    }
    if !plain.is_empty() {
        steps.push(format!("restorecon -{flag}v {}", plain.join(" ")));
    }
    if unsafe_paths {
        steps.push(format!(
            "restorecon -{flag}v PATH, for a path that no command line should hold: perms why shows it"
        ));
    }
    steps
}

fn places(denials: &[&Learned<'_>]) -> Vec<Fix> {
    let mut all: BTreeMap<_, usize> = BTreeMap::new();
    for learned in denials {
        if let Some(Remedy::Places(places)) = learned.verdict.as_ref().map(|v| &v.remedy) {
            for place in places {
                *all.entry(place).or_default() += 1;
            }
        }
    }
    all.into_iter()
        .map(|(place, denials)| Fix {
            remedy: if place.new { "own-type" } else { "fcontext" },
            what: format!("{} to {}", place.pattern, place.ty),
            note: place.surplus[0].clone(),
            steps: place.steps(),
            denials,
        })
        .collect()
}

fn ports(denials: &[&Learned<'_>]) -> Vec<Fix> {
    let mut by_type: BTreeMap<(&str, &str), (BTreeSet<u16>, usize)> = BTreeMap::new();
    for learned in denials {
        if let Some(Remedy::Port { protocol, ports, ty }) = learned.verdict.as_ref().map(|v| &v.remedy) {
            let entry = by_type.entry((protocol, ty)).or_default();
            entry.0.extend(ports);
            entry.1 += 1;
        }
    }
    by_type
        .into_iter()
        .map(|((protocol, ty), (ports, denials))| Fix {
            remedy: "port",
            what: format!("{protocol} {} to {ty}", join(&ports)),
            note: String::new(),
            steps: ports.iter().map(|p| format!("semanage port -a -t {ty} -p {protocol} {p}")).collect(),
            denials,
        })
        .collect()
}

fn booleans(denials: &[&Learned<'_>]) -> Vec<Fix> {
    let mut all: BTreeMap<&[(String, bool)], Together<'_>> = BTreeMap::new();
    for learned in denials {
        if let Some(Remedy::Booleans { set, opens }) = learned.verdict.as_ref().map(|v| &v.remedy) {
            let entry = all.entry(set).or_default();
            entry.opens = entry.opens.max(*opens);
            entry.denials += 1;
        }
    }
    all.into_iter()
        .map(|(set, together)| {
            let one = |(name, on): &(String, bool)| format!("{name} {}", if *on { "on" } else { "off" });
            let opens = text::count(text::len(together.opens), "other access", "other accesses");
            let remedy = Remedy::Booleans { set: set.to_vec(), opens: together.opens };
            Fix {
                remedy: "boolean",
                what: set.iter().map(one).collect::<Vec<_>>().join(" and "),
                note: format!("opens {opens}"),
                steps: remedy.steps(),
                denials: together.denials,
            }
        })
        .collect()
}

/// What has to be done by hand for one code.
#[derive(Debug)]
pub struct ByHand<'g> {
    /// The kind of cause.
    pub code: Code,
    /// The causes, each with its steps.
    pub causes: Vec<(&'g str, &'g [String])>,
    /// How many distinct denials.
    pub denials: usize,
}

/// What has to be done by hand, by code.
pub fn by_hand<'g>(group: &'g Group<'_>) -> Vec<ByHand<'g>> {
    let mut out: Vec<ByHand<'g>> = Vec::new();
    for learned in &group.denials {
        let Some(verdict) = &learned.verdict else { continue };
        let Remedy::ByHand { steps } = &verdict.remedy else { continue };
        let one = match out.iter().position(|b| b.code == verdict.code) {
            Some(at) => out.get_mut(at),
            None => {
                out.push(ByHand { code: verdict.code, causes: Vec::new(), denials: 0 });
                out.last_mut()
            }
        };
        let Some(one) = one else { continue };
        one.denials += 1;
        if !one.causes.iter().any(|(cause, s)| *cause == verdict.cause && *s == steps.as_slice()) {
            one.causes.push((&verdict.cause, steps));
        }
    }
    out
}

/// How many denials of the group need nothing.
pub fn nothing(group: &Group<'_>) -> usize {
    let is = |l: &&Learned<'_>| l.verdict.as_ref().is_some_and(|v| v.remedy == Remedy::Nothing);
    group.denials.iter().filter(is).count()
}

/// Numbers in a row.
fn join(ports: &BTreeSet<u16>) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
