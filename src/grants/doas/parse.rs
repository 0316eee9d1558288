//! doas.conf as rules with their places.

use std::ops::Range;
use std::path::PathBuf;

use super::lexer::{Keyword, Lexer, Token};

/// A doas.conf. doas runs nothing for anybody while it holds a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path it is cited by.
    pub path: PathBuf,
    /// The text, as it is.
    pub text: Vec<u8>,
    /// Entries; they lie end to end and cover the text.
    pub items: Vec<Item>,
    /// What is wrong with it.
    pub mistakes: Vec<Mistake>,
}

/// A rule, or something between rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its bytes, newline included.
    pub span: Range<usize>,
    /// The rule; `None` for blank lines, comments and mistakes.
    pub rule: Option<Rule>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// `permit`.
    Permit,
    /// `deny`.
    Deny,
}

/// The options of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Options {
    /// `nopass`.
    pub nopass: bool,
    /// `persist`.
    pub persist: bool,
    /// `keepenv`.
    pub keepenv: bool,
    /// `nolog`.
    pub nolog: bool,
    /// `setenv { … }`: its words.
    pub setenv: Option<Vec<Vec<u8>>>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    /// `permit` or `deny`.
    pub action: Action,
    /// Options.
    pub options: Options,
    /// A user's name or uid; with a `:` before it a group's name or gid.
    pub identity: Vec<u8>,
    /// `as`: the target user; `None`: any.
    pub target: Option<Vec<u8>>,
    /// `cmd`: as the caller must type it; `None`: any.
    pub command: Option<Vec<u8>>,
    /// `args`: the exact arguments; `None`: any. Without a command there are none.
    pub args: Option<Vec<Vec<u8>>>,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// What: one line, lower case, no period.
    pub message: String,
}

impl File {
    /// Reads a text. Mistakes are collected; a rule with a mistake is left out.
    pub fn parse(path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> File {
        let text = text.into();
        let mut parser = Parser { lexer: Lexer::new(&text), peeked: None };
        let mut items = Vec::new();
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut done = 0;
        loop {
            let (token, start) = parser.peek();
            if token == Token::End {
                break;
            }
            let rule = if token == Token::Newline { Ok(None) } else { parser.rule().map(Some) };
            let rule = rule.unwrap_or_else(|(at, what)| {
                found.push((at, what));
                None
            });
            // To the end of the line, past whatever a mistake left.
            let ended = loop {
                match parser.bump().0 {
                    Token::Newline => break true,
                    Token::End => break false,
                    _ => {}
                }
            };
            if !ended && rule.is_some() {
                found.push((text.len(), "the last rule needs a newline after it".to_owned()));
            }
            let end = if ended { parser.lexer.pos } else { text.len() };
            let rule = rule.filter(|_| ended).map(|r| Rule { line: position(&text, start).0, ..r });
            items.push(Item { span: done..end, rule });
            done = end;
        }
        found.extend(parser.lexer.mistakes.iter().map(|(at, what)| (*at, (*what).to_owned())));
        found.sort_by_key(|(at, _)| *at);
        if done < text.len() {
            items.push(Item { span: done..text.len(), rule: None });
        }
        let mistakes = found
            .into_iter()
            .map(|(at, message)| {
                let (line, column) = position(&text, at);
                Mistake { line, column, message }
            })
            .collect();
        File { path: path.into(), text, items, mistakes }
    }

    /// The text put together again from its entries: the text itself.
    pub fn print(&self) -> Vec<u8> {
        self.items.iter().flat_map(|i| self.bytes(&i.span)).copied().collect()
    }

    /// The bytes of a span.
    pub fn bytes(&self, span: &Range<usize>) -> &[u8] {
        self.text.get(span.clone()).unwrap_or(&[])
    }

    /// The rules, each with the number of its item.
    pub fn rules(&self) -> impl DoubleEndedIterator<Item = (usize, &Rule)> {
        self.items.iter().enumerate().filter_map(|(n, i)| Some((n, i.rule.as_ref()?)))
    }

    /// The rule of an item as written, for people.
    pub fn show(&self, item: usize) -> String {
        let span = self.items.get(item).map_or(0..0, |i| i.span.clone());
        String::from_utf8_lossy(self.bytes(&span)).trim().to_owned()
    }

    /// The text without one item. `None` if there is no such rule, or if the text holds mistakes, so that it is not
    /// certain what would remain.
    pub fn without(&self, item: usize) -> Option<Vec<u8>> {
        if !self.mistakes.is_empty() {
            return None;
        }
        let gone = self.items.get(item).filter(|i| i.rule.is_some())?;
        let mut text = self.text.get(..gone.span.start)?.to_vec();
        text.extend_from_slice(self.text.get(gone.span.end..)?);
        Some(text)
    }
}

fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(&[]);
    let line = before.iter().filter(|&&c| c == b'\n').count() + 1;
    let start = before.iter().rposition(|&c| c == b'\n').map_or(0, |i| i + 1);
    (line, before.len() - start + 1)
}

type Parsed<T> = Result<T, (usize, String)>;

struct Parser<'t> {
    lexer: Lexer<'t>,
    peeked: Option<(Token, usize)>,
}

impl Parser<'_> {
    fn peek(&mut self) -> (Token, usize) {
        let lexer = &mut self.lexer;
        self.peeked.get_or_insert_with(|| lexer.next()).clone()
    }

    fn bump(&mut self) -> (Token, usize) {
        self.peeked.take().unwrap_or_else(|| self.lexer.next())
    }

    fn eat(&mut self, keyword: Keyword) -> bool {
        let is = self.peek().0 == Token::Keyword(keyword);
        if is {
            self.bump();
        }
        is
    }

    fn wrong<T>(&mut self, expected: &str) -> Parsed<T> {
        let (token, at) = self.peek();
        let found = match token {
            Token::Keyword(k) => {
                let word = super::lexer::KEYWORDS.iter().find(|(_, w)| *w == k).map_or(&b""[..], |(w, _)| w);
                format!("the keyword `{}` (in quotes it would be a word)", String::from_utf8_lossy(word))
            }
            Token::Word(w) => format!("`{}`", String::from_utf8_lossy(&w)),
            Token::Open => "`{`".to_owned(),
            Token::Close => "`}`".to_owned(),
            Token::Newline => "the end of the line".to_owned(),
            Token::End => "the end of the file".to_owned(),
        };
        Err((at, format!("expected {expected}, found {found}")))
    }

    fn word(&mut self, expected: &str) -> Parsed<Vec<u8>> {
        match self.peek().0 {
            Token::Word(w) => {
                self.bump();
                Ok(w)
            }
            _ => self.wrong(expected),
        }
    }

    fn words(&mut self) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        while let Token::Word(w) = self.peek().0 {
            self.bump();
            words.push(w);
        }
        words
    }

    fn rule(&mut self) -> Parsed<Rule> {
        let (action, options) = if self.eat(Keyword::Permit) {
            (Action::Permit, self.options()?)
        } else if self.eat(Keyword::Deny) {
            (Action::Deny, Options::default())
        } else {
            return self.wrong("`permit` or `deny`");
        };
        let identity = self.word("a user or `:group`")?;
        let target = if self.eat(Keyword::As) { Some(self.word("a user")?) } else { None };
        let (mut command, mut args) = (None, None);
        if self.eat(Keyword::Cmd) {
            command = Some(self.word("a command")?);
            if self.eat(Keyword::Args) {
                args = Some(self.words());
            }
        }
        match self.peek().0 {
            Token::Newline | Token::End => {
                Ok(Rule { action, options, identity, target, command, args, line: 0 })
            }
            _ => self.wrong("the end of the line"),
        }
    }

    fn options(&mut self) -> Parsed<Options> {
        let mut options = Options::default();
        loop {
            let at = self.peek().1;
            if self.eat(Keyword::Nopass) {
                options.nopass = true;
            } else if self.eat(Keyword::Persist) {
                options.persist = true;
            } else if self.eat(Keyword::Keepenv) {
                options.keepenv = true;
            } else if self.eat(Keyword::Nolog) {
                options.nolog = true;
            } else if self.eat(Keyword::Setenv) {
                if self.peek().0 != Token::Open {
                    return self.wrong("`{`");
                }
                self.bump();
                let words = self.words();
                if self.peek().0 != Token::Close {
                    return self.wrong("`}`");
                }
                self.bump();
                if options.setenv.replace(words).is_some() {
                    return Err((at, "can't have two setenv sections".to_owned()));
                }
            } else {
                return Ok(options);
            }
            if options.nopass && options.persist {
                return Err((at, "can't combine nopass and persist".to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_the_text_is_kept() {
        let text = "# c\npermit nopass keepenv setenv { A B=c -D } u as root cmd /bin/x args a \"b c\" \\\n d\n\ndeny :g\n";
        let f = File::parse("doas.conf", text);
        assert_eq!(f.mistakes, []);
        assert_eq!(f.print(), text.as_bytes());
        let rules: Vec<_> = f.rules().map(|(_, r)| r).collect();
        assert_eq!(rules[0].line, 2);
        assert_eq!(rules[0].args.as_ref().unwrap().len(), 3);
        assert_eq!(rules[0].options.setenv.as_ref().unwrap().len(), 3);
        assert_eq!((rules[1].action, rules[1].line), (Action::Deny, 5));
        let item = f.rules().next_back().unwrap().0;
        assert!(f.without(item).unwrap().ends_with(b" d\n\n"));
    }

    #[test]
    fn mistakes_are_collected_with_their_places() {
        let f = File::parse("d", "permit nopass persist u\npermit\nnope x\npermit u as\npermit u");
        let at: Vec<_> = f.mistakes.iter().map(|m| (m.line, m.column)).collect();
        assert_eq!(at, [(1, 15), (2, 7), (3, 1), (4, 12), (5, 9)]);
        assert_eq!(f.rules().count(), 0);
        assert_eq!(f.without(0), None);
    }
}
