//! Generated ACLs, owners and processes: few ids, so that they meet.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::collections::BTreeMap;

use perms::grants::access::{CapSet, Capability, Credentials, Object};
use perms::grants::acl::{Acl, Entry, Perms, Tag};
use proptest::prelude::*;

/// Users and groups that generated things are about; no account of the machine matters.
pub(crate) const UIDS: [u32; 4] = [51_000, 51_001, 51_002, 51_003];
pub(crate) const GIDS: [u32; 4] = [52_000, 52_001, 52_002, 52_003];

pub(crate) fn uid() -> impl Strategy<Value = u32> {
    proptest::sample::select(&UIDS[..])
}

pub(crate) fn gid() -> impl Strategy<Value = u32> {
    proptest::sample::select(&GIDS[..])
}

pub(crate) fn perms() -> impl Strategy<Value = Perms> {
    (0u8..8).prop_map(Perms::from_bits)
}

pub(crate) fn named_tag() -> impl Strategy<Value = Tag> {
    prop_oneof![uid().prop_map(Tag::User), gid().prop_map(Tag::Group)]
}

/// Any tag that is somebody.
pub(crate) fn principal_tag() -> impl Strategy<Value = Tag> {
    prop_oneof![4 => named_tag(), 1 => Just(Tag::GroupObj), 1 => Just(Tag::UserObj), 1 => Just(Tag::Other)]
}

/// Any ACL: minimal, with named entries, with a mask that cuts or is empty, with a mask alone.
pub(crate) fn acl() -> impl Strategy<Value = Acl> {
    let named = proptest::collection::btree_map(named_tag(), perms(), 0..5);
    let mask = prop_oneof![1 => Just(None), 1 => Just(Some(Perms::NONE)), 3 => perms().prop_map(Some)];
    (0u16..0o1000, named, mask).prop_map(|(mode, named, mask)| build(mode, &named, mask))
}

fn build(mode: u16, named: &BTreeMap<Tag, Perms>, mask: Option<Perms>) -> Acl {
    let mut entries = Acl::from_mode(mode).entries().to_vec();
    entries.extend(named.iter().map(|(&tag, &perms)| Entry { tag, perms }));
    match mask {
        Some(perms) => entries.push(Entry { tag: Tag::Mask, perms }),
        None if named.is_empty() => {}
        None => entries.push(Entry { tag: Tag::Mask, perms: Perms::RWX }),
    }
    Acl::from_entries(entries).unwrap()
}

/// An ordinary process: owner or not, in some groups.
pub(crate) fn credentials() -> impl Strategy<Value = Credentials> {
    (uid(), gid(), proptest::collection::vec(gid(), 0..3)).prop_map(|(uid, gid, groups)| Credentials {
        uid,
        gid,
        groups,
        capabilities: CapSet::NONE,
    })
}

pub(crate) fn capabilities() -> impl Strategy<Value = CapSet> {
    let all = [Capability::DacOverride, Capability::DacReadSearch, Capability::Fowner];
    proptest::sample::subsequence(all.to_vec(), 0..=3)
        .prop_map(|caps| caps.into_iter().fold(CapSet::NONE, CapSet::with))
}

/// The object that has this access ACL, as the kernel keeps it: none stored if minimal, the mode in step.
pub(crate) fn object(uid: u32, gid: u32, kind: u32, acl: &Acl) -> Object<'_> {
    let mode = kind | u32::from(acl.mode_bits());
    Object { uid, gid, mode, acl: (!acl.is_minimal()).then_some(acl) }
}

/// All eight requests.
pub(crate) fn wants() -> impl Iterator<Item = Perms> {
    (0u8..8).map(Perms::from_bits)
}

/// How many generated cases: the environment's `PERMS_CASES`, or what takes a few seconds.
pub(crate) fn cases(few_seconds: u32) -> u32 {
    std::env::var("PERMS_CASES").ok().map_or(few_seconds, |n| n.parse().unwrap())
}
