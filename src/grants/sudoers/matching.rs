//! Who and where: user lists, runas lists and host lists against an identity and a host.
//!
//! The rules are those of plugins/sudoers/match.c: the last member that matches decides; an alias that is not defined
//! (or stands inside itself) is taken for a name; names are compared without regard to case unless a Defaults says
//! otherwise.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;

use super::ast::{AliasKind, Bytes, Host, Member, Members, User};
use super::fnmatch::{Flags, fnmatch};
use super::tree::Tree;
use super::verdict::{Doubt, Verdict, last_match};
use crate::grants::identity::Identity;

/// The host on which a policy is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThisHost {
    /// Name up to its first dot.
    pub short: String,
    /// Full name; the same as the short one where there is none.
    pub full: String,
    /// Addresses with their masks, those of loopback interfaces left out, as sudo leaves them out; `None` if unknown.
    pub addresses: Option<Vec<(IpAddr, IpAddr)>>,
}

impl ThisHost {
    /// A host by its name, addresses unknown.
    pub fn named(name: &str) -> Self {
        let short = name.split('.').next().unwrap_or(name).to_owned();
        ThisHost { short, full: name.to_owned(), addresses: None }
    }
}

/// The Defaults that change how lists are matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) fold_users: bool,
    pub(super) fold_groups: bool,
    pub(super) fast_glob: bool,
    pub(super) netgroups: bool,
    pub(super) group_plugin: bool,
    pub(super) runas_default: Bytes,
    pub(super) authenticate: bool,
    pub(super) exempt_group: Option<Bytes>,
    pub(super) chroot: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            fold_users: true,
            fold_groups: true,
            fast_glob: false,
            netgroups: true,
            group_plugin: false,
            runas_default: b"root".into(),
            authenticate: true,
            exempt_group: None,
            chroot: false,
        }
    }
}

/// What an alias is asked as. Runas aliases stand in user and in group lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    User,
    Runas,
    RunasGroup,
    Host,
    Command,
}

impl Role {
    fn kind(self) -> AliasKind {
        match self {
            Role::User => AliasKind::User,
            Role::Runas | Role::RunasGroup => AliasKind::Runas,
            Role::Host => AliasKind::Host,
            Role::Command => AliasKind::Command,
        }
    }
}

/// How deep aliases are followed. sudo has no limit but its stack.
pub(super) const ALIAS_DEPTH: usize = 200;

/// Matches lists of one tree.
pub(super) struct Matcher<'t> {
    pub(super) tree: &'t Tree,
    pub(super) host: &'t ThisHost,
    pub(super) rules: Rules,
    /// Aliases being followed: one that is met inside itself counts as undefined.
    following: RefCell<Vec<(Role, Bytes)>>,
    /// Set when an alias was met inside itself, or too deep: the verdict then depends on where it was asked.
    knotted: Cell<bool>,
    /// How many more aliases may be followed without being remembered: knots of aliases are exponential.
    patience: Cell<u32>,
    /// Verdicts of aliases, for the identity, target and command that is being asked about.
    memo: RefCell<HashMap<(Role, Bytes), Verdict>>,
}

impl<'t> Matcher<'t> {
    pub(super) fn new(tree: &'t Tree, host: &'t ThisHost, rules: Rules) -> Self {
        Matcher {
            tree,
            host,
            rules,
            following: RefCell::default(),
            knotted: Cell::new(false),
            patience: Cell::new(10_000),
            memo: RefCell::default(),
        }
    }

    /// Forgets verdicts of aliases: after the rules have changed.
    pub(super) fn forget(&self) {
        self.memo.borrow_mut().clear();
    }

    /// The verdict of an alias by `ask` over its members, or `None` if there is none of that name here.
    pub(super) fn follow(
        &self,
        role: Role,
        name: &[u8],
        ask: impl FnOnce(&Members) -> Verdict,
    ) -> Option<Verdict> {
        let placed = self.tree.alias(role.kind(), name)?;
        let key = (role, Bytes::from(name));
        if self.following.borrow().contains(&key) {
            self.knotted.set(true);
            return None;
        }
        if let Some(v) = self.memo.borrow().get(&key) {
            return Some(*v);
        }
        if self.following.borrow().len() >= ALIAS_DEPTH || self.patience.get() == 0 {
            self.knotted.set(true);
            return Some(Verdict::unknown(Doubt::Depth));
        }
        self.following.borrow_mut().push(key.clone());
        let outer = self.knotted.replace(false);
        let verdict = ask(&placed.alias.members);
        self.following.borrow_mut().pop();
        if self.knotted.get() {
            // Inside a knot of aliases the verdict holds for this way in only.
            self.patience.set(self.patience.get().saturating_sub(1));
        } else {
            self.memo.borrow_mut().insert(key, verdict);
        }
        self.knotted.set(outer || self.knotted.get());
        Some(verdict)
    }

    /// A user list, asked about the invoking user.
    pub(super) fn users(&self, list: &[Member<User>], who: &Identity) -> Verdict {
        last_match(list.iter().rev().map(|m| self.user(m, who)))
    }

    /// One member of a user list.
    pub(super) fn user(&self, m: &Member<User>, who: &Identity) -> Verdict {
        let v = match &m.value {
            User::Alias(name) => self
                .follow(Role::User, name, |members| match members {
                    Members::Users(list) => self.users(list, who),
                    _ => Verdict::NONE,
                })
                .unwrap_or_else(|| self.word(name, who)),
            other => self.plain(other, who),
        };
        v.negate(m.negated)
    }

    /// A member that is no alias.
    pub(super) fn plain(&self, value: &User, who: &Identity) -> Verdict {
        match value {
            User::All => Verdict::ALLOW,
            User::Myself => Verdict::NONE,
            User::Netgroup(_) => self.netgroup(),
            User::Group(g) => self.group(g, who),
            User::Word(w) | User::Alias(w) => self.word(w, who),
        }
    }

    /// The user part of a runas list, asked about a target that the caller names and that is not the caller.
    pub(super) fn runas_users(&self, list: &[Member<User>], target: &Identity) -> Verdict {
        last_match(list.iter().rev().map(|m| {
            let v = match &m.value {
                User::Alias(name) => self
                    .follow(Role::Runas, name, |members| match members {
                        Members::Users(list) => self.runas_users(list, target),
                        _ => Verdict::NONE,
                    })
                    .unwrap_or_else(|| self.word(name, target)),
                other => self.plain(other, target),
            };
            v.negate(m.negated)
        }))
    }

    fn netgroup(&self) -> Verdict {
        if self.rules.netgroups { Verdict::maybe(Doubt::Netgroup) } else { Verdict::NONE }
    }

    /// A user's name, or `#` and a uid.
    pub(super) fn word(&self, word: &[u8], who: &Identity) -> Verdict {
        let named = same(word, who.name.as_bytes(), self.rules.fold_users);
        match word.strip_prefix(b"#").and_then(number) {
            Some(id) if !named => match who.uid {
                Some(uid) => Verdict::of(uid == id),
                None => Verdict::maybe(Doubt::UserId),
            },
            _ => Verdict::of(named),
        }
    }

    /// `%NAME` and its kin.
    pub(super) fn group(&self, word: &[u8], who: &Identity) -> Verdict {
        let name = word.strip_prefix(b"%").unwrap_or(word);
        if name.first() == Some(&b':') && self.rules.group_plugin {
            return Verdict::maybe(Doubt::GroupPlugin);
        }
        if who.groups.iter().any(|(n, _)| same(name, n.as_bytes(), self.rules.fold_groups)) {
            return Verdict::ALLOW;
        }
        match name.strip_prefix(b"#").and_then(number).map(|gid| who.in_gid(gid)) {
            Some(Some(yes)) => Verdict::of(yes),
            Some(None) => Verdict::maybe(Doubt::GroupId),
            None => Verdict::NONE,
        }
    }

    /// A host list.
    pub(super) fn hosts(&self, list: &[Member<Host>]) -> Verdict {
        last_match(list.iter().rev().map(|m| self.host_member(m)))
    }

    /// One member of a host list.
    pub(super) fn host_member(&self, m: &Member<Host>) -> Verdict {
        let v = match &m.value {
            Host::All => Verdict::ALLOW,
            Host::Netgroup(_) => self.netgroup(),
            Host::Address(a) => self.address(a),
            Host::Word(w) => self.host_name(w),
            Host::Alias(name) => self
                .follow(Role::Host, name, |members| match members {
                    Members::Hosts(list) => self.hosts(list),
                    _ => Verdict::NONE,
                })
                .unwrap_or_else(|| self.host_name(name)),
        };
        v.negate(m.negated)
    }

    /// A host's name, perhaps with wildcards: with a dot the full name is meant, else the short one.
    fn host_name(&self, pattern: &[u8]) -> Verdict {
        let host = if pattern.contains(&b'.') { &self.host.full } else { &self.host.short };
        Verdict::of(if has_meta(pattern) {
            fnmatch(pattern, host.as_bytes(), Flags { fold: true, ..Flags::default() })
        } else {
            same(pattern, host.as_bytes(), true)
        })
    }

    /// An address or network of one of this host's interfaces.
    fn address(&self, text: &[u8]) -> Verdict {
        let Some(ours) = &self.host.addresses else { return Verdict::maybe(Doubt::Address) };
        let text = String::from_utf8_lossy(text);
        let (address, mask) = match text.split_once('/') {
            Some((a, m)) => (a, Some(m)),
            None => (&*text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else { return Verdict::NONE };
        let mask = match mask {
            None => None,
            Some(m) => match m.parse::<IpAddr>() {
                Ok(ip) => Some(bits(ip)),
                Err(_) => match m.parse::<u32>() {
                    Ok(n) => Some(prefix(address, n)),
                    Err(_) => return Verdict::NONE,
                },
            },
        };
        Verdict::of(ours.iter().filter(|(a, _)| a.is_ipv4() == address.is_ipv4()).any(|&(own, own_mask)| {
            match mask {
                Some(mask) => bits(own) & mask == bits(address) & mask,
                None => own == address || bits(own) & bits(own_mask) == bits(address),
            }
        }))
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// The mask of this many leading bits.
fn prefix(of: IpAddr, n: u32) -> u128 {
    let (width, full) = if of.is_ipv4() { (32, u128::from(u32::MAX)) } else { (128, u128::MAX) };
    match width - n.min(width) {
        128 => 0,
        shift => (full >> shift) << shift,
    }
}

/// Equal names.
pub(super) fn same(a: &[u8], b: &[u8], fold: bool) -> bool {
    if fold { a.eq_ignore_ascii_case(b) } else { a == b }
}

/// Whether wildcard matching is called for.
pub(super) fn has_meta(pattern: &[u8]) -> bool {
    pattern.iter().any(|c| matches!(c, b'\\' | b'?' | b'*' | b'[' | b']'))
}

/// A user or group id as sudo reads it: decimal; a negative one wraps round, and -1 is none.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let value: i64 = text.parse().ok()?;
    let id = if value < 0 { u32::try_from(value + (1 << 32)).ok()? } else { u32::try_from(value).ok()? };
    (id != u32::MAX && value >= i64::from(i32::MIN)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::sudoers::{MemoryFiles, Reading};
    use std::path::Path;

    fn verdict(text: &str, who: &Identity) -> Verdict {
        let files = MemoryFiles::new().with("/etc/sudoers", text);
        let tree = Tree::read(&files, Path::new("/etc/sudoers"), &Reading::default());
        assert_eq!(tree.problems, []);
        let host = ThisHost::named("web1.example.org");
        let m = Matcher::new(&tree, &host, Rules::default());
        let (_, _, spec) = tree.specs().next_back().unwrap();
        let users = m.users(&spec.users, who);
        if users.is_allow() { m.hosts(&spec.privileges[0].hosts) } else { users }
    }

    fn dep() -> Identity {
        Identity::new("dep", Some(2000)).with_group("dep", Some(2000)).with_group("www", Some(33))
    }

    #[test]
    fn users_match_by_name_number_group_and_alias() {
        for list in ["dep", "DEP", "#2000", "%www", "%#33", "ALL", "bob,dep", "\"dep\"", "ALL,!bob", "%WWW"] {
            assert!(verdict(&format!("{list} ALL=ALL\n"), &dep()).is_allow(), "{list}");
        }
        for list in ["bob", "#2001", "%adm", "%#34", "!dep", "dep,!dep", "%:www", "#-1"] {
            assert!(!verdict(&format!("{list} ALL=ALL\n"), &dep()).allow, "{list}");
        }
        assert!(verdict("User_Alias A=!dep\nA,!A ALL=ALL\n", &dep()).is_allow(), "twice negated");
        assert!(verdict("User_Alias A=B,dep:B=A\nA ALL=ALL\n", &dep()).is_allow(), "a knot ends");
        assert_eq!(verdict("+ng ALL=ALL\n", &dep()).doubt, Some(Doubt::Netgroup));
        assert_eq!(verdict("#7 ALL=ALL\n", &Identity::new("new", None)).doubt, Some(Doubt::UserId));
    }

    #[test]
    fn hosts_match_short_full_and_pattern() {
        for list in ["ALL", "web1", "WEB1", "web1.example.org", "web?", "*.example.org", "db,web1", "ALL,!db"]
        {
            assert!(verdict(&format!("dep {list}=ALL\n"), &dep()).is_allow(), "{list}");
        }
        for list in ["db", "web1.example.com", "!web1", "ALL,!web1", "example.org"] {
            assert!(!verdict(&format!("dep {list}=ALL\n"), &dep()).is_allow(), "{list}");
        }
        assert_eq!(verdict("dep 10.0.0.0/8=ALL\n", &dep()).doubt, Some(Doubt::Address));
    }

    #[test]
    fn nested_aliases_take_no_exponential_time_and_no_stack() {
        let mut text = String::from("User_Alias A0=bob\n");
        for i in 1..300 {
            text += &format!("User_Alias A{i}=!A{p},A{p}\n", p = i - 1);
        }
        assert_eq!(verdict(&format!("{text}A150 ALL=ALL\n"), &dep()), Verdict::NONE);
        assert_eq!(verdict(&format!("{text}A299 ALL=ALL\n"), &dep()).doubt, Some(Doubt::Depth));
        let all: Vec<String> = (0..60).map(|i| format!("K{i}")).collect();
        let knot: String = all.iter().map(|k| format!("User_Alias {k}={},bob\n", all.join(","))).collect();
        assert!(!verdict(&format!("{knot}K0 ALL=ALL\n"), &dep()).is_allow());
    }
}
