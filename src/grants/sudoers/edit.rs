//! Taking rules out of a sudoers file, and nothing else.
//!
//! An edit is proposed as text, then read back: only if every entry of the file is what it was, but for the one
//! command or user that was to go, is it given out. What would touch others' rights is not proposed at all.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use super::ast::{ItemKind, Member, Privilege, Settings, Span, User, UserSpec};
use super::grants::{Grant, RuleRef};
use super::tree::{File, Tree};

/// What was done with a set of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removal {
    /// The files that change: path and whole new text.
    pub texts: Vec<(std::path::PathBuf, Vec<u8>)>,
    /// The rules that could not be taken out by themselves.
    pub left: Vec<RuleRef>,
}

/// The text of the grant's file without the grant. `None` if it cannot be taken out without touching what others may:
/// the user is there by a group, an alias, `ALL` or a uid that another account could share, or shares the entry with
/// others and it gives several commands.
pub fn remove_entry(tree: &Tree, grant: &Grant) -> Option<Vec<u8>> {
    let mut removal = remove_entries(tree, std::slice::from_ref(grant));
    if removal.left.is_empty() { removal.texts.pop().map(|(_, text)| text) } else { None }
}

/// Takes out all of `grants` that can be taken out by themselves. They must be of one identity and of `tree`.
pub fn remove_entries(tree: &Tree, grants: &[Grant]) -> Removal {
    let mut removal = Removal::default();
    let mut files: Vec<&Path> = Vec::new();
    for g in grants {
        if !files.contains(&&*g.path) {
            files.push(&g.path);
        }
    }
    for path in files {
        let mut entries: BTreeMap<usize, Vec<&Grant>> = BTreeMap::new();
        for g in grants.iter().filter(|g| g.path == path) {
            entries.entry(g.rule.item).or_default().push(g);
        }
        let first = entries.values().next().and_then(|g| g.first());
        let Some(file) = first.and_then(|g| tree.files.get(g.rule.file)) else { continue };
        let mut edit = Edit::new(tree, file);
        let mut changed = edit.remove_whole(&mut entries);
        for (item, of_entry) in entries {
            if edit.remove(item, &of_entry).is_some() {
                changed = true;
            } else {
                removal.left.extend(of_entry.iter().map(|g| g.rule));
            }
        }
        if changed {
            removal.texts.push((path.to_owned(), edit.pieces.concat()));
        }
    }
    removal
}

/// What an entry should be in the edited text.
#[derive(Debug, Clone)]
enum Expected {
    /// The bytes that it was.
    Same,
    /// Nothing: it is gone.
    Gone,
    /// This.
    Spec(Box<UserSpec>),
}

/// How many bytes are read back at most in the edit of one file; what is not proven by then stays.
const PATIENCE: usize = 256 << 20;

/// A file being edited, entry by entry.
struct Edit<'t> {
    tree: &'t Tree,
    file: &'t File,
    /// The text of each entry as it is now.
    pieces: Vec<Cow<'t, [u8]>>,
    expected: Vec<Expected>,
    patience: usize,
}

impl<'t> Edit<'t> {
    fn new(tree: &'t Tree, file: &'t File) -> Self {
        Edit {
            tree,
            file,
            pieces: file.items.iter().map(|i| Cow::Borrowed(file.bytes(i.span))).collect(),
            expected: vec![Expected::Same; file.items.len()],
            patience: PATIENCE,
        }
    }

    /// The entry, if all of the grants can be thought of being taken out of it.
    fn entry(&self, item: usize, grants: &[&Grant]) -> Option<(&'t UserSpec, Span)> {
        let entry = self.file.items.get(item)?;
        let ItemKind::UserSpec(spec) = &entry.kind else { return None };
        let unfit = |g: &&Grant| g.negated || !g.matched.personal || g.matched.doubt.is_some();
        if spec.crosses || grants.iter().any(unfit) {
            return None;
        }
        personal_name(spec, grants.first()?.matched.member)?;
        Some((spec, entry.span))
    }

    /// Takes out, all at once, the entries that are for the user alone and of which everything goes. Whether it did.
    fn remove_whole(&mut self, entries: &mut BTreeMap<usize, Vec<&Grant>>) -> bool {
        let whole: Vec<usize> = entries
            .iter()
            .filter(|(item, grants)| {
                self.entry(**item, grants)
                    .is_some_and(|(spec, _)| spec.users.len() == 1 && commands(grants).len() == count(spec))
            })
            .map(|(item, _)| *item)
            .collect();
        if whole.len() < 2 {
            return false;
        }
        let before = (self.pieces.clone(), self.expected.clone());
        for &item in &whole {
            if let (Some(piece), Some(expected)) = (self.pieces.get_mut(item), self.expected.get_mut(item)) {
                *piece = Cow::Borrowed(&[]);
                *expected = Expected::Gone;
            }
        }
        if self.agrees(usize::MAX).is_none() {
            // One of them holds the others up; each will be tried by itself.
            (self.pieces, self.expected) = before;
            return false;
        }
        for item in whole {
            entries.remove(&item);
        }
        true
    }

    /// Takes commands out of an entry. `None` if that cannot be done; then nothing has changed.
    fn remove(&mut self, item: usize, grants: &[&Grant]) -> Option<()> {
        let (spec, span) = self.entry(item, grants)?;
        let member = grants.first()?.matched.member;
        let name = personal_name(spec, member)?;
        let gone = commands(grants);
        let alone = spec.users.len() == 1;
        if gone.len() == count(spec) {
            if alone {
                return self.try_one_of(item, span.start, &Expected::Gone, vec![span]).map(|_| ());
            }
            // The user goes from the list. What else is in it must be names of others: a group, an alias, a uid or
            // ALL could stand for the same user.
            let mut users = spec.users.clone();
            users.remove(member);
            let others = |m: &Member<User>| match &m.value {
                User::Word(w) => !w.starts_with(b"#") && !w.eq_ignore_ascii_case(name),
                _ => false,
            };
            if users.iter().all(|m| m.negated) || !users.iter().all(others) {
                return None;
            }
            let expected = Expected::Spec(Box::new(UserSpec { users, ..spec.clone() }));
            let cuts = list_cuts(spec.users.iter().map(|m| m.span), member);
            return self.try_one_of(item, span.start, &expected, cuts).map(|_| ());
        }
        if !alone {
            return None;
        }
        // Commands go one by one, the last first.
        let before = (self.pieces.get(item).cloned()?, self.expected.get(item).cloned()?);
        let mut now = (spec.clone(), span.start);
        for (p, c) in gone {
            let cuts = command_cuts(&now.0, p, c);
            let done = without_command(&now.0, p, c)
                .and_then(|expected| self.try_one_of(item, now.1, &Expected::Spec(Box::new(expected)), cuts));
            match done {
                Some(Some(read)) => now = read,
                _ => {
                    if let (Some(piece), Some(expected)) =
                        (self.pieces.get_mut(item), self.expected.get_mut(item))
                    {
                        (*piece, *expected) = before;
                    }
                    return None;
                }
            }
        }
        Some(())
    }

    /// Makes the first of the cuts after which the whole text reads as expected. Places of cuts are those of a text in
    /// which the entry begins at `base`. The entry as it then reads, and where it begins.
    fn try_one_of(
        &mut self,
        item: usize,
        base: usize,
        expected: &Expected,
        cuts: Vec<Span>,
    ) -> Option<Option<(UserSpec, usize)>> {
        let was = std::mem::replace(self.expected.get_mut(item)?, expected.clone());
        let piece = self.pieces.get(item).cloned()?;
        for cut in cuts {
            let local = cut.start.checked_sub(base).zip(cut.end.checked_sub(base));
            let Some(text) = local.and_then(|(s, e)| cut_out(&piece, Span::new(s, e))) else { continue };
            *self.pieces.get_mut(item)? = Cow::Owned(text);
            if let Some(read) = self.agrees(item) {
                return Some(read);
            }
        }
        *self.pieces.get_mut(item)? = piece;
        *self.expected.get_mut(item)? = was;
        None
    }

    /// Whether every entry of the text as it is now is as expected; and the entry `wanted`, and where it begins.
    fn agrees(&mut self, wanted: usize) -> Option<Option<(UserSpec, usize)>> {
        let text = self.pieces.concat();
        self.patience = self.patience.checked_sub(text.len())?;
        let read = Tree::read_text(&self.file.path, &text, &self.tree.reading);
        let now = read.files.first()?;
        let mut items = now.items.iter();
        let mut found = None;
        for (n, (old, expected)) in self.file.items.iter().zip(&self.expected).enumerate() {
            if matches!(expected, Expected::Gone) {
                continue;
            }
            let new = items.next()?;
            match expected {
                Expected::Spec(spec) => match &new.kind {
                    ItemKind::UserSpec(s) if same_spec(s, spec) => {
                        if n == wanted {
                            found = Some((UserSpec::clone(s), new.span.start));
                        }
                    }
                    _ => return None,
                },
                _ if self.file.bytes(old.span) == now.bytes(new.span) => {}
                _ => return None,
            }
        }
        items.next().is_none().then_some(found)
    }
}

/// The places of the grants in their entry, the last first, each once.
fn commands(grants: &[&Grant]) -> Vec<(usize, usize)> {
    let mut gone: Vec<(usize, usize)> = grants.iter().map(|g| (g.rule.privilege, g.rule.command)).collect();
    gone.sort_unstable_by(|a, b| b.cmp(a));
    gone.dedup();
    gone
}

/// How many commands an entry has.
fn count(spec: &UserSpec) -> usize {
    spec.privileges.iter().map(|p| p.commands.len()).sum()
}

/// The name by which the user list names one account, if it does.
fn personal_name(spec: &UserSpec, member: usize) -> Option<&[u8]> {
    match spec.users.get(member) {
        Some(m) if !m.negated => match &m.value {
            User::Word(w) if !w.starts_with(b"#") => Some(w),
            _ => None,
        },
        _ => None,
    }
}

/// The entry without one command, as it should read afterwards.
fn without_command(spec: &UserSpec, p: usize, c: usize) -> Option<UserSpec> {
    let mut spec = spec.clone();
    let privilege = spec.privileges.get_mut(p)?;
    if privilege.commands.len() > 1 && c < privilege.commands.len() {
        privilege.commands.remove(c);
    } else {
        spec.privileges.remove(p);
    }
    Some(spec)
}

/// What could be cut to take out a command; which cut is right is found by reading.
fn command_cuts(spec: &UserSpec, p: usize, c: usize) -> Vec<Span> {
    let Some(privilege) = spec.privileges.get(p) else { return Vec::new() };
    if privilege.commands.len() == 1 {
        return list_cuts(spec.privileges.iter().map(|p| p.span), p);
    }
    let mut cuts = list_cuts(privilege.commands.iter().map(|c| c.span), c);
    // What stands before it holds for those after it too: leave that, and take the command alone.
    if let (Some(this), Some(next)) = (privilege.commands.get(c), privilege.commands.get(c + 1)) {
        cuts.push(Span::new(this.command.span.start, next.span.start));
    }
    cuts
}

/// The ways to take one member out of a list with separators between members: with the separator before it, or with
/// the one after it.
fn list_cuts(spans: impl Iterator<Item = Span>, n: usize) -> Vec<Span> {
    let spans: Vec<Span> = spans.collect();
    let mut cuts = Vec::new();
    let Some(this) = spans.get(n) else { return cuts };
    if let Some(before) = n.checked_sub(1).and_then(|i| spans.get(i)) {
        cuts.push(Span::new(before.end, this.end));
    }
    if let Some(after) = spans.get(n + 1) {
        cuts.push(Span::new(this.start, after.start));
    }
    cuts
}

fn cut_out(text: &[u8], cut: Span) -> Option<Vec<u8>> {
    let mut out = text.get(..cut.start)?.to_vec();
    out.extend_from_slice(text.get(cut.end..)?);
    Some(out)
}

/// Equal but for places and for what is written where.
fn same_spec(a: &UserSpec, b: &UserSpec) -> bool {
    let users = |s: &UserSpec| s.users.iter().map(|m| (m.negated, m.value.clone())).collect::<Vec<_>>();
    users(a) == users(b)
        && a.privileges.len() == b.privileges.len()
        && a.privileges.iter().zip(&b.privileges).all(|(a, b)| same_privilege(a, b))
}

fn same_privilege(a: &Privilege, b: &Privilege) -> bool {
    let hosts = |p: &Privilege| p.hosts.iter().map(|m| (m.negated, m.value.clone())).collect::<Vec<_>>();
    hosts(a) == hosts(b)
        && a.commands.len() == b.commands.len()
        && a.commands.iter().zip(&b.commands).all(|(a, b)| {
            a.command.negated == b.command.negated
                && a.command.value == b.command.value
                && same_settings(&a.settings, &b.settings)
        })
}

fn same_settings(a: &Settings, b: &Settings) -> bool {
    let runas = |s: &Settings| {
        s.runas.as_ref().map(|r| {
            let plain =
                |l: &[Member<User>]| l.iter().map(|m| (m.negated, m.value.clone())).collect::<Vec<_>>();
            (plain(&r.users), plain(&r.groups))
        })
    };
    runas(a) == runas(b) && a.tags == b.tags && a.options == b.options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::identity::Identity;
    use crate::grants::sudoers::{MemoryFiles, Reading, ThisHost, rules_for};

    /// The text after all grants of `dep` whose command text contains `what` are taken out.
    fn after(text: &str, what: &str) -> Option<String> {
        let tree = Tree::read(
            &MemoryFiles::new().with("/etc/sudoers", text),
            Path::new("/etc/sudoers"),
            &Reading::default(),
        );
        let dep = Identity::new("dep", Some(2000)).with_group("dep", Some(2000));
        let grants: Vec<_> = rules_for(&tree, &dep, &ThisHost::default())
            .into_iter()
            .filter(|g| g.command_text.contains(what))
            .collect();
        assert!(!grants.is_empty());
        let removal = remove_entries(&tree, &grants);
        if !removal.left.is_empty() {
            return None;
        }
        Some(String::from_utf8(removal.texts.into_iter().next().unwrap().1).unwrap())
    }

    #[test]
    fn a_rule_of_ones_own_goes_with_its_line() {
        assert_eq!(
            after("a ALL=ALL\ndep ALL=/bin/ls, \\\n  /bin/id # why\n# c\n", "").unwrap(),
            "a ALL=ALL\n# c\n"
        );
        assert_eq!(after("dep ALL=/bin/ls", "").unwrap(), "");
    }

    #[test]
    fn one_command_goes_and_what_it_handed_on_stays() {
        let t = "dep ALL=(root) NOPASSWD: /bin/a, /bin/b, PASSWD: /bin/c\n";
        assert_eq!(after(t, "/bin/a").unwrap(), "dep ALL=(root) NOPASSWD: /bin/b, PASSWD: /bin/c\n");
        assert_eq!(after(t, "/bin/b").unwrap(), "dep ALL=(root) NOPASSWD: /bin/a, PASSWD: /bin/c\n");
        assert_eq!(after(t, "/bin/c").unwrap(), "dep ALL=(root) NOPASSWD: /bin/a, /bin/b\n");
        let t = "dep ALL=/bin/a : h, localhost = (x) /bin/b : ALL=/bin/c\n";
        assert_eq!(after(t, "/bin/b").unwrap(), "dep ALL=/bin/a : ALL=/bin/c\n");
        // The runas list would have to move behind the tag of the next command.
        assert_eq!(after("dep ALL=(x) NOPASSWD: /bin/a, (y) /bin/b\n", "/bin/a"), None);
    }

    #[test]
    fn a_user_goes_from_a_list_with_all_it_had() {
        assert_eq!(after("bob, dep, eve ALL=/bin/a\n", "").unwrap(), "bob, eve ALL=/bin/a\n");
        assert_eq!(after("dep,eve ALL=/bin/a, /bin/b\n", "").unwrap(), "eve ALL=/bin/a, /bin/b\n");
    }

    #[test]
    fn what_would_touch_others_stays() {
        for text in [
            "%dep ALL=/bin/a\n",
            "ALL ALL=/bin/a\n",
            "User_Alias A=dep,bob\nA ALL=/bin/a\n",
            "#2000 ALL=/bin/a\n",
            "dep, %dep ALL=/bin/a\n",
            "dep, !bob ALL=/bin/a\n",
            "dep, DEP ALL=/bin/a\n",
        ] {
            assert_eq!(after(text, "/bin/a"), None, "{text}");
        }
        assert_eq!(after("dep, bob ALL=/bin/a, /bin/b\n", "/bin/a"), None);
        assert_eq!(after("dep ALL=ALL, !/bin/a\n", "/bin/a"), None, "an exception is no right");
    }
}
