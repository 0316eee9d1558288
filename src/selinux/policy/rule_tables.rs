//! Tables of rules (the format's `avtab`): checked where they lie in the file, and left there.
//!
//! A policy has a hundred thousand rules of 12 bytes. They are numbered through, those without a condition first, and
//! a number leads to its bytes: rules stand in long runs of equal size, broken only by those of extended permissions.

use super::classes::Class;
use super::cursor::{Cursor, Result, Sink};
use super::index::{Places, RuleIndex};
use super::rules::{ENABLED, Extended, Rule, RuleKind};
use super::symbols::Symbols;
use super::types::Type;

/// Which conditional branch rules hang on: 0 none; else 1 + twice the conditional's index, + 1 for the false branch.
pub(super) type Gate = u32;

/// Bytes of a rule of extended permissions.
const LONG: usize = 8 + Extended::SIZE;

/// Rules side by side in the file, of equal size.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The number of its first rule.
    first: u32,
    count: u32,
    /// Where it starts in the file.
    at: u32,
    extended: bool,
    gate: Gate,
}

/// Where all rules are: in ascending order of their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs(Vec<Run>);

/// Rules of one table, in the file's order.
#[derive(Debug, Clone, Copy)]
pub struct RuleList<'p> {
    data: &'p [u8],
    runs: &'p [Run],
}

impl<'p> RuleList<'p> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|r| r.count as usize).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The rule at a position, from 0 on.
    pub fn get(&self, position: usize) -> Option<Rule> {
        let mut left = position;
        for run in self.runs {
            let count = run.count as usize;
            if left < count {
                return run.get(self.data, left);
            }
            left -= count;
        }
        None
    }

    /// All, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = Rule> + use<'p> {
        let data = self.data;
        self.runs.iter().flat_map(move |run| {
            // One of the two is empty.
            let (plain, long) = run.rows(data);
            let at = run.at;
            let plain = plain.iter().map(|bytes| Rule::decode(*bytes));
            plain.chain((at..).step_by(LONG).zip(long).map(|(at, bytes)| extended_rule(*bytes, at)))
        })
    }
}

impl Run {
    fn rows<'a>(&self, data: &'a [u8]) -> (&'a [[u8; Rule::SIZE]], &'a [[u8; LONG]]) {
        let rest = data.get(self.at as usize..).unwrap_or_default();
        let count = self.count as usize;
        if self.extended {
            (&[], rest.as_chunks().0.get(..count).unwrap_or_default())
        } else {
            (rest.as_chunks().0.get(..count).unwrap_or_default(), &[])
        }
    }

    #[inline]
    fn get(&self, data: &[u8], i: usize) -> Option<Rule> {
        let at = self.at as usize + i * if self.extended { LONG } else { Rule::SIZE };
        let rest = data.get(at..)?;
        if self.extended {
            return Some(extended_rule(*rest.first_chunk()?, u32::try_from(at).ok()?));
        }
        Some(Rule::decode(*rest.first_chunk()?))
    }
}

/// A rule of extended permissions that starts at `at`.
fn extended_rule(bytes: [u8; LONG], at: u32) -> Rule {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = bytes;
    Rule::decode([b0, b1, b2, b3, b4, b5, b6, b7, 0, 0, 0, 0]).at(at + 8)
}

impl Runs {
    /// How many runs there are: the end of the last table.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// The number of the next rule.
    fn next(&self) -> u32 {
        self.0.last().map_or(0, |r| r.first + r.count)
    }

    fn push(&mut self, at: usize, count: usize, extended: bool, gate: Gate) {
        let (Ok(at), Ok(count)) = (u32::try_from(at), u32::try_from(count)) else { return };
        match self.0.last_mut() {
            Some(run) if run.gate == gate && run.extended && extended && count != 0 => run.count += count,
            _ if count == 0 => {}
            _ => self.0.push(Run { first: self.next(), count, at, extended, gate }),
        }
    }

    /// The table that has these runs.
    pub(super) fn list<'p>(&'p self, data: &'p [u8], runs: std::ops::Range<u32>) -> RuleList<'p> {
        let runs = self.0.get(runs.start as usize..runs.end as usize).unwrap_or_default();
        RuleList { data, runs }
    }

    /// The rule of a number, and the branch that it hangs on.
    #[inline]
    pub(super) fn get(&self, data: &[u8], number: u32) -> Option<(Rule, Gate)> {
        let run = match self.0.first() {
            Some(run) if number < run.count => run,
            _ => self.0.get(self.0.partition_point(|r| r.first <= number).checked_sub(1)?)?,
        };
        Some((run.get(data, (number - run.first) as usize)?, run.gate))
    }

    /// Calls for every rule, ascending.
    #[inline]
    pub(super) fn each(&self, data: &[u8], mut call: impl FnMut(Rule)) {
        for run in &self.0 {
            let (plain, long) = run.rows(data);
            for bytes in plain {
                call(Rule::decode(*bytes));
            }
            for bytes in long {
                call(extended_rule(*bytes, 0));
            }
        }
    }

    /// How many rules there are in all.
    pub(super) fn total(&self) -> usize {
        self.next() as usize
    }
}

/// What rules may refer to.
#[derive(Debug)]
pub(super) struct Limits {
    version: u32,
    greatest_type: u32,
    greatest_class: u32,
    /// What each number may stand for: `A_TYPE`, `A_CLASS`, `PLAIN`, `GIVES`.
    uses: Box<[u8; NUMBERS]>,
}

/// Reads tables of rules that follow one another.
pub(super) struct Tables<'a> {
    limits: &'a Limits,
    /// How many rules each target has.
    by_target: Places,
    /// How many rules each class has.
    by_class: Places,
    runs: Runs,
}

/// How many numbers 16 bits can be.
const NUMBERS: usize = 1 << 16;

/// A type or an attribute has this number.
const A_TYPE: u8 = 1;
/// A class has this number.
const A_CLASS: u8 = 2;
/// As a kind: of a rule that is not extended.
const PLAIN: u8 = 4;
/// As a kind: of a rule that gives a type.
const GIVES: u8 = 8;

const PLAIN_KINDS: [RuleKind; 6] = [
    RuleKind::Allow,
    RuleKind::AuditAllow,
    RuleKind::DontAudit,
    RuleKind::Transition,
    RuleKind::Member,
    RuleKind::Change,
];

/// How many rules are looked at together.
const ROW: usize = 128;

impl Limits {
    pub(super) fn new(version: u32, types: &Symbols<Type>, classes: &Symbols<Class>) -> Self {
        let zeros = vec![0; NUMBERS].into_boxed_slice();
        let mut uses: Box<[u8; NUMBERS]> = zeros.try_into().unwrap_or_else(|_| Box::new([0; NUMBERS]));
        let mut add = |numbers: &mut dyn Iterator<Item = u32>, what: u8| {
            for number in numbers {
                if let Some(slot) = uses.get_mut(number as usize) {
                    *slot |= what;
                }
            }
        };
        add(&mut types.numbers(), A_TYPE);
        add(&mut classes.numbers(), A_CLASS);
        for kind in PLAIN_KINDS {
            let gives = if kind.gives_type() { GIVES } else { 0 };
            let numbers = [kind as u16, kind as u16 | ENABLED];
            add(&mut numbers.into_iter().map(u32::from), PLAIN | gives);
        }
        Self { version, greatest_type: types.greatest(), greatest_class: classes.greatest(), uses }
    }

    #[inline]
    fn uses(&self, number: u16) -> u8 {
        self.uses.get(usize::from(number)).copied().unwrap_or(0)
    }

    fn is_type(&self, number: u32) -> bool {
        u16::try_from(number).is_ok_and(|n| self.uses(n) & A_TYPE != 0)
    }
}

impl<'a> Tables<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        let (by_target, by_class) = (Places::new(limits.greatest_type), Places::new(limits.greatest_class));
        Self { limits, by_target, by_class, runs: Runs::default() }
    }

    pub(super) fn version(&self) -> u32 {
        self.limits.version
    }

    /// Where all rules are that were read, and the index of them.
    pub(super) fn index(self, data: &[u8]) -> (Runs, RuleIndex) {
        let index = RuleIndex::build(data, &self.runs, self.by_class, self.by_target);
        (self.runs, index)
    }

    /// Reads one table: a count, then source, target, class, kind (u16 each) and the datum (u32, or, for extended
    /// permissions, [`Extended::SIZE`] bytes). Gives the table's runs.
    pub(super) fn read_table(
        &mut self,
        c: &mut Cursor<'_>,
        gate: Gate,
        may_be_extended: bool,
    ) -> Result<std::ops::Range<u32>> {
        let first = self.runs.end();
        let mut left = c.count(Rule::SIZE, "rules")?;
        // Rules that are not extended stand in long rows.
        let (mut run, mut count) = (c.offset(), 0);
        while left > 0 {
            let (rest, _) = c.rest().as_chunks();
            let row = rest.get(..ROW.min(left)).unwrap_or(rest);
            if self.count_plain(row) && !row.is_empty() {
                c.skip(row.len() * Rule::SIZE);
                left -= row.len();
                count += row.len();
                continue;
            }
            // What is extended or wrong is among these: one by one.
            for _ in 0..row.len().max(1) {
                let at = c.offset();
                if self.read_one(c, may_be_extended)? {
                    self.runs.push(run, count, false, gate);
                    self.runs.push(at, 1, true, gate);
                    (run, count) = (c.offset(), 0);
                } else {
                    count += 1;
                }
                left -= 1;
            }
        }
        self.runs.push(run, count, false, gate);
        Ok(first..self.runs.end())
    }

    /// Whether these are valid rules, none of them extended; if so, they are counted.
    fn count_plain(&mut self, row: &[[u8; Rule::SIZE]]) -> bool {
        let mut all = A_TYPE | A_CLASS | PLAIN;
        let limits = self.limits;
        for bytes in row {
            let rule = Rule::decode(*bytes);
            let [source, target, class, kind] = rule.head();
            let kind = limits.uses(kind);
            all &= (limits.uses(source) & limits.uses(target)) | !A_TYPE;
            all &= (limits.uses(class) | !A_CLASS) & (kind | !PLAIN);
            if kind & GIVES != 0 && !limits.is_type(rule.data()) {
                all = 0;
            }
            self.by_target.count(target.into());
            self.by_class.count(class.into());
        }
        if all == A_TYPE | A_CLASS | PLAIN {
            return true;
        }
        for bytes in row {
            let rule = Rule::decode(*bytes);
            self.by_target.take_back(rule.target_index());
            self.by_class.take_back(rule.class_index());
        }
        false
    }

    /// Reads any rule, or says what is wrong with it; whether it is extended.
    fn read_one(&mut self, c: &mut Cursor<'_>, may_be_extended: bool) -> Result<bool> {
        let at = c.offset();
        let [b0, b1, b2, b3, b4, b5, b6, b7] = c.array()?;
        let rule = Rule::decode([b0, b1, b2, b3, b4, b5, b6, b7, 0, 0, 0, 0]);
        let [source, target, class, raw] = rule.head();
        let Some(kind) = RuleKind::decode(raw & !ENABLED) else {
            return c.fail(at + 6, "the kind of a rule", format!("{raw:#x}"));
        };
        if !self.limits.is_type(source.into()) {
            return c.fail(at, "a type's number as a rule's source", source);
        }
        if !self.limits.is_type(target.into()) {
            return c.fail(at + 2, "a type's number as a rule's target", target);
        }
        if self.limits.uses(class) & A_CLASS == 0 {
            return c.fail(at + 4, "a class's number in a rule", class);
        }
        if kind.is_extended() {
            if !may_be_extended {
                let version = self.limits.version;
                let expected = format!("no extended permissions here in version {version}");
                return c.fail(at + 6, expected, kind.as_str());
            }
            if let Err(kind) = Extended::decode(&c.array()?) {
                return c.fail(at + 8, "extended permissions of kind 1, 2 or 3", kind);
            }
        } else {
            let data = c.u32()?;
            if kind.gives_type() && !self.limits.is_type(data) {
                return c.fail(at + 8, "a type's number for a new object", data);
            }
        }
        self.by_target.count(rule.target_index());
        self.by_class.count(rule.class_index());
        Ok(kind.is_extended())
    }
}

/// A rule with its extended permissions, where it has some.
pub(super) type Written = (Rule, Option<Extended>);

/// Writes a table of rules.
pub(super) fn write_table(rules: &[Written], out: &mut Sink) {
    out.count(rules.len());
    for (rule, extended) in rules {
        for part in rule.head() {
            out.u16(part);
        }
        match extended {
            Some(extended) => extended.write(out),
            None => out.u32(rule.data()),
        }
    }
}
