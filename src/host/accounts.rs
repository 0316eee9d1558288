//! Users and groups as the account files have them (passwd(5), group(5), shadow(5)), and what other
//! sources (LDAP, SSSD) add, by way of `getent`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use foldhash::fast::RandomState;

use crate::grants::access::Credentials;
use crate::grants::doas;
use crate::grants::identity::Identity;
use crate::sys::{Root, run};

/// Account files larger than this are refused.
const LIMIT: u64 = 64 << 20;

/// One line of passwd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group's id.
    pub gid: u32,
    /// Home folder.
    pub home: String,
    /// Shell.
    pub shell: String,
}

/// One line of group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Supplementary members.
    pub members: Vec<String>,
}

/// Whether a password opens an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password {
    /// None does (`!…`, `*`).
    Locked,
    /// One does.
    Set,
    /// The empty one does.
    Empty,
    /// shadow could not be read.
    Unknown,
}

/// The accounts of a host.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
    /// The first user of each name, and the first group: numbers in the lists above.
    user_at: HashMap<String, usize, RandomState>,
    group_at: HashMap<String, usize, RandomState>,
    shadow: Option<Vec<(String, String)>>,
    /// Passwords that stand in passwd itself, where shadow is not asked.
    unshadowed: Vec<(String, String)>,
    /// Ranges of login.defs that ids of new accounts are taken from.
    ranges: Ranges,
    /// Lines that could not be understood, as `FILE:LINE`.
    pub unreadable: Vec<String>,
    live: bool,
}

/// The id ranges of login.defs(5).
#[derive(Debug, Clone, Copy)]
struct Ranges {
    uid: (u32, u32),
    gid: (u32, u32),
    system_uid: (u32, u32),
    system_gid: (u32, u32),
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges { uid: (1000, 60_000), gid: (1000, 60_000), system_uid: (100, 999), system_gid: (100, 999) }
    }
}

impl Accounts {
    /// Reads the account files beneath `root`.
    ///
    /// # Errors
    /// passwd or group cannot be read. A shadow that cannot be read is no error: it is unknown then.
    pub fn read(root: &Root) -> Result<Self, crate::sys::ResolveError> {
        let passwd = root.read(Path::new("/etc/passwd"), LIMIT)?;
        let group = root.read(Path::new("/etc/group"), LIMIT)?;
        let shadow = root.read(Path::new("/etc/shadow"), LIMIT).ok();
        let defs = root.read(Path::new("/etc/login.defs"), LIMIT).unwrap_or_default();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let mut accounts = Self::parse(&text(&passwd), &text(&group), shadow.as_deref().map(text).as_deref());
        accounts.ranges = parse_ranges(&text(&defs));
        accounts.live = root.is_host();
        Ok(accounts)
    }

    /// Parses the texts of passwd, group and, where it could be read, shadow.
    pub fn parse(passwd: &str, group: &str, shadow: Option<&str>) -> Self {
        let mut a = Accounts::default();
        for (n, line) in lines(passwd) {
            match parse_user(line) {
                Some(u) => {
                    let password = line.split(':').nth(1).unwrap_or("x");
                    if password != "x" && a.user(&u.name).is_none() {
                        a.unshadowed.push((u.name.clone(), password.to_owned()));
                    }
                    a.add_user(u);
                }
                None => a.unreadable.push(format!("/etc/passwd:{n}")),
            }
        }
        for (n, line) in lines(group) {
            match parse_group(line) {
                Some(g) => a.add_group(g),
                None => a.unreadable.push(format!("/etc/group:{n}")),
            }
        }
        a.shadow = shadow.map(|s| {
            lines(s)
                .filter_map(|(_, l)| {
                    let mut f = l.split(':');
                    Some((f.next()?.to_owned(), f.next()?.to_owned()))
                })
                .collect()
        });
        a
    }

    fn add_user(&mut self, user: User) {
        self.user_at.entry(user.name.clone()).or_insert(self.users.len());
        self.users.push(user);
    }

    fn add_group(&mut self, group: Group) {
        self.group_at.entry(group.name.clone()).or_insert(self.groups.len());
        self.groups.push(group);
    }

    /// All users.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// All groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The user with this name; the first line counts, as for getpwnam(3).
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(*self.user_at.get(name)?)
    }

    /// The group with this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(*self.group_at.get(name)?)
    }

    /// A name for a uid, the number where there is none.
    pub fn user_name(&self, uid: u32) -> String {
        self.users.iter().find(|u| u.uid == uid).map_or_else(|| uid.to_string(), |u| u.name.clone())
    }

    /// A name for a gid, the number where there is none.
    pub fn group_name(&self, gid: u32) -> String {
        self.groups.iter().find(|g| g.gid == gid).map_or_else(|| gid.to_string(), |g| g.name.clone())
    }

    /// The uid of a name or of a number in a string.
    pub fn uid_of(&self, name: &str) -> Option<u32> {
        self.user(name).map(|u| u.uid).or_else(|| name.parse().ok())
    }

    /// The gid of a name or of a number in a string.
    pub fn gid_of(&self, name: &str) -> Option<u32> {
        self.group(name).map(|g| g.gid).or_else(|| name.parse().ok())
    }

    /// Names of the groups that list the user as a member, sorted.
    pub fn supplementary(&self, user: &str) -> BTreeSet<String> {
        self.groups.iter().filter(|g| g.members.iter().any(|m| m == user)).map(|g| g.name.clone()).collect()
    }

    /// An account as the grant files see it; one that does not exist has a name alone.
    pub fn identity(&self, name: &str) -> Identity {
        let Some(user) = self.user(name) else { return Identity::new(name, None) };
        let primary =
            Identity::new(name, Some(user.uid)).with_group(self.group_name(user.gid), Some(user.gid));
        self.supplementary(name).into_iter().fold(primary, |who, g| {
            let gid = self.gid_of(&g);
            who.with_group(g, gid)
        })
    }

    /// What a session of the account has, as login(1) makes it: its groups, and capabilities for root alone.
    pub fn credentials(&self, name: &str) -> Option<Credentials> {
        let user = self.user(name)?;
        let groups = self.supplementary(name).iter().filter_map(|g| self.gid_of(g)).collect();
        Some(Credentials::of_user(user.uid, user.gid, groups))
    }

    /// Whether a password opens the account.
    pub fn password(&self, user: &str) -> Password {
        let own = self.unshadowed.iter().find(|(n, _)| n == user);
        let Some(shadow) = own.map(|_| &self.unshadowed).or(self.shadow.as_ref()) else {
            return Password::Unknown;
        };
        match shadow.iter().find(|(n, _)| n == user).map(|(_, p)| p.as_str()) {
            None => Password::Unknown,
            Some("") => Password::Empty,
            Some(p) if p.starts_with(['!', '*']) => Password::Locked,
            Some(_) => Password::Set,
        }
    }

    /// Adds a user that a source other than the files has, if this is the running host and there is one.
    pub fn look_elsewhere_for_user(&mut self, name: &str) -> bool {
        if !self.live || self.user(name).is_some() {
            return false;
        }
        let Some(user) = getent("passwd", name).and_then(|l| parse_user(&l)) else { return false };
        if user.name == name {
            self.add_user(user);
            return true;
        }
        false
    }

    /// Adds the groups that a source other than the files puts the user in, if this is the running host: what a session of
    /// the account would have (initgroups(3)).
    pub fn look_elsewhere_for_groups_of(&mut self, name: &str) {
        if !self.live {
            return;
        }
        let Some(line) = getent("initgroups", name) else { return };
        let primary = self.user(name).map(|u| u.gid);
        let gids: Vec<u32> = line.split_whitespace().skip(1).filter_map(|w| w.parse().ok()).collect();
        for gid in gids.into_iter().filter(|g| Some(*g) != primary) {
            if !self.groups.iter().any(|g| g.gid == gid) {
                let found = getent("group", &gid.to_string()).and_then(|l| parse_group(&l));
                found.into_iter().for_each(|g| self.add_group(g));
            }
            if let Some(group) = self.groups.iter_mut().find(|g| g.gid == gid)
                && !group.members.iter().any(|m| m == name)
            {
                group.members.push(name.to_owned());
            }
        }
    }

    /// Those of these users (or groups) that a source other than the files has, if this is the running host. One call of
    /// getent(1) for hundreds of names: a directory may be far away.
    pub fn found_elsewhere(&self, groups: bool, names: &[&str]) -> Vec<String> {
        let database = if groups { "group" } else { "passwd" };
        let asked = if self.live { names } else { &[] };
        let mut found = Vec::new();
        for some in asked.chunks(500) {
            let args: Vec<&str> = ["--", database].into_iter().chain(some.iter().copied()).collect();
            // Its status says only that one of them is not there.
            let Ok(ended) = run::run("getent", &args, b"") else { break };
            let text = String::from_utf8_lossy(&ended.stdout);
            found.extend(text.lines().filter_map(|l| l.split(':').next()).map(str::to_owned));
        }
        found
    }

    /// Adds a group that a source other than the files has, if this is the running host and there is one.
    pub fn look_elsewhere_for_group(&mut self, name: &str) -> bool {
        if !self.live || self.group(name).is_some() {
            return false;
        }
        let Some(group) = getent("group", name).and_then(|l| parse_group(&l)) else { return false };
        if group.name == name {
            self.add_group(group);
            return true;
        }
        false
    }

    /// The id that a new user gets: the one above the highest in use, as useradd(8) chooses; for a system account the
    /// one below the lowest.
    pub fn next_uid(&self, system: bool, taken: &[u32]) -> Option<u32> {
        let range = if system { self.ranges.system_uid } else { self.ranges.uid };
        next_id(range, system, self.users.iter().map(|u| u.uid).chain(taken.iter().copied()))
    }

    /// The id that a new group gets. `preferred` (the uid of the user it is for) is taken if it is free.
    pub fn next_gid(&self, system: bool, preferred: Option<u32>, taken: &[u32]) -> Option<u32> {
        let used = || self.groups.iter().map(|g| g.gid).chain(taken.iter().copied());
        if let Some(p) = preferred
            && used().all(|g| g != p)
        {
            return Some(p);
        }
        let range = if system { self.ranges.system_gid } else { self.ranges.gid };
        next_id(range, system, used())
    }
}

impl doas::Names for Accounts {
    fn uid(&self, name: &str) -> Option<u32> {
        self.user(name).map(|u| u.uid)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.group(name).map(|g| g.gid)
    }
}

fn next_id((low, high): (u32, u32), downwards: bool, used: impl Iterator<Item = u32>) -> Option<u32> {
    let used: BTreeSet<u32> = used.filter(|id| (low..=high).contains(id)).collect();
    if downwards {
        let next = used.first().map_or(Some(high), |&least| least.checked_sub(1));
        return next.filter(|n| *n >= low).or_else(|| (low..=high).rev().find(|n| !used.contains(n)));
    }
    let next = used.last().map_or(low, |greatest| greatest.saturating_add(1));
    Some(next).filter(|n| *n <= high).or_else(|| (low..=high).find(|n| !used.contains(n)))
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // `+` and `-` lines are NIS compatibility entries, no accounts.
    text.lines()
        .enumerate()
        .map(|(i, l)| (i + 1, l))
        .filter(|(_, l)| !l.is_empty() && !l.starts_with(['#', '+', '-']))
}

fn parse_user(line: &str) -> Option<User> {
    let f: Vec<&str> = line.trim_end_matches('\n').split(':').collect();
    let [name, _, uid, gid, _, home, shell] = f.as_slice() else { return None };
    Some(User {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: (*home).to_owned(),
        shell: (*shell).to_owned(),
    })
}

fn parse_group(line: &str) -> Option<Group> {
    let f: Vec<&str> = line.trim_end_matches('\n').split(':').collect();
    let [name, _, gid, members] = f.as_slice() else { return None };
    Some(Group {
        name: (*name).to_owned(),
        gid: gid.parse().ok()?,
        members: members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect(),
    })
}

fn parse_ranges(defs: &str) -> Ranges {
    let mut r = Ranges::default();
    for (_, line) in lines(defs) {
        let mut words = line.split_whitespace();
        let (Some(key), Some(Ok(value))) = (words.next(), words.next().map(str::parse::<u32>)) else {
            continue;
        };
        match key {
            "UID_MIN" => r.uid.0 = value,
            "UID_MAX" => r.uid.1 = value,
            "GID_MIN" => r.gid.0 = value,
            "GID_MAX" => r.gid.1 = value,
            "SYS_UID_MIN" => r.system_uid.0 = value,
            "SYS_UID_MAX" => r.system_uid.1 = value,
            "SYS_GID_MIN" => r.system_gid.0 = value,
            "SYS_GID_MAX" => r.system_gid.1 = value,
            _ => {}
        }
    }
    r
}

fn getent(database: &str, name: &str) -> Option<String> {
    let ended = run::run("getent", &["--", database, name], b"").ok()?;
    ended.success.then(|| String::from_utf8_lossy(&ended.stdout).lines().next().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Accounts {
        Accounts::parse(
            "root:x:0:0:root:/root:/bin/bash\n# note\nalice:x:1000:1000::/home/alice:/bin/sh\nbad line\n+::::::\n",
            "root:x:0:\nalice:x:1000:\nadm:x:4:alice,bob\n",
            Some("root:*:1::::::\nalice:$y$x:1::::::\nnopass::1::::::\n"),
        )
    }

    #[test]
    fn reads_the_files_and_says_what_it_cannot_read() {
        let a = sample();
        assert_eq!(a.user("alice").unwrap().uid, 1000);
        assert_eq!(a.unreadable, ["/etc/passwd:4"]);
        assert_eq!(a.supplementary("alice").into_iter().collect::<Vec<_>>(), ["adm"]);
        assert_eq!(a.password("root"), Password::Locked);
        assert_eq!(a.password("alice"), Password::Set);
        assert_eq!(a.password("nopass"), Password::Empty);
        assert_eq!(a.password("bob"), Password::Unknown);
        assert_eq!((a.user_name(1000), a.user_name(7)), ("alice".into(), "7".into()));
    }

    #[test]
    fn new_ids_are_those_that_useradd_would_choose() {
        let a = sample();
        assert_eq!(a.next_uid(false, &[]), Some(1001));
        assert_eq!(a.next_uid(false, &[1001, 1002]), Some(1003));
        assert_eq!(a.next_uid(true, &[]), Some(999));
        assert_eq!(a.next_gid(false, Some(1001), &[]), Some(1001));
        assert_eq!(a.next_gid(false, Some(1000), &[]), Some(1001), "1000 is taken");
        assert_eq!(a.next_uid(false, &[60_000]), Some(1001), "from the bottom when the top is used");
    }
}
