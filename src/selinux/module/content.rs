//! What a module says: types of its own, rules, and statements that are no rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Name, Rule, RuleSet, Target};

/// A statement other than a rule about types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statement {
    /// `role ROLE types TYPE;`: contexts of the role may have the type.
    RoleTypes {
        /// The role.
        role: Name,
        /// The type.
        ty: Name,
    },
    /// `allow ROLE ROLE;`: a process may change its role so.
    RoleAllow {
        /// Before.
        from: Name,
        /// After.
        to: Name,
    },
    /// `typeattribute TYPE ATTRIBUTE;`
    TypeAttribute {
        /// The type.
        ty: Name,
        /// The attribute.
        attribute: Name,
    },
}

impl Statement {
    /// Its names.
    fn names(&self) -> [&Name; 2] {
        match self {
            Statement::RoleTypes { role, ty } => [role, ty],
            Statement::RoleAllow { from, to } => [from, to],
            Statement::TypeAttribute { ty, attribute } => [ty, attribute],
        }
    }

    /// Whether a `.te` module can hold it.
    pub fn in_te(&self) -> bool {
        self.names().iter().all(|n| n.in_te())
    }

    /// As CIL.
    pub fn cil(&self) -> String {
        match self {
            Statement::RoleTypes { role, ty } => format!("(roletype {role} {ty})"),
            Statement::RoleAllow { from, to } => format!("(roleallow {from} {to})"),
            Statement::TypeAttribute { ty, attribute } => format!("(typeattributeset {attribute} ({ty}))"),
        }
    }
}

/// As a `.te` module has it.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::RoleTypes { role, ty } => write!(f, "role {role} types {ty};"),
            Statement::RoleAllow { from, to } => write!(f, "allow {from} {to};"),
            Statement::TypeAttribute { ty, attribute } => write!(f, "typeattribute {ty} {attribute};"),
        }
    }
}

/// All that a module says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Types of its own, with their attributes.
    pub types: BTreeMap<Name, BTreeSet<Name>>,
    /// Statements that are no rules about types.
    pub statements: BTreeSet<Statement>,
    /// `allow` rules, with `allowxperm` rules where they are asked for.
    pub rules: RuleSet,
    /// `dontaudit` rules.
    pub silent: RuleSet,
    /// Interfaces of the reference policy that are called, each with the domain: only a `.te` of the form for its Makefile
    /// can.
    pub calls: BTreeSet<(Name, Name)>,
}

impl Content {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many statements it has.
    pub fn len(&self) -> usize {
        let rules = self.rules.len() + self.silent.len();
        self.types.len() + self.statements.len() + rules + self.calls.len()
    }

    /// What a `.te` module can hold, and what needs CIL.
    pub fn split(self) -> (Content, Content) {
        let (rules, cil_rules) = self.rules.split();
        let (silent, cil_silent) = self.silent.split();
        let (statements, cil_statements) = self.statements.into_iter().partition(Statement::in_te);
        let (types, cil_types) =
            self.types.into_iter().partition(|(name, with)| name.in_te() && with.iter().all(Name::in_te));
        (
            Content { types, statements, rules, silent, calls: self.calls },
            Content {
                types: cil_types,
                statements: cil_statements,
                rules: cil_rules,
                silent: cil_silent,
                calls: BTreeSet::new(),
            },
        )
    }

    /// Takes all of another content.
    pub fn merge(&mut self, other: Content) {
        for (name, attributes) in other.types {
            self.types.entry(name).or_default().extend(attributes);
        }
        self.statements.extend(other.statements);
        self.rules.merge(other.rules);
        self.silent.merge(other.silent);
        self.calls.extend(other.calls);
    }

    /// What it needs from elsewhere: the `require` block, nothing in it that the module makes or that nothing uses.
    pub fn needs(&self) -> Needs<'_> {
        let mut needs = Needs::default();
        for (rule, grant) in self.rules.iter().chain(self.silent.iter()) {
            needs.ty(self, &rule.source);
            if let Target::Type(name) = &rule.target {
                needs.ty(self, name);
            }
            needs.classes.entry(&rule.class).or_default().extend(&grant.permissions);
        }
        for statement in &self.statements {
            match statement {
                Statement::RoleTypes { role, ty } => {
                    needs.roles.insert(role);
                    needs.ty(self, ty);
                }
                Statement::RoleAllow { from, to } => needs.roles.extend([from, to]),
                Statement::TypeAttribute { ty, attribute } => {
                    needs.ty(self, ty);
                    needs.attributes.insert(attribute);
                }
            }
        }
        for (_, domain) in &self.calls {
            needs.ty(self, domain);
        }
        needs.attributes.extend(self.types.values().flatten());
        needs
    }
}

/// What a module needs that others define.
#[derive(Debug, Default)]
pub struct Needs<'a> {
    /// Attributes.
    pub attributes: BTreeSet<&'a Name>,
    /// Types.
    pub types: BTreeSet<&'a Name>,
    /// Roles.
    pub roles: BTreeSet<&'a Name>,
    /// Classes with their permissions.
    pub classes: BTreeMap<&'a Name, BTreeSet<&'a Name>>,
}

impl<'a> Needs<'a> {
    fn ty(&mut self, content: &Content, name: &'a Name) {
        if !content.types.contains_key(name) {
            self.types.insert(name);
        }
    }
}

impl RuleSet {
    /// Takes all rules of another set.
    pub fn merge(&mut self, other: RuleSet) {
        for (rule, grant) in other {
            self.put(rule, grant);
        }
    }

    /// Adds permissions to a rule.
    pub fn add(&mut self, rule: Rule, permissions: impl IntoIterator<Item = Name>) {
        self.grant(rule).permissions.extend(permissions);
    }
}
