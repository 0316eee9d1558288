//! Which of an event's PATH records is the object that was denied.

use std::borrow::Cow;

use super::event::{Facts, borrowed, each};
use super::record::Record;

/// Keys of a PATH record.
const PATH_KEYS: &[&[u8]] =
    &[b"item", b"name", b"inode", b"dev", b"mode", b"ouid", b"ogid", b"rdev", b"obj", b"nametype", b"cap_fp"];

/// Fields of an AVC that choose among the PATH records.
#[derive(Default)]
pub(super) struct Object<'a> {
    pub(super) name: Option<Cow<'a, [u8]>>,
    pub(super) path: Option<Cow<'a, [u8]>>,
    pub(super) inode: Option<&'a [u8]>,
}

/// What matters of a PATH record.
pub(super) struct PathRecord<'a> {
    name: Option<Cow<'a, [u8]>>,
    inode: Option<&'a [u8]>,
    parent: bool,
    mode: Option<Cow<'a, [u8]>>,
    uid: Option<Cow<'a, [u8]>>,
    gid: Option<Cow<'a, [u8]>>,
}

pub(super) fn path_record<'a>(record: &Record<'a>) -> Option<PathRecord<'a>> {
    let mut path = PathRecord { name: None, inode: None, parent: false, mode: None, uid: None, gid: None };
    each(record.body, record.interpreted, PATH_KEYS, |key, value| match key {
        b"name" => path.name = Some(value),
        b"inode" => path.inode = borrowed(value),
        b"nametype" => path.parent = *value == *b"PARENT",
        b"mode" => path.mode = Some(value),
        b"ouid" => path.uid = Some(value),
        b"ogid" => path.gid = Some(value),
        _ => {}
    });
    path.name.is_some().then_some(path)
}

/// Finds the object's whole path: the record with the object's inode; else one that ends in its name; else, for a
/// folder on the way, the part of a path that ends in its name.
pub(super) fn choose_path<'a>(
    facts: &mut Facts<'a>,
    object: &Object<'a>,
    paths: Vec<PathRecord<'a>>,
    cwd: Option<&[u8]>,
) {
    let whole = |name: &[u8]| absolute(name, cwd);
    let mut chosen = None;
    if let Some(inode) = object.inode {
        chosen = paths.iter().find(|p| p.inode == Some(inode)).and_then(|p| p.name.as_deref()).map(whole);
    }
    if chosen.is_none()
        && let Some(name) = object.name.as_deref()
        && object.path.is_none()
    {
        chosen = paths
            .iter()
            .filter(|p| !p.parent)
            .filter_map(|p| p.name.as_deref())
            .find_map(|p| up_to(&whole(p), name));
    }
    let asked = paths.iter().filter(|p| !p.parent).chain(&paths).find_map(|p| p.name.as_deref()).map(whole);
    if let Some(chosen) = chosen.filter(|_| object.path.is_none() || object.name.is_some()) {
        facts.object = Some(Cow::Owned(chosen));
    }
    if let Some(asked) = asked
        && facts.object.as_deref() != Some(asked.as_slice())
    {
        facts.wanted = Some(Cow::Owned(asked));
    }
}

/// Whose the object is that refused: the last one whose mode is in the log (what could not be looked up has none).
pub(super) fn owner(paths: &[PathRecord<'_>], cwd: Option<&[u8]>) -> Option<Vec<u8>> {
    let known = |p: &&PathRecord<'_>| p.mode.is_some() && p.name.is_some();
    let path = paths.iter().filter(known).max_by_key(|p| !p.parent)?;
    let mode = path.mode.as_deref()?;
    // `0100640` in a record, `file,640` interpreted.
    let mode = mode.get(mode.len().saturating_sub(4)..).unwrap_or(mode);
    let mut text = absolute(path.name.as_deref()?, cwd);
    text.extend_from_slice(b" mode ");
    text.extend(mode.iter().filter(|b| b.is_ascii_digit()));
    for (word, id) in [(" uid ", &path.uid), (" gid ", &path.gid)] {
        if let Some(id) = id {
            text.extend_from_slice(word.as_bytes());
            text.extend_from_slice(id);
        }
    }
    Some(text)
}

/// The part of `path` up to a component `name`, if exactly one component is called so (or the last one is).
fn up_to(path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    if name.is_empty() || name == b"/" {
        return None;
    }
    let mut at = 0;
    let mut ends = Vec::new();
    for part in path.split(|b| *b == b'/') {
        at += part.len();
        if part == name {
            ends.push(at);
        }
        at += 1;
    }
    match ends.as_slice() {
        [end] => path.get(..*end).map(<[u8]>::to_vec),
        [.., end] if *end == path.len() => Some(path.to_vec()),
        _ => None,
    }
}

fn absolute(name: &[u8], cwd: Option<&[u8]>) -> Vec<u8> {
    match cwd {
        Some(cwd) if !name.starts_with(b"/") && cwd.starts_with(b"/") => {
            let mut path = cwd.to_vec();
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name.strip_prefix(b"./").unwrap_or(name));
            path
        }
        _ => name.to_vec(),
    }
}
