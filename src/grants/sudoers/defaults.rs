//! The Defaults that change decisions, gathered as sudo gathers them.
//!
//! sudo applies general, host and user Defaults in the order of the text, then those of the target user, then those of
//! the command; later ones win. A few are applied before all others (see the manual, "Defaults").

use super::ast::{Bytes, Change, Defaults, Scope, Setting};
use super::matching::{Matcher, Rules, ThisHost};
use super::tree::Tree;
use crate::grants::identity::Identity;

/// What holds before the target user and the command are known.
pub(super) fn rules(tree: &Tree, who: &Identity, host: &ThisHost) -> Rules {
    let mut rules = Rules::default();
    // Names of users and groups in the bindings themselves are matched by what has been set so far.
    for early in [true, false] {
        for (_, _, line) in tree.defaults() {
            let matcher = Matcher::new(tree, host, rules.clone());
            let bound = match &line.scope {
                Scope::All => true,
                Scope::Hosts(list) => matcher.hosts(list).is_allow(),
                Scope::Users(list) => matcher.users(list, who).is_allow(),
                Scope::Runas(_) | Scope::Commands(_) => false,
            };
            if bound {
                apply(line, early, &mut rules);
            }
        }
    }
    rules
}

/// Applies the settings of a line: those that sudo applies before the others, or the others.
pub(super) fn apply(line: &Defaults, early: bool, rules: &mut Rules) {
    for s in &line.settings {
        let is_early = matches!(&*s.name, b"fqdn" | b"group_plugin" | b"runas_default" | b"sudoers_locale");
        if is_early == early {
            set(s, rules);
        }
    }
}

fn set(s: &Setting, rules: &mut Rules) {
    let flag = match s.change {
        Change::On => Some(true),
        Change::Off => Some(false),
        // A flag takes no value; sudo passes over such a setting.
        Change::Set | Change::Add | Change::Remove => None,
    };
    let put = |slot: &mut bool| {
        if let Some(v) = flag {
            *slot = v;
        }
    };
    match &*s.name {
        b"authenticate" => put(&mut rules.authenticate),
        b"case_insensitive_user" => put(&mut rules.fold_users),
        b"case_insensitive_group" => put(&mut rules.fold_groups),
        b"fast_glob" => put(&mut rules.fast_glob),
        b"use_netgroups" => put(&mut rules.netgroups),
        b"group_plugin" => rules.group_plugin = s.change == Change::Set,
        b"runas_default" if s.change == Change::Set => rules.runas_default.clone_from(&s.value),
        b"exempt_group" => rules.exempt_group = (s.change == Change::Set).then(|| Bytes::clone(&s.value)),
        b"runchroot" => rules.chroot = s.change == Change::Set && s.value != b"*",
        _ => {}
    }
}
