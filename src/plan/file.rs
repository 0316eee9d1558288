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
    /// That what the application may only read is its own is accepted here.
    ToleratesOwner,
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

/// Rounds of [`compare`]. Two are enough for all but several users on an ACL that was not in force.
const ROUNDS: usize = 4;

/// Compares a file with its demands. Returns the reasons, sorted, and the state that satisfies the demands with the
/// least change (equal to `state` where there are no reasons).
pub fn compare(kind: Kind, state: &FileState, demands: &[&Demand]) -> (Vec<Reason>, FileState) {
    let (mut reasons, mut after) = compare_once(kind, state, demands);
    // What is granted to one may take from another what he had by an ACL that was not in force, or by a group.
    for _ in 1..ROUNDS {
        if reasons.is_empty() {
            break;
        }
        let (more, further) = compare_once(kind, &after, demands);
        if more.is_empty() {
            break;
        }
        let told: Vec<_> = reasons.iter().filter_map(|r| r.what.entry()).collect();
        reasons.extend(more.into_iter().filter(|r| r.what.entry().is_some_and(|e| !told.contains(&e))));
        after = further;
    }
    reasons.sort_by(|a, b| a.what.cmp(&b.what));
    (reasons, after)
}

fn compare_once(kind: Kind, state: &FileState, demands: &[&Demand]) -> (Vec<Reason>, FileState) {
    let mut c = Comparison { kind, after: state.clone(), acl: state.full_acl(), reasons: Vec::new() };
    c.owner_and_mode(state, demands);
    if kind != Kind::Link {
        // As the declared mode leaves it.
        let executable = kind == Kind::Directory || any_execute(&c.acl);
        let exact = demands.iter().any(|d| !matches!(d.what, What::Search(_)));
        let mut wanted = declared_entries(c.after.uid, demands, executable);
        if exact && !wanted.tolerates {
            // Before anything is asked of what is left: a right by an entry that goes is none.
            c.remove_undeclared(&wanted, false);
        }
        c.grant_entries(&wanted.access);
        c.want_rights(&mut wanted, demands, executable, exact);
        c.access_entries(&wanted);
        if kind == Kind::Directory {
            c.default_entries(&wanted, exact);
        }
    }
    let Comparison { mut after, acl, reasons, .. } = c;
    if reasons.is_empty() {
        return (reasons, state.clone());
    }
    after.set_acl(acl);
    (reasons, after)
}

/// Whether somebody has an execute bit by mode: see [`FileState::any_execute`].
fn any_execute(acl: &Acl) -> bool {
    [Tag::UserObj, Tag::GroupObj, Tag::Other]
        .into_iter()
        .filter_map(|t| acl.effective(t))
        .any(|p| p.contains(Perms::X))
}

impl Difference {
    /// The entry that it is about, if it is about one: whether it is of the default ACL, and whose.
    fn entry(&self) -> Option<(bool, Tag)> {
        match self {
            Difference::MissingEntry { default, tag, .. }
            | Difference::Masked { default, tag, .. }
            | Difference::WrongEntry { default, tag, .. }
            | Difference::WiderEntry { default, tag, .. }
            | Difference::UndeclaredEntry { default, tag, .. } => Some((*default, *tag)),
            Difference::NoSearch { uid } => Some((false, Tag::User(*uid))),
            _ => None,
        }
    }
}

/// What the demands come to for one file.
#[derive(Debug, Default)]
struct Wanted {
    access: BTreeMap<Tag, (Perms, Origin)>,
    default: BTreeMap<Tag, (Perms, Origin)>,
    /// Search permission is the reason, no declared entry.
    search: BTreeMap<Tag, (Perms, Origin, u32)>,
    /// Entries that may be there: those of users with rights, which are looked at by what they can do, and an owner's own,
    /// which the kernel does not look at.
    judged: BTreeSet<Tag>,
    /// The entry of an owner with rights in the default ACL: it may be there too.
    idle_default: Option<Tag>,
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
            let mut should = match mode {
                ModeSpec::Octal(bits) => bits & 0o7777,
                ModeSpec::Symbolic { user, group, other } => {
                    let bits = |p: AclPerms| u16::from(p.bits(executable));
                    (state.mode & 0o7000) | (bits(user) << 6) | (bits(group) << 3) | bits(other)
                }
            };
            // The owner who was given rights has them, whatever the mode says of an owner.
            let executable = self.kind == Kind::Directory || should & 0o111 != 0;
            should |= u16::from(self.owner_needs(demands, executable).bits()) << 6;
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

    /// What the owner must have because access or search was declared for him.
    fn owner_needs(&self, demands: &[&Demand], executable: bool) -> Perms {
        demands.iter().fold(Perms::NONE, |all, d| match &d.what {
            What::Access(creds, access) if creds.uid == self.after.uid => {
                all | rights_of(*access, executable)
            }
            What::Search(creds) if creds.uid == self.after.uid => all | Perms::X,
            _ => all,
        })
    }

    fn want_rights(&mut self, w: &mut Wanted, demands: &[&Demand], executable: bool, exact: bool) {
        for d in demands {
            if let What::Access(creds, access) = &d.what {
                self.want_access(w, &d.origin, creds, *access, executable);
            }
        }
        for d in demands {
            if let What::Search(creds) = &d.what {
                self.want_search(w, &d.origin, creds, exact);
            }
        }
    }

    fn want_access(
        &mut self,
        w: &mut Wanted,
        origin: &Origin,
        creds: &Credentials,
        access: Access,
        executable: bool,
    ) {
        let wanted = rights_of(access, executable);
        let tag = Tag::User(creds.uid);
        if self.after.uid == creds.uid {
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
            add(&mut w.default, tag, rights_of(access, true), origin);
        }
    }

    fn want_search(&mut self, w: &mut Wanted, origin: &Origin, creds: &Credentials, exact: bool) {
        let tag = Tag::User(creds.uid);
        if self.after.uid != creds.uid
            && let Some((perms, _)) = w.access.get_mut(&tag)
        {
            *perms |= Perms::X;
            return;
        }
        let now = self.rights(creds);
        if exact && !w.tolerates && self.acl.get(tag).is_some() && self.after.uid != creds.uid {
            // The entry is there to pass through; what it gives beyond that was not declared.
            let mut without = self.acl.clone();
            without.remove(tag);
            let base = self.rights_by(creds, &without);
            add(&mut w.access, tag, base | Perms::X, origin);
            return;
        }
        if now.contains(Perms::X) {
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

    /// Grants these entries where they are not as they should be.
    fn grant_entries(&mut self, entries: &BTreeMap<Tag, (Perms, Origin)>) {
        // All looks before the first grant: a grant takes others down to what a narrow mask left them.
        let found: Vec<_> = entries
            .iter()
            .filter_map(|(&tag, (perms, origin))| {
                Some((tag, *perms, origin, entry_difference(&self.acl, false, tag, *perms)?))
            })
            .collect();
        for (tag, perms, origin, what) in found {
            self.reason(Some(origin), what);
            self.acl.grant(tag, perms);
        }
    }

    fn access_entries(&mut self, w: &Wanted) {
        self.grant_entries(&w.access);
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
        let undeclared: Vec<(Tag, Surplus)> = acl
            .named()
            .map(|e| e.tag)
            .filter(|t| !declared.contains_key(t))
            .filter(|t| if default { w.idle_default != Some(*t) } else { !w.judged.contains(t) })
            .map(|t| (t, surplus(&acl, default, t)))
            .filter(|(_, s)| *s != Surplus::None)
            .collect();
        if undeclared.is_empty() {
            return;
        }
        for (tag, surplus) in undeclared {
            let is = acl.effective(tag).unwrap_or(Perms::NONE);
            self.reason(None, Difference::UndeclaredEntry { default, tag, is });
            match surplus {
                Surplus::AllBut(kept) => acl.set(tag, kept),
                _ => drop(acl.remove(tag)),
            }
        }
        acl.normalise();
        if default {
            self.after.default_acl = Some(acl);
        } else {
            self.acl = acl;
        }
    }
}

/// What of an entry that nobody declared is a right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surplus {
    /// Nothing: it takes from what everybody has. That is no privilege, and without it somebody would gain one.
    None,
    /// All of it.
    All,
    /// What it gives beyond this; the rest of it takes away.
    AllBut(Perms),
}

fn surplus(acl: &Acl, default: bool, tag: Tag) -> Surplus {
    let is = acl.effective(tag).unwrap_or(Perms::NONE);
    if !default && !acl.in_force() {
        // The kernel does not look at it.
        return Surplus::All;
    }
    let others = acl.get(Tag::Other).unwrap_or(Perms::NONE);
    // The most that whom it is for could have without it: a user may be in any group.
    let without = match tag {
        Tag::User(_) => acl
            .entries()
            .iter()
            .filter(|e| matches!(e.tag, Tag::GroupObj | Tag::Group(_)))
            .filter_map(|e| acl.effective(e.tag))
            .fold(others, |all, p| all | p),
        _ => others,
    };
    if is.contains(without) {
        return Surplus::All;
    }
    let kept = is & others;
    if kept == is { Surplus::None } else { Surplus::AllBut(kept) }
}

/// The entries that are declared as such, and whose entries are judged by what they can do.
fn declared_entries(owner: u32, demands: &[&Demand], executable: bool) -> Wanted {
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
            What::Access(creds, _) if creds.uid == owner => {
                w.judged.insert(Tag::User(owner));
                w.idle_default = Some(Tag::User(owner));
            }
            What::Access(creds, _) | What::Search(creds) => {
                w.judged.insert(Tag::User(creds.uid));
            }
            _ => {}
        }
    }
    // What is wanted of one entry for several reasons is one wish.
    for d in demands {
        let (creds, rights) = match &d.what {
            What::Access(creds, access) => (creds, rights_of(*access, executable)),
            What::Search(creds) => (creds, Perms::X),
            _ => continue,
        };
        if creds.uid != owner
            && let Some((perms, _)) = w.access.get_mut(&Tag::User(creds.uid))
        {
            *perms |= rights;
        }
    }
    w
}

/// The rights that an access comes to.
fn rights_of(access: Access, executable: bool) -> Perms {
    let base = match access {
        Access::Read => Perms::R,
        Access::Write => Perms::RW,
    };
    if executable { base | Perms::X } else { base }
}

fn add(entries: &mut BTreeMap<Tag, (Perms, Origin)>, tag: Tag, perms: Perms, origin: &Origin) {
    let e = entries.entry(tag).or_insert_with(|| (Perms::NONE, origin.clone()));
    e.0 |= perms;
}

/// How the entry of `tag` differs from having exactly `should` in effect.
fn entry_difference(acl: &Acl, default: bool, tag: Tag, should: Perms) -> Option<Difference> {
    let Some(raw) = acl.get(tag) else { return Some(Difference::MissingEntry { default, tag, should }) };
    let is = acl.effective(tag).unwrap_or(raw);
    // With an empty mask the kernel does not look at the ACL at all: whom it names has then what others have, and that is
    // as well where it is what is wanted, nothing.
    let in_force = default || acl.in_force() || acl.get(Tag::Other).is_none_or(Perms::is_empty);
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
