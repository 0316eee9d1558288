//! Rules and conditions as the policy language writes them.

use super::between::Granting;
use super::conditionals::{CondNode, Conditional};
use super::constraint_tree::{Change, Whose};
use super::database::Policy;
use super::id::{ClassId, TypeId};
use super::rules::{ExtendedKind, Rule};
use super::symbols::Symbol;

impl Policy {
    /// A rule as the policy language writes it, without its condition.
    pub fn rule_text(&self, rule: &Rule) -> String {
        let name = |ty: Option<TypeId>| ty.map_or("?", |t| self.types.name(t));
        let (source, target) = (name(rule.source()), name(rule.target()));
        let class = rule.class().map_or("?", |c| self.classes.name(c));
        let what = match (rule.permissions(), rule.new_type(), rule.class()) {
            (Some(vector), _, Some(class)) => self.vector_text(class, vector),
            (_, Some(ty), ..) => self.types.name(ty).to_owned(),
            _ => self.commands_of(rule),
        };
        format!("{} {source} {target}:{class} {what};", rule.kind().as_str())
    }

    /// The commands of a rule of extended permissions as the policy language writes them; `?` for other rules.
    pub fn commands_of(&self, rule: &Rule) -> String {
        let Some(extended) = self.extended(rule) else { return "?".to_owned() };
        let operation = if extended.kind == ExtendedKind::Netlink { "nlmsg" } else { "ioctl" };
        format!("{operation} {}", commands_text(&extended.ranges()))
    }

    /// Permissions as the policy language writes them; bits without a name as a number.
    pub fn vector_text(&self, class: ClassId, vector: u32) -> String {
        let mut names: Vec<String> =
            self.permission_names(class, vector).into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        let unnamed = vector & !self.all_permissions(class);
        // A dontaudit rule's complement has every bit that the class lacks.
        if unnamed != 0 && unnamed != !self.all_permissions(class) {
            names.push(format!("{unnamed:#x}"));
        }
        match &names[..] {
            [one] => one.clone(),
            _ => format!("{{ {} }}", names.join(" ")),
        }
    }

    /// A condition as the policy language writes it.
    pub fn condition_text(&self, conditional: &Conditional) -> String {
        // Each with whether it must be put in parentheses within another.
        let mut stack: Vec<(String, bool)> = Vec::new();
        let closed = |(text, compound): (String, bool)| if compound { format!("({text})") } else { text };
        for node in &conditional.expression {
            let item = match node {
                CondNode::Boolean(b) => (self.booleans.name(*b).to_owned(), false),
                CondNode::Not => {
                    let inner = stack.pop().map(closed).unwrap_or_default();
                    (format!("!{inner}"), false)
                }
                binary => {
                    let right = stack.pop().map(closed).unwrap_or_default();
                    let left = stack.pop().map(closed).unwrap_or_default();
                    let op = match binary {
                        CondNode::And => "&&",
                        CondNode::Or => "||",
                        CondNode::Xor => "^",
                        CondNode::Eq => "==",
                        _ => "!=",
                    };
                    (format!("{left} {op} {right}"), true)
                }
            };
            stack.push(item);
        }
        stack.pop().map(|(text, _)| text).unwrap_or_default()
    }

    /// A rule that grants, as the policy language writes it; a condition follows in brackets.
    pub fn granting_text(&self, class: ClassId, rule: &Granting) -> String {
        let (source, target) = (self.types.name(rule.source), self.types.name(rule.target));
        let (name, what) = (self.classes.name(class), self.vector_text(class, rule.permissions));
        let text = format!("allow {source} {target}:{name} {what};");
        match rule.condition.and_then(|(i, branch)| Some((self.conditionals.get(i)?, branch))) {
            Some((conditional, branch)) => {
                format!("{text} [ {} ]:{branch}", self.condition_text(conditional))
            }
            None => text,
        }
    }

    /// A change that would make a constraint hold, in words.
    pub fn change_text(&self, change: &Change) -> String {
        let of = |whose: &Whose| match whose {
            Whose::Source => "the source",
            Whose::Target => "the target",
            Whose::Process => "the process",
        };
        let list = |names: Vec<&str>| {
            let shown = names.iter().take(6).copied().collect::<Vec<_>>().join(", ");
            if names.len() > 6 { format!("{shown} … ({} in all)", names.len()) } else { shown }
        };
        let one_of = |wanted: &bool| if *wanted { "one of" } else { "none of" };
        match change {
            Change::Low(whose, level) => {
                format!("give {} the low level {}", of(whose), self.level_text(level))
            }
            Change::High(whose, level) => {
                format!("give {} the high level {}", of(whose), self.level_text(level))
            }
            Change::Type(whose, types, wanted) => {
                let names = list(types.iter().map(|t| self.types.name(*t)).collect());
                format!("{} needs a type or attribute that is {} {names}", of(whose), one_of(wanted))
            }
            Change::Role(whose, roles, wanted) => {
                let names = list(roles.iter().map(|r| self.roles.name(*r)).collect());
                format!("{} needs a role that is {} {names}", of(whose), one_of(wanted))
            }
            Change::User(whose, users, wanted) => {
                let names = list(users.iter().map(|u| self.users.name(*u)).collect());
                format!("{} needs a user that is {} {names}", of(whose), one_of(wanted))
            }
            Change::Same(part, true) => format!("give both the same {part}"),
            Change::Same(part, false) => format!("give them different {part}s"),
            Change::Dominance => "the roles' dominance would have to be another".to_owned(),
            Change::OtherLevels => "give one of them another level".to_owned(),
        }
    }

    /// The number of a type or attribute by name; of an alias, the type's.
    pub fn type_id(&self, name: &str) -> Option<TypeId> {
        self.types.find(name).map(Symbol::id)
    }
}

/// Commands as the policy language writes them: `0x5401`, `{ 0x5401-0x5410 0x8912 }`.
pub fn commands_text(ranges: &[(u16, u16)]) -> String {
    let one = |(first, last): &(u16, u16)| {
        if first == last { format!("{first:#06x}") } else { format!("{first:#06x}-{last:#06x}") }
    };
    match ranges {
        [range] => one(range),
        _ => format!("{{ {} }}", ranges.iter().map(one).collect::<Vec<_>>().join(" ")),
    }
}
