//! What must hold of every ACL, over generated ones: forms round trip, and `grant` and `normalise` change what they say
//! and nothing else, judged by the access decision itself (which tests/access.rs compares with the kernel).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends at a surprise")]

#[path = "support/acl.rs"]
mod acls;

use acls::{acl, cases, credentials, named_tag, object, perms, principal_tag, wants};
use perms::grants::access::{Credentials, discretionary, rights};
use perms::grants::acl::{Acl, AclError, Perms, Problem, Tag};
use proptest::prelude::*;

const FILE: u32 = 0o100_000;
/// Owner and owning group of the file that the ACL is on; some processes are the one or of the other.
const OWNER: u32 = acls::UIDS[0];
const GROUP: u32 = acls::GIDS[0];

/// Every request's answer for this process on a file with this ACL.
fn answers(creds: &Credentials, acl: &Acl) -> Vec<bool> {
    let file = object(OWNER, GROUP, FILE, acl);
    wants().map(|want| discretionary(creds, &file, want).allowed).collect()
}

/// Whether an entry with this tag is about the process; others are those whom nothing else in the ACL is about.
fn concerns(acl: &Acl, tag: Tag, creds: &Credentials) -> bool {
    match tag {
        Tag::UserObj => creds.uid == OWNER,
        Tag::User(uid) => creds.uid == uid,
        Tag::GroupObj => creds.in_group(GROUP),
        Tag::Group(gid) => creds.in_group(gid),
        Tag::Other => !acl.entries().iter().any(|e| e.tag != Tag::Other && concerns(acl, e.tag, creds)),
        Tag::Mask => false,
    }
}

/// An invariant of the type: its own entries make it again.
fn assert_valid(acl: &Acl) {
    assert_eq!(Acl::from_entries(acl.entries().to_vec()).as_ref(), Ok(acl));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(4000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_and_texts_round_trip(acl in acl()) {
        let parsed = Acl::parse_xattr(&acl.to_xattr()).unwrap();
        prop_assert_eq!(&parsed.acl, &acl);
        prop_assert_eq!(parsed.problems, vec![]);
        prop_assert_eq!(&acl.to_string().parse::<Acl>().unwrap(), &acl);
        prop_assert_eq!(&acl.long().to_string().parse::<Acl>().unwrap(), &acl);
    }

    #[test]
    fn a_grant_gives_exactly_what_was_asked_and_nobody_else_more(
        before in acl(), tag in principal_tag(), right in perms(), creds in credentials(),
    ) {
        let mut after = before.clone();
        let granted = after.grant(tag, right);
        assert_valid(&after);

        // Entry by entry.
        prop_assert_eq!(after.effective(tag), Some(right));
        for e in before.entries() {
            if e.tag != tag && e.tag != Tag::Mask {
                prop_assert_eq!(after.effective(e.tag), before.effective(e.tag), "{}", e.tag);
            }
        }
        for plain in [Tag::UserObj, Tag::Other] {
            if tag != plain {
                prop_assert_eq!(after.get(plain), before.get(plain));
            }
        }
        for change in &granted.clamped {
            prop_assert_eq!(before.get(change.tag), Some(change.from));
            prop_assert_eq!(after.get(change.tag), Some(change.to));
            prop_assert_eq!(before.effective(change.tag), Some(change.to));
        }

        for lost in &granted.lost {
            prop_assert!(lost.tag != tag && lost.tag.is_named());
            prop_assert_eq!(Some(lost.from), before.get(Tag::Other));
            let now = if after.in_force() { lost.tag } else { Tag::Other };
            prop_assert_eq!(Some(lost.to), after.effective(now));
            prop_assert!(!lost.to.contains(lost.from));
        }

        // Process by process.
        let was = answers(&creds, &before);
        let is = answers(&creds, &after);
        let concerned = concerns(&before, tag, &creds);
        if !concerned {
            let lost = granted.lost.iter().any(|l| concerns(&before, l.tag, &creds));
            for ((was, is), want) in was.iter().zip(&is).zip(wants()) {
                prop_assert!(!is || *was, "{} gained {}: {} -> {}", creds.uid, want, before, after);
                prop_assert!(*is || !was || lost, "{} lost {}: {} -> {}", creds.uid, want, before, after);
            }
        }
        if matches!(tag, Tag::User(_)) && concerned && creds.uid != OWNER {
            for (is, want) in is.iter().zip(wants()) {
                prop_assert_eq!(*is, right.contains(want), "{} of {}", want, after);
            }
        }
        if matches!(tag, Tag::Group(_) | Tag::GroupObj) && concerned && creds.uid != OWNER
            && after.get(Tag::User(creds.uid)).is_none()
        {
            prop_assert!(is.iter().zip(wants()).all(|(is, want)| *is || !right.contains(want)));
            let only = !after.entries().iter().any(|e| {
                e.tag != tag && matches!(e.tag, Tag::Group(_) | Tag::GroupObj) && concerns(&after, e.tag, &creds)
            });
            if only {
                prop_assert!(is.iter().zip(wants()).all(|(is, want)| *is == right.contains(want)));
            }
        }
    }

    #[test]
    fn a_grant_is_idempotent(before in acl(), tag in principal_tag(), right in perms()) {
        let mut once = before;
        once.grant(tag, right);
        let mut twice = once.clone();
        let granted = twice.grant(tag, right);
        prop_assert_eq!(&twice, &once);
        prop_assert!(granted.clamped.is_empty() && granted.lost.is_empty());
    }

    #[test]
    fn normalise_changes_nobodys_right(before in acl(), creds in credentials()) {
        let mut after = before.clone();
        after.normalise();
        assert_valid(&after);
        prop_assert_eq!(answers(&creds, &after), answers(&creds, &before), "{} -> {}", before, after);
        for e in after.entries() {
            if e.tag != Tag::Mask {
                prop_assert_eq!(after.effective(e.tag), Some(e.perms), "the mask still cuts");
                prop_assert_eq!(before.effective(e.tag), Some(e.perms));
            }
        }
        prop_assert_eq!(after.mask().is_some(), before.has_named());
        let union = after.entries().iter().filter(|e| e.tag.is_masked()).fold(Perms::NONE, |all, e| all | e.perms);
        if let Some(mask) = after.mask() {
            prop_assert!(mask == union || union.is_empty());
        }
        let mut again = after.clone();
        again.normalise();
        prop_assert_eq!(again, after);
    }

    #[test]
    fn any_sequence_of_edits_leaves_an_acl_that_the_kernel_accepts(
        start in acl(), edits in proptest::collection::vec((0u8..5, principal_tag(), perms()), 0..12),
    ) {
        let mut acl = start;
        for (kind, tag, perms) in edits {
            match kind {
                0 => acl.set(tag, perms),
                1 => { acl.remove(tag); }
                2 => { acl.remove(Tag::Mask); }
                3 => acl.set(Tag::Mask, perms),
                _ => { acl.grant(tag, perms); }
            }
            assert_valid(&acl);
            prop_assert_eq!(Acl::parse_xattr(&acl.to_xattr()).unwrap().problems, vec![]);
        }
    }

    #[test]
    fn taking_a_grant_back_leaves_the_rights_that_were(
        before in acl(), tag in named_tag(), right in perms(), creds in credentials(),
    ) {
        let mut before = before;
        before.remove(tag);
        if !before.in_force() && before.has_named() {
            before.set(Tag::Mask, Perms::RX);
        }
        let mut after = before.clone();
        after.grant(tag, right);
        after.remove(tag);
        after.normalise();
        prop_assert_eq!(answers(&creds, &after), answers(&creds, &before), "{} -> {}", before, after);
    }

    #[test]
    fn taking_the_mask_away_widens_nobody(before in acl(), creds in credentials()) {
        let mut after = before.clone();
        let mask = after.remove(Tag::Mask);
        prop_assert_eq!(mask.is_some(), before.mask().is_some() && !before.has_named());
        prop_assert_eq!(answers(&creds, &after), answers(&creds, &before), "{} -> {}", before, after);
    }

    #[test]
    fn single_rights_are_the_requests_for_one(acl in acl(), creds in credentials()) {
        let file = object(OWNER, GROUP, FILE, &acl);
        let all = rights(&creds, &file);
        for want in wants() {
            let allowed = discretionary(&creds, &file, want).allowed;
            prop_assert!(!allowed || all.contains(want));
            if want.singles().count() == 1 {
                prop_assert_eq!(allowed, all.contains(want));
            }
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_understood(bytes in hostile_bytes()) {
        match Acl::parse_xattr(&bytes) {
            Ok(parsed) if parsed.problems.is_empty() => prop_assert_eq!(parsed.acl.to_xattr(), bytes),
            Ok(parsed) => {
                prop_assert_ne!(parsed.acl.to_xattr(), bytes);
                assert_valid(&parsed.acl);
                prop_assert!(parsed.problems.iter().all(|p| !p.to_string().is_empty()));
            }
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }

    #[test]
    fn hostile_texts_are_refused_or_understood(text in hostile_text()) {
        match text.parse::<Acl>() {
            Ok(acl) => prop_assert_eq!(acl.to_string().parse::<Acl>().unwrap(), acl),
            Err(e) => prop_assert!(!e.to_string().is_empty()),
        }
    }
}

/// Bytes of ACLs with some changed, left out, doubled or swapped; and any bytes.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let edit = (0u8..5, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>());
    let edited = (acl(), proptest::collection::vec(edit, 0..4)).prop_map(|(acl, edits)| {
        let mut bytes = acl.to_xattr();
        for (kind, a, b, byte) in edits {
            let mut entries: Vec<[u8; 8]> = bytes.get(4..).map_or(vec![], |b| b.as_chunks().0.to_vec());
            if entries.is_empty() {
                break;
            }
            let (at, to) = (a.index(entries.len()), b.index(entries.len()));
            match kind {
                0 => {
                    let at = a.index(bytes.len());
                    bytes[at] = byte;
                    continue;
                }
                1 => {
                    bytes.truncate(a.index(bytes.len()));
                    continue;
                }
                2 => {
                    entries.remove(at);
                }
                3 => {
                    let e = entries[at];
                    entries.insert(to, e);
                }
                _ => entries.swap(at, to),
            }
            bytes.truncate(4);
            bytes.extend(entries.concat());
        }
        bytes
    });
    prop_oneof![4 => edited, 1 => proptest::collection::vec(any::<u8>(), 0..64)]
}

fn hostile_text() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "user",
        "u",
        "group",
        "g",
        "mask",
        "m",
        "other",
        "o",
        ":",
        "::",
        "rwx",
        "r-x",
        "-",
        "rr",
        "1000",
        "4294967295",
        "99999999999",
        "+1",
        ",",
        "\n",
        " ",
        "#",
        "é",
        "\u{202e}",
        "default:",
        "",
    ]);
    prop_oneof![
        proptest::collection::vec(piece, 0..30).prop_map(|p| p.concat()),
        (acl(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(acl, at, c)| {
            let mut text: Vec<char> = acl.to_string().chars().collect();
            let at = at.index(text.len());
            text[at] = c;
            text.into_iter().collect()
        }),
        any::<String>(),
    ]
}

#[test]
fn grants_do_not_bring_back_what_chmod_took() {
    // chmod 640 on a file with user:1000:rw- leaves it r--; a grant to 1001 must not give 1000 its write back.
    let mut acl: Acl = "u::rw,u:1000:rw,g::r,m::rw,o::-".parse().unwrap();
    acl.chmod(0o640);
    assert_eq!(acl.effective(Tag::User(1000)), Some(Perms::R));
    let granted = acl.grant(Tag::User(1001), Perms::RW);
    assert_eq!(acl.to_string(), "user::rw-,user:1000:r--,user:1001:rw-,group::r--,mask::rw-,other::---");
    assert_eq!(granted.clamped.len(), 1);
    assert_eq!(granted.lost, vec![]);
}

#[test]
fn a_denial_is_in_force_where_others_may_read() {
    // An empty mask would let the kernel look past the entry, to others' r--.
    let mut acl = Acl::from_mode(0o604);
    acl.grant(Tag::User(1000), Perms::NONE);
    assert_eq!(acl.to_string(), "user::rw-,user:1000:---,group::---,mask::r--,other::r--");
    let file = object(0, 0, FILE, &acl);
    assert_eq!(rights(&Credentials::of_user(1000, 1000, vec![]), &file), Perms::NONE);
    assert_eq!(rights(&Credentials::of_user(1001, 1001, vec![]), &file), Perms::R);
    acl.normalise();
    assert_eq!(acl.mask(), Some(Perms::R));
}

#[test]
fn a_mask_that_alone_keeps_denials_in_force_stays() {
    let text = "user::rw-,user:1000:---,group::---,mask::-w-,other::r--";
    let mut acl: Acl = text.parse().unwrap();
    acl.normalise();
    assert_eq!(acl.to_string(), text);
    acl.grant(Tag::User(1001), Perms::NONE);
    assert_eq!(acl.mask(), Some(Perms::W));
}

#[test]
fn a_wider_right_of_others_is_not_one_of_named_users_behind_an_empty_mask() {
    let mut acl: Acl = "u::rw,u:1000:-,g::-,m::-,o::-".parse().unwrap();
    acl.grant(Tag::Other, Perms::R);
    assert_eq!(rights(&Credentials::of_user(1000, 1000, vec![]), &object(0, 0, FILE, &acl)), Perms::NONE);
    assert_eq!(rights(&Credentials::of_user(1001, 1001, vec![]), &object(0, 0, FILE, &acl)), Perms::R);
}

#[test]
fn a_grant_says_who_lost_the_right_of_others() {
    let mut acl: Acl = "u::rw,u:1000:rw,g::r,m::-,o::r".parse().unwrap();
    let granted = acl.grant(Tag::User(1001), Perms::R);
    assert_eq!(acl.to_string(), "user::rw-,user:1000:---,user:1001:r--,group::---,mask::r--,other::r--");
    let [lost] = granted.lost[..] else { panic!("{granted:?}") };
    assert_eq!((lost.tag, lost.from, lost.to), (Tag::User(1000), Perms::R, Perms::NONE));
}

#[test]
fn errors_say_what_and_where() {
    let says = |text: &str| text.parse::<Acl>().unwrap_err().to_string();
    assert_eq!(
        says("u::rwx\ng::r-x,o::rwz"),
        "line 2, entry 3: expected permissions such as `r-x`, found `rwz`"
    );
    assert_eq!(says("u:joe:r"), "line 1, entry 1: expected a numeric id, found `joe`");
    assert_eq!(says("m:5:r"), "line 1, entry 1: `m` takes no id, found `5`");
    assert_eq!(says("u::r,u:5:r,g::r,o::r"), "expected an entry `mask::`, found none");
    assert_eq!(says("u::r,g::r,u::r,o::r"), "more than one entry `user::`");
    assert_eq!(says("# nothing"), "the ACL has no entries");
    assert_eq!(Acl::parse_xattr(&[2, 0, 0]), Err(AclError::Length(3)));
    assert_eq!(Acl::parse_xattr(&[2, 0, 0, 0]), Err(AclError::Empty));
    assert_eq!(Acl::parse_xattr(&[1, 0, 0, 0]), Err(AclError::Version(1)));
}

#[test]
fn what_only_the_kernel_accepts_stays_visible() {
    // A2: unsorted and doubled ids.
    #[rustfmt::skip]
    let bytes = [
        2, 0, 0, 0,                                   // version 2
        0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff,        // user::rw-
        0x02, 0, 4, 0, 9, 0, 0, 0,                    // user:9:r--
        0x02, 0, 2, 0, 5, 0, 0, 0,                    // user:5:-w-, unsorted
        0x02, 0, 7, 0, 9, 0, 0, 0,                    // user:9:rwx, doubled: without effect
        0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff,        // group::r--
        0x08, 0, 4, 0, 3, 0, 0, 0,                    // group:3:r--
        0x08, 0, 2, 0, 3, 0, 0, 0,                    // group:3:-w-, doubled: counts
        0x10, 0, 7, 0, 1, 0, 0, 0,                    // mask::rwx with an id
        0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,        // other::---
    ];
    let parsed = Acl::parse_xattr(&bytes).unwrap();
    assert_eq!(
        parsed.acl.to_string(),
        "user::rw-,user:5:-w-,user:9:r--,group::r--,group:3:rw-,mask::rwx,other::---"
    );
    assert_eq!(
        parsed.problems,
        [
            Problem::StrayId { index: 7, tag: Tag::Mask, id: 1 },
            Problem::Unsorted { index: 2, tag: Tag::User(5) },
            Problem::Duplicate { index: 3, tag: Tag::User(9), perms: Perms::RWX, kept: Perms::R },
            Problem::Duplicate { index: 6, tag: Tag::Group(3), perms: Perms::W, kept: Perms::RW },
        ]
    );
    assert_eq!(
        parsed.problems[2].to_string(),
        "entry 3: `user:9:` is there twice; the kernel uses the first (r--), not this one (rwx)"
    );
}
