//! The declared specifications among the host's own: which of all decides for a file, as libselinux will say once the
//! declared ones stand in file_contexts.local.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::labels::stem;
use super::specifications::{Declared, stand};
use crate::host::Host;
use crate::host::contexts::file_kind;
use crate::host::policy_store::{LocalContext, parse_contexts};
use crate::host::selinux::Selinux;
use crate::manifest::{LabelRule, Manifest, ModuleLanguage};
use crate::report::Spanned;
use crate::selinux::contexts::{Answer, FileContexts, FileKind, Files, Lookups, Spec, Text};
use crate::selinux::module::installed;
use crate::sys::Kind;

/// A declared rule.
pub(super) struct Rule<'m> {
    /// Index of the manifest.
    pub(super) app: usize,
    pub(super) rule: Cow<'m, LabelRule>,
    /// It stands in a module, and so among the policy's own.
    pub(super) of_module: bool,
    /// The type under the name that files have it by.
    pub(super) setype: String,
    /// The folder that its pattern begins with.
    pub(super) stem: PathBuf,
}

/// All declared rules, and the host's specifications with them in it.
pub(super) struct Rules<'m> {
    pub(super) all: Vec<Rule<'m>>,
    /// By pattern and kind.
    numbers: HashMap<(String, Option<char>), usize>,
    /// The declared ones alone.
    own: FileContexts,
    /// With all others.
    host: FileContexts,
}

/// Who looks files up.
pub(super) struct Asker<'r, 'm> {
    rules: &'r Rules<'m>,
    own: Lookups<'r>,
    host: Lookups<'r>,
}

/// What decides for a file that a declared rule speaks of.
pub(super) enum Decides<'r, 'm> {
    /// A declared rule.
    Declared(&'r Rule<'m>),
    /// A specification that no manifest declares, before the declared rule.
    Other(&'r Rule<'m>, &'r Spec),
    /// It cannot be told: this specification could, and is not understood.
    Unknown(&'r Rule<'m>, Option<&'r Spec>),
}

impl<'m> Rules<'m> {
    /// None if nothing is declared.
    pub(super) fn new(manifests: &'m [Manifest], host: &Host, selinux: &Selinux) -> Option<Rules<'m>> {
        let mut all = Vec::new();
        let mut declared = Vec::new();
        let mut numbers = HashMap::new();
        for (app, m) in manifests.iter().enumerate() {
            for rule in m.selinux.iter().flat_map(|s| &s.labels) {
                let setype = selinux.real_type(&host.root, &rule.setype.value);
                let stem = stem(&rule.paths.value);
                let key = (rule.paths.value.clone(), rule.files.as_ref().map(|f| f.value));
                numbers.entry(key).or_insert(all.len());
                let (setype_of_rule, stem_of_rule) = (setype.clone(), stem.clone());
                all.push(Rule {
                    app,
                    rule: Cow::Borrowed(rule),
                    of_module: false,
                    setype: setype_of_rule,
                    stem: stem_of_rule,
                });
                declared.push(Declared { app, m, rule, setype, stem });
            }
        }
        let mut own: String = declared.iter().map(line).collect();
        let mut main = selinux.context_files.main().to_vec();
        let in_modules = of_modules(manifests);
        let there: HashSet<(String, Option<char>)> = match in_modules.is_empty() {
            true => HashSet::new(),
            false => parse_contexts(&String::from_utf8_lossy(&main))
                .into_iter()
                .map(|c| (c.pattern, c.files))
                .collect(),
        };
        for (app, rule, context) in in_modules {
            let key = (rule.paths.value.clone(), rule.files.as_ref().map(|f| f.value));
            let kind = key.1.map(|f| format!(" -{f}")).unwrap_or_default();
            let line = format!("{}{kind} {context}\n", key.0);
            if !there.contains(&key) {
                // Where it will stand among the policy's depends on all others; of two patterns the longer mostly comes
                // later.
                main.extend_from_slice(line.as_bytes());
            }
            if numbers.contains_key(&key) {
                continue;
            }
            own += &line;
            numbers.insert(key, all.len());
            let setype = selinux.real_type(&host.root, &rule.setype.value);
            let stem = stem(&rule.paths.value);
            all.push(Rule { app, rule: Cow::Owned(rule), of_module: true, setype, stem });
        }
        if all.is_empty() {
            return None;
        }
        let text = Files {
            local: Some(Text::new("declared", own.as_bytes())),
            ..selinux.context_files.substitutions()
        };
        let own = FileContexts::new(text, selinux.precedence());
        let local = overlaid(&declared, host, selinux);
        let host = FileContexts::new(selinux.context_files.with(&main, &local), selinux.precedence());
        Some(Rules { all, numbers, own, host })
    }

    pub(super) fn asker(&self) -> Asker<'_, 'm> {
        Asker { rules: self, own: self.own.lookups(), host: self.host.lookups() }
    }

    /// The rule that a specification is.
    fn rule(&self, spec: &Spec) -> Option<&Rule<'m>> {
        let key = (spec.pattern.to_string(), spec.kind.map(FileKind::letter));
        self.all.get(*self.numbers.get(&key)?)
    }
}

impl<'r, 'm> Asker<'r, 'm> {
    /// What decides for a file; none if no declared rule speaks of it.
    pub(super) fn ask(&mut self, path: &Path, kind: Kind) -> Option<Decides<'r, 'm>> {
        let path = path.as_os_str().as_bytes();
        let kind = Some(file_kind(kind));
        let own = self.rules.rule(self.own.lookup(path, kind).spec()?)?;
        Some(match self.host.lookup(path, kind) {
            Answer::Context(spec) | Answer::LeaveAlone(spec) => match self.rules.rule(spec) {
                Some(rule) => Decides::Declared(rule),
                None => Decides::Other(own, spec),
            },
            Answer::Undecided(spec) => Decides::Unknown(own, spec),
            // It was found among the declared ones, so it is found among all.
            Answer::Unspecified => Decides::Unknown(own, None),
        })
    }
}

/// The specifications in the sources of modules, as rules, with their contexts.
fn of_modules(manifests: &[Manifest]) -> Vec<(usize, LabelRule, String)> {
    let mut rules = Vec::new();
    for (app, m) in manifests.iter().enumerate() {
        for module in m.selinux.iter().flat_map(|s| &s.modules) {
            let sources = module.sources.iter().filter(|s| s.language == ModuleLanguage::Fc);
            for (source, c) in sources.flat_map(|s| {
                parse_contexts(&installed::plain_contexts(&s.text, true)).into_iter().map(move |c| (s, c))
            }) {
                let Some(context) = &c.context else { continue };
                let at = |value: &str| Spanned::new(value.to_owned(), source.file.origin.clone());
                let rule = LabelRule {
                    origin: module.origin.clone(),
                    paths: at(&c.pattern),
                    files: c.files.map(|f| Spanned::new(f, source.file.origin.clone())),
                    setype: at(c.setype()),
                    level: None,
                };
                rules.push((app, rule, context.clone()));
            }
        }
    }
    rules
}

/// A line of file_contexts.
fn line(d: &Declared<'_>) -> String {
    let kind = d.files().map(|f| format!(" -{f}")).unwrap_or_default();
    format!("{}{kind} system_u:object_r:{}:{}\n", d.pattern(), d.setype, d.level().unwrap_or("s0"))
}

/// file_contexts.local as it will be: changed ones in their places, new ones and those to be moved at the end.
fn overlaid(declared: &[Declared<'_>], host: &Host, selinux: &Selinux) -> String {
    let text = selinux.context_files.local();
    // Each specification with the line it stands on.
    let (numbers, local): (Vec<usize>, Vec<LocalContext>) = text
        .lines()
        .enumerate()
        .flat_map(|(n, l)| parse_contexts(l).into_iter().map(move |c| (n, c)))
        .unzip();
    let standing = stand(declared, &local, |d| selinux.base_context(&host.root, d.pattern(), d.files()));
    let mut lines: Vec<String> = text.lines().map(|l| format!("{l}\n")).collect();
    let mut end = String::new();
    for (d, standing) in declared.iter().zip(standing) {
        let there = standing.there.and_then(|at| lines.get_mut(*numbers.get(at)?));
        match there {
            _ if standing.in_base => {}
            Some(there) if !standing.last => *there = line(d),
            Some(there) => {
                "\n".clone_into(there);
                end.push_str(&line(d));
            }
            None => end.push_str(&line(d)),
        }
    }
    lines.concat() + &end
}
