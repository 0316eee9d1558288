//! Events of the form that most have: their records follow each other, each with the fields that the kernel usually
//! writes, in its order, and of who it was they tell what others told before. Little of them is read more than once.
//!
//! What is found is what those find who read any form; whatever is otherwise in an event is left to them (`None`).

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr;
use smallvec::SmallVec;

use super::call::Memory;
use super::evidence::{Common, Commons};
use super::fields::{Field, InOrder};
use super::kind::Kind;
use super::path::{self, PathRecord};
use super::record::PARTS;

/// What the kernel's record of a denial on a file says.
pub(super) struct Denied<'a> {
    /// What stands in the braces: anything.
    pub(super) permissions: &'a [u8],
    pub(super) path: Option<Field<'a>>,
    pub(super) name: Option<Field<'a>>,
    pub(super) inode: Option<&'a [u8]>,
    /// These three as written: they may be no contexts, and no class.
    pub(super) scontext: &'a [u8],
    pub(super) tcontext: &'a [u8],
    pub(super) tclass: &'a [u8],
    pub(super) permissive: bool,
}

/// Reads an AVC record's text, which ends in a line end.
pub(super) fn denied(text: &[u8]) -> Option<Denied<'_>> {
    let rest = text.strip_prefix(b"avc:  denied  {")?;
    let (permissions, rest) = rest.split_at_checked(memchr(b'}', rest)?)?;
    let mut fields = InOrder(rest.strip_prefix(b"} for ")?);
    fields.next(b"pid=")?;
    fields.next(b"comm=")?;
    let (path, name) = (fields.next(b"path="), fields.next(b"name="));
    fields.next(b"dev=");
    let inode = fields.next(b"ino=").and_then(|field| field.plain());
    let scontext = fields.next(b"scontext=")?.value;
    let tcontext = fields.next(b"tcontext=")?.value;
    let tclass = fields.next(b"tclass=")?.value;
    let permissive = match fields.next(b"permissive=")?.value {
        b"0" => false,
        b"1" => true,
        _ => return None,
    };
    let whole = fields.0.is_empty();
    whole.then_some(Denied { permissions, path, name, inode, scontext, tcontext, tclass, permissive })
}

/// What the other records tell.
pub(super) struct Others<'a> {
    pub(super) who: Arc<Common>,
    pub(super) cwd: Option<Cow<'a, [u8]>>,
    pub(super) paths: SmallVec<[PathRecord<'a>; 2]>,
}

/// Reads the other records of an event: kinds and texts.
pub(super) fn others<'a>(
    records: impl Iterator<Item = (Kind, &'a [u8])>,
    memory: &mut Memory,
    commons: &mut Commons,
) -> Option<Others<'a>> {
    let (mut call, mut title) = (None, None);
    let mut cwd = None;
    let mut paths = SmallVec::new();
    let Memory { calls, titles, tails } = memory;
    for (kind, text) in records {
        match kind {
            Kind::Syscall if call.is_none() => call = Some(calls.known(text)?),
            Kind::Proctitle if title.is_none() => title = Some(titles.known(text)?),
            Kind::Path => paths.push(path::known(text, tails)?),
            Kind::Cwd if cwd.is_none() && memchr(PARTS, text).is_none() => {
                let mut rest = InOrder(text);
                cwd = Some(rest.next(b"cwd=")?.decoded());
                if !rest.0.is_empty() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    let (call, title) = (call?, title?);
    let told = &call.call;
    let who = [
        // Else it would be the short name.
        Some(told.program.as_deref()?),
        title.command.as_deref(),
        told.user.as_deref(),
        told.login.as_ref().and_then(Option::as_deref),
        None,
        told.syscall.as_deref().map(str::as_bytes),
        None,
    ];
    Some(Others { who: commons.pair((call.number, title.number), &who), cwd: cwd.flatten(), paths })
}

#[cfg(test)]
mod tests {
    use super::super::chunk::{Chunk, How};
    use super::super::collect::Collected;
    use super::super::input::Block;
    use super::super::scan::Options;
    use super::super::tally::Place;

    /// Reads the events of `text` both ways; how many were of the usual form.
    fn check(text: &[u8]) -> usize {
        let options = Options::default();
        let how = How { keep: 10, clock: &options.clock, source: 0, shards: false };
        let chunk = Chunk::scan(Block::new(text.to_vec()), &how);
        let (mut mine, mut theirs) = (Collected::new(&options), Collected::new(&options));
        let mut usual = 0;
        // The second time everything is known.
        for round in 0..2 {
            for (main, run) in chunk.main.iter().filter_map(|main| Some((main, main.run?))) {
                let place = Place { source: 0, line: u64::from(main.line) + 1 };
                let record = chunk.record_of(main).unwrap();
                let others: Vec<_> = chunk.run(run).collect();
                theirs.main(&record, &others, place, main.ended);
                let taken = chunk
                    .text_of(main)
                    .filter(|_| round > 0)
                    .and_then(|(text, time)| mine.usual(text, chunk.texts(run), time, place));
                match taken {
                    Some(()) => usual += 1,
                    None => mine.main(&record, &others, place, main.ended),
                }
            }
        }
        let (mine, theirs) = (mine.into_log(Vec::new()), theirs.into_log(Vec::new()));
        assert_eq!(mine.tally, theirs.tally);
        for (mine, theirs) in mine.denials.values().zip(theirs.denials.values()) {
            assert_eq!(mine, theirs, "{}", text.escape_ascii());
        }
        usual
    }

    #[test]
    fn usual_events_tell_what_any_others_tell() {
        let mut usual = 0;
        let mut dice = 7u32;
        let mut roll = move |below: usize| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 8) as usize % below.max(1)
        };
        for folder in std::fs::read_dir("audit-samples").unwrap() {
            let log = std::fs::read(folder.unwrap().path().join("log")).unwrap_or_default();
            usual += check(&log);
            if log.is_empty() {
                continue;
            }
            // The same with bytes changed, doubled or left out: a few, so that most events stay what they are.
            for _ in 0..40 {
                let mut other = log.clone();
                for _ in 0..=roll(1 + log.len() / 400) {
                    let at = roll(other.len());
                    let byte = b" =\",x\x1d0/AU\r\n{}"[roll(14)];
                    match roll(3) {
                        0 => other[at] = byte,
                        1 => other.insert(at, byte),
                        _ => drop(other.remove(at)),
                    }
                    if other.is_empty() {
                        break;
                    }
                }
                usual += check(&other);
            }
        }
        assert!(usual > 1000, "{usual}");
    }

    /// What stands in a record of the usual form where auditd's part begins, or seems to.
    #[test]
    fn what_auditd_added_is_parted_as_elsewhere() {
        let event = |number: usize, name: &str, title: &str, call: &str, tail: &str| {
            let stamp = format!("msg=audit(1795243575.001:{number}):");
            format!(
                "type=AVC {stamp} avc:  denied  {{ read }} for  pid=1 comm=\"a\" {name} dev=\"vda\" ino=7 \
                 scontext=u:r:httpd_t:s0 tcontext=u:object_r:var_t:s0 tclass=file permissive=0\n\
                 type=SYSCALL {stamp} arch=c000003e syscall=2 success=no exit=-13 a0=1 a1=2 a2=3 a3=4 items=1 ppid=1 \
                 pid=2 auid=0 uid=0 {call}\ntype=CWD {stamp} cwd=\"/srv\"\n\
                 type=PATH {stamp} item=0 {name} inode=7 dev=fe:00 mode=0100644 ouid=0 ogid=0 rdev=00:00 \
                 obj=u:object_r:var_t:s0 nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0{tail}\n\
                 type=PROCTITLE {stamp} proctitle={title}\n"
            )
        };
        let names =
            ["name=\"x\"", "name=\"/a\x1dU\"", "name=\"/a\x1d\"", "name=(null)", "name=2F61", "name=\"./b\""];
        let titles = ["6100", "\"a\"", "\"a\x1dU\"", "\"a\x1dU\x1dV\"", "(null)", "\"A\"\x1dU"];
        let calls = [
            "exe=\"/x\"",
            "exe=\"/x\"\x1dUID=\"root\"",
            "exe=\"/x\"\x1dUID=\"a\"",
            "exe=\"/x\x1dU\"",
            "exe=\"/x\"\x1d",
            "exe=\"/x\"\x1dU=scontext=",
            "comm=\"x\"",
        ];
        let tails = ["", "\x1dOUID=\"root\"", "\x1dOUID=\"a\"", "\x1d", "\x1dou", " x=1\x1dA", "\x1dA\x1dB"];
        let mut text = String::new();
        let mut number = 0;
        for name in names {
            for title in titles {
                for call in calls {
                    for tail in tails {
                        number += 1;
                        text.push_str(&event(number, name, title, call, tail));
                    }
                }
            }
        }
        let usual = check(text.as_bytes());
        assert!(usual > 100, "{usual}");
    }
}
