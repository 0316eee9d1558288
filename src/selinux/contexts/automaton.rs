//! One automaton for all patterns: a path is read once, whatever the number of specifications.
//!
//! The states are made as paths need them (a lazy DFA). It reads the path to its very end, and the state there tells
//! all patterns that match the whole of it.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// Most memory for states, for each [`Walker`]; when it is full they are forgotten and made again.
const CACHE: usize = 48 << 20;

/// The automaton. Pattern number `n` is the `n`th of those given.
#[derive(Debug)]
pub(super) struct Automaton {
    dfa: DFA,
}

impl Automaton {
    /// Builds it. `Err` names the patterns that could not be used.
    pub(super) fn new(patterns: &[String]) -> Result<Automaton, Vec<usize>> {
        Automaton::with_cache(patterns, CACHE)
    }

    fn with_cache(patterns: &[String], cache: usize) -> Result<Automaton, Vec<usize>> {
        // Our own flags, whatever a pattern says: bytes, `.` takes every byte.
        let dialect =
            syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true).nest_limit(1000);
        let nfa = thompson::Config::new().utf8(false).shrink(false);
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(cache)
                    .skip_cache_capacity_check(true),
            )
            .thompson(nfa)
            .syntax(dialect)
            .build_many(patterns);
        dfa.map(|dfa| Automaton { dfa }).map_err(|_| {
            let bad: Vec<usize> = (0..patterns.len())
                .filter(|i| patterns.get(*i).is_none_or(|p| syntax::parse_with(p, &dialect).is_err()))
                .collect();
            if bad.is_empty() { (0..patterns.len()).collect() } else { bad }
        })
    }

    /// Somebody who walks it; each thread needs its own.
    pub(super) fn walker(&self) -> Walker<'_> {
        let cache = self.dfa.create_cache();
        Walker { dfa: &self.dfa, clears: cache.clear_count(), cache, last: Vec::new(), trail: Vec::new() }
    }
}

/// A walk through the automaton, with the states made so far.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    dfa: &'a DFA,
    cache: Cache,
    /// The text before, and the state after each byte of it, the start first: the next path mostly begins alike, and
    /// is taken up where it parts.
    last: Vec<u8>,
    trail: Vec<LazyStateID>,
    /// How often states had been forgotten when the trail was made.
    clears: usize,
}

/// Where a text ended. Texts that ended at the same are matched by the same patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct End {
    state: LazyStateID,
    /// States have been forgotten this many times: their numbers mean others after that.
    age: usize,
}

impl Walker<'_> {
    /// Reads `text` to its end. `None` if the automaton gave up.
    pub(super) fn end(&mut self, text: &[u8]) -> Option<End> {
        let end = self.walk(text);
        // A trail through states that were forgotten leads nowhere.
        if end.is_none() || self.cache.clear_count() != self.clears {
            self.clears = self.cache.clear_count();
            self.trail.clear();
            self.last.clear();
        }
        end.map(|state| End { state, age: self.clears })
    }

    /// Tells each pattern that matches the whole of the text that ended there, the last that was read.
    pub(super) fn matches(&self, end: End, mut found: impl FnMut(usize)) {
        if end.state.is_match() {
            for i in 0..self.dfa.match_len(&self.cache, end.state) {
                found(self.dfa.match_pattern(&self.cache, end.state, i).as_usize());
            }
        }
    }

    /// The state at the end of `text`.
    fn walk(&mut self, text: &[u8]) -> Option<LazyStateID> {
        let (dfa, cache) = (self.dfa, &mut self.cache);
        let mut at = common(&self.last, text);
        if self.trail.is_empty() {
            let input = Input::new(text).anchored(Anchored::Yes);
            self.trail.push(dfa.start_state_forward(cache, &input).ok()?);
            at = 0;
        }
        self.trail.truncate(at + 1);
        self.last.truncate(at);
        let mut state = *self.trail.get(at)?;
        for byte in text.get(at..)? {
            state = dfa.next_state(cache, state, *byte).ok()?;
            if state.is_tagged() && state.is_quit() {
                return None;
            }
            self.trail.push(state);
        }
        self.last.extend_from_slice(text.get(at..)?);
        dfa.next_eoi_state(cache, state).ok()
    }
}

/// How many bytes two texts have in common at their beginning.
fn common(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 16;
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    let (a, b) = (a.get(blocks..).unwrap_or_default(), b.get(blocks..).unwrap_or_default());
    blocks + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever was asked before: also when states are forgotten all the time.
    #[test]
    fn an_answer_does_not_depend_on_the_one_before() {
        let patterns = ["/a/.*b[0-9]{3}", "/a.*", "/(.*/)?x[a-f]{2,9}.*y", ".*/.*z.*/q"].map(str::to_owned);
        let automaton = Automaton::new(&patterns).unwrap();
        let small = Automaton::with_cache(&patterns, 0).unwrap();
        let mut long = small.walker();
        let mut state = 7u32;
        for _ in 0..20_000 {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 24
            };
            let text: Vec<u8> = (0..next() % 40).map(|_| b"/axbz0q/"[next() as usize % 8]).collect();
            let (mut by_long, mut by_fresh) = (Vec::new(), Vec::new());
            let end = long.end(&text).unwrap();
            long.matches(end, |p| by_long.push(p));
            let mut fresh = automaton.walker();
            let end = fresh.end(&text).unwrap();
            fresh.matches(end, |p| by_fresh.push(p));
            by_long.sort_unstable();
            by_fresh.sort_unstable();
            assert_eq!(by_long, by_fresh, "{}", text.escape_ascii());
        }
        assert!(long.cache.clear_count() > 100, "{}", long.cache.clear_count());
    }
}
