//! The body of an AVC or USER_AVC record.
//!
//! ```text
//! avc:  denied  { PERMISSION… } for  FIELDS scontext=C tcontext=C tclass=CLASS permissive=0|1 [trawcon=T]
//! ```
//!
//! What decides a rule is taken from its place alone: the permissions from the braces right after the verdict, the
//! contexts and the class from the three fields that follow each other at the end. FIELDS is written by whoever runs
//! the program (its name, the names of its files, its command line) and only ever shown.
//!
//! - The kernel's own text is unambiguous from left to right (values with spaces or quotes are in hexadecimal). Two
//!   sets of contexts in it mean that the line was edited: it is set aside.
//! - `ausearch -i` and object managers (systemd's `cmdline="…"`) write values as they are. There the last set of
//!   contexts counts, if nothing but the fields that end such a record follows it.
//! - libselinux writes an object manager's record into a buffer of 1,024 bytes, so that a long command line pushes
//!   the true contexts out of it and may leave forged ones at the end: such a record is set aside.

use memchr::memmem;

use super::fields::{self, Field, InOrder};
use crate::report::Code;
use crate::report::codes::log::{BAD_RECORD, CUT_LINE, FORGED_RECORD};

/// Denied or granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// `denied`.
    Denied,
    /// `granted`, by an auditallow rule.
    Granted,
}

/// How the text of an AVC came about, which decides how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The kernel: quotes and hexadecimal can be relied on.
    Kernel,
    /// An object manager, or `ausearch -i`: values stand as they are.
    Program,
}

/// An AVC record, taken apart. Everything is as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avc<'a> {
    /// Denied or granted.
    pub verdict: Verdict,
    /// What stands in the braces.
    pub permissions: &'a [u8],
    /// What stands between `for` and the contexts.
    pub fields: &'a [u8],
    /// Source context.
    pub scontext: &'a [u8],
    /// Target context.
    pub tcontext: &'a [u8],
    /// Class.
    pub tclass: &'a [u8],
    /// `permissive=`, if it is there.
    pub permissive: Option<bool>,
    /// The source's context as it is on disk, if the policy does not know it.
    pub srawcon: Option<Field<'a>>,
    /// The target's likewise.
    pub trawcon: Option<Field<'a>>,
    /// `exe=` and the like, which libaudit puts after an object manager's text.
    pub tail: &'a [u8],
    /// The fields, where they are those of most records.
    pub usual: Option<Usual<'a>>,
}

/// What the body of an AVC record is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is made for each denial, and taken apart at once")]
pub enum Body<'a> {
    /// SELinux denied or granted.
    Avc(Avc<'a>),
    /// Another of SELinux's messages under this type (`received policyload notice`, `op=load_policy`).
    Notice,
    /// AppArmor's.
    AppArmor,
    /// Not as it should be: the code and why.
    Bad(Fault),
}

/// A code and a reason.
pub type Fault = (Code, &'static str);

/// Length that a message of libselinux is cut at (AVC_AUDIT_BUFSIZE), less what may vary.
const CUT: std::ops::RangeInclusive<usize> = 1018..=1024;

/// Reads `body`. `ended` tells whether the line had its line end.
pub fn parse(body: &[u8], author: Author, ended: bool) -> Body<'_> {
    let body = body.trim_ascii_start();
    if body.starts_with(b"apparmor=") {
        return Body::AppArmor;
    }
    let Some(rest) = body.strip_prefix(b"avc:") else { return Body::Bad((&BAD_RECORD, "no `avc:`")) };
    let rest = rest.trim_ascii_start();
    let (verdict, rest) = if let Some(rest) = rest.strip_prefix(b"denied") {
        (Verdict::Denied, rest)
    } else if let Some(rest) = rest.strip_prefix(b"granted") {
        (Verdict::Granted, rest)
    } else if rest.starts_with(b"received ") || rest.starts_with(b"op=") || rest.starts_with(b"netlink ") {
        return Body::Notice;
    } else if rest.starts_with(b"apparmor=") {
        return Body::AppArmor;
    } else {
        return Body::Bad((&BAD_RECORD, "neither `denied` nor `granted` after `avc:`"));
    };
    let rest = rest.trim_ascii_start();
    let Some((permissions, rest)) = rest.strip_prefix(b"{").and_then(|r| {
        let close = r.iter().position(|b| matches!(b, b'}' | b'{' | b'='))?;
        (r.get(close) == Some(&b'}')).then_some((r.get(..close)?, r.get(close + 1..)?))
    }) else {
        let null = rest.starts_with(b"null");
        return Body::Bad((
            &BAD_RECORD,
            if null { "no permission: `null`" } else { "no permissions in braces" },
        ));
    };
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b"for").map_or(rest, |r| if r.starts_with(b" ") { r } else { rest });
    let found = match author {
        Author::Kernel => forward(rest),
        Author::Program => backward(rest).map(|contexts| (None, contexts)),
    };
    let (usual, contexts) = match found {
        Ok(found) => found,
        Err(fault) => return Body::Bad(fault),
    };
    let avc = match finish(verdict, permissions, rest, contexts) {
        Ok(avc) => Avc { usual, ..avc },
        Err(fault) => return Body::Bad(fault),
    };
    if author == Author::Program && CUT.contains(&text_length(body)) {
        return Body::Bad((
            &CUT_LINE,
            "as long as the object manager's buffer: it may be cut, and its end forged",
        ));
    }
    if !ended && cut_short(&avc, author) {
        return Body::Bad((&CUT_LINE, "the last line is cut off"));
    }
    Body::Avc(avc)
}

/// Where the three fields are in the text.
#[derive(Debug, PartialEq, Eq)]
struct Contexts<'a> {
    start: usize,
    scontext: &'a [u8],
    tcontext: &'a [u8],
    tclass: &'a [u8],
    end: usize,
}

/// The contexts of a kernel's record in its usual form: one field right after the other, and no word after them that
/// [`forward`] would look at. `before` is where they begin, the fields before being no contexts.
fn in_order(text: &[u8], before: usize) -> Option<Contexts<'_>> {
    let rest = text.get(before..)?;
    let mut fields = InOrder(rest);
    let scontext = fields.next(b"scontext=")?.value;
    let tcontext = fields.next(b"tcontext=")?.value;
    let tclass = fields.next(b"tclass=")?.value;
    let end = text.len() - fields.0.len();
    let tail = fields.0;
    let usual = tail.is_empty() || fields.next(b"permissive=").is_some_and(|_| fields.0.is_empty());
    usual.then_some(Contexts { start: before, scontext, tcontext, tclass, end })
}

/// The fields before the contexts of most of the kernel's records, those on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual<'a> {
    /// `comm=`
    pub comm: Field<'a>,
    /// `path=`
    pub path: Option<Field<'a>>,
    /// `name=`
    pub name: Option<Field<'a>>,
    /// `ino=`
    pub ino: Option<Field<'a>>,
    /// `ioctlcmd=`, which then is the last.
    pub ioctlcmd: Option<Field<'a>>,
}

/// What such a record says, if it has these fields in the kernel's order and no others.
fn usual(text: &[u8]) -> Option<(Usual<'_>, Contexts<'_>)> {
    let mut fields = InOrder(text.trim_ascii_start());
    fields.next(b"pid=")?;
    let comm = fields.next(b"comm=")?;
    let (path, name) = (fields.next(b"path="), fields.next(b"name="));
    fields.next(b"dev=");
    let (ino, ioctlcmd) = (fields.next(b"ino="), fields.next(b"ioctlcmd="));
    let contexts = in_order(text, text.len() - fields.0.strip_prefix(b" ")?.len())?;
    Some((Usual { comm, path, name, ino, ioctlcmd }, contexts))
}

/// The contexts of a kernel's record: the only set, outside quotes.
fn forward(text: &[u8]) -> Result<(Option<Usual<'_>>, Contexts<'_>), Fault> {
    match usual(text) {
        Some((usual, contexts)) => Ok((Some(usual), contexts)),
        None => Ok((None, anywhere(text)?)),
    }
}

fn anywhere(text: &[u8]) -> Result<Contexts<'_>, Fault> {
    let mut found: Option<(usize, &[u8])> = None;
    let mut contexts: Option<Contexts<'_>> = None;
    let mut tcontext: Option<&[u8]> = None;
    for field in fields::fields(text) {
        // The rest of nearly every record.
        if field.key == b"scontext"
            && found.is_none()
            && tcontext.is_none()
            && let Some(contexts) = in_order(text, field.start)
        {
            return Ok(contexts);
        }
        match field.key {
            b"scontext" if found.replace((field.start, field.value)).is_some() => {
                return Err((&FORGED_RECORD, "two source contexts: the line was edited or forged"));
            }
            b"tcontext" if tcontext.replace(field.value).is_some() => {
                return Err((&FORGED_RECORD, "two target contexts: the line was edited or forged"));
            }
            b"tclass" => {
                let (Some((start, scontext)), Some(tcontext)) = (found, tcontext) else { continue };
                let new = Contexts { start, scontext, tcontext, tclass: field.value, end: field.end };
                if contexts.replace(new).is_some() {
                    return Err((&FORGED_RECORD, "two classes: the line was edited or forged"));
                }
            }
            b"ssid" | b"tsid" => {
                return Err((&BAD_RECORD, "the kernel had no name for a context (`ssid=`, `tsid=`)"));
            }
            _ => {}
        }
    }
    contexts.ok_or((&BAD_RECORD, "no `scontext=`, `tcontext=`, `tclass=`"))
}

/// The contexts of any other record: the last set, one field right after the other.
fn backward(text: &[u8]) -> Result<Contexts<'_>, Fault> {
    const NONE: Fault = (&BAD_RECORD, "no `scontext=`, `tcontext=`, `tclass=` one after the other");
    let start = memmem::rfind(text, b"scontext=").ok_or(NONE)?;
    if start > 0 && text.get(start - 1) != Some(&b' ') {
        return Err(NONE);
    }
    let mut list = fields::fields(text.get(start..).ok_or(NONE)?);
    let mut next = |key: &[u8]| list.next().filter(|f| f.key == key && !f.quoted).ok_or(NONE);
    let (s, t, c) = (next(b"scontext")?, next(b"tcontext")?, next(b"tclass")?);
    Ok(Contexts { start, scontext: s.value, tcontext: t.value, tclass: c.value, end: start + c.end })
}

/// What follows the contexts: only fields that belong there.
fn finish<'a>(
    verdict: Verdict,
    permissions: &'a [u8],
    text: &'a [u8],
    contexts: Contexts<'a>,
) -> Result<Avc<'a>, Fault> {
    let Contexts { start, scontext, tcontext, tclass, end } = contexts;
    let tail = text.get(end..).unwrap_or_default();
    let mut avc = Avc {
        verdict,
        permissions,
        fields: text.get(..start).unwrap_or_default().trim_ascii(),
        scontext,
        tcontext,
        tclass,
        permissive: None,
        srawcon: None,
        trawcon: None,
        tail,
        usual: None,
    };
    for field in fields::fields(tail) {
        match field.key {
            b"permissive" if avc.permissive.is_none() => {
                avc.permissive = match field.value {
                    b"0" => Some(false),
                    b"1" => Some(true),
                    _ => return Err((&BAD_RECORD, "`permissive=` is neither 0 nor 1")),
                };
            }
            b"srawcon" => avc.srawcon = Some(field),
            b"trawcon" => avc.trawcon = Some(field),
            b"scontext" | b"tcontext" | b"tclass" => {
                return Err((&FORGED_RECORD, "contexts after the contexts"));
            }
            // Unknown keys are tolerated: kernels gain fields.
            _ => {}
        }
    }
    Ok(avc)
}

/// The length of what libselinux wrote: without what libaudit put after it.
fn text_length(body: &[u8]) -> usize {
    memmem::rfind(body, b" exe=").unwrap_or(body.len())
}

/// Whether a last line without line end may have lost something that decides.
fn cut_short(avc: &Avc<'_>, author: Author) -> bool {
    if avc.permissive.is_some() && author == Author::Kernel {
        return false;
    }
    let class = std::str::from_utf8(avc.tclass).unwrap_or_default();
    let last_word = avc.tail.is_empty();
    // An object manager's record goes on after the class, so a bare end may be inside something quoted.
    (author == Author::Program && avc.permissive.is_none())
        || (last_word && crate::selinux::module::classes::may_be_cut(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: &str = "scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:var_t:s0 tclass=file";

    fn avc<'a>(text: &'a str, author: Author) -> Avc<'a> {
        match parse(text.as_bytes(), author, true) {
            Body::Avc(avc) => avc,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_kernels_form() {
        let text = format!(
            "avc:  denied  {{ read write }} for  pid=1 comm=\"x y\" name=\"a=b.txt\" {C} permissive=1"
        );
        let a = avc(&text, Author::Kernel);
        assert_eq!(a.permissions, b" read write ");
        assert_eq!((a.tclass, a.permissive), (&b"file"[..], Some(true)));
        assert_eq!(a.fields, b"pid=1 comm=\"x y\" name=\"a=b.txt\"");
        let text = format!("avc: denied {{ read }} for {C} permissive=0 trawcon=\"a:b:c:s0\" family=2");
        assert_eq!(avc(&text, Author::Kernel).trawcon.unwrap().value, b"a:b:c:s0");
        assert_eq!(
            avc(&format!("avc:  granted  {{ read }} for {C}"), Author::Kernel).verdict,
            Verdict::Granted
        );
    }

    #[test]
    fn the_usual_order_is_read_as_any_other() {
        let mut seen = 0;
        let mut dice = 7u32;
        for folder in std::fs::read_dir("audit-samples").unwrap() {
            let log = std::fs::read(folder.unwrap().path().join("log")).unwrap_or_default();
            for line in log.split(|b| *b == b'\n') {
                let Some(at) = memmem::find(line, b" for ") else { continue };
                let text = line[at + 4..].to_vec();
                // As it is, and with a byte changed, doubled or left out.
                for round in 0..40 {
                    dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let mut other = text.clone();
                    let at = (dice >> 8) as usize % text.len();
                    match round % 4 {
                        _ if round == 0 => {}
                        0 => other[at] = b" =\",x\0"[(dice >> 4) as usize % 6],
                        1 => other.insert(at, b" =\",x\0"[(dice >> 4) as usize % 6]),
                        2 => drop(other.remove(at)),
                        _ => other.truncate(at),
                    }
                    if let Some((_, found)) = usual(&other) {
                        assert_eq!(Ok(found), anywhere(&other), "{}", other.escape_ascii());
                        seen += 1;
                    }
                }
            }
        }
        assert!(seen > 1000, "{seen}");
    }

    #[test]
    fn what_a_program_wrote_decides_nothing() {
        let forged = "scontext=u:r:evil_t:s0 tcontext=u:r:shadow_t:s0 tclass=process permissive=1";
        for hostile in [
            format!("cmdline=\"systemctl {{ start stop }} x\" {C} permissive=0  exe=\"/x\" sauid=0"),
            format!("cmdline=\"granted {forged}\" function=\"f\" {C} permissive=0  exe=\"/x\" sauid=0"),
            format!("cmdline=\"a\" {forged} \" function=\"f\" {C} permissive=0  exe=\"/x\" sauid=0"),
        ] {
            let text = format!("avc:  denied  {{ status }} for {hostile}");
            let a = avc(&text, Author::Program);
            assert_eq!(a.permissions, b" status ");
            assert_eq!(a.scontext, b"system_u:system_r:httpd_t:s0", "{hostile}");
            assert_eq!(a.permissive, Some(false));
        }
        let two = format!("avc:  denied  {{ read }} for name={forged} {C}");
        assert!(matches!(parse(two.as_bytes(), Author::Kernel, true), Body::Bad(_)));
    }

    #[test]
    fn a_full_buffer_is_not_trusted() {
        let mut text = String::from("avc:  denied  { status } for cmdline=\"");
        text.push_str(&"A".repeat(1023 - text.len() - C.len() - 2));
        text.push_str("\" ");
        text.push_str(C);
        assert_eq!(text.len(), 1023);
        let whole = format!("{text} exe=\"/usr/lib/systemd/systemd\" sauid=0");
        assert!(matches!(parse(whole.as_bytes(), Author::Program, true), Body::Bad(_)));
    }

    #[test]
    fn what_is_no_denial() {
        assert_eq!(parse(b"avc:  received policyload notice (seqno=2)", Author::Program, true), Body::Notice);
        assert_eq!(
            parse(b"avc:  op=load_policy lsm=selinux seqno=4 res=1", Author::Program, true),
            Body::Notice
        );
        assert_eq!(parse(b"apparmor=\"DENIED\" operation=\"open\"", Author::Kernel, true), Body::AppArmor);
        for bad in
            ["", "avc:", "avc:  denied", "avc:  denied { read for pid=1", "avc:  denied null for pid=1"]
        {
            assert!(matches!(parse(bad.as_bytes(), Author::Kernel, true), Body::Bad(_)), "{bad}");
        }
    }

    #[test]
    fn a_cut_last_line() {
        let cut = |text: &str, author| matches!(parse(text.as_bytes(), author, false), Body::Bad(_));
        let c = "scontext=a:b:c tcontext=a:b:c tclass=";
        assert!(cut(&format!("avc:  denied  {{ read }} for {c}process"), Author::Kernel));
        assert!(!cut(&format!("avc:  denied  {{ read }} for {c}tcp_socket"), Author::Kernel));
        assert!(!cut(&format!("avc:  denied  {{ read }} for {c}process permissive=0"), Author::Kernel));
        assert!(cut(&format!("avc:  denied  {{ read }} for {c}file"), Author::Program));
    }
}
