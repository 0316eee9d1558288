//! The search for the shortest way from an account to root.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::chain::Chain;
use super::facts::Facts;
use super::groups::as_good_as_root;
use super::rights::{Arguments, Right};
use super::{Step, Way};
use crate::grants::access::Credentials;
use crate::grants::daemons::{DAEMONS, Daemon, root_place};
use crate::grants::doas;
use crate::grants::programs::{self, Table};
use crate::grants::sudoers::{Files as _, ThisHost, Tree};
use crate::host::code::code_of;
use crate::host::grants::{DOAS_CONF, HostFiles, SUDOERS};
use crate::host::polkit::{self, RuleFile};
use crate::host::{Host, Password};
use crate::manifest::{Manifest, PathRule, writes};
use crate::report::Code;
use crate::report::codes::{account, excess, path, polkit as codes, sudo};

/// What ways are looked for in: a host, with what manifests declare beside what it has.
#[derive(Debug)]
pub struct World<'a> {
    host: &'a Host,
    manifests: &'a [Manifest],
    /// sudo's policy.
    pub tree: Tree,
    doas: Option<doas::File>,
    facts: OnceCell<Facts>,
    /// Rules of polkit, without those that manifests declare; and what could not be read.
    polkit: (Vec<RuleFile>, Vec<String>),
}

/// Who can become root.
#[derive(Debug, Default)]
pub struct Ways {
    /// The shortest way of each account that can, by name.
    pub ways: Vec<Way>,
    /// Accounts that may run everything as root, each with what lets it.
    pub administrators: Vec<(String, String)>,
}

/// A way from one account to another.
#[derive(Debug, Clone)]
struct Edge {
    to: String,
    steps: Vec<Step>,
}

impl<'a> World<'a> {
    /// A host as it is. `tree` is its sudo policy.
    pub fn new(host: &'a Host, manifests: &'a [Manifest], tree: Tree) -> World<'a> {
        let doas = HostFiles::new(&host.root).read(Path::new(DOAS_CONF)).ok();
        let doas = doas.map(|text| doas::File::parse(DOAS_CONF, text.bytes.to_vec()));
        let (mut rules, unread) = polkit::all(&host.root);
        rules.retain(|f| !manifests.iter().any(|m| f.path == polkit::own_path(&m.app.name.value)));
        World { host, manifests, tree, doas, facts: OnceCell::new(), polkit: (rules, unread) }
    }

    /// Rules of polkit that no manifest declares, and what of them could not be read.
    pub fn polkit(&self) -> (&[RuleFile], &[String]) {
        (&self.polkit.0, &self.polkit.1)
    }

    /// The facts about paths, looked at when they are first asked for.
    pub fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Facts::of(&self.host.root, &self.host.accounts))
    }

    /// The shortest way of a manifest's user, without what its manifest accepts.
    pub fn of_app(&self, m: &Manifest) -> Option<Way> {
        self.shortest(&m.app.user.name.value)
    }

    /// The ways of all accounts but root.
    pub fn of_all(&self) -> Ways {
        let mut ways = Ways::default();
        for user in self.host.accounts.users().iter().filter(|u| u.uid != 0) {
            let declared = self.manifest(&user.name).is_some();
            match self.shortest(&user.name) {
                Some(way) if !declared && way.steps.iter().all(|s| s.code == &excess::RULE) => {
                    let by = way.steps.first().and_then(|s| s.place.clone()).unwrap_or_default();
                    ways.administrators.push((way.user, by));
                }
                Some(way) => ways.ways.push(way),
                None => {}
            }
        }
        ways.ways.sort_by(|a, b| a.user.cmp(&b.user));
        ways.ways.dedup_by(|a, b| a.user == b.user);
        ways.administrators.sort();
        ways.administrators.dedup();
        ways
    }

    /// By number of steps, then by name: of ways of the same length always the same is told.
    fn shortest(&self, from: &str) -> Option<Way> {
        let mut open: BTreeMap<(usize, String), Vec<Step>> = BTreeMap::new();
        let mut done: Vec<String> = Vec::new();
        open.insert((0, from.to_owned()), Vec::new());
        while let Some(((cost, name), steps)) = open.pop_first() {
            if name == "root" {
                return Some(Way { user: from.to_owned(), steps });
            }
            if done.contains(&name) {
                continue;
            }
            for edge in self.edges(&name) {
                let cost = cost + edge.steps.len();
                let mut way = steps.clone();
                way.extend(edge.steps);
                open.entry((cost, edge.to)).or_insert(way);
            }
            done.push(name);
        }
        None
    }

    fn manifest(&self, user: &str) -> Option<&'a Manifest> {
        self.manifests.iter().find(|m| m.app.user.name.value == user)
    }

    fn user_name(&self, uid: Option<u32>) -> String {
        match uid {
            // Everybody: root is among them.
            None | Some(0) => "root".to_owned(),
            Some(uid) => self.host.accounts.user_name(uid),
        }
    }

    /// Every way of one account to another that is a step, or two that belong together.
    fn edges(&self, name: &str) -> Vec<Edge> {
        let manifest = self.manifest(name);
        let rights = self.rights(name);
        let table: &Table = match manifest {
            Some(m) => &m.programs,
            None => programs::built_in(),
        };
        let mut edges = Vec::new();
        for right in &rights {
            let to = self.user_name(right.target);
            edges.extend(right.step(&to, table).map(|s| Edge { to: to.clone(), steps: vec![s] }));
            edges.extend(edits(right, &to, &rights));
        }
        if let Some(m) = manifest {
            edges.extend(self.declared_writes(m, &rights));
        }
        edges.extend(self.memberships(name, manifest));
        edges.extend(self.by_polkit(name));
        if let Some(who) = self.host.accounts.credentials(name) {
            edges.extend(self.writes(name, &who, &rights));
            edges.extend(self.set_uid(&who, table));
            edges.extend(self.hashes(name, &who));
        }
        for user in self.host.accounts.users() {
            if user.name != name && self.host.accounts.password(&user.name) == Password::Empty {
                let what = format!("becomes {}, whose password is empty (su)", user.name);
                let place = Some("/etc/shadow".to_owned());
                let step = Step { what, origin: None, place, code: &account::UNLOCKED };
                edges.push(Edge { to: user.name.clone(), steps: vec![step] });
            }
        }
        // What the manifest accepts as a whole is no way.
        let accepted = |s: &Step| manifest.is_some_and(|m| m.app.accept.iter().any(|a| a.code == s.code));
        edges.retain(|e| e.to != name && !e.steps.iter().any(&accepted));
        edges
    }

    /// The commands that an account may run as another.
    pub fn rights(&self, name: &str) -> Vec<Right> {
        let accounts = &self.host.accounts;
        let mut rights = self.manifest(name).map_or_else(Vec::new, |m| Right::declared(m, accounts));
        let declared = rights.len();
        let who = accounts.identity(name);
        let here = ThisHost::named(&self.host.name);
        let kept = self.manifest(name).map_or(&[][..], |m| &m.rules);
        let mut found = Right::by_sudo(&self.tree, &who, &here, accounts, kept);
        if let Some(file) = &self.doas {
            found.extend(Right::by_doas(file, Path::new(DOAS_CONF), &who, accounts, accounts, kept));
        }
        found.extend(Right::by_polkit(&self.polkit.0, &who, accounts));
        // What is declared stands on the host, too, when it was applied.
        let same = |a: &Right, b: &Right| {
            (&a.command, &a.arguments, a.target) == (&b.command, &b.arguments, b.target)
        };
        found.retain(|f| !rights.iter().take(declared).any(|d| same(d, f)));
        rights.extend(found);
        rights
    }

    /// Groups that are as good as root: by /etc/group, as primary group, and as declared.
    fn memberships(&self, name: &str, manifest: Option<&Manifest>) -> Vec<Edge> {
        let accounts = &self.host.accounts;
        let mut edges = Vec::new();
        let mut step = |group: &str, origin, place: Option<String>| {
            if let Some(how) = as_good_as_root(group) {
                let step =
                    Step { what: format!("is in group {group}: {how}"), origin, place, code: &excess::GROUP };
                edges.push(Edge { to: "root".to_owned(), steps: vec![step] });
            }
        };
        if let Some(m) = manifest.filter(|m| m.app.user.managed) {
            for g in m.app.user.groups.iter().chain(&m.app.user.group) {
                step(&g.value, Some(g.origin.clone()), None);
            }
        }
        for g in accounts.supplementary(name) {
            step(&g, None, Some(format!("/etc/group, {g}")));
        }
        if let Some(user) = accounts.user(name) {
            step(&accounts.group_name(user.gid), None, Some("/etc/passwd, primary group".to_owned()));
        }
        edges
    }

    /// Rules of polkit that are as good as root.
    fn by_polkit(&self, name: &str) -> Vec<Edge> {
        let accounts = &self.host.accounts;
        let who = accounts.identity(name);
        let groups: Vec<&str> = who.groups.iter().map(|(g, _)| g.as_str()).collect();
        let locked = accounts.password(name) == Password::Locked;
        let mut edges = Vec::new();
        for file in &self.polkit.0 {
            for rule in file.rules.iter().filter(|r| r.is_root() && (r.free || !locked)) {
                let Some(named) = rule.names(name, &groups) else { continue };
                let by = named.group.map_or_else(String::new, |g| format!(" (as one of {g})"));
                let what = match rule.actions().next() {
                    Some(action) => {
                        format!("polkit allows {action}{by}, about whatever: root starts what it asks for")
                    }
                    None => format!("polkit allows every action{by}: root starts what it asks for"),
                };
                let place = Some(format!("{}:{}", file.path.display(), named.line));
                let step = Step { what, origin: None, place, code: &codes::MANAGES_UNITS };
                edges.push(Edge { to: "root".to_owned(), steps: vec![step] });
            }
        }
        edges
    }

    /// Programs that run as their owner and do what they are told.
    fn set_uid(&self, who: &Credentials, table: &Table) -> Vec<Edge> {
        let mut edges = Vec::new();
        for chain in &self.facts().set_uid {
            let Some(owner) = chain.set_uid(who) else { continue };
            let at = chain.real().display().to_string();
            let way = table.find(&at).and_then(|p| p.strongest(programs::Arguments::Any));
            let Some(way) = way.filter(|w| w.class.is_account()) else { continue };
            let to = self.user_name(Some(owner));
            let what = format!("runs {at}, which runs as its owner {to}: {}", way.how);
            let step = Step { what, origin: None, place: Some(at), code: &excess::SET_ID };
            edges.push(Edge { to, steps: vec![step] });
        }
        edges
    }

    /// Hashes of passwords that it can read, and guess at without anybody's noticing.
    fn hashes(&self, name: &str, who: &Credentials) -> Vec<Edge> {
        let accounts = &self.host.accounts;
        let Some(file) = self.facts().hashes.iter().find(|c| c.reader(who)) else { return Vec::new() };
        let at = file.real().display().to_string();
        let opened = accounts.users().iter().filter(|u| accounts.password(&u.name) == Password::Set);
        let others = opened.filter(|u| u.name != name && u.uid != who.uid);
        others
            .map(|u| {
                let to = if u.uid == 0 { "root".to_owned() } else { u.name.clone() };
                let what = format!("may read {at}: the password of {} can be guessed from its hash", u.name);
                let step = Step { what, origin: None, place: Some(at.clone()), code: &excess::SECRET };
                Edge { to, steps: vec![step] }
            })
            .collect()
    }

    /// What a manifest lets its user write.
    fn declared_writes(&self, m: &Manifest, rights: &[Right]) -> Vec<Edge> {
        let mut edges = Vec::new();
        for rule in m.paths.iter().filter(|r| writes(m, r)) {
            let at = &rule.path.value;
            let accepted = |code: Code| rule.accept.iter().any(|a| a.code == code);
            let write = |why: &str, code: Code| Step {
                what: format!("writes {}: {why}", at.display()),
                origin: Some(rule.path.origin.clone()),
                place: None,
                code,
            };
            if let Some((_, why)) = root_place(at) {
                if !accepted(&path::WRITE_IS_ROOT) {
                    edges.push(Edge { to: "root".to_owned(), steps: vec![write(why, &path::WRITE_IS_ROOT)] });
                }
                continue;
            }
            if accepted(&path::DAEMON_CONFIG_AND_RELOAD) {
                continue;
            }
            for daemon in DAEMONS.iter().filter(|d| d.configured_in(at).is_some()) {
                if let Some(reload) = reload(daemon, rights) {
                    let first = write(daemon.how, &path::DAEMON_CONFIG_AND_RELOAD);
                    edges.push(Edge { to: "root".to_owned(), steps: vec![first, reload] });
                }
            }
        }
        edges
    }

    /// What an account can write on the host, by whatever right.
    fn writes(&self, name: &str, who: &Credentials, rights: &[Right]) -> Vec<Edge> {
        let mut edges = Vec::new();
        let manifest = self.manifest(name);
        for fact in &self.facts().open {
            if fact.to == name {
                continue;
            }
            let Some(writer) = fact.chain.writer(who) else { continue };
            let declared = manifest.and_then(|m| declared_at(m, &writer.at, &self.host.root));
            if declared.is_some_and(|r| r.accept.iter().any(|a| a.code == fact.code)) {
                continue;
            }
            let of = if writer.at == fact.chain.real() || writer.at == fact.chain.path {
                String::new()
            } else {
                format!(", on the way to {}", fact.chain.path.display())
            };
            let first = Step {
                what: format!("{} {}{of}: {}", writer.how, writer.at.display(), fact.why),
                origin: declared.map(|r| r.path.origin.clone()),
                place: declared.is_none().then(|| writer.at.display().to_string()),
                code: fact.code,
            };
            let steps = match fact.daemon {
                None => vec![first],
                Some(daemon) => match reload(daemon, rights) {
                    Some(reload) => vec![first, reload],
                    None => continue,
                },
            };
            edges.push(Edge { to: fact.to.clone(), steps });
        }
        for right in rights {
            let Some(command) = right.command.as_deref().filter(|c| c.starts_with('/')) else { continue };
            let to = self.user_name(right.target);
            for at in code_of(&self.host.root, Path::new(command)) {
                let Some(chain) = Chain::follow(&self.host.root, &at).filter(|c| !c.is_closed()) else {
                    continue;
                };
                let Some(writer) = chain.writer(who) else { continue };
                let first = Step {
                    what: format!("{} {}, and may run {command} as {to}", writer.how, writer.at.display()),
                    origin: right.origin.clone(),
                    place: right.place.clone(),
                    code: &excess::WEAK_COMMAND,
                };
                edges.push(Edge { to: to.clone(), steps: vec![first] });
            }
        }
        edges
    }
}

/// The ways that the right to edit files (sudoedit) opens.
fn edits(right: &Right, to: &str, rights: &[Right]) -> Vec<Edge> {
    let Some(files) = right.edits() else { return Vec::new() };
    let step = |what: String, code: Code| Step {
        what,
        origin: right.origin.clone(),
        place: right.place.clone(),
        code,
    };
    let accepted = |code: Code| right.accepted.contains(&code);
    let Some(files) = files else {
        let any = step(format!("may edit any file as {to} (sudoedit)"), &sudo::FILE_WRITER);
        let edge = Edge { to: to.to_owned(), steps: vec![any] };
        return if accepted(&sudo::FILE_WRITER) { Vec::new() } else { vec![edge] };
    };
    // Where somebody else's files are meant, what is root's is none of them.
    if to != "root" {
        return Vec::new();
    }
    let mut edges = Vec::new();
    for file in files {
        let at = Path::new(file);
        if let Some((_, why)) = root_place(at).filter(|_| !accepted(&path::WRITE_IS_ROOT)) {
            let first = step(format!("may edit {file} as root (sudoedit): {why}"), &path::WRITE_IS_ROOT);
            edges.push(Edge { to: to.to_owned(), steps: vec![first] });
            continue;
        }
        for daemon in DAEMONS.iter().filter(|d| d.configured_in(at).is_some()) {
            let code: Code = &path::DAEMON_CONFIG_AND_RELOAD;
            if let Some(reload) = reload(daemon, rights).filter(|_| !accepted(code)) {
                let first = step(format!("may edit {file} as root (sudoedit): {}", daemon.how), code);
                edges.push(Edge { to: to.to_owned(), steps: vec![first, reload] });
            }
        }
    }
    edges
}

/// The declared path that this one lies at or below, if it is declared to be written.
fn declared_at<'m>(m: &'m Manifest, at: &Path, root: &crate::sys::Root) -> Option<&'m PathRule> {
    m.paths.iter().filter(|r| writes(m, r)).find(|r| {
        at.starts_with(&r.path.value)
            || root.resolve(&r.path.value).is_ok_and(|real| at.starts_with(&real.path))
    })
}

/// The step by which an account makes a daemon read its configuration as root.
fn reload(daemon: &Daemon, rights: &[Right]) -> Option<Step> {
    let right = rights.iter().find(|r| {
        let args: Vec<&str> = match &r.arguments {
            Arguments::Any => Vec::new(),
            Arguments::Exact(args) => args.iter().map(String::as_str).collect(),
        };
        let any = r.arguments == Arguments::Any;
        let root =
            matches!(r.target, None | Some(0)) && !r.accepted.contains(&&path::DAEMON_CONFIG_AND_RELOAD);
        let command = r.command.as_deref().unwrap_or_default();
        root && !command.is_empty() && daemon.reloaded_by(command, args.iter().copied(), any)
    })?;
    let args = match &right.arguments {
        Arguments::Any => String::new(),
        Arguments::Exact(args) => format!(" {}", args.join(" ")),
    };
    Some(Step {
        what: format!(
            "runs {}{args} as root: {} reads its configuration as root",
            right.command.as_deref().unwrap_or_default(),
            daemon.name
        ),
        origin: right.origin.clone(),
        place: right.place.clone(),
        code: &path::DAEMON_CONFIG_AND_RELOAD,
    })
}

/// sudo's policy of a host, for [`World::new`].
pub fn sudo_tree(host: &Host) -> Tree {
    let reading = crate::grants::sudoers::Reading {
        host: ThisHost::named(&host.name).short.into_bytes(),
        apparmor: false,
    };
    Tree::read(&HostFiles::new(&host.root), Path::new(SUDOERS), &reading)
}
