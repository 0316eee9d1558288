//! What the records of an event tell about a denial in it: who, by which program and system call, on what.
//!
//! All of it is shown and none of it decides a rule, except the numbers of an `ioctl` command or netlink message,
//! which are taken only from the end of the kernel's own text.

use std::borrow::Cow;

use super::address::socket_address;
use super::avc::Avc;
pub(super) use super::call::Memory;
use super::call::{Call, command};
use super::fields::{self, Field};
use super::path::{Object, PathRecord, about, choose_path, owner, path_record};
use super::record::{Kind, Record};

/// What is known of one denial beyond what decides it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The program's file, as the kernel knows it; else its short name, of which [`short_name`] makes no path.
    pub program: Option<Cow<'a, [u8]>>,
    /// The short name of the thread that asked.
    pub comm: Option<Cow<'a, [u8]>>,
    /// Its command line, arguments parted by spaces.
    pub command: Option<Cow<'a, [u8]>>,
    /// The user it ran as: a name, or a number where the log has only that.
    pub user: Option<Cow<'a, [u8]>>,
    /// Who had logged in to start it: a name, or a number.
    pub login: Option<Cow<'a, [u8]>>,
    /// The service that it is of, where the journal tells.
    pub unit: Option<Cow<'a, [u8]>>,
    /// The object: a path, a file's last name, an address, a message.
    pub object: Option<Cow<'a, [u8]>>,
    /// The path that the program asked for, if it is not the object's.
    pub wanted: Option<Cow<'a, [u8]>>,
    /// `openat → EACCES`.
    pub syscall: Option<Cow<'a, str>>,
    /// Of a capability to pass owner and mode: the object that refused, as `PATH mode 0600 uid 33 gid 33`.
    pub owner: Option<Cow<'a, [u8]>>,
    /// The port of name_bind and name_connect.
    pub port: Option<u16>,
    /// The command of an ioctl.
    pub ioctl: Option<u16>,
    /// The netlink message type.
    pub nlmsg: Option<u16>,
}

/// Keys of an AVC's fields, for the interpreted form.
const AVC_KEYS: &[&[u8]] = &[
    b"pid",
    b"comm",
    b"path",
    b"name",
    b"dev",
    b"ino",
    b"ioctlcmd",
    b"capability",
    b"key",
    b"ipc_key",
    b"opid",
    b"ocomm",
    b"laddr",
    b"lport",
    b"faddr",
    b"fport",
    b"saddr",
    b"src",
    b"daddr",
    b"dest",
    b"netif",
    b"key_serial",
    b"key_desc",
    b"kmod",
    b"nl-msgtype",
    b"anonclass",
    b"lockdown_reason",
    b"auid",
    b"uid",
    b"gid",
    b"cmdline",
    b"function",
    b"msgtype",
    b"interface",
    b"member",
    b"spid",
    b"tpid",
    b"exe",
];

/// The fields of a body, whichever way it was written. Of an interpreted one, values stand as they are.
pub(super) fn each<'a>(body: &'a [u8], interpreted: bool, keys: &[&[u8]], mut take: impl FnMut(&Field<'a>)) {
    if interpreted {
        fields::interpreted(body, keys, |key, value| {
            let field = Field { key, value, quoted: true, start: 0, end: 0 };
            if field.plain().is_some() {
                take(&field);
            }
        });
    } else {
        fields::fields(body).for_each(|field| take(&field));
    }
}

/// A short name as a program: whoever runs names himself (`prctl(PR_SET_NAME)`), and shall not pass for a file.
fn short_name(comm: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if comm.starts_with(b"/") { Cow::Owned([b"comm ", &*comm].concat()) } else { comm }
}

/// What `avc` says by itself and together with the other `records` of its event.
pub(super) fn facts<'a>(
    avc: &Avc<'a>,
    this: &Record<'a>,
    records: &[Record<'a>],
    memory: &'a mut Memory,
) -> Facts<'a> {
    if records.is_empty() { own(avc, this).0 } else { joined(avc, this, records, memory) }
}

fn own<'a>(avc: &Avc<'a>, this: &Record<'a>) -> (Facts<'a>, Object<'a>) {
    let (kind, interpreted) = (this.kind, this.interpreted);
    let mut facts = Facts::default();
    let mut object = Object::default();
    let (mut interface, mut member, mut dest) = (None, None, None);
    let (mut address, mut other) = (None, None);
    let mut last = None;
    let borrowed = |value: Option<&'a [u8]>| value.map(Cow::Borrowed);
    let rest = match &avc.usual {
        None => avc.fields,
        Some(usual) => {
            facts.comm = usual.comm.decoded();
            facts.program = facts.comm.clone().map(short_name);
            object.path = usual.path.and_then(|field| field.decoded());
            object.name = usual.name.and_then(|field| field.decoded());
            object.inode = usual.ino.and_then(|field| field.plain());
            last = usual.ioctlcmd;
            &b""[..]
        }
    };
    each(rest, interpreted, AVC_KEYS, |field| {
        last = Some(*field);
        match field.key {
            b"comm" => {
                facts.comm = field.decoded();
                if facts.program.is_none() {
                    facts.program = facts.comm.clone().map(short_name);
                }
            }
            // Kernels before 2.6.26 wrote it here. In the interpreted form a short name can hold it.
            b"exe" if kind == Kind::Avc && !interpreted => {
                facts.program = field.decoded().or(facts.program.take());
            }
            b"path" => object.path = field.decoded().or(object.path.take()),
            b"name" => object.name = field.decoded().or(object.name.take()),
            b"ino" => object.inode = field.plain(),
            b"cmdline" => facts.command = borrowed(field.plain()),
            // The first: a command line, which may hold another, comes after it.
            b"uid" if facts.user.is_none() && facts.command.is_none() && facts.comm.is_none() => {
                facts.user = borrowed(field.plain());
            }
            b"interface" => interface = field.plain(),
            b"member" => member = field.plain(),
            b"dest" => dest = field.plain(),
            b"src" => address = field.plain(),
            b"key_desc" | b"kmod" => other = field.decoded(),
            b"anonclass" => other = borrowed(field.plain()),
            _ => {}
        }
    });
    for field in fields::fields(this.enriched) {
        match field.key {
            b"UNIT" => facts.unit = Some(Cow::Borrowed(field.value)),
            b"AUID" if field.quoted => facts.login = login(field.value),
            _ => {}
        }
    }
    if kind == Kind::Avc {
        about(&mut object, avc.tclass, avc.permissions);
    }
    let own_path = object.path.clone().or_else(|| object.name.clone());
    if kind == Kind::Avc {
        // The port is `src=` of a bind and `dest=` of a connect; nothing else may be both.
        let port = if avc.permissions.windows(12).any(|w| w == b"name_connect") { dest } else { address };
        facts.port = port.and_then(super::record::number).and_then(|n| u16::try_from(n).ok());
        // These are taken only from the end of the kernel's own text.
        let last = if interpreted { fields::fields(avc.fields).last() } else { last };
        if let Some(last) = last {
            match last.key {
                b"ioctlcmd" => facts.ioctl = hexadecimal(last.value),
                b"nl-msgtype" => facts.nlmsg = last.number().and_then(|n| u16::try_from(n).ok()),
                _ => {}
            }
        }
    } else if let (Some(interface), Some(member)) = (interface, member) {
        let mut text = interface.to_vec();
        text.push(b'.');
        text.extend_from_slice(member);
        if let Some(dest) = dest {
            text.extend_from_slice(b" of ");
            text.extend_from_slice(dest);
        }
        other = Some(Cow::Owned(text));
    }
    facts.object = own_path.or(other);
    if facts.object.is_none() {
        facts.object = facts.port.map(|p| Cow::Owned(format!("port {p}").into_bytes()));
    }
    (facts, object)
}

fn joined<'a>(avc: &Avc<'a>, this: &Record<'a>, records: &[Record<'a>], memory: &'a mut Memory) -> Facts<'a> {
    let (mut facts, object) = own(avc, this);
    let mut paths: Vec<PathRecord<'a>> = Vec::new();
    let mut cwd = None;
    let mut argv: Vec<Cow<'a, [u8]>> = Vec::new();
    let mut address = None;
    let calls = records.iter().filter(|r| r.kind == Kind::Syscall).take(2).count();
    // Without serial numbers (the journal), several events may share a time: then only the process tells.
    let ambiguous = this.id.is_some_and(|id| id.serial == 0) && calls > 1;
    let Memory { calls: known, titles, tails } = memory;
    // What is remembered serves for one record of each kind: an event has no more.
    let mut known = (calls == 1).then_some(known);
    let mut titles = Some(titles);
    for record in records {
        if ambiguous && (record.kind != Kind::Syscall || record.tag_pid != this.tag_pid) {
            continue;
        }
        match record.kind {
            Kind::Syscall => {
                let remembered = known.take().and_then(|known| known.call(record));
                remembered.unwrap_or_else(|| Call::of(record)).tell(&mut facts);
            }
            Kind::Path => paths.extend(path_record(record, tails)),
            Kind::Cwd => each(record.body, record.interpreted, &[b"cwd"], |field| {
                if field.key == b"cwd" {
                    cwd = field.decoded();
                }
            }),
            Kind::AvcPath => each(record.body, record.interpreted, &[b"path"], |field| {
                if field.key == b"path" {
                    facts.object = field.decoded();
                }
            }),
            Kind::Proctitle if facts.command.is_none() => {
                facts.command = match titles.take() {
                    Some(titles) => titles.command(record),
                    None => command(record),
                };
            }
            Kind::Execve if !record.interpreted => {
                for field in fields::fields(record.body).filter(|f| f.key.first() == Some(&b'a')).take(32) {
                    if field.key != b"argc" && !field.key.contains(&b'[') {
                        argv.extend(field.decoded());
                    }
                }
            }
            Kind::Sockaddr => address = socket_address(record),
            _ => {}
        }
    }
    if facts.command.is_none() && !argv.is_empty() {
        facts.command = Some(Cow::Owned(argv.join(&b' ')));
    }
    if this.kind == Kind::Avc && avc.permissions.windows(4).any(|w| w == b"dac_") {
        facts.owner = owner(&paths, cwd.as_deref()).map(Cow::Owned);
    }
    (facts.object, facts.wanted) = choose_path(facts.object, &object, &paths, cwd.as_deref());
    if let Some(address) = address {
        let plain = facts.object.as_ref().is_none_or(|o| o.starts_with(b"port "));
        if plain && !address.is_empty() {
            facts.object = Some(Cow::Owned(address));
        }
    }
    facts
}

/// A login; nobody had logged in to start a service.
pub(super) fn login(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    (!matches!(value, b"unset" | b"4294967295" | b"-1")).then_some(Cow::Borrowed(value))
}

/// `0x5401`, or `5401` as old kernels wrote it.
fn hexadecimal(value: &[u8]) -> Option<u16> {
    let digits = value.strip_prefix(b"0x").unwrap_or(value);
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::avc::{Author, Body, parse};
    use super::super::record::{Line, line};
    use super::*;

    fn record(text: &str) -> Record<'_> {
        match line(text.as_bytes()) {
            Line::Record(r) => r,
            other => panic!("{other:?}"),
        }
    }

    fn join(lines: &[&'static str]) -> (Option<String>, Option<String>, Facts<'static>) {
        let this = record(lines[0]);
        let author = if this.interpreted { Author::Program } else { Author::Kernel };
        let Body::Avc(avc) = parse(this.body, author, true) else { panic!("{}", lines[0]) };
        let rest: Vec<_> = lines[1..].iter().map(|l| record(l)).collect();
        let facts = joined(&avc, &this, &rest, Box::leak(Box::default()));
        let s = |v: &Option<Cow<'_, [u8]>>| v.as_ref().map(|b| String::from_utf8_lossy(b).into_owned());
        (s(&facts.object), s(&facts.wanted), facts)
    }

    const C: &str = "scontext=u:r:httpd_t:s0 tcontext=u:object_r:user_home_t:s0 tclass=";

    fn leak(text: String) -> &'static str {
        text.leak()
    }

    /// Each AVC of the samples, as it is and with bytes changed: what the usual order tells is what any order tells.
    #[test]
    fn the_usual_order_tells_what_any_other_tells() {
        let mut usual_ones = 0;
        let mut dice = 7u32;
        for folder in std::fs::read_dir("audit-samples").unwrap() {
            let log = std::fs::read(folder.unwrap().path().join("log")).unwrap_or_default();
            for text in log.split(|b| *b == b'\n') {
                for round in 0..20 {
                    let mut text = text.to_vec();
                    dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let at = (dice >> 8) as usize % text.len().max(1);
                    if let (true, Some(b)) = (round > 0, text.get_mut(at)) {
                        *b = b" =\",x\xff0/"[(dice >> 4) as usize % 8];
                    }
                    let Line::Record(this) = line(&text) else { continue };
                    if this.kind != Kind::Avc || this.interpreted {
                        continue;
                    }
                    let Body::Avc(avc) = parse(this.body, Author::Kernel, true) else { continue };
                    if avc.usual.is_none() {
                        continue;
                    }
                    usual_ones += 1;
                    let (theirs, object) = own(&Avc { usual: None, ..avc.clone() }, &this);
                    let (mine, same) = own(&avc, &this);
                    assert_eq!(mine, theirs, "{}", text.escape_ascii());
                    let shown =
                        |o: &Object<'_>| format!("{:?}", (&o.name, &o.path, o.inode, o.entry, o.made));
                    assert_eq!(shown(&same), shown(&object), "{}", text.escape_ascii());
                }
            }
        }
        assert!(usual_ones > 500, "{usual_ones}");
    }

    #[test]
    fn the_right_path_of_several() {
        let avc = leak(format!(
            "type=AVC msg=audit(1.000:1): avc:  denied  {{ write }} for  pid=1 comm=\"a\" name=\"x\" dev=\"vda\" ino=7 {C}file"
        ));
        let parent = "type=PATH msg=audit(1.000:1): item=0 name=\"/srv/\" inode=5 dev=fe:00 nametype=PARENT";
        let child = "type=PATH msg=audit(1.000:1): item=1 name=\"/srv/x\" inode=7 dev=fe:00 nametype=NORMAL";
        let (object, wanted, _) = join(&[avc, parent, child]);
        assert_eq!((object.as_deref(), wanted), (Some("/srv/x"), None));
        let relative = "type=PATH msg=audit(1.000:1): item=1 name=\"./x\" inode=7 nametype=NORMAL";
        let cwd = "type=CWD msg=audit(1.000:1): cwd=\"/srv/www\"";
        assert_eq!(join(&[avc, relative, cwd]).0.as_deref(), Some("/srv/www/x"));
    }

    /// As the kernel wrote them: a call that fails leaves the folder's record alone, one that passes the entry's too.
    #[test]
    fn what_is_made_or_taken_away_is_joined_with_its_folder() {
        let avc = |permission: &str, fields: &str, class: &str| {
            leak(format!(
                "type=AVC msg=audit(1.000:1): avc:  denied  {{ {permission} }} for  pid=1 comm=\"a\" {fields} {C}{class}"
            ))
        };
        let of = |avc: &'static str, rest: &[&'static str]| {
            let (object, wanted, _) = join(&[&[avc], rest].concat());
            (object.unwrap_or_default(), wanted.unwrap_or_default())
        };
        let s = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let parent = "type=PATH msg=audit(1.000:1): item=0 name=\"/srv/site/\" inode=5 nametype=PARENT";
        let made = "type=PATH msg=audit(1.000:1): item=1 name=\"/srv/site/x\" inode=7 nametype=CREATE";
        let cwd = "type=CWD msg=audit(1.000:1): cwd=\"/srv\"";
        let create = avc("create", "name=\"x\"", "file");
        assert_eq!(of(create, &[parent]), s("/srv/site/x", ""));
        assert_eq!(of(create, &[parent, made]), s("/srv/site/x", ""));
        let add = avc("add_name", "name=\"x\"", "dir");
        assert_eq!(of(add, &[parent]), s("/srv/site", "/srv/site/x"));
        assert_eq!(of(add, &[parent, made]), s("/srv/site", "/srv/site/x"));
        // Relative names: the folder's record has what the program said of it, or the working folder itself.
        let below = "type=PATH msg=audit(1.000:1): item=0 name=\"site/\" inode=5 nametype=PARENT";
        assert_eq!(of(create, &[below, cwd]), s("/srv/site/x", ""));
        let here = "type=PATH msg=audit(1.000:1): item=0 name=\"/srv\" inode=5 nametype=PARENT";
        assert_eq!(of(add, &[here, cwd]), s("/srv", "/srv/x"));
        assert_eq!(
            of(
                avc("create", "name=\"x\"", "dir"),
                &["type=PATH msg=audit(1.000:1): item=0 name=\"/\" inode=2 nametype=PARENT"]
            ),
            s("/x", "")
        );
        // A rename: taken away from the first folder, put into the second.
        let to = "type=PATH msg=audit(1.000:1): item=1 name=\"/tmp/\" inode=6 nametype=PARENT";
        let old = "type=PATH msg=audit(1.000:1): item=2 name=\"/srv/site/x\" inode=7 nametype=DELETE";
        let remove = avc("remove_name", "name=\"x\" dev=\"vda\" ino=7", "dir");
        assert_eq!(of(remove, &[parent, to, old]), s("/srv/site", "/srv/site/x"));
        assert_eq!(of(remove, &[parent, to]), s("/srv/site", "/srv/site/x"));
        assert_eq!(of(avc("add_name", "name=\"y\"", "dir"), &[parent, to, old]), s("/tmp", "/tmp/y"));
        // Nothing to join with: the name alone, and it is not taken for a path. A name is never a way elsewhere.
        assert_eq!(of(add, &[]), s("x", ""));
        assert_eq!(of(avc("create", "name=\"../x\"", "file"), &[parent]), s("../x", "/srv/site/"));
        assert_eq!(of(avc("create", "name=2F6574632F78", "file"), &[parent]).0, "/etc/x");
        // Looking into a folder is about the folder.
        let search = avc("search", "name=\"site\" dev=\"vda\" ino=5", "dir");
        assert_eq!(of(search, &[parent]).0, "/srv/site/");
    }

    #[test]
    fn a_folder_on_the_way() {
        let avc = leak(format!(
            "type=AVC msg=audit(1.000:1): avc:  denied  {{ search }} for  pid=1 comm=\"a\" name=\"site\" dev=\"vda\" ino=9 {C}dir"
        ));
        let path = "type=PATH msg=audit(1.000:1): item=0 name=\"/var/www/site/index.html\" nametype=UNKNOWN";
        let (object, wanted, _) = join(&[avc, path]);
        assert_eq!(object.as_deref(), Some("/var/www/site"));
        assert_eq!(wanted.as_deref(), Some("/var/www/site/index.html"));
    }

    #[test]
    fn system_call_user_and_address() {
        let avc = leak(format!(
            "type=AVC msg=audit(1.000:1): avc:  denied  {{ name_bind }} for  pid=1 comm=\"nginx\" src=81 {C}tcp_socket"
        ));
        let call = "type=SYSCALL msg=audit(1.000:1): arch=c000003e syscall=49 success=no exit=-13 uid=33 comm=\"nginx\" exe=\"/usr/sbin/nginx\"\x1dARCH=x86_64 SYSCALL=bind UID=\"www-data\"";
        let saddr = "type=SOCKADDR msg=audit(1.000:1): saddr=020000517F0000010000000000000000";
        let title = "type=PROCTITLE msg=audit(1.000:1): proctitle=6E67696E78002D74";
        let (object, _, facts) = join(&[avc, call, saddr, title]);
        assert_eq!(object.as_deref(), Some("127.0.0.1 port 81"));
        assert_eq!(facts.syscall.as_deref(), Some("bind → EACCES"));
        assert_eq!(facts.user.as_deref(), Some(&b"www-data"[..]));
        assert_eq!(facts.command.as_deref(), Some(&b"nginx -t"[..]));
        assert_eq!((facts.port, facts.ioctl), (Some(81), None));
    }

    #[test]
    fn whose_file_refused_root() {
        let avc = "type=AVC msg=audit(1.000:1): avc:  denied  { dac_read_search } for  pid=1 comm=\"cat\" capability=2 \
                   scontext=u:r:a_t:s0 tcontext=u:r:a_t:s0 tclass=capability";
        let parent = "type=PATH msg=audit(1.000:1): item=0 name=\"/srv/\" inode=5 mode=040755 ouid=0 ogid=0 nametype=PARENT";
        let child = "type=PATH msg=audit(1.000:1): item=1 name=\"key\" inode=7 mode=0100600 ouid=33 ogid=4 nametype=NORMAL";
        let cwd = "type=CWD msg=audit(1.000:1): cwd=\"/srv\"";
        let (_, _, facts) = join(&[avc, parent, child, cwd]);
        assert_eq!(facts.owner.as_deref(), Some(&b"/srv/key mode 0600 uid 33 gid 4"[..]));
    }

    #[test]
    fn an_ioctl_command_counts_only_at_its_place() {
        let avc = leak(format!(
            "type=AVC msg=audit(1.000:1): avc:  denied  {{ ioctl }} for  pid=1 path=\"/dev/x\" ino=9 ioctlcmd=0x5401 {C}chr_file"
        ));
        assert_eq!(join(&[avc]).2.ioctl, Some(0x5401));
        let forged = leak(format!(
            "type=AVC msg=audit(01/01/26 00:00:00.000:1) : avc:  denied  {{ ioctl }} for  pid=1 comm=a ioctlcmd=0x1 b ino=9 {C}chr_file"
        ));
        assert_eq!(join(&[forged]).2.ioctl, None);
    }
}
