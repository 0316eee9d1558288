//! Files whose label is not what it should be, and files without a specification of their own.

use std::rc::Rc;

use super::{Judge, Question, boolean, made};
use crate::denials::Denial;
use crate::learn::files::Below;
use crate::learn::types;
use crate::learn::verdict::{Not, Remedy, Verdict};
use crate::report::codes::rule::{UNKNOWN_LABEL, WRONG_LABEL};
use crate::selinux::contexts::{Answer, FileKind, Spec};
use crate::selinux::policy::Context;

/// An object without a specification of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Where it lies; never empty.
    pub paths: Vec<Box<[u8]>>,
    /// The specification of the whole tree, as evidence.
    pub spec: String,
    /// The context that it gives.
    pub context: Context,
    /// What no rule allows on the shared type.
    pub vector: u32,
}

/// The kind of file that objects of a class are.
pub fn kind(class: &str) -> Option<FileKind> {
    Some(match class {
        "file" => FileKind::File,
        "dir" => FileKind::Directory,
        "lnk_file" => FileKind::Link,
        "chr_file" => FileKind::Character,
        "blk_file" => FileKind::Block,
        "sock_file" => FileKind::Socket,
        "fifo_file" => FileKind::Pipe,
        _ => return None,
    })
}

/// The whole paths of a denial's objects, where these are files.
pub(super) fn paths(denial: &Denial) -> Vec<&[u8]> {
    each_path(denial).collect()
}

fn each_path(denial: &Denial) -> impl Iterator<Item = &[u8]> {
    // A lone `/` is the root of whatever file system it is, wherever that is mounted.
    let is_path = |p: &&[u8]| {
        p.starts_with(b"/")
            && p.len() > 1
            && !p.ends_with(b" (deleted)")
            && !p.split(|b| *b == b'/').any(|c| c == b"..")
    };
    let plain = |p: &'_ [u8]| p.len() - usize::from(p.len() > 1 && p.ends_with(b"/"));
    let objects = kind(denial.key.class.as_str()).is_some().then(|| denial.evidence.objects.iter());
    objects.into_iter().flatten().filter(is_path).map(move |p| p.get(..plain(p)).unwrap_or(p))
}

/// Whether the objects were only to be made: they take their labels from their folders, not from the specifications.
fn is_made(denial: &Denial) -> bool {
    denial.key.permissions.iter().any(|p| p.as_str() == "create")
}

/// What a path should have.
pub(super) struct Expected<'g> {
    pub(super) spec: &'g Spec,
    pub(super) context: Rc<Context>,
}

pub(super) fn expected<'g>(judge: &mut Judge<'g>, path: &[u8], kind: FileKind) -> Option<Expected<'g>> {
    let labels = judge.ground.labels()?;
    let lookups = judge.lookups.get_or_insert_with(|| labels.contexts.lookups());
    let Answer::Context(spec) = lookups.lookup(path, Some(kind)) else { return None };
    let context = judge.spec_context(spec)?;
    Some(Expected { spec, context })
}

/// A label on disk that the policy does not know: only another label helps.
pub(super) fn unknown(judge: &mut Judge<'_>, denial: &Denial) -> Option<Verdict> {
    let label = String::from_utf8_lossy(denial.key.unknown_label.as_deref()?).into_owned();
    let kind = kind(denial.key.class.as_str());
    let paths: Vec<Box<[u8]>> = paths(denial).into_iter().map(Into::into).collect();
    let first = paths.first().zip(kind).and_then(|(path, kind)| expected(judge, path, kind));
    let (to, evidence) = match &first {
        Some(e) => (judge.ty(e.context.ty).to_owned(), vec![spec_text(e.spec)]),
        None => (String::new(), Vec::new()),
    };
    Some(Verdict {
        code: &UNKNOWN_LABEL,
        cause: format!("the label on disk is `{label}`, which the policy does not know"),
        evidence,
        remedy: match first {
            Some(_) => {
                Remedy::Relabel { paths, more: denial.evidence.objects.more(), to, force: true, below: None }
            }
            None => Remedy::ByHand {
                steps: vec![
                    "install the module that defines it; or give the file another label: restorecon -Fv"
                        .to_owned(),
                ],
            },
        },
        not: vec![Not {
            remedy: "a rule on unlabeled_t".to_owned(),
            why: "it would open every file whose label was lost".to_owned(),
        }],
    })
}

/// The paths have other types than the specifications give, and with those the access is allowed.
pub(super) fn wrong(judge: &mut Judge<'_>, denial: &Denial, q: &Question) -> Option<(Verdict, Rc<Context>)> {
    let kind = kind(denial.key.class.as_str())?;
    if is_made(denial) {
        return made::wrong(judge, denial, q, kind);
    }
    let mut first: Option<(&Spec, Rc<Context>, bool)> = None;
    for path in each_path(denial) {
        // A rule is needed all the same where one of the paths is as it should be.
        let e = expected(judge, path, kind)?;
        if e.context.ty == q.target.ty {
            return None;
        }
        // restorecon changes the type alone, unless it is forced.
        let (plain, whole) = judge.relabelled(q, &e.context);
        if !plain && !whole {
            return None;
        }
        first.get_or_insert((e.spec, e.context, !plain));
    }
    let (spec, context, level) = first?;
    let all: Vec<Box<[u8]>> = each_path(denial).map(Into::into).collect();
    let is = judge.ty(q.target.ty);
    let should = judge.ty(context.ty);
    let customized = judge.ground.labels().is_some_and(|l| l.customizable.contains(is));
    let force = customized || level;
    let after = if force { Rc::clone(&context) } else { judge.retyped(&q.target, &context) };
    let below = below(judge, &all, kind).map(Box::new);
    let more = denial.evidence.objects.more();
    let remedy = Remedy::Relabel { paths: all, more, to: should.to_owned(), force, below };
    if judge.is_brief() {
        return Some((Verdict::brief(&WRONG_LABEL, remedy), after));
    }
    let mut evidence = vec![spec_text(spec)];
    evidence.extend(judge.granting(q, context.ty, q.vector).map(|rule| format!("may: {rule}")));
    if customized {
        evidence.push(format!("{is} is a type that administrators choose: only restorecon -F changes it"));
    }
    let verdict = Verdict {
        code: &WRONG_LABEL,
        cause: format!("wrong label. The specifications give {should} here, and not {is}"),
        evidence,
        remedy,
        not: worse(judge, q, is),
    };
    Some((verdict, after))
}

/// What else is wrong where the first of the paths lies, if anything is.
pub(super) fn below(judge: &mut Judge<'_>, paths: &[Box<[u8]>], kind: FileKind) -> Option<Below> {
    let first = paths.first()?;
    let end = first.iter().rposition(|b| *b == b'/')?;
    let folder = if kind == FileKind::Directory { first } else { first.get(..end)? };
    let found = judge.wrong_below(folder).filter(|_| !folder.is_empty())?;
    let here = paths.iter().filter(|p| p.starts_with(folder)).count() as u64;
    (found.wrong > here).then_some(found)
}

/// Why neither a rule on the type that the object has nor a boolean is better.
pub(super) fn worse(judge: &mut Judge<'_>, q: &Question, is: &str) -> Vec<Not> {
    let missing = boolean::missing(judge, q);
    if missing == 0 || judge.is_brief() {
        return Vec::new();
    }
    let all = judge.objects(is).map_or_else(String::new, |n| format!(" ({n})"));
    let mut not = vec![Not {
        remedy: format!("a rule: {}", judge.rule_text(q, missing)),
        why: format!("it would open everything labelled {is}{all}"),
    }];
    for (set, opens) in judge.boolean_choices(q).iter().take(2) {
        not.push(Not {
            remedy: boolean::set_text(&judge.named(set)),
            why: format!(
                "it would open the same, and {}",
                boolean::opens_text(*opens).trim_start_matches("it opens ")
            ),
        });
    }
    not
}

/// For a denial by constraints: restoring the whole specified context, where that is enough.
pub(super) fn right_context(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
) -> Option<(Remedy, Rc<Context>)> {
    let kind = kind(denial.key.class.as_str())?;
    let all: Vec<Box<[u8]>> = paths(denial).into_iter().map(Into::into).collect();
    let mut to = None;
    for path in &all {
        let e = expected(judge, path, kind)?;
        let asked = Question { target: Rc::clone(&e.context), ..q.clone() };
        if e.context == q.target || judge.allowed(&asked) != (q.vector, true) {
            return None;
        }
        to.get_or_insert(e.context);
    }
    let after = to?;
    let to = judge.ty(after.ty).to_owned();
    Some((
        Remedy::Relabel { paths: all, more: denial.evidence.objects.more(), to, force: true, below: None },
        after,
    ))
}

/// The object has the type of a whole tree, as it should by the specifications, and the type is one that many
/// objects share: a specification of its own would open less than a rule.
pub(super) fn shared(judge: &mut Judge<'_>, denial: &Denial, q: &Question) -> Option<Shared> {
    let kind = kind(denial.key.class.as_str())?;
    let is = judge.ty(q.target.ty);
    if !types::GENERIC.contains(&is) || denial.evidence.objects.more() {
        return None;
    }
    let paths: Vec<Box<[u8]>> = paths(denial).into_iter().map(Into::into).collect();
    let mut first = None;
    for path in &paths {
        let e = expected(judge, path, kind)?;
        // Another label than the specified one is another matter.
        if e.context.ty != q.target.ty || !is_of_a_tree(&e.spec.pattern, path) || !can_be_named(path) {
            return None;
        }
        first.get_or_insert(e);
    }
    let Expected { spec, context } = first?;
    let vector = boolean::missing(judge, q);
    Some(Shared {
        spec: spec_text(spec),
        context: Context::clone(&context),
        paths,
        vector: if vector == 0 { q.vector } else { vector },
    })
}

/// Whether a folder has the type of a whole tree too, so that it can be given one of its own with all that is in it.
pub fn may_be_a_place(judge: &mut Judge<'_>, folder: &[u8]) -> bool {
    let deep = folder.iter().filter(|b| **b == b'/').count() >= 2;
    let found = expected(judge, folder, FileKind::Directory);
    deep && can_be_named(folder)
        && found.is_some_and(|e| {
            is_of_a_tree(&e.spec.pattern, folder) && types::GENERIC.contains(&judge.ty(e.context.ty))
        })
}

/// Whether a pattern is about everything below some folder, and the path lies below it: not the folder itself.
fn is_of_a_tree(pattern: &str, path: &[u8]) -> bool {
    let tree = ["/.*", "/.*)?", "/.+", ".*"].iter().any(|end| pattern.ends_with(end));
    let meta = |c: char| "\\.^$?*+|[](){}".contains(c);
    let literal = pattern.split(meta).next().unwrap_or_default().trim_end_matches('/');
    tree && path.len() > literal.len() + 1
}

/// Whether a specification can be written for a path: libselinux takes ASCII alone, and a line must stay one.
fn can_be_named(path: &[u8]) -> bool {
    path.iter().all(|b| b.is_ascii_graphic()) && path.len() < 512 && !path.ends_with(b"/")
}

pub(super) fn spec_text(spec: &Spec) -> String {
    format!("{}  {spec}", spec.place)
}
