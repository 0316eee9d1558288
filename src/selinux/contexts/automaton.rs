//! One automaton for all patterns: a path is read once, whatever the number of specifications.
//!
//! The states are made as paths need them (a lazy DFA). It reads the path to its very end, and the state there tells
//! all patterns that match the whole of it.

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
        // Our own flags, whatever a pattern says: bytes, `.` takes every byte.
        let dialect =
            syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true).nest_limit(1000);
        let nfa = thompson::Config::new().utf8(false).shrink(false);
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(CACHE)
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
        Walker { dfa: &self.dfa, cache: self.dfa.create_cache() }
    }
}

/// A walk through the automaton, with the states made so far.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    dfa: &'a DFA,
    cache: Cache,
}

impl Walker<'_> {
    /// Tells each pattern that matches the whole of `text`. `None` if the automaton gave up.
    pub(super) fn matches(&mut self, text: &[u8], mut found: impl FnMut(usize)) -> Option<()> {
        let (dfa, cache) = (self.dfa, &mut self.cache);
        let input = Input::new(text).anchored(Anchored::Yes);
        let mut state = dfa.start_state_forward(cache, &input).ok()?;
        for byte in text {
            state = dfa.next_state(cache, state, *byte).ok()?;
            if state.is_tagged() {
                if state.is_dead() {
                    return Some(());
                }
                if state.is_quit() {
                    return None;
                }
            }
        }
        state = dfa.next_eoi_state(cache, state).ok()?;
        if state.is_match() {
            for i in 0..dfa.match_len(cache, state) {
                found(dfa.match_pattern(cache, state, i).as_usize());
            }
        }
        Some(())
    }
}
