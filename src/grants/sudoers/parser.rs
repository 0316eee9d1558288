//! Tokens to entries: the grammar of sudo 1.9.13 to 1.9.17, with sudo's recovery from mistakes, over all files at once.
//!
//! Entries are read one by one. A mistake drops the entry up to its newline, as sudo's `error '\n'` rule does; what
//! counts as its newline is the scanner's matter, so an entry that runs over files is dropped over files too.

use std::path::Path;
use std::sync::Arc;

use super::ast::{
    Alias, AliasKind, Bytes, Change, Command, CommandPath, CommandSpec, Defaults, Digest, Few, Host, Include,
    ItemKind, Member, Members, Options, Privilege, Runas, Scope, Setenv, Setting, Settings, Span, Tags, User,
    UserSpec,
};
use super::files::Files;
use super::include::Stream;
use super::token::{DefaultsKind, OptionWord, Tag, Token};
use super::tree::{Look, PlacedAlias, ProblemKind, Reading, Tree};
use super::values;

/// Where a token is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loc {
    pub(super) file: usize,
    pub(super) span: Span,
}

/// An entry that cannot be read: where, and why.
struct Mistake {
    at: Loc,
    kind: ProblemKind,
    why: String,
}

impl Mistake {
    fn new(at: Loc, why: impl Into<String>) -> Self {
        Mistake { at, kind: ProblemKind::Syntax, why: why.into() }
    }
}

type Parsed<T> = Result<T, Mistake>;

/// Reads a policy.
pub(super) struct Parser<'f> {
    stream: Stream<'f>,
    /// The last token that was read, and whether it is still to be taken.
    token: Token,
    at: Loc,
    ahead: bool,
    /// The file of the entry's first token, and whether a later token came from another file.
    home: usize,
    crosses: bool,
}

impl<'f> Parser<'f> {
    /// `look`: who looks at the entries instead of their being kept.
    pub(super) fn new(files: &'f dyn Files, reading: Reading, look: Option<&'f mut Look<'f>>) -> Self {
        Parser {
            stream: Stream::new(files, reading, look),
            token: Token::End,
            at: Loc { file: 0, span: Span::default() },
            ahead: false,
            home: 0,
            crosses: false,
        }
    }

    /// Includes are not followed.
    pub(super) fn alone(mut self) -> Self {
        self.stream.follow = false;
        self
    }

    /// Reads everything.
    pub(super) fn read(mut self, main: &Path) -> Tree {
        self.stream.open_main(main);
        loop {
            self.crosses = false;
            if self.peek() == Token::End {
                break;
            }
            self.home = self.at.file;
            if !self.entry() {
                self.stream.tree.fatal = true;
                break;
            }
        }
        self.stream.finish()
    }

    /// What the token at hand says: the one that was looked at or taken last.
    fn value(&mut self) -> Bytes {
        std::mem::take(&mut self.stream.lexer.value)
    }

    fn bump(&mut self) -> (Token, Loc) {
        self.peek();
        self.ahead = false;
        self.crosses |= self.at.file != self.home;
        (self.token, self.at)
    }

    #[inline]
    fn peek(&mut self) -> Token {
        if !self.ahead {
            self.read_ahead();
        }
        self.token
    }

    fn read_ahead(&mut self) {
        (self.token, self.at) = self.stream.next();
        self.ahead = true;
    }

    /// Where the next token is.
    fn here(&mut self) -> Loc {
        self.peek();
        self.at
    }

    /// Takes the next token if it is this one.
    #[inline]
    fn eat(&mut self, token: Token) -> Option<Loc> {
        if self.peek() == token { Some(self.bump().1) } else { None }
    }

    /// A mistake at the next token.
    #[cold]
    fn mistake<T>(&mut self) -> Parsed<T> {
        let why = match self.peek() {
            Token::Error(slip) => slip.why().to_owned(),
            Token::Newline => "syntax error: the line ends too early".to_owned(),
            Token::End => "syntax error: the last line ends in a backslash and nothing follows".to_owned(),
            _ => "syntax error".to_owned(),
        };
        Err(Mistake::new(self.here(), why))
    }

    fn expect(&mut self, token: Token) -> Parsed<Loc> {
        match self.eat(token) {
            Some(loc) => Ok(loc),
            None => self.mistake(),
        }
    }

    /// Reads one entry and files it. False if sudo would give up.
    fn entry(&mut self) -> bool {
        let mut include = None;
        let parsed = match self.peek() {
            Token::Newline => Ok(ItemKind::Blank),
            Token::Include | Token::IncludeDir => self.include(&mut include),
            Token::Defaults(kind) => self.defaults(kind),
            Token::AliasWord(kind) => self.aliases(kind),
            _ => self.user_spec(),
        };
        let kind = match parsed {
            Ok(kind) => kind,
            Err(m) => {
                self.report(&m);
                // An include with something after its path is followed all the same.
                include.clone().map_or(ItemKind::Bad, ItemKind::Include)
            }
        };
        // To the newline: at once after an entry that is whole, past the rest of one that is not.
        let end = loop {
            let (token, loc) = self.bump();
            match token {
                Token::Newline => break Some(loc),
                Token::End => break None,
                _ => {}
            }
        };
        let file = self.home;
        let span = self.stream.close_item(file, kind, end);
        if end.is_none() {
            let at = self.here();
            self.stream.problem(
                at,
                ProblemKind::Fatal,
                "sudo refuses to run at all: the policy ends in a backslash inside an entry".to_owned(),
            );
            return false;
        }
        if let (Some(include), Some(span)) = (include, span) {
            self.stream.follow_include(file, &include, span);
        }
        true
    }

    fn report(&mut self, m: &Mistake) {
        self.stream.problem(m.at, m.kind, m.why.clone());
    }

    // What is rare is by itself, here and below, so that what is not fits into the processor's cache.
    #[inline(never)]
    fn include(&mut self, include: &mut Option<Include>) -> Parsed<ItemKind> {
        let dir = self.bump().0 == Token::IncludeDir;
        let loc = self.here();
        let Token::Word = self.peek() else { return self.mistake() };
        let path = self.value();
        self.bump();
        let found = Include { dir, path, path_span: loc.span };
        *include = Some(found.clone());
        match self.peek() {
            Token::Newline => Ok(ItemKind::Include(found)),
            _ => self.mistake(),
        }
    }

    #[inline(never)]
    fn aliases(&mut self, kind: AliasKind) -> Parsed<ItemKind> {
        self.bump();
        let mut defined = Vec::new();
        let result = self.alias_list(kind, &mut defined);
        match result {
            Ok(()) => Ok(ItemKind::Aliases(defined)),
            // Those that were whole before the mistake hold.
            Err(m) if !defined.is_empty() => {
                self.report(&m);
                Ok(ItemKind::Aliases(defined))
            }
            Err(m) => Err(m),
        }
    }

    fn alias_list(&mut self, kind: AliasKind, defined: &mut Vec<Arc<Alias>>) -> Parsed<()> {
        loop {
            let at = self.here();
            let name = match self.peek() {
                Token::Alias => self.value(),
                word @ (Token::All | Token::Option(_)) => {
                    let why = format!("syntax error, reserved word {} used as an alias name", reserved(word));
                    return Err(Mistake::new(at, why));
                }
                _ => return self.mistake(),
            };
            self.bump();
            self.expect(Token::Equals)?;
            let (members, end) = match kind {
                AliasKind::User | AliasKind::Runas => {
                    self.user_list().map(|(m, e)| (Members::Users(m), e))?
                }
                AliasKind::Host => self.host_list().map(|(m, e)| (Members::Hosts(m), e))?,
                AliasKind::Command => self.command_list().map(|(m, e)| (Members::Commands(m), e))?,
            };
            // The alias holds, whatever follows: sudo's parser sees what follows only after it has added it.
            let span = at.span.to(end);
            let alias = Arc::new(Alias { kind, name: name.clone(), name_span: at.span, span, members });
            let key = (kind, name);
            if self.stream.tree.aliases.contains_key(&key) {
                // sudo drops the rest of the line too.
                let why = format!("alias `{}` is defined already", String::from_utf8_lossy(&key.1));
                return Err(Mistake { at, kind: ProblemKind::Alias, why });
            }
            let placed = PlacedAlias { file: at.file, alias: Arc::clone(&alias) };
            self.stream.tree.aliases.insert(key, placed);
            defined.push(alias);
            match self.peek() {
                Token::Colon => self.bump(),
                Token::Newline => return Ok(()),
                _ => return self.mistake(),
            };
        }
    }

    #[inline(never)]
    fn defaults(&mut self, kind: DefaultsKind) -> Parsed<ItemKind> {
        self.bump();
        let scope = match kind {
            DefaultsKind::All => Scope::All,
            DefaultsKind::User => Scope::Users(self.user_list()?.0),
            DefaultsKind::Runas => Scope::Runas(self.user_list()?.0),
            DefaultsKind::Host => Scope::Hosts(self.host_list()?.0),
            DefaultsKind::Command => Scope::Commands(self.command_list()?.0),
        };
        let mut settings = Vec::new();
        loop {
            let bang = self.eat(Token::Bang);
            let Token::Variable = self.peek() else { return self.mistake() };
            let name = self.value();
            let at = self.bump().1.span;
            let start = bang.map_or(at.start, |b| b.span.start);
            let change = match self.peek() {
                _ if bang.is_some() => Change::Off,
                Token::Equals => Change::Set,
                Token::Plus => Change::Add,
                Token::Minus => Change::Remove,
                _ => Change::On,
            };
            let mut value = Bytes::EMPTY;
            let mut end = at.end;
            if !matches!(change, Change::On | Change::Off) {
                self.bump();
                let Token::Word = self.peek() else { return self.mistake() };
                value = self.value();
                end = self.bump().1.span.end;
            }
            settings.push(Setting { name, change, value, span: Span::new(start, end) });
            match self.peek() {
                Token::Comma => {
                    self.bump();
                }
                Token::Newline => return Ok(ItemKind::Defaults(Box::new(Defaults { scope, settings }))),
                _ => return self.mistake(),
            }
        }
    }

    fn user_spec(&mut self) -> Parsed<ItemKind> {
        let users = self.user_list()?.0;
        let mut privileges = Few::from_buf([self.privilege()?]);
        loop {
            match self.peek() {
                Token::Newline => break,
                Token::Colon => {
                    self.bump();
                }
                _ => return self.mistake(),
            }
            match self.privilege() {
                Ok(p) => privileges.push(p),
                // A mistake after a `:` costs that privilege alone, if the mistake is the very end of the line or
                // another `:`; else the scanner stands before something that no rule takes, and the entry goes.
                Err(m) => {
                    self.report(&m);
                    if !matches!(self.peek(), Token::Newline | Token::Colon) {
                        return Err(m);
                    }
                }
            }
        }
        Ok(ItemKind::UserSpec(Box::new(UserSpec { users, privileges, crosses: self.crosses })))
    }

    fn privilege(&mut self) -> Parsed<Privilege> {
        let start = self.here().span;
        let hosts = self.host_list()?.0;
        self.expect(Token::Equals)?;
        let mut commands = Few::from_buf([self.command_spec(None)?]);
        while self.eat(Token::Comma).is_some() {
            let spec = self.command_spec(commands.last())?;
            commands.push(spec);
        }
        if !matches!(self.peek(), Token::Colon | Token::Newline) {
            return self.mistake();
        }
        let end = commands.last().map_or(start, |c| c.span);
        Ok(Privilege { span: start.to(end), hosts, commands })
    }

    fn command_spec(&mut self, before: Option<&CommandSpec>) -> Parsed<CommandSpec> {
        let start = self.here().span;
        let runas = self.runas()?;
        let options = match self.peek() {
            Token::Option(_) => self.options()?,
            _ => Options::default(),
        };
        let tags = self.tags();
        let command = self.command()?;
        let span = start.to(command.span);
        let written = Settings { runas, tags, options };
        let settings = resolve(&written, &command, before.map(|b| &b.settings));
        Ok(CommandSpec { span, written, settings, command })
    }

    fn runas(&mut self) -> Parsed<Option<Arc<Runas>>> {
        let Some(open) = self.eat(Token::Open) else { return Ok(None) };
        let users = match self.peek() {
            Token::Close | Token::Colon => {
                let span = Span::new(open.span.end, open.span.end);
                Few::from_buf([Member { negated: false, value: User::Myself, span }])
            }
            _ => self.user_list()?.0,
        };
        let mut groups = Vec::new();
        if self.eat(Token::Colon).is_some() {
            let empty = self.peek() == Token::Close;
            // `(user:)` is a mistake, `(:)` is not.
            let bare = users.first().is_some_and(|u| u.value == User::Myself);
            if !(empty && bare) {
                groups = self.group_list()?.into_vec();
            }
        }
        let close = self.expect(Token::Close)?;
        Ok(Some(Arc::new(Runas { users, groups, span: open.span.to(close.span) })))
    }

    #[inline(never)]
    fn options(&mut self) -> Parsed<Options> {
        let mut options = Options::default();
        while let Token::Option(word) = self.peek() {
            self.bump();
            self.expect(Token::Equals)?;
            let at = self.here();
            let Token::Word = self.peek() else { return self.mistake() };
            let value = self.value();
            self.bump();
            let wrong = |why: &str| Mistake::new(at, why);
            match word {
                OptionWord::Timeout => options.timeout = Some(values::timeout(&value).map_err(wrong)?),
                OptionWord::Notbefore => {
                    options.notbefore =
                        Some(values::moment(&value).ok_or_else(|| wrong("invalid notbefore value"))?);
                }
                OptionWord::Notafter => {
                    options.notafter =
                        Some(values::moment(&value).ok_or_else(|| wrong("invalid notafter value"))?);
                }
                OptionWord::Cwd | OptionWord::Chroot => {
                    if !matches!(value.first(), Some(b'/' | b'~')) && value != b"*" {
                        return Err(wrong(
                            "values for `CWD` and `CHROOT` must start with `/`, `~`, or be `*`",
                        ));
                    }
                    if value.len() >= PATH_MAX {
                        return Err(wrong("path too long"));
                    }
                    let slot = if word == OptionWord::Cwd { &mut options.cwd } else { &mut options.chroot };
                    *slot = Some(Arc::from(&*value));
                }
                OptionWord::Role => options.role = Some(Arc::from(&*value)),
                OptionWord::Type => options.setype = Some(Arc::from(&*value)),
                OptionWord::Apparmor => options.apparmor = Some(Arc::from(&*value)),
            }
        }
        Ok(options)
    }

    fn tags(&mut self) -> Tags {
        let mut tags = Tags::default();
        while let Token::Tag(tag) = self.peek() {
            self.bump();
            match tag {
                Tag::Nopasswd(v) => tags.nopasswd = Some(v),
                Tag::Noexec(v) => tags.noexec = Some(v),
                Tag::Intercept(v) => tags.intercept = Some(v),
                Tag::Setenv(v) => tags.setenv = if v { Setenv::Yes } else { Setenv::No },
                Tag::LogInput(v) => tags.log_input = Some(v),
                Tag::LogOutput(v) => tags.log_output = Some(v),
                Tag::Mail(v) => tags.mail = Some(v),
                Tag::Follow(v) => tags.follow = Some(v),
            }
        }
        tags
    }

    /// A command with its digests and `!`.
    fn command(&mut self) -> Parsed<Member<Command>> {
        let start = self.here().span;
        let digests = match self.peek() {
            Token::Sha(_) => self.digests()?,
            _ => Vec::new(),
        };
        let negated = self.eat(Token::Bang).is_some();
        let (token, at) = self.bump();
        let value = match token {
            Token::All => Command::All(digests),
            Token::Alias if !digests.is_empty() => {
                return Err(Mistake::new(at, "a digest requires a path name"));
            }
            Token::Alias => Command::Alias(self.value()),
            Token::Command => {
                let path = self.value();
                if path.len() >= PATH_MAX {
                    return Err(Mistake::new(at, "command too long"));
                }
                Command::Path(CommandPath { path, args: self.stream.lexer.args.take(), digests })
            }
            Token::Word => match self.value() {
                path if path == b"list" => Command::Path(CommandPath { path, args: None, digests }),
                _ => return Err(Mistake::new(at, "expected a fully-qualified path name")),
            },
            other => return self.put_back(other, at),
        };
        Ok(Member { negated, value, span: start.to(at.span) })
    }

    #[inline(never)]
    fn digests(&mut self) -> Parsed<Vec<Digest>> {
        let mut digests = Vec::new();
        while let Token::Sha(kind) = self.peek() {
            self.bump();
            self.expect(Token::Colon)?;
            let Token::Digest = self.peek() else { return self.mistake() };
            let text = self.value();
            self.bump();
            digests.push(Digest { kind, text });
            // After a digest, a comma can only lead to another one.
            if self.eat(Token::Comma).is_some() && !matches!(self.peek(), Token::Sha(_)) {
                return self.mistake();
            }
        }
        Ok(digests)
    }

    fn command_list(&mut self) -> Parsed<(Few<Member<Command>>, Span)> {
        self.list(Self::command)
    }

    fn user_list(&mut self) -> Parsed<(Few<Member<User>>, Span)> {
        self.list(|p| p.member(Self::user))
    }

    fn group_list(&mut self) -> Parsed<Few<Member<User>>> {
        let groups = self.list(|p| {
            p.member(|p, t| match t {
                Token::Group | Token::Netgroup => None,
                other => p.user(other),
            })
        })?;
        Ok(groups.0)
    }

    /// What a token stands for in a user list.
    fn user(&mut self, token: Token) -> Option<User> {
        Some(match token {
            Token::All => User::All,
            Token::Alias => User::Alias(self.value()),
            Token::Netgroup => User::Netgroup(self.value()),
            Token::Group => User::Group(self.value()),
            Token::Word => User::Word(self.value()),
            _ => return None,
        })
    }

    fn host_list(&mut self) -> Parsed<(Few<Member<Host>>, Span)> {
        self.list(|p| {
            p.member(|p, t| {
                Some(match t {
                    Token::All => Host::All,
                    Token::Alias => Host::Alias(p.value()),
                    Token::Netgroup => Host::Netgroup(p.value()),
                    Token::Address => Host::Address(p.value()),
                    Token::Word => Host::Word(p.value()),
                    _ => return None,
                })
            })
        })
    }

    /// A mistake at a token that was taken already.
    #[cold]
    fn put_back<T>(&mut self, token: Token, at: Loc) -> Parsed<T> {
        (self.token, self.at, self.ahead) = (token, at, true);
        self.mistake()
    }

    /// One member, with its `!`. `value`: what a token stands for, if it can stand here.
    fn member<T>(&mut self, value: impl Fn(&mut Self, Token) -> Option<T>) -> Parsed<Member<T>> {
        let bang = self.eat(Token::Bang);
        let (token, at) = self.bump();
        let Some(value) = value(self, token) else { return self.put_back(token, at) };
        let at = at.span;
        Ok(Member { negated: bang.is_some(), value, span: bang.map_or(at, |b| b.span.to(at)) })
    }

    /// Members with commas between them, and the span of all.
    fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Parsed<Member<T>>,
    ) -> Parsed<(Few<Member<T>>, Span)> {
        let mut members: Few<Member<T>> = Few::from_buf([one(self)?]);
        while self.eat(Token::Comma).is_some() {
            members.push(one(self)?);
        }
        let span = match (members.first(), members.last()) {
            (Some(a), Some(b)) => a.span.to(b.span),
            _ => Span::default(),
        };
        Ok((members, span))
    }
}

/// The longest path that Linux takes, with its NUL.
const PATH_MAX: usize = 4096;

fn reserved(token: Token) -> &'static str {
    match token {
        Token::Option(OptionWord::Timeout) => "TIMEOUT",
        Token::Option(OptionWord::Notbefore) => "NOTBEFORE",
        Token::Option(OptionWord::Notafter) => "NOTAFTER",
        Token::Option(OptionWord::Cwd) => "CWD",
        Token::Option(OptionWord::Chroot) => "CHROOT",
        Token::Option(OptionWord::Role) => "ROLE",
        Token::Option(OptionWord::Type) => "TYPE",
        Token::Option(OptionWord::Apparmor) => "APPARMOR_PROFILE",
        _ => "ALL",
    }
}

/// What holds for a command: what it says, and what the commands before it in the list hand on.
fn resolve(written: &Settings, command: &Member<Command>, before: Option<&Settings>) -> Settings {
    let mut s = written.clone();
    // A bare ALL lets the user set the environment, for itself alone.
    if matches!(command.value, Command::All(_)) && !command.negated && s.tags.setenv == Setenv::Unset {
        s.tags.setenv = Setenv::Implied;
    }
    let Some(b) = before else { return s };
    if s.tags.setenv == Setenv::Unset && b.tags.setenv != Setenv::Implied {
        s.tags.setenv = b.tags.setenv;
    }
    let t = &mut s.tags;
    t.nopasswd = t.nopasswd.or(b.tags.nopasswd);
    t.noexec = t.noexec.or(b.tags.noexec);
    t.intercept = t.intercept.or(b.tags.intercept);
    t.log_input = t.log_input.or(b.tags.log_input);
    t.log_output = t.log_output.or(b.tags.log_output);
    t.mail = t.mail.or(b.tags.mail);
    t.follow = t.follow.or(b.tags.follow);
    if s.runas.is_none() {
        s.runas.clone_from(&b.runas);
    }
    if b.options.is_none() {
        return s;
    }
    let o = &mut *s.options;
    o.cwd = o.cwd.take().or_else(|| b.options.cwd.clone());
    o.chroot = o.chroot.take().or_else(|| b.options.chroot.clone());
    if o.role.is_none() && o.setype.is_none() {
        o.role = b.options.role.clone();
        o.setype = b.options.setype.clone();
    }
    o.timeout = o.timeout.or(b.options.timeout);
    o.notbefore = o.notbefore.or(b.options.notbefore);
    o.notafter = o.notafter.or(b.options.notafter);
    s
}
