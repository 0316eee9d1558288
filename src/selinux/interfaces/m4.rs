//! The part of m4 that the reference policy's headers are written in (POSIX m4, with GNU's `$10` and blind builtins).
//!
//! Quotes are `` ` `` and `'`, comments run from `#` to the end of the line and are left as they are. Of the builtins those
//! are known that the headers use; none of them reads a file or runs a program, and an unknown word stands for itself.
//! `interface` and `template` are builtins here: they note the macro that they define.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Why a text could not be expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A quote or a list of arguments does not end.
    #[error("a quote or a list of arguments does not end")]
    Unfinished,
    /// It grows beyond what any header needs.
    #[error("it expands to more than {MOST_BYTES} bytes or calls macros more than {MOST_DEPTH} deep")]
    TooLarge,
    /// The headers themselves say that it must not be used so.
    #[error("the headers refuse it")]
    Refused,
}

/// Most bytes that one expansion reads.
pub const MOST_BYTES: usize = 8 << 20;
/// Most calls within the arguments of calls.
pub const MOST_DEPTH: usize = 64;
/// Most texts that are being read at a time: expansions within expansions.
const MOST_FRAMES: usize = 10_000;

/// A macro's meaning.
#[derive(Debug, Clone)]
enum Body {
    Text(Arc<[u8]>),
    Builtin(Builtin),
}

/// What is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Builtin {
    Define,
    PushDefine,
    Undefine,
    PopDefine,
    IfDefined,
    IfElse,
    ToLineEnd,
    Increment,
    Decrement,
    Shift,
    Interface,
    Template,
    /// `declare_required_symbols`: the booleans of a condition, as requirements. (GNU's has regular expressions for it.)
    Booleans,
    /// What only matters to messages.
    Nothing,
    /// `refpolicywarn`: the macro is on its way out.
    Deprecated,
    /// `refpolicyerr`.
    Refused,
}

/// The builtins, and those macros of the headers' own support files that are taken from here instead.
const BUILTINS: &[(&str, Builtin)] = &[
    ("define", Builtin::Define),
    ("pushdef", Builtin::PushDefine),
    ("undefine", Builtin::Undefine),
    ("popdef", Builtin::PopDefine),
    ("ifdef", Builtin::IfDefined),
    ("ifelse", Builtin::IfElse),
    ("dnl", Builtin::ToLineEnd),
    ("incr", Builtin::Increment),
    ("decr", Builtin::Decrement),
    ("shift", Builtin::Shift),
    ("errprint", Builtin::Nothing),
    ("interface", Builtin::Interface),
    ("template", Builtin::Template),
    ("declare_required_symbols", Builtin::Booleans),
    ("policy_m4_comment", Builtin::Nothing),
    ("refpolicywarn", Builtin::Deprecated),
    ("refpolicyerr", Builtin::Refused),
];

/// Macros, and what expanding a text with them said.
#[derive(Debug, Clone)]
pub struct M4 {
    macros: HashMap<Box<[u8]>, Vec<Body>>,
    /// Macros that `interface` made, and those that `template` did.
    interfaces: BTreeMap<Box<[u8]>, Made>,
    left: usize,
    deprecated: bool,
    refused: bool,
}

/// A macro's text, and whether it is an interface.
type Made = (Arc<[u8]>, bool);

/// A piece of text.
enum Token {
    Word(Vec<u8>),
    Quoted(Vec<u8>),
    Comment(Vec<u8>),
    Byte(u8),
}

/// What is still to be read: the last first.
#[derive(Default)]
struct Input {
    frames: Vec<(Arc<[u8]>, usize)>,
}

impl Input {
    fn peek(&mut self) -> Option<u8> {
        loop {
            let (text, at) = self.frames.last()?;
            match text.get(*at) {
                Some(byte) => return Some(*byte),
                None => self.frames.pop(),
            };
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        if let Some((_, at)) = self.frames.last_mut() {
            *at += 1;
        }
        Some(byte)
    }
}

impl Default for M4 {
    fn default() -> Self {
        let macros = BUILTINS.iter().map(|(name, b)| (name.as_bytes().into(), vec![Body::Builtin(*b)]));
        M4 {
            macros: macros.collect(),
            interfaces: BTreeMap::new(),
            left: MOST_BYTES,
            deprecated: false,
            refused: false,
        }
    }
}

impl M4 {
    /// Defines a macro without arguments, as `m4 -D` does.
    pub fn set(&mut self, name: &str, value: &str) {
        self.macros.insert(name.as_bytes().into(), vec![Body::Text(value.as_bytes().into())]);
    }

    /// The interfaces (not templates), each with its text.
    pub fn interfaces(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.interfaces.iter().filter(|(_, (_, is))| *is).map(|(name, (text, _))| (&**name, &**text))
    }

    /// Expands a text. What it defines stays defined.
    ///
    /// # Errors
    /// See [`Flaw`]. What was defined by then stays.
    pub fn expand(&mut self, text: &[u8]) -> Result<Vec<u8>, Flaw> {
        (self.left, self.deprecated, self.refused) = (MOST_BYTES, false, false);
        let mut input = Input { frames: vec![(text.into(), 0)] };
        let mut out = Vec::new();
        while let Some(token) = self.token(&mut input)? {
            self.take(token, &mut input, &mut out, 0)?;
        }
        if self.refused { Err(Flaw::Refused) } else { Ok(out) }
    }

    /// Whether the last expansion used a macro that is on its way out.
    pub fn deprecated(&self) -> bool {
        self.deprecated
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Flaw> {
        self.left = self.left.checked_sub(bytes).ok_or(Flaw::TooLarge)?;
        Ok(())
    }

    fn token(&mut self, input: &mut Input) -> Result<Option<Token>, Flaw> {
        let Some(first) = input.next() else { return Ok(None) };
        self.spend(1)?;
        let mut text = Vec::new();
        match first {
            b'`' => {
                let mut depth = 1usize;
                loop {
                    let byte = input.next().ok_or(Flaw::Unfinished)?;
                    match byte {
                        b'`' => depth += 1,
                        b'\'' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        self.spend(text.len())?;
                        return Ok(Some(Token::Quoted(text)));
                    }
                    text.push(byte);
                }
            }
            b'#' => {
                text.push(first);
                while let Some(byte) = input.next() {
                    text.push(byte);
                    if byte == b'\n' {
                        break;
                    }
                }
                self.spend(text.len())?;
                Ok(Some(Token::Comment(text)))
            }
            b if b.is_ascii_alphabetic() || b == b'_' => {
                text.push(b);
                while let Some(b) = input.peek().filter(|b| b.is_ascii_alphanumeric() || *b == b'_') {
                    text.push(b);
                    input.next();
                }
                self.spend(text.len())?;
                Ok(Some(Token::Word(text)))
            }
            other => Ok(Some(Token::Byte(other))),
        }
    }

    /// Writes a token, or puts what its macro makes of it in front of the input.
    fn take(&mut self, token: Token, input: &mut Input, out: &mut Vec<u8>, depth: usize) -> Result<(), Flaw> {
        match token {
            Token::Byte(byte) => out.push(byte),
            Token::Quoted(text) | Token::Comment(text) => out.extend(text),
            Token::Word(word) => {
                let Some(body) = self.macros.get(word.as_slice()).and_then(|all| all.last()).cloned() else {
                    out.extend(word);
                    return Ok(());
                };
                let open = input.peek() == Some(b'(');
                let blind = !matches!(body, Body::Text(_) | Body::Builtin(Builtin::ToLineEnd));
                if blind && !open {
                    out.extend(word);
                    return Ok(());
                }
                let arguments = if open { self.arguments(input, depth)? } else { Vec::new() };
                let made = match body {
                    Body::Text(text) => substitute(&text, &word, &arguments),
                    Body::Builtin(builtin) => self.builtin(builtin, &arguments, input),
                };
                self.spend(made.len())?;
                if input.frames.len() >= MOST_FRAMES {
                    return Err(Flaw::TooLarge);
                }
                if !made.is_empty() {
                    input.frames.push((made.into(), 0));
                }
            }
        }
        Ok(())
    }

    fn arguments(&mut self, input: &mut Input, depth: usize) -> Result<Vec<Vec<u8>>, Flaw> {
        if depth >= MOST_DEPTH {
            return Err(Flaw::TooLarge);
        }
        input.next();
        let mut all = Vec::new();
        let mut one = Vec::new();
        let mut parentheses = 0usize;
        let mut start = true;
        while let Some(token) = self.token(input)? {
            match token {
                Token::Byte(b) if start && b.is_ascii_whitespace() => {}
                Token::Byte(b')') if parentheses == 0 => {
                    all.push(one);
                    return Ok(all);
                }
                Token::Byte(b',') if parentheses == 0 => {
                    all.push(std::mem::take(&mut one));
                    start = true;
                }
                token => {
                    match token {
                        Token::Byte(b'(') => parentheses += 1,
                        Token::Byte(b')') => parentheses -= 1,
                        _ => {}
                    }
                    let before = one.len();
                    let made_of_macro = matches!(token, Token::Word(_));
                    self.take(token, input, &mut one, depth + 1)?;
                    // White space before what a macro made is skipped too.
                    start = start && made_of_macro && one.len() == before;
                }
            }
        }
        Err(Flaw::Unfinished)
    }

    fn builtin(&mut self, builtin: Builtin, arguments: &[Vec<u8>], input: &mut Input) -> Vec<u8> {
        let argument = |n: usize| arguments.get(n).map_or(&b""[..], Vec::as_slice);
        let name = argument(0);
        let own = BUILTINS.iter().any(|(b, _)| b.as_bytes() == name);
        match builtin {
            // What the support files define anew is left as it is here.
            Builtin::Define | Builtin::PushDefine | Builtin::Undefine | Builtin::PopDefine if own => {}
            Builtin::Define => {
                let body = Body::Text(argument(1).into());
                let all = self.macros.entry(name.into()).or_default();
                all.pop();
                all.push(body);
            }
            Builtin::PushDefine => {
                let all = self.macros.entry(name.into()).or_default();
                if all.len() < MOST_FRAMES {
                    all.push(Body::Text(argument(1).into()));
                }
            }
            Builtin::Undefine => {
                self.macros.remove(name);
            }
            Builtin::PopDefine => {
                if let Some(all) = self.macros.get_mut(name) {
                    all.pop();
                    if all.is_empty() {
                        self.macros.remove(name);
                    }
                }
            }
            Builtin::IfDefined => {
                let there = self.macros.contains_key(name);
                return argument(if there { 1 } else { 2 }).to_vec();
            }
            Builtin::IfElse => return if_else(arguments),
            Builtin::ToLineEnd => while input.next().is_some_and(|b| b != b'\n') {},
            Builtin::Increment => return number(name).saturating_add(1).to_string().into_bytes(),
            Builtin::Decrement => return number(name).saturating_sub(1).to_string().into_bytes(),
            Builtin::Shift => return quoted(arguments.get(1..).unwrap_or_default()),
            Builtin::Interface | Builtin::Template => {
                // Of two the first counts: the headers call the second a mistake.
                if !own && !self.interfaces.contains_key(name) {
                    let text: Arc<[u8]> = argument(1).into();
                    self.macros.insert(name.into(), vec![Body::Text(Arc::clone(&text))]);
                    self.interfaces.insert(name.into(), (text, builtin == Builtin::Interface));
                }
            }
            Builtin::Booleans => {
                let condition = arguments.join(&b","[..]);
                let words = condition.split(|b| !(b.is_ascii_alphanumeric() || *b == b'_'));
                let named = words.filter(|w| !w.is_empty());
                return named.flat_map(|w| [b"bool ", w, b"; "].concat()).collect();
            }
            Builtin::Nothing => {}
            Builtin::Deprecated => self.deprecated = true,
            Builtin::Refused => self.refused = true,
        }
        Vec::new()
    }
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0)
}

fn if_else(mut arguments: &[Vec<u8>]) -> Vec<u8> {
    while let [a, b, then, rest @ ..] = arguments {
        if a == b {
            return then.clone();
        }
        match rest {
            [] => break,
            [other] => return other.clone(),
            _ => arguments = rest,
        }
    }
    Vec::new()
}

/// Arguments in quotes, with commas between.
fn quoted(arguments: &[Vec<u8>]) -> Vec<u8> {
    let all: Vec<Vec<u8>> = arguments.iter().map(|a| [b"`", a.as_slice(), b"'"].concat()).collect();
    all.join(&b","[..])
}

/// A macro's text with the arguments in their places.
fn substitute(text: &[u8], name: &[u8], arguments: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'$', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        match rest.first() {
            Some(b'*') => out.extend(arguments.join(&b","[..])),
            Some(b'@') => out.extend(quoted(arguments)),
            Some(b'#') => out.extend(arguments.len().to_string().into_bytes()),
            Some(_) if digits > 0 => {
                let number = rest.get(..digits).map_or(0, number);
                match usize::try_from(number).unwrap_or(usize::MAX) {
                    0 => out.extend_from_slice(name),
                    n => out.extend_from_slice(arguments.get(n - 1).map_or(&b""[..], Vec::as_slice)),
                }
            }
            _ => {
                out.push(b'$');
                continue;
            }
        }
        rest = rest.get(digits.max(1)..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, Flaw> {
        M4::default().expand(text.as_bytes()).map(|out| String::from_utf8(out).unwrap())
    }

    /// As GNU m4 1.4 answers.
    #[test]
    fn macros_quotes_and_arguments() {
        for (text, expected) in [
            ("define(`a',`<$1|$2|$#|$*|$@>')a(x, `y,z', (p,q))", "<x|y,z|3|x,y,z,(p,q)|x,y,z,(p,q)>"),
            ("define(`a',`b')define(`b',`c')a `a' ``a''", "c a `a'"),
            ("define(`a',``$10-$0'')a(1,2,3,4,5,6,7,8,9,ten)", "ten-a"),
            ("define(`a',x)# a `a' stays\na", "# a `a' stays\nx"),
            ("ifdef(`define',yes,no) ifdef(`q',yes,no) define", "yes no define"),
            ("ifelse(a,b,1,c,c,2,3) ifelse(a,b,1,4) ifelse(a,a,`5')", "2 4 5"),
            ("define(`n',1)pushdef(`n',incr(n))n popdef(`n')n decr(5)", "2 1 4"),
            ("a dnl gone\nb", "a b"),
            ("define(`ndef',`ifdef(`$1',`$3',`$2')')ndef(`z',`no z',`z')", "no z"),
            ("define(`l',`shift($*)')l(1,2,3)", "2,3"),
            ("interface(`i',` allow $1 t:file { $2 }; ')i(d, `read')", " allow d t:file { read }; "),
            ("$ $x $", "$ $x $"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_never_ends_ends() {
        assert_eq!(expand("define(`x',`x x')x"), Err(Flaw::TooLarge));
        assert_eq!(expand("define(`x',`x(`$1$1')')x(ab)"), Err(Flaw::TooLarge));
        assert_eq!(expand(&"ifelse(".repeat(100_000)), Err(Flaw::TooLarge));
        assert_eq!(expand("`a"), Err(Flaw::Unfinished));
        assert_eq!(expand("define(`a'"), Err(Flaw::Unfinished));
        assert_eq!(expand("refpolicyerr(`no')"), Err(Flaw::Refused));
    }
}
