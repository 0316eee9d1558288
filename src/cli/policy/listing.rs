//! Rules as lines of text, sorted: a hundred thousand of them in some milliseconds.
//!
//! Sorting goes by the places of names among those that come up, texts of permissions are made once for each set of
//! them, and no line is kept.

use std::collections::HashMap;
use std::fmt::Write as _;

use foldhash::quality::RandomState;

use crate::report::{escape, escape_bytes};
use crate::selinux::policy::{ClassId, Found, Policy, Rule, RuleKind, Symbol, Symbols, TypeId, View};

/// A rule between types or attributes: as it is written, or one of those that it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'p> {
    /// What was found.
    pub(super) found: Found<'p>,
    /// Who acts.
    pub(super) source: TypeId,
    /// Who is acted upon.
    pub(super) target: TypeId,
}

impl Row<'_> {
    fn kind(&self) -> RuleKind {
        match &self.found {
            Found::Rule(rule, _) => rule.kind(),
            Found::Name(..) => RuleKind::Transition,
        }
    }

    fn class(&self) -> Option<ClassId> {
        match &self.found {
            Found::Rule(rule, _) => rule.class(),
            Found::Name(rule, ..) => Some(rule.class),
        }
    }

    /// What a name transition is for; empty for other rules, which come first.
    fn file(&self) -> &[u8] {
        match &self.found {
            Found::Rule(..) => &[],
            Found::Name(rule, ..) => &rule.name,
        }
    }
}

/// A condition: its text, whether it must be true, and whether the rule holds now.
pub(super) struct Condition {
    /// As the policy language writes it, for a terminal where lines are.
    pub(super) text: String,
    /// Whether it must be true.
    pub(super) when: bool,
    /// Whether it is so now.
    pub(super) holds: bool,
}

/// Makes the lines of rules.
pub(super) struct Listing<'p> {
    policy: &'p Policy,
    types: Names,
    classes: Names,
    permissions: HashMap<(ClassId, u32), String, RandomState>,
    conditions: Vec<(String, bool)>,
    /// Whether what a terminal should not see is escaped.
    escaped: bool,
}

impl<'p> Listing<'p> {
    /// Gets ready to write the rows; and their order by kind, source, target and class.
    pub(super) fn new(view: &View<'p>, rows: &[Row<'p>], escaped: bool) -> (Self, Vec<u32>) {
        let policy = view.policy();
        let new_types = rows.iter().filter_map(|r| match &r.found {
            Found::Rule(rule, _) => rule.new_type(),
            Found::Name(_, _, new) => Some(*new),
        });
        let all = rows.iter().flat_map(|r| [r.source, r.target]).chain(new_types);
        let types = Names::new(policy.types(), all.map(|t| t.get()), escaped);
        let of_rows = rows.iter().filter_map(Row::class).map(|c| c.get());
        let classes = Names::new(policy.classes(), of_rows, escaped);
        // All in one number, so that comparing is cheap; 20 bits for a type, of which rules can name 65,535. What is
        // equal stays in the policy's order.
        let key = |row: &Row<'_>| {
            let class = row.class().map_or(0, |c| classes.rank(c.get()));
            let (source, target) = (types.rank(row.source.get()), types.rank(row.target.get()));
            let kind = (row.kind() as u16).trailing_zeros();
            let bits = |rank: u32| u64::from(rank.min(0xf_ffff));
            u64::from(kind) << 60 | bits(source) << 40 | bits(target) << 20 | bits(class)
        };
        let file = |i: u32| rows.get(i as usize).map(Row::file);
        let mut keys: Vec<u128> =
            (0u32..).zip(rows).map(|(i, row)| u128::from(key(row)) << 32 | u128::from(i)).collect();
        keys.sort_unstable();
        #[expect(clippy::cast_possible_truncation, reason = "the number is the lower half")]
        let number = |key: u128| key as u32;
        // Few are equal but for the name of what is made.
        for equal in keys.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|equal| equal.len() > 1) {
            equal.sort_by_key(|key| file(number(*key)));
        }
        let order = keys.into_iter().map(number).collect();
        let text = |text: String| if escaped { escape(&text) } else { text };
        let conditions =
            policy.conditionals().iter().map(|c| (text(policy.condition_text(c)), view.is_true(c))).collect();
        (Self { policy, types, classes, permissions: HashMap::default(), conditions, escaped }, order)
    }

    /// Adds a rule's text, as the policy language writes it and without its condition.
    pub(super) fn write(&mut self, row: &Row<'p>, out: &mut String) {
        let class = row.class();
        let names = [row.kind().as_str(), " ", self.types.get(row.source.get()), " "];
        names.iter().for_each(|part| out.push_str(part));
        let names =
            [self.types.get(row.target.get()), ":", class.map_or("?", |c| self.classes.get(c.get())), " "];
        names.iter().for_each(|part| out.push_str(part));
        match &row.found {
            Found::Name(rule, _, new) => {
                let file = if self.escaped {
                    escape_bytes(&rule.name)
                } else {
                    String::from_utf8_lossy(&rule.name).into_owned()
                };
                let _ = write!(out, "{} \"{file}\"", self.types.get(new.get()));
            }
            Found::Rule(rule, _) => self.write_what(rule, class, out),
        }
        out.push(';');
    }

    fn write_what(&mut self, rule: &Rule, class: Option<ClassId>, out: &mut String) {
        let (policy, escaped) = (self.policy, self.escaped);
        match (rule.permissions(), class, rule.new_type()) {
            (Some(vector), Some(class), _) => {
                let text = self.permissions.entry((class, vector)).or_insert_with(|| {
                    let text = policy.vector_text(class, vector);
                    if escaped { escape(&text) } else { text }
                });
                out.push_str(text);
            }
            (_, _, Some(new)) => out.push_str(self.types.get(new.get())),
            _ => out.push_str(&policy.commands_of(rule)),
        }
    }

    /// The condition that a rule hangs on.
    pub(super) fn condition(&self, row: &Row<'_>) -> Option<Condition> {
        let Found::Rule(_, Some((index, when))) = &row.found else { return None };
        let (text, state) = self.conditions.get(*index)?;
        Some(Condition { text: text.clone(), when: *when, holds: state == when })
    }
}

/// The names of those that come up, and their places among them.
struct Names {
    /// By number: name and place; empty where it does not come up.
    all: Vec<(String, u32)>,
}

impl Names {
    fn new<S: Symbol>(symbols: &Symbols<S>, used: impl Iterator<Item = u32>, escaped: bool) -> Self {
        let mut all = vec![(String::new(), 0); symbols.greatest() as usize + 1];
        let mut sorted: Vec<(&str, u32)> = Vec::new();
        let mut seen = vec![false; all.len()];
        for number in used {
            if let Some(slot) = seen.get_mut(number as usize).filter(|s| !**s) {
                *slot = true;
                let name = crate::selinux::policy::Id::new(number).map_or("?", |id| symbols.name(id));
                sorted.push((name, number));
            }
        }
        sorted.sort_unstable();
        for (rank, (name, number)) in (1u32..).zip(sorted) {
            if let Some(slot) = all.get_mut(number as usize) {
                *slot = (if escaped { escape(name) } else { name.to_owned() }, rank);
            }
        }
        Self { all }
    }

    fn get(&self, number: u32) -> &str {
        self.all.get(number as usize).map_or("?", |(name, _)| name)
    }

    fn rank(&self, number: u32) -> u32 {
        self.all.get(number as usize).map_or(0, |(_, rank)| *rank)
    }
}
