//! The ACL codec, its texts and its edits against the kernel, getfacl, setfacl and libacl (through the posix-acl crate),
//! on real files. Facts about ACLs that users trip over are named tests.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test ends at a surprise"
)]

#[path = "support/acl.rs"]
mod acls;
mod support;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use acls::cases;
use perms::grants::acl::{Acl, AclError, Entry, Parsed, Perms, Tag, XATTR_ACCESS, XATTR_DEFAULT};
use posix_acl::{PosixACL, Qualifier};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// A temporary folder on a file system with ACLs, or `None`, aloud.
fn folder() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let probe = dir.path().join("probe");
    File::create(&probe).unwrap();
    let acl: Acl = "u::rw,u:1:r,g::r,m::r,o::-".parse().unwrap();
    if xattr::set(&probe, XATTR_ACCESS, &acl.to_xattr()).is_err() {
        support::skip("needs a temporary folder on a file system with ACLs");
        return None;
    }
    fs::remove_file(probe).unwrap();
    Some(dir)
}

/// `n` generated values.
fn generate<T: std::fmt::Debug>(n: u32, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::default();
    (0..n).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn mode_of(path: &Path) -> u16 {
    (fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777) as u16
}

/// The access ACL as the kernel has it: the attribute, or else the mode.
fn read(path: &Path) -> Acl {
    match xattr::get(path, XATTR_ACCESS).unwrap() {
        Some(bytes) => {
            let Parsed { acl, problems } = Acl::parse_xattr(&bytes).unwrap();
            assert_eq!(problems, vec![]);
            assert_eq!(acl.to_xattr(), bytes);
            assert_eq!(acl.mode_bits(), mode_of(path));
            acl
        }
        None => Acl::from_mode(mode_of(path)),
    }
}

fn write(path: &Path, acl: &Acl) {
    xattr::set(path, XATTR_ACCESS, &acl.to_xattr()).unwrap();
}

fn run(program: &str, args: &[&str], path: &Path) -> (bool, String) {
    let out = Command::new(support::which(program).unwrap()).args(args).arg("--").arg(path).output().unwrap();
    (out.status.success(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
}

fn new_file(dir: &Path, name: usize) -> PathBuf {
    let path = dir.join(name.to_string());
    File::create(&path).unwrap();
    path
}

#[test]
fn the_kernel_getfacl_and_libacl_read_what_we_write() {
    let Some(dir) = folder() else { return };
    let getfacl = support::have("getfacl");
    for (i, acl) in generate(cases(150), acls::acl()).iter().enumerate() {
        let file = new_file(dir.path(), i);
        write(&file, acl);
        assert_eq!(mode_of(&file), acl.mode_bits(), "{acl}");
        assert_eq!(xattr::get(&file, XATTR_ACCESS).unwrap().is_none(), acl.is_minimal(), "{acl}");
        assert_eq!(&read(&file), acl);

        let theirs = PosixACL::read_acl(&file).unwrap();
        let entries = theirs.entries();
        assert_eq!(entries.len(), acl.entries().len());
        for e in acl.entries() {
            assert_eq!(theirs.get(qualifier(e.tag)), Some(u32::from(e.perms.bits())), "{e} of {acl}");
        }
        if getfacl {
            let (ok, out) = run("getfacl", &["-n", "-p", "--omit-header"], &file);
            assert!(ok, "{out}");
            assert_eq!(out.trim_end(), acl.long().to_string().trim_end());
        }
    }
}

#[test]
fn we_read_what_setfacl_and_libacl_write() {
    let Some(dir) = folder() else { return };
    let setfacl = support::have("setfacl");
    for (i, acl) in generate(cases(150), acls::acl()).iter().enumerate() {
        let file = new_file(dir.path(), i);
        let mut theirs = PosixACL::new(0o600);
        for e in acl.entries() {
            theirs.set(qualifier(e.tag), u32::from(e.perms.bits()));
        }
        // The crate recomputes the mask when it writes; so the mask is set by chmod, which is what it stands for.
        theirs.write_acl(&file).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(acl.mode_bits().into())).unwrap();
        let read_back = read(&file);
        if acl.mask().is_some() == read_back.mask().is_some() {
            assert_eq!(&read_back, acl);
        } else {
            assert!(!acl.has_named(), "{acl}, {read_back}");
        }
        if setfacl {
            for text in [acl.to_string(), acl.long().to_string().replace('\n', ",")] {
                let text: String =
                    text.split(',').map(|e| e.split('\t').next().unwrap()).fold(String::new(), |all, e| {
                        if all.is_empty() { e.into() } else { format!("{all},{e}") }
                    });
                let (ok, out) = run("setfacl", &["--set", text.trim_end_matches(',')], &file);
                assert!(ok, "{text}: {out}");
                assert_eq!(&read(&file), acl);
            }
        }
    }
}

#[test]
fn default_acls_are_read_and_written_alike() {
    let Some(dir) = folder() else { return };
    if !support::have("getfacl") {
        return;
    }
    for (i, acl) in generate(cases(60), acls::acl()).iter().enumerate() {
        let sub = dir.path().join(i.to_string());
        fs::create_dir(&sub).unwrap();
        xattr::set(&sub, XATTR_DEFAULT, &acl.to_xattr()).unwrap();
        // Unlike an access ACL, a minimal one is stored too.
        assert_eq!(xattr::get(&sub, XATTR_DEFAULT).unwrap(), Some(acl.to_xattr()));
        let (ok, out) = run("getfacl", &["-n", "-p", "-d", "--omit-header"], &sub);
        assert!(ok, "{out}");
        assert_eq!(out.trim_end(), acl.long().to_string().trim_end());
        let (_, out) = run("getfacl", &["-n", "-p", "--omit-header"], &sub);
        assert_eq!(out.trim_end(), format!("{}{}", read(&sub).long(), acl.long_default()).trim_end());
    }
}

#[test]
fn grant_is_what_setfacl_does_where_the_mask_cuts_nobody() {
    let Some(dir) = folder() else { return };
    if !support::have("setfacl") {
        return;
    }
    let strategy = (acls::acl(), acls::named_tag(), acls::perms());
    let mut compared = 0;
    for (i, (mut acl, tag, perms)) in generate(cases(300), strategy).into_iter().enumerate() {
        let file = new_file(dir.path(), i);
        // Where it does cut somebody, setfacl -m gives them back what they had lost, and grant does not.
        acl.normalise();
        write(&file, &acl);
        let (ok, out) = run("setfacl", &["-m", &format!("{tag}:{perms}")], &file);
        assert!(ok, "{out}");
        let theirs = read(&file);
        let mut ours = acl.clone();
        ours.grant(tag, perms);
        if theirs.in_force() {
            assert_eq!(ours, theirs, "{tag}:{perms} on {acl}");
            compared += 1;
        } else {
            // setfacl takes the mask to --- here, and the kernel would not see the entry.
            let mut same = theirs.clone();
            same.set(Tag::Mask, ours.mask().unwrap());
            assert_eq!(ours, same, "{tag}:{perms} on {acl}");
        }
    }
    assert!(compared > 100 || cases(300) < 300, "only {compared} compared");
}

#[test]
fn chmod_and_creation_do_what_the_kernel_does() {
    let Some(dir) = folder() else { return };
    let strategy = (acls::acl(), 0u16..0o1000, any::<bool>());
    for (i, (acl, mode, folder)) in generate(cases(1000), strategy).into_iter().enumerate() {
        let file = new_file(dir.path(), i);
        write(&file, &acl);
        fs::set_permissions(&file, Permissions::from_mode(mode.into())).unwrap();
        let mut ours = acl.clone();
        ours.chmod(mode);
        assert_eq!(read(&file), ours, "chmod {mode:o} of {acl}");

        let parent = dir.path().join(format!("d{i}"));
        fs::create_dir(&parent).unwrap();
        xattr::set(&parent, XATTR_DEFAULT, &acl.to_xattr()).unwrap();
        fs::set_permissions(&parent, Permissions::from_mode(0o700)).unwrap();
        let child = parent.join("child");
        if folder {
            std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), mode.into())
                .create(&child)
                .unwrap();
            assert_eq!(xattr::get(&child, XATTR_DEFAULT).unwrap(), Some(acl.to_xattr()));
        } else {
            OpenOptions::new().write(true).create_new(true).mode(mode.into()).open(&child).unwrap();
        }
        assert_eq!(read(&child), acl.inherited(mode), "creation with {mode:o} under {acl}");
    }
}

#[test]
fn we_refuse_what_the_kernel_refuses() {
    let Some(dir) = folder() else { return };
    let file = new_file(dir.path(), 0);
    let (mut refused, mut taken) = (0, 0);
    for bytes in generate(cases(20_000), stored_bytes()) {
        let ours = Acl::parse_xattr(&bytes);
        match (xattr::set(&file, XATTR_ACCESS, &bytes), &ours) {
            // No entries: the kernel takes the ACL away.
            (Ok(()), Err(AclError::Empty)) => {}
            (Ok(()), Ok(parsed)) => {
                taken += 1;
                assert_eq!(mode_of(&file), parsed.acl.mode_bits());
                if let Some(stored) = xattr::get(&file, XATTR_ACCESS).unwrap() {
                    assert_eq!(Acl::parse_xattr(&stored).unwrap().acl, parsed.acl);
                }
            }
            (Err(e), Err(_)) if matches!(e.raw_os_error(), Some(22 | 95)) => refused += 1,
            (kernel, _) => panic!("kernel {kernel:?}, ours {ours:?}: {bytes:02x?}"),
        }
    }
    assert!(refused > 0 && taken > 0);
}

/// Few entries of every kind, mostly in order, at times with something that does not belong.
fn stored_bytes() -> impl Strategy<Value = Vec<u8>> {
    let entry = (0usize..9, 0u16..9, prop_oneof![9 => 0u32..4, 1 => Just(u32::MAX)]);
    let any_entries = proptest::collection::vec(entry, 0..7).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(t, p, id)| ([1u16, 2, 4, 8, 0x10, 0x20, 2, 8, 3][t], p, id))
            .collect::<Vec<_>>()
    });
    let valid = (acls::acl(), proptest::collection::vec((0usize..12, 0u8..5, 0u32..4), 0..3)).prop_map(
        |(acl, edits)| {
            let mut entries: Vec<(u16, u16, u32)> = acl.to_xattr()[4..]
                .as_chunks::<8>()
                .0
                .iter()
                .map(|e| {
                    let id = u32::from_le_bytes([e[4], e[5], e[6], e[7]]);
                    (u16::from_le_bytes([e[0], e[1]]), u16::from_le_bytes([e[2], e[3]]), id)
                })
                .collect();
            for (at, kind, id) in edits {
                if entries.is_empty() {
                    break;
                }
                let at = at % entries.len();
                match kind {
                    0 => {
                        entries.remove(at);
                    }
                    1 => entries.insert(at, entries[at]),
                    2 => entries.insert(at, (entries[at].0, 5, id)),
                    3 => entries[at].2 = id,
                    _ => entries.swap(at, 0),
                }
            }
            entries
        },
    );
    let version = prop_oneof![30 => Just(2u32), 1 => 0u32..4];
    (version, prop_oneof![any_entries, valid], prop_oneof![20 => Just(0usize), 1 => 1usize..9])
        .prop_map(|(version, entries, cut)| {
            let mut bytes = version.to_le_bytes().to_vec();
            for (tag, perms, id) in entries {
                bytes.extend(tag.to_le_bytes());
                bytes.extend(perms.to_le_bytes());
                bytes.extend(id.to_le_bytes());
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            bytes
        })
        // A value of no bytes at all is another call: setxattr(2) with size 0 removes the ACL too.
        .prop_filter("empty", |bytes| !bytes.is_empty())
}

fn qualifier(tag: Tag) -> Qualifier {
    match tag {
        Tag::UserObj => Qualifier::UserObj,
        Tag::User(uid) => Qualifier::User(uid),
        Tag::GroupObj => Qualifier::GroupObj,
        Tag::Group(gid) => Qualifier::Group(gid),
        Tag::Mask => Qualifier::Mask,
        Tag::Other => Qualifier::Other,
    }
}

#[test]
fn a1_a_minimal_acl_is_stored_as_the_mode_alone() {
    let Some(dir) = folder() else { return };
    let file = new_file(dir.path(), 0);
    write(&file, &Acl::from_mode(0o751));
    assert_eq!(mode_of(&file), 0o751);
    assert_eq!(xattr::get(&file, XATTR_ACCESS).unwrap(), None);
    // With a mask it is more than the mode, though nobody is named.
    write(&file, &"u::rwx,g::r,m::rx,o::-".parse().unwrap());
    assert_eq!(mode_of(&file), 0o750);
    assert!(xattr::get(&file, XATTR_ACCESS).unwrap().is_some());
}

#[test]
fn a2_doubled_and_unsorted_ids_pass_the_kernel_and_break_setfacl() {
    let Some(dir) = folder() else { return };
    let file = new_file(dir.path(), 0);
    let acl: Acl = "u::rw,u:5:r,u:9:w,g::r,m::rw,o::-".parse().unwrap();
    let mut bytes = acl.to_xattr();
    bytes.splice(12..28, [bytes[20..28].to_vec(), bytes[12..20].to_vec(), bytes[20..28].to_vec()].concat());
    xattr::set(&file, XATTR_ACCESS, &bytes).unwrap();
    let parsed = Acl::parse_xattr(&xattr::get(&file, XATTR_ACCESS).unwrap().unwrap()).unwrap();
    assert_eq!(parsed.acl, acl);
    assert_eq!(parsed.problems.len(), 2);
    if support::have("setfacl") {
        let (ok, out) = run("setfacl", &["-m", "u:7:r"], &file);
        assert!(!ok && out.contains("Malformed access ACL"), "{out}");
        // What we write back it takes.
        write(&file, &parsed.acl);
        assert!(run("setfacl", &["-m", "u:7:r"], &file).0);
    }
}

#[test]
fn a4_a_default_acl_replaces_the_umask_and_the_mode_still_cuts() {
    let default: Acl = "u::rwx,u:1000:rw,g::rwx,m::rwx,o::r".parse().unwrap();
    // touch opens with 0666, whatever the umask.
    assert_eq!(default.inherited(0o666).mode_bits(), 0o664);
    let secret = default.inherited(0o600);
    assert_eq!(secret.mask(), Some(Perms::NONE));
    assert_eq!(secret.effective(Tag::User(1000)), Some(Perms::NONE));
    assert!(!secret.in_force());
    // Without X a new folder cannot be entered by the one it is meant for.
    assert_eq!(default.inherited(0o777).effective(Tag::User(1000)), Some(Perms::RW));
}

#[test]
fn a5_chmod_writes_the_mask_and_setfacl_takes_it_back() {
    let Some(dir) = folder() else { return };
    let file = new_file(dir.path(), 0);
    let acl: Acl = "u::rw,u:1000:rw,g::r,m::rw,o::-".parse().unwrap();
    write(&file, &acl);
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let masked = read(&file);
    assert_eq!(masked.get(Tag::User(1000)), Some(Perms::RW));
    assert_eq!(masked.effective(Tag::User(1000)), Some(Perms::R));
    if support::have("setfacl") {
        assert!(run("setfacl", &["-m", "u:1001:r"], &file).0);
        assert_eq!(read(&file).effective(Tag::User(1000)), Some(Perms::RW), "the entry is back in effect");
    }
    write(&file, &masked);
    let mut ours = masked;
    ours.grant(Tag::User(1001), Perms::R);
    write(&file, &ours);
    assert_eq!(read(&file).effective(Tag::User(1000)), Some(Perms::R));
}

#[test]
fn a6_how_a_file_gets_into_a_folder_decides_what_its_default_acl_gives() {
    let Some(dir) = folder() else { return };
    let default: Acl = "u::rwx,u:51000:rwx,g::rx,m::rwx,o::rx".parse().unwrap();
    let inside = dir.path().join("inside");
    fs::create_dir(&inside).unwrap();
    xattr::set(&inside, XATTR_DEFAULT, &default.to_xattr()).unwrap();
    let [source, moved] = [0, 1].map(|i| new_file(dir.path(), i));
    for file in [&source, &moved] {
        fs::write(file, "text").unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
    }
    let put = |name: &str, shell: &str| {
        let target = inside.join(name);
        let status =
            Command::new("sh").args(["-ec", shell, "sh"]).args([&source, &target, &moved]).status().unwrap();
        assert!(status.success(), "{shell}");
        read(&target)
    };
    let right = |acl: &Acl| acl.effective(Tag::User(51_000));
    // A shell's redirection opens with 0666, whatever the umask; cp with the mode of what it copies.
    let redirected = put("redirected", "umask 077; cat <\"$1\" >\"$2\"");
    assert_eq!(redirected, default.inherited(0o666));
    assert_eq!(right(&redirected), Some(Perms::RW));
    let copied = put("copied", "cp \"$1\" \"$2\"");
    assert_eq!(copied, default.inherited(0o644));
    assert_eq!(right(&copied), Some(Perms::R));
    for (name, shell) in
        [("p", "cp -p \"$1\" \"$2\""), ("i", "install -m 644 \"$1\" \"$2\""), ("m", "mv \"$3\" \"$2\"")]
    {
        assert_eq!(put(name, shell), Acl::from_mode(0o644), "{shell}");
    }
    // A temporary file renamed over the old one, as editors and deployers do, is opened with 0600.
    let temporary = tempfile::NamedTempFile::new_in(&inside).unwrap();
    let renamed = inside.join("redirected");
    temporary.persist(&renamed).unwrap();
    assert_eq!(read(&renamed), default.inherited(0o600));
    assert_eq!(right(&read(&renamed)), Some(Perms::NONE));
    // An edit in place by sed keeps the ACL of the file that it replaces.
    write(&renamed, &redirected);
    Command::new("sed").args(["-i", "s/a/b/"]).arg(&renamed).status().unwrap();
    assert_eq!(read(&renamed), redirected);
}

#[test]
fn a7_x_on_a_file_follows_any_execute_bit() {
    let Some(dir) = folder() else { return };
    if !support::have("setfacl") {
        return;
    }
    for (i, acl) in generate(cases(100), acls::acl()).into_iter().enumerate() {
        let file = new_file(dir.path(), i);
        write(&file, &acl);
        assert!(run("setfacl", &["-m", "u:7:rX"], &file).0);
        let expected = if acl.any_execute() { Perms::RX } else { Perms::R };
        assert_eq!(read(&file).get(Tag::User(7)), Some(expected), "{acl}");
    }
}

#[test]
fn a7_a_default_acl_on_a_file_is_refused() {
    let Some(dir) = folder() else { return };
    let file = new_file(dir.path(), 0);
    let e = xattr::set(&file, XATTR_DEFAULT, &Acl::from_mode(0o755).to_xattr()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn a8_getfacl_escapes_names_and_shows_unknown_ids_as_numbers() {
    let Some(dir) = folder() else { return };
    if !support::have("getfacl") {
        return;
    }
    let file = dir.path().join("a\nb\\c");
    File::create(&file).unwrap();
    let acl: Acl = "u::rw,u:54321:r,g::r,m::r,o::-".parse().unwrap();
    write(&file, &acl);
    for options in [&["-p"][..], &["-n", "-p"]] {
        let (_, text) = run("getfacl", options, &file);
        assert!(text.lines().next().unwrap().ends_with("/a\\012b\\\\c"), "{text}");
        assert!(text.contains("user:54321:r--"), "{text}");
    }
    // What we say of such a name reaches a terminal on one line, and an id without an account is a number with us too.
    assert!(!perms::report::escape::escape_path(&file).contains('\n'));
    assert!(read(&file).to_string().contains("user:54321:r--"));
    assert_eq!(perms::host::Accounts::parse("", "", None).user_name(54321), "54321");
}

#[test]
fn a9_attributes_are_set_through_proc_where_a_handle_names_but_does_not_open() {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{Mode, OFlags, XattrFlags};
    use rustix::io::Errno;

    let Some(dir) = folder() else { return };
    let file = new_file(dir.path(), 0);
    let acl = "u::rw,u:7:r,g::r,m::r,o::-".parse::<Acl>().unwrap();
    let named = |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
    let handle = named(&file);
    let direct = rustix::fs::fsetxattr(&handle, XATTR_ACCESS, &acl.to_xattr(), XattrFlags::empty());
    assert_eq!(direct.unwrap_err(), Errno::BADF);
    let by_proc = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    rustix::fs::setxattr(&by_proc, XATTR_ACCESS, &acl.to_xattr(), XattrFlags::empty()).unwrap();
    assert_eq!(read(&file), acl);
    // A link has none of its own.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let handle = named(&link);
    let by_proc = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
    let refused = rustix::fs::setxattr(&by_proc, XATTR_ACCESS, &acl.to_xattr(), XattrFlags::empty());
    assert_eq!(refused.unwrap_err(), Errno::OPNOTSUPP);
}

#[test]
fn an_id_without_a_number_in_this_namespace_is_not_taken_for_a_user() {
    let Some(dir) = folder() else { return };
    if !support::have("unshare") || !support::have("getfattr") {
        return;
    }
    let file = new_file(dir.path(), 0);
    let entries = ["u::rw,u:51000:rw,u:51001:r,g::-,m::rw,o::-".parse::<Acl>().unwrap().entries().to_vec()];
    let acl = Acl::from_entries(entries.concat()).unwrap();
    write(&file, &acl);
    let out = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "getfattr",
            "-e",
            "hex",
            "--only-values",
            "-n",
            XATTR_ACCESS,
            "--absolute-names",
        ])
        .arg(&file)
        .output()
        .unwrap();
    if !out.status.success() {
        support::skip("needs user namespaces");
        return;
    }
    assert_eq!(Acl::parse_xattr(&out.stdout), Err(AclError::Unmapped(Tag::User(u32::MAX))));
    assert!(Acl::from_entries(vec![Entry { tag: Tag::User(u32::MAX), perms: Perms::R }]).is_err());
}
