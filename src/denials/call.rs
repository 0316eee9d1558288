//! SYSCALL and PROCTITLE records: who asked, by which program, for which system call, with which command line.
//!
//! Most of a SYSCALL record is the same from call to call of a program; so are command lines. What they tell is
//! remembered, and only compared the next time.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use memchr::memmem::Finder;

use super::event::{Facts, each, login};
use super::fields::{self, plain_len};
use super::kind::Kind;
use super::log_line::bare;
use super::path::Tails;
use super::record::{Channel, PARTS, Record, number};
use super::syscalls;

/// Keys of a SYSCALL record.
const SYSCALL_KEYS: &[&[u8]] = &[
    b"arch", b"syscall", b"success", b"exit", b"a0", b"a1", b"a2", b"a3", b"items", b"ppid", b"pid", b"auid",
    b"uid", b"gid", b"euid", b"suid", b"fsuid", b"egid", b"sgid", b"fsgid", b"tty", b"ses", b"comm", b"exe",
    b"subj", b"key",
];

/// What a SYSCALL record tells.
#[derive(Debug, Default, Clone)]
pub(super) struct Call<'a> {
    pub(super) program: Option<Cow<'a, [u8]>>,
    pub(super) user: Option<Cow<'a, [u8]>>,
    /// `Some(None)`: nobody had logged in.
    pub(super) login: Option<Option<Cow<'a, [u8]>>>,
    pub(super) syscall: Option<Cow<'a, str>>,
}

impl<'a> Call<'a> {
    /// Reads a record's body and what auditd added.
    pub(super) fn of(record: &Record<'a>) -> Call<'a> {
        let mut call = Call::default();
        let (mut arch, mut number, mut exit, mut success) = (None, None, None, None);
        // A short name stands as it is in the interpreted form, and may hold ` uid=0 exe=/x`: numbers come before it, and of two
        // files neither is believed.
        let mut files = 0;
        each(record.body, record.interpreted, SYSCALL_KEYS, |field| match field.key {
            b"arch" => arch = field.plain(),
            b"syscall" => number = field.plain(),
            b"exit" => exit = field.plain(),
            b"success" => success = field.plain(),
            b"exe" => {
                files += 1;
                call.program = field.decoded();
            }
            b"uid" if call.user.is_none() => call.user = field.plain().map(Cow::Borrowed),
            b"auid" if call.login.is_none() => call.login = field.plain().map(login),
            _ => {}
        });
        if files > 1 {
            call.program = None;
        }
        let mut name: Option<Cow<'_, [u8]>> = None;
        for field in fields::fields(record.enriched) {
            let known = field.quoted && !field.value.starts_with(b"unknown(");
            match field.key {
                b"SYSCALL" => name = Some(Cow::Borrowed(field.value)),
                b"AUID" if known => call.login = Some(login(field.value)),
                b"UID" if known => call.user = Some(Cow::Borrowed(field.value)),
                _ => {}
            }
        }
        let name = name.or_else(|| Some(name_of(arch, number?)));
        call.syscall = name.map(|name| {
            let name = String::from_utf8_lossy(&name).into_owned();
            Cow::Owned(match (success, exit) {
                (Some(b"yes"), _) => format!("{name} → success"),
                (_, Some(exit)) => format!("{name} → {}", outcome(exit)),
                (Some(_), None) => format!("{name} → failure"),
                (None, None) => name,
            })
        });
        call
    }

    /// Adds it to what is known.
    pub(super) fn tell(self, facts: &mut Facts<'a>) {
        facts.program = self.program.or(facts.program.take());
        facts.user = self.user.or(facts.user.take());
        facts.login = self.login.unwrap_or(facts.login.take());
        facts.syscall = self.syscall.or(facts.syscall.take());
    }

    /// The same, with memory of its own.
    fn kept(self) -> Call<'static> {
        let keep = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
        Call {
            program: self.program.map(keep),
            user: self.user.map(keep),
            login: self.login.map(|login| login.map(keep)),
            syscall: self.syscall.map(|text| Cow::Owned(text.into_owned())),
        }
    }

    /// The same, in its memory.
    fn again(&self) -> Call<'_> {
        fn lend<'s>(bytes: &'s Option<Cow<'_, [u8]>>) -> Option<Cow<'s, [u8]>> {
            bytes.as_deref().map(Cow::Borrowed)
        }
        Call {
            program: lend(&self.program),
            user: lend(&self.user),
            login: self.login.as_ref().map(lend),
            syscall: self.syscall.as_deref().map(Cow::Borrowed),
        }
    }
}

/// The name of a system call.
fn name_of<'a>(arch: Option<&[u8]>, call: &'a [u8]) -> Cow<'a, [u8]> {
    let known = arch
        .and_then(|a| u32::from_str_radix(std::str::from_utf8(a).ok()?, 16).ok())
        .zip(number(call).and_then(|n| u32::try_from(n).ok()))
        .and_then(|(a, n)| syscalls::syscall_name(a, n));
    match known {
        Some(known) => Cow::Borrowed(known.as_bytes()),
        None if call.iter().all(u8::is_ascii_digit) => {
            Cow::Owned(format!("system call {}", String::from_utf8_lossy(call)).into_bytes())
        }
        None => Cow::Borrowed(call),
    }
}

/// `-13` and `EACCES(Permission denied)` are both EACCES.
fn outcome(exit: &[u8]) -> Cow<'_, str> {
    let number = exit.strip_prefix(b"-").and_then(number).and_then(|n| u32::try_from(n).ok());
    if let Some(name) = number.and_then(syscalls::errno_name) {
        return Cow::Borrowed(name);
    }
    let word = exit.split(|b| *b == b'(').next().unwrap_or(exit);
    String::from_utf8_lossy(word)
}

/// The command line of a PROCTITLE record.
pub(super) fn command<'a>(record: &Record<'a>) -> Option<Cow<'a, [u8]>> {
    let mut command = None;
    each(record.body, record.interpreted, &[b"proctitle"], |field| {
        if field.key == b"proctitle" && command.is_none() {
            command = field.decoded().map(arguments);
        }
    });
    command
}

/// Arguments of a PROCTITLE are parted by NUL bytes.
fn arguments(value: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !value.contains(&0) {
        return value;
    }
    let mut text = value.into_owned();
    while text.last() == Some(&0) {
        text.pop();
    }
    for b in &mut text {
        if *b == 0 {
            *b = b' ';
        }
    }
    Cow::Owned(text)
}

/// What was told by records that came before: a table without chains, the last one stays.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// System calls.
    pub(super) calls: Calls,
    /// Command lines.
    pub(super) titles: Titles,
    /// Ends of PATH records.
    pub(super) tails: Tails,
}

/// How many of each kind are remembered.
const REMEMBERED: usize = 256;

/// Longest record that is remembered.
const LONGEST: usize = 2048;

/// The place of a hash in a table, which is made when it is first asked for.
pub(super) fn place<T>(table: &mut Vec<Option<T>>, hash: u64) -> Option<&mut Option<T>> {
    if table.is_empty() {
        table.resize_with(REMEMBERED, || None);
    }
    table.get_mut(slot(hash))
}

/// The place's number.
pub(super) fn slot(hash: u64) -> usize {
    usize::try_from(hash % 256).unwrap_or(0)
}

/// System calls by all but their numbers.
#[derive(Debug, Default)]
pub(super) struct Calls {
    table: Vec<Option<Box<KnownCall>>>,
    /// The hash of the last one: a program's calls come in rows.
    last: u64,
    /// How many were ever remembered.
    made: u32,
    state: RandomState,
}

/// What is remembered of a SYSCALL record.
#[derive(Debug)]
pub(super) struct KnownCall {
    /// Before, after, and added by auditd.
    text: [Box<[u8]>; 3],
    /// No other has it.
    pub(super) number: u32,
    /// What it tells.
    pub(super) call: Call<'static>,
}

impl KnownCall {
    /// Whether a record is the same but for its numbers. (The text before them, which holds no ` a0=`, has them follow at once.)
    fn is(&self, record: &Record<'_>) -> bool {
        let [before, after, enriched] = &self.text;
        let rest = record.body.strip_prefix(&**before).filter(|_| *record.enriched == **enriched);
        rest.and_then(after_numbers).is_some_and(|rest| *rest == **after)
    }

    /// The same of a record's text that was not parted from what auditd added.
    fn is_text(&self, text: &[u8]) -> bool {
        let [before, after, enriched] = &self.text;
        let rest =
            text.strip_prefix(&**before).and_then(after_numbers).and_then(|r| r.strip_prefix(&**after));
        // It was parted at the last 0x1d, and neither what comes before the numbers nor they hold one.
        rest.is_some_and(|rest| match rest {
            [] => enriched.is_empty() && !after.contains(&PARTS),
            [PARTS, rest @ ..] => !enriched.is_empty() && *rest == **enriched,
            _ => false,
        })
    }
}

impl Calls {
    /// What a record tells; `None` if that is not remembered, for its form or its length.
    pub(super) fn call<'m>(&'m mut self, record: &Record<'_>) -> Option<Call<'m>> {
        if record.interpreted || record.body.len() + record.enriched.len() > LONGEST {
            return None;
        }
        let last = self.table.get(slot(self.last)).and_then(Option::as_ref);
        if last.is_some_and(|last| last.is(record)) {
            let last = self.table.get(slot(self.last)).and_then(Option::as_ref);
            return last.map(|known| known.call.again());
        }
        let (before, after) = around_numbers(record.body)?;
        if before.contains(&PARTS) {
            return None;
        }
        let text = [before, after, record.enriched];
        let is = |known: &KnownCall| known.text.iter().zip(text).all(|(a, b)| **a == *b);
        self.last = self.state.hash_one(text);
        let place = place(&mut self.table, self.last)?;
        match place {
            Some(known) if is(known) => {}
            _ => {
                let call = Call::of(record).kept();
                self.made = self.made.wrapping_add(1);
                *place = Some(Box::new(KnownCall { text: text.map(Into::into), number: self.made, call }));
            }
        }
        place.as_ref().map(|known| known.call.again())
    }

    /// What is remembered of a record, given as its text with what auditd added; `None` if nothing is.
    pub(super) fn known(&mut self, text: &[u8]) -> Option<&KnownCall> {
        let is = |table: &[Option<Box<KnownCall>>], last| {
            table.get(slot(last)).and_then(Option::as_ref).is_some_and(|known| known.is_text(text))
        };
        if !is(&self.table, self.last) {
            self.call(&bare(Kind::Syscall, text, Channel::Auditd))?;
        }
        self.table.get(slot(self.last))?.as_deref().filter(|known| known.is_text(text))
    }
}

/// What of a SYSCALL record's body comes before and after ` a0=… a1=… a2=… a3=… items=… ppid=… pid=…`, of which nothing
/// is told. `None` if it is of another form.
fn around_numbers(body: &[u8]) -> Option<(&[u8], &[u8])> {
    // A quote before would make other fields of it.
    static NUMBERS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b" a0="));
    let start = NUMBERS.find(body.get(..body.len().min(120))?)?;
    let before = body.get(..start)?;
    if before.contains(&b'"') {
        return None;
    }
    Some((before, after_numbers(body.get(start..)?)?))
}

/// What follows ` a0=… a1=… a2=… a3=… items=… ppid=… pid=…`.
fn after_numbers(mut rest: &[u8]) -> Option<&[u8]> {
    for key in [&b" a0="[..], b" a1=", b" a2=", b" a3=", b" items=", b" ppid=", b" pid="] {
        rest = rest.strip_prefix(key)?;
        rest = rest.get(plain_len(rest)..)?;
    }
    rest.starts_with(b" ").then_some(rest)
}

/// Command lines.
#[derive(Debug, Default)]
pub(super) struct Titles {
    table: Vec<Option<Box<KnownTitle>>>,
    /// The hash of the last one.
    last: u64,
    /// How many were ever remembered.
    made: u32,
    state: RandomState,
}

/// What is remembered of a PROCTITLE record.
#[derive(Debug)]
pub(super) struct KnownTitle {
    body: Box<[u8]>,
    /// No other has it.
    pub(super) number: u32,
    /// What it tells.
    pub(super) command: Option<Box<[u8]>>,
}

impl Titles {
    /// The command line of a PROCTITLE record.
    pub(super) fn command<'m, 'a: 'm>(&'m mut self, record: &Record<'a>) -> Option<Cow<'m, [u8]>> {
        if record.interpreted || record.body.len() > LONGEST {
            return command(record);
        }
        let last = self.table.get(slot(self.last)).and_then(Option::as_ref);
        if last.is_none_or(|known| *known.body != *record.body) {
            self.last = self.state.hash_one(record.body);
        }
        let place = place(&mut self.table, self.last)?;
        if place.as_ref().is_none_or(|known| *known.body != *record.body) {
            let command = command(record).map(|c| c.into_owned().into());
            self.made = self.made.wrapping_add(1);
            *place = Some(Box::new(KnownTitle { body: record.body.into(), number: self.made, command }));
        }
        place.as_ref()?.command.as_deref().map(Cow::Borrowed)
    }

    /// What is remembered of a record, given as its text; `None` if nothing is.
    pub(super) fn known(&mut self, text: &[u8]) -> Option<&KnownTitle> {
        // Nothing that auditd added is to be taken for a part of it.
        if memchr::memchr(PARTS, text).is_some() {
            return None;
        }
        let is = |known: &&KnownTitle| *known.body == *text;
        if self.table.get(slot(self.last)).and_then(Option::as_deref).filter(is).is_none() {
            self.command(&bare(Kind::Proctitle, text, Channel::Auditd));
        }
        self.table.get(slot(self.last)).and_then(Option::as_deref).filter(is)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Line, line};
    use super::*;

    #[test]
    fn what_is_remembered_is_what_would_be_read() {
        let mut calls = Calls::default();
        let mut remembered = 0;
        for folder in std::fs::read_dir("audit-samples").unwrap() {
            let log = std::fs::read(folder.unwrap().path().join("log")).unwrap_or_default();
            for text in log.split(|b| *b == b'\n') {
                let Line::Record(record) = line(text) else { continue };
                let told = |call: Call<'_>| format!("{call:?}");
                // The second time from memory.
                for _ in 0..2 {
                    if let Some(call) = calls.call(&record) {
                        assert_eq!(told(call), told(Call::of(&record)), "{}", text.escape_ascii());
                        remembered += 1;
                    }
                }
            }
        }
        assert!(remembered > 100, "{remembered}");
    }

    #[test]
    fn only_numbers_are_passed_over() {
        let rest = " a1=f a2=0 a3=0 items=1 ppid=4 pid=5";
        let around = |body: &str| around_numbers(body.as_bytes()).map(|(a, b)| (a.to_vec(), b.to_vec()));
        let expected = Some((b"arch=1 exit=2".to_vec(), b" auid=0".to_vec()));
        assert_eq!(around(&format!("arch=1 exit=2 a0=1{rest} auid=0")), expected);
        for other in [
            format!("arch=1 exit=2 a0=1 uid=7{rest} auid=0"),
            format!("arch=\"1 exit=2 a0=1{rest} auid=0\""),
            format!("arch=1 exit=2 a0=1{rest}\" auid=0"),
            format!("arch=1 exit=2 a0=1{rest}"),
            format!("arch=1 exit=2 a0=\"1{rest} auid=0"),
        ] {
            assert_eq!(around(&other), None, "{other}");
        }
    }
}
