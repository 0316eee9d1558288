//! All files of specifications together.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::automaton::Automaton;
use super::lookup::Lookups;
use super::pattern::{self, Refusal, Verdict};
use super::precedence::Precedence;
use super::spec::{self, Problem, Spec};
use super::stem::{self, Stem};
use super::subs::{self, Substitutions};

/// Atoms of all patterns together; Debian's have 126,000.
const MAX_SIZE: usize = 1_000_000;

/// libselinux refuses longer ones since 3.8.
const MAX_PATTERN: usize = 4096;

/// A file's name, for messages, and its content.
#[derive(Debug, Clone)]
pub struct Text<'t> {
    pub(super) name: Arc<str>,
    pub(super) bytes: Cow<'t, [u8]>,
    /// The number of each line, where it is not just the next.
    numbers: Cow<'t, [u32]>,
}

impl<'t> Text<'t> {
    /// A file that was read.
    pub fn new(name: impl Into<Arc<str>>, bytes: impl Into<Cow<'t, [u8]>>) -> Self {
        Text { name: name.into(), bytes: bytes.into(), numbers: Cow::default() }
    }

    /// A text made from a file (see [`super::homes`]); `numbers` tells for each line the file's line.
    pub fn made_of(
        name: impl Into<Arc<str>>,
        bytes: impl Into<Cow<'t, [u8]>>,
        numbers: impl Into<Cow<'t, [u32]>>,
    ) -> Self {
        Text { name: name.into(), bytes: bytes.into(), numbers: numbers.into() }
    }

    /// The file's name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The lines, each with where it begins and its number.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &[u8], u32)> {
        let (bytes, numbers) = (&*self.bytes, &*self.numbers);
        let ends = memchr::memchr_iter(b'\n', bytes).chain([bytes.len()]);
        let mut start = 0;
        ends.zip(1u32..).enumerate().map(move |(i, (end, number))| {
            let at = std::mem::replace(&mut start, end + 1);
            let number = if numbers.is_empty() { number } else { numbers.get(i).copied().unwrap_or(number) };
            (at, bytes.get(at..end).unwrap_or_default(), number)
        })
    }

    /// The same with memory of its own.
    pub(super) fn into_owned(self) -> Text<'static> {
        let Text { name, bytes, numbers } = self;
        Text { name, bytes: bytes.into_owned().into(), numbers: numbers.into_owned().into() }
    }
}

/// file_contexts and what lies next to it.
#[derive(Debug, Clone, Default)]
pub struct Files<'t> {
    /// `file_contexts`
    pub main: Option<Text<'t>>,
    /// `file_contexts.homedirs`
    pub homedirs: Option<Text<'t>>,
    /// `file_contexts.local`
    pub local: Option<Text<'t>>,
    /// `file_contexts.subs`
    pub subs: Option<Text<'t>>,
    /// `file_contexts.subs_dist`
    pub subs_dist: Option<Text<'t>>,
}

impl<'t> Files<'t> {
    /// The specifications in their order, and the substitutions: local ones, and the distribution's.
    pub(super) fn read(
        &self,
        precedence: Precedence,
        problems: &mut Vec<Problem>,
    ) -> (Vec<Spec>, [Substitutions; 2]) {
        let mut specs = Vec::new();
        for (text, input) in [(&self.main, 0), (&self.homedirs, 1), (&self.local, 2)] {
            if let Some(text) = text {
                specs.extend(spec::read(text, input, problems));
            }
        }
        (specs, self.substitutions(precedence, problems))
    }

    /// The substitutions: local ones, and the distribution's.
    pub(super) fn substitutions(
        &self,
        precedence: Precedence,
        problems: &mut Vec<Problem>,
    ) -> [Substitutions; 2] {
        [&self.subs, &self.subs_dist].map(|text| match text {
            Some(text) => Substitutions::read(text, precedence, problems),
            None => Substitutions::default(),
        })
    }

    /// One file and nothing next to it.
    pub fn only(main: Text<'t>) -> Self {
        Files { main: Some(main), ..Files::default() }
    }
}

/// The specifications of a host, ready for look-ups.
#[derive(Debug)]
pub struct FileContexts {
    pub(super) precedence: Precedence,
    /// In the order of the files: file_contexts, .homedirs, .local.
    pub(super) specs: Vec<Ready>,
    /// Those that match one text only, by it, each in the order in which they are asked.
    pub(super) exact: HashMap<Box<[u8]>, Vec<usize>, RandomState>,
    /// All others; `None` where it could not be built.
    pub(super) automaton: Option<Automaton>,
    /// Which specifications a pattern of the automaton stands for.
    pub(super) patterns: Vec<Vec<usize>>,
    pub(super) local: Substitutions,
    pub(super) dist: Substitutions,
    problems: Vec<Problem>,
}

/// A specification made ready.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) spec: Spec,
    pub(super) stem: Stem,
    /// Its pattern is not understood: that it "matches" means only that it could.
    pub(super) doubtful: bool,
}

/// What goes into the automaton for a specification, or the text that it matches.
enum Entry {
    Exact(Vec<u8>),
    Regex(String),
}

impl FileContexts {
    /// Reads the files. What is wrong with them is kept as [`FileContexts::problems`]; a pattern that is not understood
    /// makes a look-up [`super::Answer::Undecided`] wherever it could decide.
    pub fn new(files: Files<'_>, precedence: Precedence) -> FileContexts {
        let mut problems = Vec::new();
        let (specs, subs) = files.read(precedence, &mut problems);
        FileContexts::of(specs, subs, precedence, problems)
    }

    /// Makes lines ready that were read.
    pub(super) fn of(
        specs: Vec<Spec>,
        [local, dist]: [Substitutions; 2],
        precedence: Precedence,
        problems: Vec<Problem>,
    ) -> FileContexts {
        let mut database = FileContexts {
            precedence,
            specs: Vec::new(),
            exact: HashMap::default(),
            automaton: None,
            patterns: Vec::new(),
            local,
            dist,
            problems,
        };
        database.compile(specs);
        database.order_exact();
        database.problems.sort_by_key(|p| (p.place.file.clone(), p.place.line));
        database
    }

    fn compile(&mut self, specs: Vec<Spec>) {
        let mut regexes: Vec<String> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut size = 0;
        for (number, spec) in specs.into_iter().enumerate() {
            let (ready, entry) = self.ready(spec, &mut size);
            self.specs.push(ready);
            match entry {
                Entry::Exact(text) => self.exact.entry(text.into()).or_default().push(number),
                Entry::Regex(regex) => {
                    let pattern = *known.entry(regex).or_insert_with_key(|regex| {
                        regexes.push(regex.clone());
                        self.patterns.push(Vec::new());
                        regexes.len() - 1
                    });
                    if let Some(of_pattern) = self.patterns.get_mut(pattern) {
                        of_pattern.push(number);
                    }
                }
            }
        }
        self.automaton = Automaton::new(&regexes).or_else(|bad| self.without(regexes, &bad)).ok();
    }

    /// The automaton without the patterns that it could not take, which [`pattern::read`] should have refused.
    fn without(&mut self, mut regexes: Vec<String>, bad: &[usize]) -> Result<Automaton, Vec<usize>> {
        for pattern in bad {
            for number in self.patterns.get(*pattern).into_iter().flatten() {
                let Some(ready) = self.specs.get_mut(*number) else { continue };
                ready.doubtful = true;
                let what = format!("`{}`: the pattern could not be compiled", ready.spec.pattern);
                self.problems.push(Problem { place: ready.spec.place.clone(), what, refused: false });
            }
            if let Some(regex) = regexes.get_mut(*pattern) {
                ".*".clone_into(regex);
            }
        }
        Automaton::new(&regexes)
    }

    fn ready(&mut self, spec: Spec, size: &mut usize) -> (Ready, Entry) {
        let text = spec.pattern.as_bytes();
        if self.precedence != Precedence::Before3_8
            && let Some(literal) = stem::unescape(text)
        {
            let stem = stem::stem(text, self.precedence, false);
            return (Ready { spec, stem, doubtful: false }, Entry::Exact(literal));
        }
        let refusal = |what: &str, verdict| Err(Refusal { at: 0, what: what.to_owned(), verdict });
        let too_long = self.precedence != Precedence::Before3_8 && text.len() >= MAX_PATTERN;
        let read =
            if too_long { refusal("4096 bytes or more", Verdict::Invalid) } else { pattern::read(text) };
        let read = read.and_then(|pattern| {
            *size += pattern.size;
            if *size > MAX_SIZE {
                return refusal("too many patterns, the automaton would grow too large,", Verdict::Open);
            }
            Ok(pattern)
        });
        match read {
            Ok(pattern) => {
                let stem = stem::stem(text, self.precedence, pattern.loose);
                let entry = match pattern.literal {
                    Some(literal) if self.precedence == Precedence::Before3_8 => Entry::Exact(literal),
                    _ => Entry::Regex(pattern.regex),
                };
                (Ready { spec, stem, doubtful: false }, entry)
            }
            Err(refusal) => {
                let stem = stem::stem(text, self.precedence, true);
                let consequence = match refusal.verdict {
                    Verdict::Invalid => "libselinux answers no look-up that comes to this line",
                    Verdict::Valid | Verdict::Open => "where this line could decide, no answer is given",
                };
                let what =
                    format!("`{}`: {} at byte {}; {consequence}", spec.pattern, refusal.what, refusal.at + 1);
                self.problems.push(Problem { place: spec.place.clone(), what, refused: false });
                // libselinux fails at a broken pattern whether it would match or not.
                let regex = match refusal.verdict {
                    Verdict::Valid => sure_beginning(text) + ".*",
                    Verdict::Open | Verdict::Invalid => ".*".to_owned(),
                };
                (Ready { spec, stem, doubtful: true }, Entry::Regex(regex))
            }
        }
    }

    /// Before 3.8 all matches are weighed together. Since then the first that fits the kind decides: in 3.8 by kind,
    /// later by file, the last first; lines of the same file in their order.
    fn order_exact(&mut self) {
        let specs = &self.specs;
        let spec = |number: &usize| specs.get(*number).map(|r| &r.spec);
        for numbers in self.exact.values_mut() {
            match self.precedence {
                Precedence::Before3_8 => {}
                Precedence::V3_8 => {
                    numbers.sort_by_key(|n| std::cmp::Reverse(spec(n).and_then(|s| s.kind)));
                }
                Precedence::Since3_9 => numbers.sort_by_key(|n| std::cmp::Reverse(spec(n).map(|s| s.input))),
            }
        }
    }

    /// What is wrong with the files, by file and line.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The rules by which it answers.
    pub fn precedence(&self) -> Precedence {
        self.precedence
    }

    /// The path by which a file is looked up: without doubled slashes, with substitutions made.
    pub fn looked_up<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        subs::prepare(path, &self.local, &self.dist, |_| ())
    }

    /// The specifications, in the order of the files.
    pub fn specs(&self) -> impl ExactSizeIterator<Item = &Spec> {
        self.specs.iter().map(|r| &r.spec)
    }

    /// Somebody to ask; each thread needs its own.
    pub fn lookups(&self) -> Lookups<'_> {
        Lookups::new(self)
    }
}

/// The text that whatever matches the pattern surely begins with, in Rust's dialect.
fn sure_beginning(pattern: &[u8]) -> String {
    if pattern.contains(&b'|') {
        return ".*".to_owned();
    }
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/_-,:@%=~".contains(b);
    let mut len = pattern.iter().take_while(|b| plain(b)).count();
    if matches!(pattern.get(len), Some(b'?' | b'*' | b'{')) {
        len = len.saturating_sub(1);
    }
    pattern.iter().take(len).map(|b| char::from(*b)).collect()
}
