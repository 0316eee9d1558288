//! The look-up: which specification decides, and why.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::automaton::{End, Walker};
use super::database::{FileContexts, Ready};
use super::precedence::Precedence;
use super::spec::{FileKind, Spec};
use super::subs::{self, Substitution};

/// What the specifications say of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'c> {
    /// It should have the context of this specification.
    Context(&'c Spec),
    /// `<<none>>`: it is to be left as it is.
    LeaveAlone(&'c Spec),
    /// No specification speaks of it.
    Unspecified,
    /// It cannot be told: the pattern of this specification could decide and is not understood (see
    /// [`FileContexts::problems`]).
    Undecided(Option<&'c Spec>),
}

impl<'c> Answer<'c> {
    /// The specification that decided.
    pub fn spec(&self) -> Option<&'c Spec> {
        match self {
            Answer::Context(spec) | Answer::LeaveAlone(spec) => Some(spec),
            Answer::Undecided(spec) => *spec,
            Answer::Unspecified => None,
        }
    }

    /// The context, where there is one.
    pub fn context(&self) -> Option<&'c str> {
        match self {
            Answer::Context(spec) => spec.context.as_deref(),
            _ => None,
        }
    }
}

/// An answer and what led to it.
#[derive(Debug, Clone)]
pub struct Explanation<'c> {
    /// The path that was looked up, after substitution.
    pub path: Vec<u8>,
    /// The substitutions made, in order.
    pub substitutions: Vec<&'c Substitution>,
    /// The answer.
    pub answer: Answer<'c>,
    /// Every specification whose pattern matches, for any kind of file, in the order of the files.
    pub matching: Vec<&'c Spec>,
}

/// Somebody to ask, with the states of the automaton made so far.
#[derive(Debug)]
pub struct Lookups<'c> {
    contexts: &'c FileContexts,
    walker: Option<Walker<'c>>,
    /// Numbers of specifications that match, of the look-up at hand.
    found: Vec<usize>,
    /// Answers by where the automaton ended, where nothing else decides.
    known: FxHashMap<(End, Option<FileKind>), Answer<'c>>,
    /// The last of these for each kind (and for none): neighbours mostly end alike.
    last: [Option<(End, Answer<'c>)>; 8],
}

/// So many answers are kept.
const MAX_KNOWN: usize = 1 << 16;

impl<'c> Lookups<'c> {
    pub(super) fn new(contexts: &'c FileContexts) -> Self {
        Lookups {
            contexts,
            walker: contexts.automaton.as_ref().map(|a| a.walker()),
            found: Vec::new(),
            known: FxHashMap::default(),
            last: [None; 8],
        }
    }

    /// What a file of this kind at this path should have; without a kind, specifications for any kind are asked.
    pub fn lookup(&mut self, path: &[u8], kind: Option<FileKind>) -> Answer<'c> {
        let contexts = self.contexts;
        let path = subs::prepare(path, &contexts.local, &contexts.dist, |_| ());
        self.answer(&path, kind)
    }

    /// The same, with all specifications that match.
    pub fn explain(&mut self, path: &[u8], kind: Option<FileKind>) -> Explanation<'c> {
        let contexts = self.contexts;
        let mut substitutions = Vec::new();
        let path = subs::prepare(path, &contexts.local, &contexts.dist, |s| substitutions.push(s));
        let answer = self.answer(&path, kind);
        Explanation { matching: self.matching(&path), path: Cow::into_owned(path), substitutions, answer }
    }

    /// Every specification whose pattern matches the path (made ready), for any kind, in the order of the files.
    fn matching(&mut self, path: &[u8]) -> Vec<&'c Spec> {
        let contexts = self.contexts;
        if self.collect(path, None).is_none() {
            return Vec::new();
        }
        if contexts.precedence != Precedence::Before3_8 {
            self.found.extend(contexts.exact.get(path).into_iter().flatten());
        }
        self.found.sort_unstable();
        self.found.dedup();
        self.found
            .iter()
            .filter_map(|n| contexts.specs.get(*n))
            .filter(|ready| !ready.doubtful)
            .map(|ready| &ready.spec)
            .collect()
    }

    /// Of a path that was made ready.
    pub(super) fn answer(&mut self, path: &[u8], kind: Option<FileKind>) -> Answer<'c> {
        let contexts = self.contexts;
        if path.is_empty() {
            return Answer::Unspecified;
        }
        if contexts.precedence != Precedence::Before3_8
            && let Some(numbers) = contexts.exact.get(path)
        {
            let fitting = numbers.iter().filter_map(|n| contexts.specs.get(*n)).find(|r| fits(&r.spec, kind));
            if let Some(ready) = fitting {
                return told(ready);
            }
        }
        // Most files are told by the automaton alone.
        let alone = !path.ends_with(b"\n")
            && (contexts.precedence != Precedence::Before3_8 || !contexts.exact.contains_key(path));
        if !alone {
            return match self.collect(path, kind) {
                Some(()) => self.decide(),
                None => Answer::Undecided(None),
            };
        }
        let Some(end) = self.walker.as_mut().and_then(|w| w.end(path)) else {
            return Answer::Undecided(None);
        };
        let slot = kind.map_or(7, |kind| kind as usize);
        if let Some(Some((_, answer))) = self.last.get(slot).filter(|l| l.is_some_and(|(at, _)| at == end)) {
            return *answer;
        }
        if let Some(answer) = self.known.get(&(end, kind)) {
            self.last.get_mut(slot).map(|last| last.replace((end, *answer)));
            return *answer;
        }
        self.found.clear();
        let guarded = self.collect_end(end, path, kind);
        let answer = self.decide();
        if !guarded {
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert((end, kind), answer);
        }
        answer
    }

    fn decide(&self) -> Answer<'c> {
        match self.contexts.precedence {
            Precedence::Before3_8 => self.last_of_all(),
            Precedence::V3_8 | Precedence::Since3_9 => self.last_in_tree(),
        }
    }

    /// Finds the specifications that match and are for this kind; since 3.8 only those that are not literal.
    fn collect(&mut self, path: &[u8], kind: Option<FileKind>) -> Option<()> {
        self.found.clear();
        self.collect_whole(path, path, kind)?;
        // libselinux's `$` also matches before a newline at the end (PCRE2 without PCRE2_DOLLAR_ENDONLY).
        match path.strip_suffix(b"\n") {
            Some(shorter) => self.collect_whole(shorter, path, kind),
            None => Some(()),
        }
    }

    fn collect_whole(&mut self, text: &[u8], path: &[u8], kind: Option<FileKind>) -> Option<()> {
        let contexts = self.contexts;
        if contexts.precedence == Precedence::Before3_8
            && let Some(numbers) = contexts.exact.get(text)
        {
            let right = |n: &usize| {
                let ready = contexts.specs.get(*n);
                ready.is_some_and(|r| fits(&r.spec, kind) && path.starts_with(&r.stem.guard))
            };
            self.found.extend(numbers.iter().filter(|n| right(n)));
        }
        let end = self.walker.as_mut()?.end(text)?;
        self.collect_end(end, path, kind);
        Some(())
    }

    /// Finds the specifications whose patterns match; whether the path decided about one beyond that.
    fn collect_end(&mut self, end: End, path: &[u8], kind: Option<FileKind>) -> bool {
        let (contexts, found) = (self.contexts, &mut self.found);
        let mut guarded = false;
        let Some(walker) = &self.walker else { return guarded };
        walker.matches(end, |pattern| {
            for number in contexts.patterns.get(pattern).into_iter().flatten() {
                let Some(ready) = contexts.specs.get(*number).filter(|r| fits(&r.spec, kind)) else {
                    continue;
                };
                guarded |= !ready.stem.guard.is_empty();
                if path.starts_with(&ready.stem.guard) {
                    found.push(*number);
                }
            }
        });
        guarded
    }

    /// Before 3.8: a literal before all others, then the last line.
    fn last_of_all(&self) -> Answer<'c> {
        let specs = &self.contexts.specs;
        let ready = self.found.iter().filter_map(|n| Some((*n, specs.get(*n)?)));
        match ready.max_by_key(|(number, ready)| (ready.stem.literal, *number)) {
            Some((_, ready)) => told(ready),
            None => Answer::Unspecified,
        }
    }

    /// Since 3.8: the deepest folder of the tree is searched first, from the last line back; then its parents, for a
    /// later line only. So the last line decides, but a `<<none>>` ends the search where it is met.
    fn last_in_tree(&self) -> Answer<'c> {
        let specs = &self.contexts.specs;
        let get = |n: &usize| specs.get(*n);
        let plain = |r: &Ready| !r.doubtful && r.spec.context.is_some();
        if self.found.iter().filter_map(get).all(plain) {
            return self.found.iter().max().and_then(get).map_or(Answer::Unspecified, told);
        }
        let mut best: Option<usize> = None;
        for depth in (0..=3).rev() {
            let here = self.found.iter().filter(|n| get(n).is_some_and(|r| r.stem.depth == depth));
            let Some(last) = here.copied().max().filter(|n| best.is_none_or(|b| *n > b)) else { continue };
            if let Some(ready) = get(&last).filter(|r| !plain(r)) {
                return told(ready);
            }
            best = Some(last);
        }
        best.as_ref().and_then(get).map_or(Answer::Unspecified, told)
    }
}

fn fits(spec: &Spec, kind: Option<FileKind>) -> bool {
    kind.is_none() || spec.kind.is_none() || spec.kind == kind
}

fn told(ready: &Ready) -> Answer<'_> {
    match (&ready.spec.context, ready.doubtful) {
        (_, true) => Answer::Undecided(Some(&ready.spec)),
        (Some(_), false) => Answer::Context(&ready.spec),
        (None, false) => Answer::LeaveAlone(&ready.spec),
    }
}
