//! One file: what is demanded of it × what it is → the reasons why it is not as demanded, and its state when it is.
//!
//! Pure: the caller finds out which demands a file is under, and what it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::grants::access::{Credentials, Object, rights};
use crate::grants::acl::{Acl, Perms, Tag};
use crate::host::FileState;
use crate::manifest::{Access, AclPerms, ModeSpec};
use crate::report::Origin;
use crate::sys::Kind;

/// What one manifest line wants of a file.
#[derive(Debug, Clone)]
pub struct Demand {
    /// The line.
    pub origin: Origin,
    /// What it wants.
    pub what: What,
    /// It wants that of everything below, too.
    pub deep: bool,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub enum What {
    /// A process with these credentials can read, or read and write, by whatever it takes.
    Access(Credentials, Access),
    /// A process with these credentials can pass through this folder.
    Search(Credentials),
    /// The owner is this uid.
    Owner(u32),
    /// The owning group is this gid.
    Group(u32),
    /// The rights of owner, owning group and others.
    Mode(ModeSpec),
    /// A named entry in the access ACL.
    Entry(Tag, AclPerms),
    /// A named entry in the default ACL of folders.
    DefaultEntry(Tag, AclPerms),
    /// Named entries that nobody declared are accepted here.
    ToleratesEntries,
}

/// Why a file is not as demanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The line that demands it; none for what nobody declared.
    pub origin: Option<Origin>,
    /// What is the matter.
    pub what: Difference,
}

/// What is the matter with a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Another owner.
    Owner {
        /// It.
        is: u32,
        /// The declared one.
        should: u32,
    },
    /// Another owning group.
    Group {
        /// It.
        is: u32,
        /// The declared one.
        should: u32,
    },
    /// Other rights of owner, owning group or others, or other special bits.
    Mode {
        /// They, the owning group's own in the middle.
        is: u16,
        /// The declared ones.
        should: u16,
    },
    /// The owner, who is the application, has too few rights.
    OwnerRights {
        /// The rights.
        is: Perms,
        /// Those needed at least.
        should: Perms,
    },
    /// A named entry is not there.
    MissingEntry {
        /// In the default ACL.
        default: bool,
        /// Whose.
        tag: Tag,
        /// Its rights.
        should: Perms,
    },
    /// A named entry is there, and the mask takes from it.
    Masked {
        /// In the default ACL.
        default: bool,
        /// Whose.
        tag: Tag,
        /// The rights left.
        is: Perms,
        /// The declared ones.
        should: Perms,
    },
    /// A named entry gives less than declared, or other rights.
    WrongEntry {
        /// In the default ACL.
        default: bool,
        /// Whose.
        tag: Tag,
        /// Its rights.
        is: Perms,
        /// The declared ones.
        should: Perms,
    },
    /// A named entry gives more than declared.
    WiderEntry {
        /// In the default ACL.
        default: bool,
        /// Whose.
        tag: Tag,
        /// Its rights.
        is: Perms,
        /// The declared ones.
        should: Perms,
    },
    /// A named entry that nobody declared.
    UndeclaredEntry {
        /// In the default ACL.
        default: bool,
        /// Whose.
        tag: Tag,
        /// Its rights, as far as the mask leaves them.
        is: Perms,
    },
    /// The application cannot pass through this folder on the way to a declared path.
    NoSearch {
        /// The application's user.
        uid: u32,
    },
    /// Another label.
    Label {
        /// It; none where there is none.
        is: Option<Vec<u8>>,
        /// The declared one.
        should: Vec<u8>,
    },
}

/// Compares a file with its demands. Returns the reasons, sorted, and the state that satisfies the demands with the
/// least change (equal to `state` where there are no reasons).
pub fn compare(kind: Kind, state: &FileState, demands: &[&Demand]) -> (Vec<Reason>, FileState) {
    let mut c = Comparison { kind, after: state.clone(), acl: state.full_acl(), reasons: Vec::new() };
    c.owner_and_mode(state, demands);
    if kind != Kind::Link {
        let executable = kind == Kind::Directory || state.any_execute();
        let exact = demands.iter().any(|d| !matches!(d.what, What::Search(_)));
        let wanted = c.wanted_entries(demands, executable, exact);
        c.access_entries(&wanted, exact);
        if kind == Kind::Directory {
            c.default_entries(&wanted, exact);
        }
    }
    let Comparison { mut after, acl, mut reasons, .. } = c;
    if reasons.is_empty() {
        return (reasons, state.clone());
    }
    after.set_acl(acl);
    reasons.sort_by(|a, b| a.what.cmp(&b.what));
    (reasons, after)
}

/// What the demands come to for one file.
#[derive(Debug, Default)]
struct Wanted {
    access: BTreeMap<Tag, (Perms, Origin)>,
    default: BTreeMap<Tag, (Perms, Origin)>,
    /// Search permission is the reason, no declared entry.
    search: BTreeMap<Tag, (Perms, Origin, u32)>,
    /// Entries that may be there: an owner's own, which the kernel does not look at.
    idle: BTreeSet<Tag>,
    tolerates: bool,
}

struct Comparison {
    kind: Kind,
    after: FileState,
    acl: Acl,
    reasons: Vec<Reason>,
}

impl Comparison {
    fn reason(&mut self, origin: Option<&Origin>, what: Difference) {
        self.reasons.push(Reason { origin: origin.cloned(), what });
    }

    fn owner_and_mode(&mut self, state: &FileState, demands: &[&Demand]) {
        // Of several exact demands the last counts: the caller orders them from the widest path to the narrowest.
        let last = |f: &dyn Fn(&What) -> bool| demands.iter().rev().find(|d| f(&d.what)).copied();
        if let Some(d) = last(&|w| matches!(w, What::Owner(_)))
            && let What::Owner(uid) = d.what
            && uid != state.uid
        {
            self.reason(Some(&d.origin), Difference::Owner { is: state.uid, should: uid });
            self.after.uid = uid;
        }
        if let Some(d) = last(&|w| matches!(w, What::Group(_)))
            && let What::Group(gid) = d.what
            && gid != state.gid
        {
            self.reason(Some(&d.origin), Difference::Group { is: state.gid, should: gid });
            self.after.gid = gid;
        }
        if self.kind == Kind::Link {
            return;
        }
        if let Some(d) = last(&|w| matches!(w, What::Mode(_)))
            && let What::Mode(mode) = d.what
        {
            let executable = self.kind == Kind::Directory || state.any_execute();
            let own = |tag| u16::from(self.acl.effective(tag).unwrap_or(Perms::NONE).bits());
            let is = (state.mode & 0o7000)
                | (own(Tag::UserObj) << 6)
                | (own(Tag::GroupObj) << 3)
                | own(Tag::Other);
            let should = match mode {
                ModeSpec::Octal(bits) => bits & 0o7777,
                ModeSpec::Symbolic { user, group, other } => {
                    let bits = |p: AclPerms| u16::from(p.bits(executable));
                    (state.mode & 0o7000) | (bits(user) << 6) | (bits(group) << 3) | bits(other)
                }
            };
            if is != should {
                self.reason(Some(&d.origin), Difference::Mode { is, should });
                self.after.mode = (self.after.mode & 0o777) | (should & 0o7000);
                let [user, group, other] = Perms::of_mode(should);
                self.acl.set(Tag::UserObj, user);
                self.acl.set(Tag::Other, other);
                self.acl.grant(Tag::GroupObj, group);
            }
        }
    }

    fn wanted_entries(&mut self, demands: &[&Demand], executable: bool, exact: bool) -> Wanted {
        let mut w = Wanted::default();
        for d in demands {
            match &d.what {
                What::Entry(tag, p) => {
                    add(&mut w.access, *tag, Perms::from_bits(p.bits(executable)), &d.origin);
                }
                What::DefaultEntry(tag, p) => {
                    add(&mut w.default, *tag, Perms::from_bits(p.bits(true)), &d.origin);
                }
                What::ToleratesEntries => w.tolerates = true,
                _ => {}
            }
        }
        for d in demands {
            if let What::Access(creds, access) = &d.what {
                self.want_access(&mut w, &d.origin, creds, *access, executable);
            }
        }
        for d in demands {
            if let What::Search(creds) = &d.what {
                self.want_search(&mut w, &d.origin, creds, exact);
            }
        }
        w
    }

    fn want_access(
        &mut self,
        w: &mut Wanted,
        origin: &Origin,
        creds: &Credentials,
        access: Access,
        executable: bool,
    ) {
        let base = match access {
            Access::Read => Perms::R,
            Access::Write => Perms::RW,
        };
        let wanted = if executable { base | Perms::X } else { base };
        let tag = Tag::User(creds.uid);
        if self.after.uid == creds.uid {
            w.idle.insert(tag);
            let is = self.acl.get(Tag::UserObj).unwrap_or(Perms::NONE);
            if !is.contains(wanted) {
                self.reason(Some(origin), Difference::OwnerRights { is, should: wanted });
                self.acl.set(Tag::UserObj, is | wanted);
            }
            return;
        }
        let declared = w.access.contains_key(&tag) || self.acl.get(tag).is_some();
        let needed = declared || self.rights(creds) != wanted;
        if needed {
            add(&mut w.access, tag, wanted, origin);
        }
        if self.kind == Kind::Directory && (needed || access == Access::Write) {
            add(&mut w.default, tag, base | Perms::X, origin);
        }
    }

    fn want_search(&mut self, w: &mut Wanted, origin: &Origin, creds: &Credentials, exact: bool) {
        let tag = Tag::User(creds.uid);
        if let Some((perms, _)) = w.access.get_mut(&tag) {
            *perms = *perms | Perms::X;
            return;
        }
        let now = self.rights(creds);
        if now.contains(Perms::X) {
            if exact && self.acl.get(tag).is_some() && self.after.uid != creds.uid {
                // The entry is there to pass through; what it gives beyond that was not declared.
                let mut without = self.acl.clone();
                without.remove(tag);
                let base = self.rights_by(creds, &without);
                add(&mut w.access, tag, base | Perms::X, origin);
            }
            return;
        }
        if self.after.uid == creds.uid {
            self.reason(Some(origin), Difference::NoSearch { uid: creds.uid });
            let is = self.acl.get(Tag::UserObj).unwrap_or(Perms::NONE);
            self.acl.set(Tag::UserObj, is | Perms::X);
            return;
        }
        // A named entry takes the place of what group and others gave: it must hold that too.
        w.search.entry(tag).or_insert_with(|| (now | Perms::X, origin.clone(), creds.uid));
    }

    fn rights(&self, creds: &Credentials) -> Perms {
        self.rights_by(creds, &self.acl)
    }

    fn rights_by(&self, creds: &Credentials, acl: &Acl) -> Perms {
        let type_bits = if self.kind == Kind::Directory { 0o040_000 } else { 0o100_000 };
        let mode = type_bits | u32::from(self.after.mode & 0o7000) | u32::from(acl.mode_bits());
        rights(creds, &Object { uid: self.after.uid, gid: self.after.gid, mode, acl: Some(acl) })
    }

    fn access_entries(&mut self, w: &Wanted, exact: bool) {
        if exact && !w.tolerates {
            self.remove_undeclared(w, false);
        }
        // All looks before the first grant: a grant takes others down to what a narrow mask left them.
        let found: Vec<_> = w
            .access
            .iter()
            .filter_map(|(&tag, (perms, origin))| {
                Some((tag, *perms, origin, entry_difference(&self.acl, false, tag, *perms)?))
            })
            .collect();
        for (tag, perms, origin, what) in found {
            self.reason(Some(origin), what);
            self.acl.grant(tag, perms);
        }
        for (&tag, (perms, origin, uid)) in &w.search {
            self.reason(Some(origin), Difference::NoSearch { uid: *uid });
            self.acl.grant(tag, *perms);
        }
    }

    fn default_entries(&mut self, w: &Wanted, exact: bool) {
        if exact && !w.tolerates && self.after.default_acl.is_some() {
            self.remove_undeclared(w, true);
        }
        let mut acl = self.after.default_acl.clone().unwrap_or_else(|| {
            // As setfacl does: what is not said is as in the folder's own ACL.
            let own = |t| self.acl.effective(t).unwrap_or(Perms::NONE);
            let mode = [Tag::UserObj, Tag::GroupObj, Tag::Other]
                .iter()
                .fold(0u16, |m, &t| (m << 3) | u16::from(own(t).bits()));
            Acl::from_mode(mode)
        });
        let found: Vec<_> = w
            .default
            .iter()
            .filter_map(|(&tag, (perms, origin))| {
                Some((tag, *perms, origin, entry_difference(&acl, true, tag, *perms)?))
            })
            .collect();
        for (tag, perms, origin, what) in found {
            self.reason(Some(origin), what);
            acl.grant(tag, perms);
            self.after.default_acl = Some(acl.clone());
        }
    }

    fn remove_undeclared(&mut self, w: &Wanted, default: bool) {
        let acl = if default { self.after.default_acl.clone() } else { Some(self.acl.clone()) };
        let Some(mut acl) = acl else { return };
        let declared = if default { &w.default } else { &w.access };
        let undeclared: Vec<Tag> = acl
            .named()
            .map(|e| e.tag)
            .filter(|t| {
                !declared.contains_key(t) && !w.idle.contains(t) && (default || !w.search.contains_key(t))
            })
            .collect();
        if undeclared.is_empty() {
            return;
        }
        for tag in undeclared {
            let is = acl.effective(tag).unwrap_or(Perms::NONE);
            self.reason(None, Difference::UndeclaredEntry { default, tag, is });
            acl.remove(tag);
        }
        acl.normalise();
        if default {
            self.after.default_acl = Some(acl);
        } else {
            self.acl = acl;
        }
    }
}

fn add(entries: &mut BTreeMap<Tag, (Perms, Origin)>, tag: Tag, perms: Perms, origin: &Origin) {
    let e = entries.entry(tag).or_insert_with(|| (Perms::NONE, origin.clone()));
    e.0 = e.0 | perms;
}

/// How the entry of `tag` differs from having exactly `should` in effect.
fn entry_difference(acl: &Acl, default: bool, tag: Tag, should: Perms) -> Option<Difference> {
    let Some(raw) = acl.get(tag) else { return Some(Difference::MissingEntry { default, tag, should }) };
    let is = acl.effective(tag).unwrap_or(raw);
    // With an empty mask the kernel does not look at the ACL at all: the entry then says nothing.
    let in_force = default || acl.in_force();
    if is == should && in_force {
        return None;
    }
    Some(if raw.contains(should) && (!is.contains(should) || !in_force) {
        Difference::Masked { default, tag, is, should }
    } else if is.contains(should) {
        Difference::WiderEntry { default, tag, is, should }
    } else {
        Difference::WrongEntry { default, tag, is, should }
    })
}
