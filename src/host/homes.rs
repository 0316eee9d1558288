//! Whose homes have specifications of their own: what genhomedircon(8) reads, beneath a root.
//!
//! Roots of homes are `HOME` of /etc/default/useradd and the folders that the homes of people lie in: accounts whose
//! number is between `UID_MIN` and `UID_MAX` of /etc/login.defs and whose shell stands in /etc/shells. SELinux users are
//! those of `seusers`, their prefixes those of the store's `users_extra`. (libsemanage's genhomedircon.c)

use std::collections::BTreeSet;
use std::path::Path;

use super::policy_store::parse_logins;
use crate::selinux::contexts::homes::{Homes, Person, SelinuxUser};
use crate::sys::Root;

const LIMIT: u64 = 16 << 20;

/// The homes of the host beneath a root, for the policy of this name.
pub fn homes(root: &Root, policy: &str) -> Homes {
    let read =
        |path: &Path| root.read(path, LIMIT).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let etc = |name: &str| read(&Path::new("/etc").join(name)).unwrap_or_default();
    let store = Path::new("/var/lib/selinux").join(policy).join("active");
    let seusers = read(&store.join("seusers")).unwrap_or_else(|| etc(&format!("selinux/{policy}/seusers")));
    let extra = read(&store.join("users_extra")).unwrap_or_default();
    let passwd = etc("passwd");
    let accounts: Vec<Account<'_>> = passwd.lines().filter_map(Account::read).collect();
    let uses_passwd = setting(&etc("selinux/semanage.conf"), "usepasswd").is_none_or(|v| v != "false");
    let mut roots =
        BTreeSet::from([setting(&etc("default/useradd"), "HOME").unwrap_or_else(|| "/home".to_owned())]);
    if uses_passwd {
        roots.extend(of_people(&accounts, &etc("login.defs"), &etc("shells")));
    }
    let mut homes = Homes { roots: roots.into_iter().collect(), ..Homes::default() };
    let mut logins = parse_logins(&seusers);
    logins.sort_by(|a, b| a.name.cmp(&b.name));
    for login in logins {
        let level = login.range.split('-').next().filter(|l| !l.is_empty());
        let selinux = SelinuxUser {
            prefix: prefix(&extra, &login.user),
            level: level.map(str::to_owned),
            prefix_is_role: false,
            name: login.user,
        };
        if login.name == "__default__" {
            homes.fallback = Some(selinux);
        } else if let Some(a) = accounts.iter().find(|a| a.name == login.name) {
            let (uid, home) = (a.uid.to_string(), a.home.to_owned());
            homes.people.push(Person { name: login.name, uid, home, selinux });
        }
    }
    homes
}

/// A line of passwd(5).
struct Account<'t> {
    name: &'t str,
    uid: u32,
    home: &'t str,
    shell: &'t str,
}

impl<'t> Account<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let mut fields = line.split(':');
        let (name, _, uid) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        Some(Account { name, uid, home: fields.nth(2)?, shell: fields.next().unwrap_or_default() })
    }
}

/// The folders that the homes of people lie in.
fn of_people<'a>(
    accounts: &'a [Account<'_>],
    login_defs: &str,
    shells: &str,
) -> impl Iterator<Item = String> + 'a {
    let number = |name: &str, usual: u32| {
        let mut lines = login_defs.lines().map(str::split_whitespace);
        let value = lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()).flatten());
        value.and_then(|v| v.parse().ok()).unwrap_or(usual)
    };
    let people = number("UID_MIN", 1000)..=number("UID_MAX", 60_000);
    let shells: BTreeSet<String> = shells
        .lines()
        .map(str::trim)
        .filter(|l| l.starts_with('/') && !l.ends_with("/nologin"))
        .map(str::to_owned)
        .collect();
    accounts.iter().filter(move |a| people.contains(&a.uid) && shells.contains(a.shell)).filter_map(|a| {
        let (folder, name) = a.home.trim_end_matches('/').rsplit_once('/')?;
        (folder.starts_with('/') && !name.is_empty()).then(|| folder.to_owned())
    })
}

/// `NAME=VALUE`, spaces and quotes left out.
fn setting(text: &str, name: &str) -> Option<String> {
    let values = text.lines().filter_map(|l| l.trim().strip_prefix(name)?.trim_start().strip_prefix('='));
    values.map(|v| v.trim().trim_matches('"').to_owned()).next_back().filter(|v| !v.is_empty())
}

/// `user NAME prefix PREFIX;` (users_extra).
fn prefix(extra: &str, user: &str) -> String {
    let found = extra.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let fits =
            words.next() == Some("user") && words.next() == Some(user) && words.next() == Some("prefix");
        fits.then(|| words.next()).flatten()
    });
    found.map_or("user", |p| p.trim_end_matches(';')).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_have_homes() {
        let passwd = "root:x:0:0::/root:/bin/bash\nanna:x:1000:1000::/home/anna:/bin/bash\nweb:x:1001:1001::/srv/web:/usr/sbin/nologin\n\
                      ben:x:1002:1002::/export/home/ben/:/bin/zsh\nnobody:x:65534:1::/nonexistent:/bin/bash\nbad\n";
        let accounts: Vec<Account<'_>> = passwd.lines().filter_map(Account::read).collect();
        let found: Vec<String> =
            of_people(&accounts, "UID_MIN 1000\n", "/bin/bash\n/bin/zsh\n# x\n").collect();
        assert_eq!(found, ["/home", "/export/home"]);
        assert_eq!(prefix("user staff_u prefix staff;\n", "staff_u"), "staff");
        assert_eq!(prefix("", "staff_u"), "user");
        assert_eq!(setting("#HOME=/x\n HOME = /y\n", "HOME").as_deref(), Some("/y"));
    }
}
