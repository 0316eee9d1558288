//! Path equivalence: file_contexts.subs and file_contexts.subs_dist, and a path made ready for the look-up.

use std::borrow::Cow;
use std::sync::Arc;

use super::database::Text;
use super::precedence::Precedence;
use super::spec::{Place, Problem, is_space};

/// libselinux reads lines into a buffer of 1024 bytes; what is longer falls apart.
const MAX_LINE: usize = 1022;

/// One line `SOURCE TARGET`: what lies at SOURCE is looked up as if it lay at TARGET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substitution {
    /// The beginning of a path that is replaced; it ends where a name ends.
    pub source: Box<[u8]>,
    /// What replaces it.
    pub target: Box<[u8]>,
    /// Where it is written.
    pub place: Place,
}

/// The substitutions of one file, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Substitutions {
    list: Vec<Substitution>,
    /// Second and third bytes of sources (the first is `/`), by which most paths are passed over.
    begin: Vec<[u8; 2]>,
    /// A source is shorter: then none is passed over.
    any: bool,
}

impl Substitutions {
    /// Reads a file. Before libselinux 3.8 and since 3.9 the last line is tried first, in 3.8 the first.
    pub(super) fn read(
        text: &Text<'_>,
        precedence: Precedence,
        problems: &mut Vec<Problem>,
    ) -> Substitutions {
        let mut list = Vec::new();
        for (_, line, number) in text.lines() {
            let place = Place { file: Arc::clone(&text.name), line: number };
            if line.len() > MAX_LINE {
                let what = format!("a line of more than {MAX_LINE} bytes, which libselinux reads as several");
                problems.push(Problem { place, what, refused: false });
                continue;
            }
            let line = line.split(|b| *b == 0).next().unwrap_or_default();
            let mut fields = line.split(|b| is_space(*b)).filter(|f| !f.is_empty());
            let Some(source) = fields.next().filter(|s| !s.starts_with(b"#")) else { continue };
            let Some(target) = fields.next() else {
                let what = "expected two paths, found one; the line has no effect".to_owned();
                problems.push(Problem { place, what, refused: false });
                continue;
            };
            list.push(Substitution { source: source.into(), target: target.into(), place });
        }
        if precedence != Precedence::V3_8 {
            list.reverse();
        }
        let mut begin: Vec<[u8; 2]> = list.iter().filter_map(|sub| second_and_third(&sub.source)).collect();
        let any = begin.len() < list.len();
        begin.sort_unstable();
        begin.dedup();
        Substitutions { list, begin, any }
    }

    /// The path with the first fitting substitution made.
    fn apply(&self, path: &[u8]) -> Option<(Vec<u8>, &Substitution)> {
        let begins = || second_and_third(path).is_some_and(|two| self.begin.contains(&two));
        if !self.any && !begins() {
            return None;
        }
        self.list.iter().find_map(|sub| {
            let rest = path.strip_prefix(&*sub.source)?;
            let rest = match rest.first() {
                None => rest,
                // `/a /` makes `/a/b` into `/b`.
                Some(b'/') if *sub.target == *b"/" => rest.get(1..).unwrap_or_default(),
                Some(b'/') => rest,
                Some(_) => return None,
            };
            Some(([&*sub.target, rest].concat(), sub))
        })
    }
}

fn second_and_third(path: &[u8]) -> Option<[u8; 2]> {
    match path {
        [_, second, third, ..] => Some([*second, *third]),
        _ => None,
    }
}

/// Makes the path ready: `//` becomes `/`, a final `/` is dropped, then one substitution of `.subs`, then one of
/// `.subs_dist`. `used` is told of each substitution made.
pub(super) fn prepare<'p, 's>(
    path: &'p [u8],
    local: &'s Substitutions,
    dist: &'s Substitutions,
    mut used: impl FnMut(&'s Substitution),
) -> Cow<'p, [u8]> {
    let mut path = Cow::Borrowed(path);
    let mut last = 0;
    if path.iter().any(|byte| std::mem::replace(&mut last, *byte) == b'/' && *byte == b'/') {
        let mut clean = path.into_owned();
        clean.dedup_by(|b, a| *a == b'/' && *b == b'/');
        path = Cow::Owned(clean);
    }
    if path.len() > 1 && path.last() == Some(&b'/') {
        match &mut path {
            Cow::Borrowed(p) => *p = p.get(..p.len() - 1).unwrap_or_default(),
            Cow::Owned(p) => _ = p.pop(),
        }
    }
    for subs in [local, dist] {
        if let Some((other, sub)) = subs.apply(&path) {
            used(sub);
            path = Cow::Owned(other);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(path: &str, precedence: Precedence) -> String {
        let mut problems = Vec::new();
        let text = b"# c\n/data/www /opt/www\n/data /srv\n/top /\n/once /data\n";
        let local = Substitutions::read(&Text::new("subs", text), precedence, &mut problems);
        let dist = Text::new("dist", b" /srv  /usr/srv # x\n/lost\n");
        let dist = Substitutions::read(&dist, precedence, &mut problems);
        assert_eq!(problems.len(), 1);
        String::from_utf8(prepare(path.as_bytes(), &local, &dist, |_| ()).into_owned()).unwrap()
    }

    #[test]
    fn a_path_is_looked_up_as_another() {
        let new = Precedence::Since3_9;
        assert_eq!(prepared("//data///x//", new), "/usr/srv/x");
        assert_eq!(prepared("/data/www", new), "/usr/srv/www");
        assert_eq!(prepared("/data/www", Precedence::V3_8), "/opt/www");
        assert_eq!(prepared("/database", new), "/database");
        assert_eq!(prepared("/top/a", new), "/a");
        assert_eq!(prepared("/top", new), "/");
        assert_eq!(prepared("/once/a", new), "/data/a");
        assert_eq!(prepared("//", new), "/");
    }
}
