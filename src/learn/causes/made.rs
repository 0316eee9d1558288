//! Files and folders that were to be made: a new object takes its type from its folder (and the policy's type transitions),
//! whatever the specifications say of its path. So the folder's label may be wrong; or the object has to be there, with
//! its label, before the program asks.

use std::rc::Rc;

use super::label::{Expected, below, expected, paths, spec_text, worse};
use super::{Judge, Question};
use crate::denials::Denial;
use crate::learn::advice::shell_word;
use crate::learn::verdict::{Remedy, Verdict};
use crate::report::codes::rule::WRONG_LABEL;
use crate::selinux::contexts::FileKind;
use crate::selinux::policy::{Context, New};

/// How many paths are named.
const NAMED: usize = 3;

/// Where an object was to be made.
struct Place<'g> {
    path: Vec<u8>,
    folder: Vec<u8>,
    /// What the folder should have.
    there: Expected<'g>,
}

/// The folders have other types than the specifications give, with which it would be allowed; else the specifications
/// give the objects another type than they would get, with which it would be.
pub(super) fn wrong(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
    kind: FileKind,
) -> Option<(Verdict, Rc<Context>)> {
    let mut places = Vec::new();
    for path in paths(denial) {
        let end = path.iter().rposition(|b| *b == b'/')?;
        let folder = path.get(..end.max(1))?.to_vec();
        let there = expected(judge, &folder, FileKind::Directory)?;
        places.push(Place { path: path.to_vec(), folder, there });
    }
    folders(judge, denial, q, &places).or_else(|| objects(judge, denial, q, kind, &places))
}

/// What the source makes in a folder of this context.
fn new(judge: &Judge<'_>, q: &Question, folder: &Context, path: &[u8]) -> Context {
    let name = path.rsplit(|b| *b == b'/').next();
    let context = judge.view().new_context(New::Created, &q.source, folder, q.class, name);
    // Users, roles and levels that were not judged by are left out here too.
    Context { ty: context.ty, ..Context::clone(&q.target) }
}

fn passes(judge: &Judge<'_>, q: &Question, target: Context) -> bool {
    judge.allowed(&Question { target: judge.one(target), ..q.clone() }) == (q.vector, true)
}

/// All folders are to be restored.
fn folders(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
    places: &[Place<'_>],
) -> Option<(Verdict, Rc<Context>)> {
    let first = places.first()?;
    let after = new(judge, q, &first.there.context, &first.path);
    let helps = |p: &Place<'_>| {
        let after = new(judge, q, &p.there.context, &p.path);
        after.ty != q.target.ty && passes(judge, q, after)
    };
    if !places.iter().all(helps) {
        return None;
    }
    let (is, gets) = (judge.ty(q.target.ty), judge.ty(after.ty));
    let to = judge.ty(first.there.context.ty).to_owned();
    let mut paths: Vec<Box<[u8]>> = places.iter().map(|p| p.folder.clone().into()).collect();
    paths.dedup();
    let below = below(judge, &paths, FileKind::Directory).map(Box::new);
    let evidence = judge.told(|| {
        let mut evidence =
            vec![spec_text(first.there.spec), format!("what is made in a folder of {to} gets {gets}")];
        evidence.extend(judge.granting(q, after.ty, q.vector).map(|rule| format!("may: {rule}")));
        evidence
    });
    let verdict = Verdict {
        code: &WRONG_LABEL,
        cause: judge.told(|| {
            format!(
                "wrong label of the folder. The specifications give {to} there, and then this would not be {is}"
            )
        }),
        evidence,
        remedy: Remedy::Relabel { paths, more: denial.evidence.objects.more(), to, force: false, below },
        not: worse(judge, q, is),
    };
    Some((verdict, after.into()))
}

/// All objects are to be there, with their labels, before they are asked for.
fn objects(
    judge: &mut Judge<'_>,
    denial: &Denial,
    q: &Question,
    kind: FileKind,
    places: &[Place<'_>],
) -> Option<(Verdict, Rc<Context>)> {
    if denial.evidence.objects.more() {
        return None;
    }
    let mut first: Option<(String, Context)> = None;
    for place in places {
        let e = expected(judge, &place.path, kind)?;
        let after = Context { ty: e.context.ty, ..Context::clone(&q.target) };
        // The folder is as it should be: then new objects get the type that was denied.
        let as_is = new(judge, q, &place.there.context, &place.path).ty == q.target.ty;
        if !as_is || e.context.ty == q.target.ty || !passes(judge, q, after.clone()) {
            return None;
        }
        first.get_or_insert((spec_text(e.spec), after));
    }
    let (spec, after) = first?;
    let (is, to) = (judge.ty(q.target.ty), judge.ty(after.ty));
    let mut steps: Vec<String> = Vec::new();
    for place in places.iter().take(NAMED) {
        let word = shell_word(&place.path).unwrap_or_else(|| "PATH".to_owned());
        steps.push(match kind {
            FileKind::File | FileKind::Directory => {
                format!(
                    "make it before the program does, with its owner and mode, then: restorecon -v {word}"
                )
            }
            _ => format!("let the program make it in a folder whose new objects get {to}"),
        });
    }
    steps.push(format!(
        "a type transition in a module, with the name in quotes: type_transition {} {}:{} {to} \"NAME\";",
        judge.ty(q.source.ty),
        places.first().map_or(is, |p| judge.ty(p.there.context.ty)),
        denial.key.class,
    ));
    let verdict = Verdict {
        code: &WRONG_LABEL,
        cause: format!(
            "what is made there gets {is} from its folder, and not {to}, which the specifications give"
        ),
        evidence: vec![spec],
        remedy: Remedy::ByHand { steps },
        not: worse(judge, q, is),
    };
    Some((verdict, after.into()))
}
