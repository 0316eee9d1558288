//! Which of an event's PATH records is the object that was denied.

use std::borrow::Cow;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::call::{place, slot};
use super::event::each;
use super::fields::{Field, InOrder};
use super::record::{PARTS, Record, split_enriched};

/// Keys of a PATH record.
const PATH_KEYS: &[&[u8]] =
    &[b"item", b"name", b"inode", b"dev", b"mode", b"ouid", b"ogid", b"rdev", b"obj", b"nametype", b"cap_fp"];

/// Fields of an AVC that choose among the PATH records.
#[derive(Default)]
pub(super) struct Object<'a> {
    pub(super) name: Option<Cow<'a, [u8]>>,
    pub(super) path: Option<Cow<'a, [u8]>>,
    pub(super) inode: Option<&'a [u8]>,
    /// The object is a folder, and `name` (and `inode`) that of the entry in it which is to be made or taken away.
    pub(super) entry: bool,
    /// The object is to be made: `name` is the last part of its path, and it has no number yet.
    pub(super) made: bool,
}

/// What an AVC of these permissions on this class says by its `name=`: for entries of a folder the kernel names the
/// entry (`may_create` and `may_link` in security/selinux/hooks.c), else the object.
pub(super) fn about<'a>(object: &mut Object<'a>, class: &[u8], permissions: &[u8]) {
    let has = |wanted: &[u8]| permissions.split(u8::is_ascii_whitespace).any(|p| p == wanted);
    object.entry = class == b"dir" && (has(b"add_name") || has(b"remove_name"));
    object.made = !object.entry && has(b"create");
}

/// What matters of a PATH record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathRecord<'a> {
    name: Option<Cow<'a, [u8]>>,
    inode: Option<&'a [u8]>,
    parent: bool,
    mode: Option<&'a [u8]>,
    uid: Option<&'a [u8]>,
    gid: Option<&'a [u8]>,
}

pub(super) fn path_record<'a>(record: &Record<'a>, tails: &mut Tails) -> Option<PathRecord<'a>> {
    if !record.interpreted
        && let Some(path) = usual(record.body, tails)
    {
        return path.name.is_some().then_some(path);
    }
    any(record)
}

/// A record of whatever form.
fn any<'a>(record: &Record<'a>) -> Option<PathRecord<'a>> {
    let mut path = PathRecord { name: None, inode: None, parent: false, mode: None, uid: None, gid: None };
    each(record.body, record.interpreted, PATH_KEYS, |field| match field.key {
        b"name" => path.name = field.decoded(),
        b"inode" => path.inode = field.plain(),
        b"nametype" => path.parent = field.value == b"PARENT",
        b"mode" => path.mode = field.plain(),
        b"ouid" => path.uid = field.plain(),
        b"ogid" => path.gid = field.plain(),
        _ => {}
    });
    path.name.is_some().then_some(path)
}

/// A record with just the fields that kernels write, in their order.
fn usual<'a>(body: &'a [u8], tails: &mut Tails) -> Option<PathRecord<'a>> {
    in_order(body, |tail| tails.of(tail))
}

/// What a record tells, given as its text with what auditd added; `None` if it is not of the form that most have.
pub(super) fn known<'a>(text: &'a [u8], tails: &mut Tails) -> Option<PathRecord<'a>> {
    in_order(text, |tail| tails.of_text(tail, text)).filter(|path| path.name.is_some())
}

/// Reads up to the inode; `find` knows what stands behind it.
fn in_order<'a, 't>(
    text: &'a [u8],
    find: impl FnOnce(&'a [u8]) -> Option<&'t Tail>,
) -> Option<PathRecord<'a>> {
    let mut rest = InOrder(text);
    rest.next(b"item=")?;
    let name = rest.next(b"name=")?;
    let inode = rest.next(b"inode=")?;
    let tail = rest.0;
    let known = find(tail)?;
    let at = |value: Option<(u8, u8)>| {
        let (from, to) = value?;
        tail.get(usize::from(from)..usize::from(to))
    };
    Some(PathRecord {
        name: name.decoded(),
        inode: inode.plain(),
        parent: known.parent,
        mode: at(known.mode),
        uid: at(known.uid),
        gid: at(known.gid),
    })
}

/// What PATH records say after the inode, which is mostly the same: remembered, and only compared.
#[derive(Debug, Default)]
pub(super) struct Tails {
    table: Vec<Option<Tail>>,
    /// The hash of the last one.
    last: u64,
    state: RandomState,
}

#[derive(Debug)]
struct Tail {
    text: Box<[u8]>,
    /// What auditd added to the last record with it.
    enriched: Box<[u8]>,
    parent: bool,
    /// From where to where in the text.
    mode: Option<(u8, u8)>,
    uid: Option<(u8, u8)>,
    gid: Option<(u8, u8)>,
}

impl Tails {
    /// What the text tells; `None` where it is not of the usual form, or longer than any.
    fn of(&mut self, text: &[u8]) -> Option<&Tail> {
        if text.len() > usize::from(u8::MAX) {
            return None;
        }
        let same = |hash: u64, table: &[Option<Tail>]| {
            let known = table.get(slot(hash)).and_then(Option::as_ref);
            known.is_some_and(|known| *known.text == *text)
        };
        if !same(self.last, &self.table) {
            self.last = self.state.hash_one(text);
        }
        let place = place(&mut self.table, self.last)?;
        if place.as_ref().is_none_or(|known| *known.text != *text) {
            *place = Some(tail(text)?);
        }
        place.as_ref()
    }

    /// The same of the end of a record's `whole` text, from which what auditd added was not parted.
    fn of_text(&mut self, text: &[u8], whole: &[u8]) -> Option<&Tail> {
        let is = |known: &Tail| match text.strip_prefix(&*known.text) {
            Some([PARTS, rest @ ..]) => !rest.is_empty() && *rest == *known.enriched,
            _ => false,
        };
        if !self.table.get(slot(self.last)).and_then(Option::as_ref).is_some_and(is) {
            let (body, enriched) = split_enriched(whole);
            let added = whole.len() - body.len();
            let of_body = text.get(..text.len().checked_sub(added)?)?;
            self.of(of_body)?;
            let known = self.table.get_mut(slot(self.last)).and_then(Option::as_mut)?;
            known.enriched = enriched.into();
        }
        self.table.get(slot(self.last))?.as_ref()
    }
}

fn tail(text: &[u8]) -> Option<Tail> {
    let mut rest = InOrder(text);
    rest.next(b"dev=")?;
    let at = |field: Field<'_>, rest: InOrder<'_>| {
        // Before a closing quote.
        let to = text.len() - rest.0.len() - usize::from(field.quoted);
        let plain = field.plain().map(|value| (to - value.len(), to));
        Some(plain.and_then(|(from, to)| Some((u8::try_from(from).ok()?, u8::try_from(to).ok()?))))
    };
    let mode = at(rest.next(b"mode=")?, rest)?;
    let uid = at(rest.next(b"ouid=")?, rest)?;
    let gid = at(rest.next(b"ogid=")?, rest)?;
    rest.next(b"rdev=")?;
    rest.next(b"obj=")?;
    let nametype = rest.next(b"nametype=")?;
    rest.next(b"cap_fp=")?;
    rest.next(b"cap_fi=")?;
    rest.next(b"cap_fe=")?;
    rest.next(b"cap_fver=")?;
    rest.next(b"cap_frootid=")?;
    let parent = nametype.value == b"PARENT";
    rest.0.is_empty().then_some(Tail { text: text.into(), enriched: Box::default(), parent, mode, uid, gid })
}

/// A path, if it is known.
type Known<'a> = Option<Cow<'a, [u8]>>;

/// Finds the object's whole path: the record with the object's inode; else one that ends in its name; else, for a
/// folder on the way, the part of a path that ends in its name.
///
/// What is known of the object, and the path that was asked for where that is another. `known` is what is known so far.
pub(super) fn choose_path<'a>(
    known: Known<'a>,
    object: &Object<'a>,
    paths: &[PathRecord<'a>],
    cwd: Option<&[u8]>,
) -> (Known<'a>, Known<'a>) {
    let whole = |path: &PathRecord<'a>| Some(absolute(path.name.as_ref()?, cwd));
    if object.entry || object.made && object.inode.is_none() {
        if let Some((folder, child)) = entry(object, paths, cwd) {
            let (is, asked) = if object.entry { (folder, Some(child)) } else { (child, None) };
            return (Some(Cow::Owned(is)), asked.map(Cow::Owned));
        }
        // The entry's name is not the folder's.
        if object.entry {
            return (known, None);
        }
    }
    let mut chosen = None;
    if let Some(inode) = object.inode {
        chosen = paths.iter().find(|p| p.inode == Some(inode)).and_then(whole);
    }
    if chosen.is_none()
        && let Some(name) = object.name.as_deref()
        && object.path.is_none()
    {
        let named = paths.iter().filter(|p| !p.parent).filter_map(whole);
        chosen = named.filter_map(|path| up_to(path, name)).next();
    }
    let asked = paths.iter().filter(|p| !p.parent).chain(paths).find(|p| p.name.is_some()).and_then(whole);
    let is = chosen.filter(|_| object.path.is_none() || object.name.is_some()).or(known);
    let asked = asked.filter(|asked| is.as_deref() != Some(&**asked));
    (is, asked)
}

/// The folder of an entry that is made or taken away, and the entry's path: by the entry's own record, else by that of
/// its folder. A call that fails early leaves only the latter (`PARENT`).
fn entry(object: &Object<'_>, paths: &[PathRecord<'_>], cwd: Option<&[u8]>) -> Option<(Vec<u8>, Vec<u8>)> {
    let name = object.name.as_deref()?;
    if name.is_empty() || name.contains(&b'/') || matches!(name, b"." | b"..") || object.path.is_some() {
        return None;
    }
    let plain = |mut path: Vec<u8>| {
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
        path
    };
    let whole = |p: &PathRecord<'_>| p.name.as_ref().map(|n| plain(absolute(n, cwd).into_owned()));
    let is = |p: &&PathRecord<'_>| object.inode.is_none() || p.inode.is_none() || p.inode == object.inode;
    let ends = |path: &Vec<u8>| {
        let at = path.iter().rposition(|b| *b == b'/');
        path.starts_with(b"/") && at.and_then(|at| path.get(at + 1..)) == Some(name)
    };
    let child = paths.iter().filter(|p| !p.parent).filter(is).filter_map(whole).find(ends);
    if let Some(child) = child {
        let at = child.iter().rposition(|b| *b == b'/').unwrap_or(0);
        return Some((child.get(..at.max(1))?.to_vec(), child));
    }
    // Of two (rename, link) the first is where something is taken away, the last where it is put.
    let mut parents = paths.iter().filter(|p| p.parent);
    let parent = if object.inode.is_some() { parents.next() } else { parents.next_back() };
    let folder = parent.and_then(whole).filter(|f| f.starts_with(b"/"))?;
    let child = absolute(&Cow::Borrowed(name), Some(&folder)).into_owned();
    Some((folder, child))
}

/// Whose the object is that refused: the last one whose mode is in the log (what could not be looked up has none).
pub(super) fn owner(paths: &[PathRecord<'_>], cwd: Option<&[u8]>) -> Option<Vec<u8>> {
    let known = |p: &&PathRecord<'_>| p.mode.is_some() && p.name.is_some();
    let path = paths.iter().filter(known).max_by_key(|p| !p.parent)?;
    let mode = path.mode?;
    // `0100640` in a record, `file,640` interpreted.
    let mode = mode.get(mode.len().saturating_sub(4)..).unwrap_or(mode);
    let mut text = absolute(path.name.as_ref()?, cwd).into_owned();
    text.extend_from_slice(b" mode ");
    text.extend(mode.iter().filter(|b| b.is_ascii_digit()));
    for (word, id) in [(" uid ", path.uid), (" gid ", path.gid)] {
        if let Some(id) = id {
            text.extend_from_slice(word.as_bytes());
            text.extend_from_slice(id);
        }
    }
    Some(text)
}

/// The part of `path` up to a component `name`, if exactly one component is called so (or the last one is).
fn up_to<'a>(path: Cow<'a, [u8]>, name: &[u8]) -> Option<Cow<'a, [u8]>> {
    if name.is_empty() || name == b"/" {
        return None;
    }
    let (mut at, mut found, mut end) = (0, 0, 0);
    for part in path.split(|b| *b == b'/') {
        at += part.len();
        if part == name {
            found += 1;
            end = at;
        }
        at += 1;
    }
    if found == 0 || found > 1 && end != path.len() {
        return None;
    }
    match path {
        Cow::Borrowed(path) => path.get(..end).map(Cow::Borrowed),
        Cow::Owned(mut path) => {
            path.truncate(end);
            Some(Cow::Owned(path))
        }
    }
}

fn absolute<'a>(name: &Cow<'a, [u8]>, cwd: Option<&[u8]>) -> Cow<'a, [u8]> {
    match cwd {
        Some(cwd) if !name.starts_with(b"/") && cwd.starts_with(b"/") => {
            let mut path = cwd.to_vec();
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name.strip_prefix(b"./").unwrap_or(name));
            Cow::Owned(path)
        }
        _ => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Kind, Line, line};
    use super::*;

    #[test]
    fn the_usual_form_is_read_as_any_other() {
        let (mut usual, mut tails) = (0, Tails::default());
        for folder in std::fs::read_dir("audit-samples").unwrap() {
            let log = std::fs::read(folder.unwrap().path().join("log")).unwrap_or_default();
            for text in log.split(|b| *b == b'\n') {
                let Line::Record(record) = line(text) else { continue };
                if record.kind == Kind::Path {
                    // The second time from memory.
                    for _ in 0..2 {
                        assert_eq!(path_record(&record, &mut tails), any(&record), "{}", text.escape_ascii());
                    }
                    usual += usize::from(super::usual(record.body, &mut tails).is_some());
                }
            }
        }
        assert!(usual > 100, "{usual}");
        let line = |end: &str| {
            format!("item=0 name=\"/a\" inode=1 dev=1 mode=1 ouid=1 ogid=1 rdev=1 obj=a nametype=NORMAL{end}")
        };
        let caps = " cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0";
        assert!(super::usual(line(caps).as_bytes(), &mut tails).is_some());
        for other in [
            line(""),
            line(&format!("{caps} name=\"/b\"")),
            line(&format!(" {caps}")),
            format!(" {}", line(caps)),
        ] {
            let known = super::usual(other.as_bytes(), &mut tails).is_some();
            assert!(!known || other.starts_with(' '), "{other}");
        }
    }
}
