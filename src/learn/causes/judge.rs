//! Whoever judges denials: the order of the causes, and what is remembered from one denial to the next.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::{allowed, blocked, boolean, label, names, noise, ownership, port, rule};
use crate::denials::Denial;
use crate::learn::files::Below;
use crate::learn::ground::Ground;
use crate::learn::verdict::Verdict;
use crate::selinux::contexts::{SectionLookups, Spec};
use crate::selinux::module::Name;
use crate::selinux::policy::{Bitmap, BooleanId, ClassId, Command, Context, TypeId, View};

/// A denial in the policy's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who acted.
    pub source: Context,
    /// On what.
    pub target: Context,
    /// Of which class.
    pub class: ClassId,
    /// The permissions that the policy knows.
    pub vector: u32,
    /// Commands of ioctl and netlink messages.
    pub commands: Vec<Command>,
    /// Users, roles or levels are not those of the policy: only types and classes count.
    pub types_only: bool,
}

/// What an object is once its remedy is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// As it was.
    Same,
    /// It has this context.
    Context(Box<Context>),
    /// The objects have these types, each of which the module makes or the policy has.
    Types(Vec<Name>),
}

/// What was made of a denial.
#[derive(Debug)]
pub struct Judged {
    /// Cause and remedy.
    pub verdict: Rc<Verdict>,
    /// The denial in the policy's numbers; `None` where the policy lacks a name.
    pub question: Option<Question>,
    /// What the object is once the remedy is applied.
    pub after: After,
    /// The object has the type of a whole tree: where it lies, for a specification of its own.
    pub shared: Option<Box<label::Shared>>,
}

/// Sets of booleans with their new states.
type BooleanSets = Rc<[Vec<(BooleanId, bool)>]>;

/// Whoever judges denials, with what is remembered from one to the next.
#[derive(Debug)]
pub struct Judge<'g> {
    pub(super) ground: &'g Ground,
    pub(super) view: View<'g>,
    pub(super) lookups: Option<SectionLookups<'g>>,
    sets: FxHashMap<(TypeId, TypeId, ClassId, u32), BooleanSets>,
    opens: FxHashMap<Vec<(BooleanId, bool)>, usize>,
    sources: FxHashMap<(TypeId, ClassId, u32), Rc<Bitmap>>,
    /// What specifications give, by where they lie in memory.
    specified: FxHashMap<usize, Option<Context>>,
    below: FxHashMap<Box<[u8]>, Option<Below>>,
    /// The log's contexts in the policy's numbers.
    contexts: FxHashMap<crate::denials::Context, Option<Context>>,
}

/// So many contexts of the log are remembered.
const CONTEXTS: usize = 1 << 12;

/// In how many folders files with wrong labels are counted.
const FOLDERS: usize = 16;

impl<'g> Judge<'g> {
    /// Somebody to ask.
    pub fn new(ground: &'g Ground) -> Self {
        let mut view = ground.policy.view();
        for (name, state) in &ground.booleans {
            if let Some(boolean) = ground.policy.booleans().id(name) {
                view.set_boolean(boolean, *state);
            }
        }
        view.remember();
        Judge {
            ground,
            view,
            lookups: None,
            sets: FxHashMap::default(),
            opens: FxHashMap::default(),
            sources: FxHashMap::default(),
            specified: FxHashMap::default(),
            below: FxHashMap::default(),
            contexts: FxHashMap::default(),
        }
    }

    /// What it stands on.
    pub fn ground(&self) -> &'g Ground {
        self.ground
    }

    /// The policy as it is.
    pub fn view(&self) -> &View<'g> {
        &self.view
    }

    /// Finds the cause of a denial.
    pub fn judge(&mut self, denial: &Denial) -> Judged {
        if let Some(verdict) = label::unknown(self, denial) {
            return Judged { verdict: Rc::new(verdict), question: None, after: After::Same, shared: None };
        }
        match names::question(self, denial) {
            Ok(question) => {
                let mut judged = self.cause(denial, question);
                if let Some(question) = &judged.question {
                    let verdict = Rc::make_mut(&mut judged.verdict);
                    names::remarks(self, denial, question, &mut verdict.evidence);
                    // There is one for each denial.
                    verdict.evidence.shrink_to_fit();
                    verdict.not.shrink_to_fit();
                }
                judged
            }
            Err(verdict) => {
                Judged { verdict: (*verdict).into(), question: None, after: After::Same, shared: None }
            }
        }
    }

    fn cause(&mut self, denial: &Denial, question: Question) -> Judged {
        let q = &question;
        let context = |after: Option<Context>| after.map_or(After::Same, |c| After::Context(c.into()));
        let mut shared = None;
        let (verdict, after) = if let Some(verdict) = allowed::judge(self, denial, q) {
            (verdict, After::Same)
        } else if let Some((verdict, after)) = blocked::judge(self, denial, q) {
            (verdict, context(after))
        } else if let Some((verdict, after)) = label::wrong(self, denial, q) {
            (verdict, After::Context(after.into()))
        } else {
            shared = label::shared(self, denial, q).map(Box::new);
            match port::judge(self, denial, q) {
                Some((verdict, after)) => (verdict, context(after)),
                None => {
                    let verdict = boolean::judge(self, q).unwrap_or_else(|| self.beyond_booleans(denial, q));
                    (verdict, After::Same)
                }
            }
        };
        Judged { verdict: verdict.into(), question: Some(question), after, shared }
    }

    /// The causes that are asked after booleans.
    pub(super) fn beyond_booleans(&mut self, denial: &Denial, q: &Question) -> Verdict {
        ownership::judge(self, denial, q)
            .or_else(|| noise::judge(self, denial, q))
            .unwrap_or_else(|| rule::judge(self, denial, q))
    }

    /// The files below a folder whose labels are wrong on this host, where they may be looked at: not in more than
    /// [`FOLDERS`] folders, and in none after one where the time ran out.
    pub(super) fn wrong_below(&mut self, folder: &[u8]) -> Option<Below> {
        let tree = self.ground.tree.as_ref()?;
        if let Some(known) = self.below.get(folder) {
            return known.clone();
        }
        let enough = self.below.len() >= FOLDERS || self.below.values().flatten().any(|b| !b.whole);
        let found = self.ground.labels().filter(|_| !enough).and_then(|l| tree.wrong_below(l, folder));
        self.below.insert(folder.into(), found.clone());
        found
    }

    /// A context of the log in the policy's numbers.
    pub(super) fn context(&mut self, context: &crate::denials::Context) -> Option<Context> {
        if let Some(known) = self.contexts.get(context) {
            return known.clone();
        }
        let parsed = self.ground.policy.parse_context_unchecked(&context.to_string()).ok();
        if self.contexts.len() >= CONTEXTS {
            self.contexts.clear();
        }
        self.contexts.insert(context.clone(), parsed.clone());
        parsed
    }

    /// What of a question the policy allows: permissions, and whether every command passes.
    pub fn allowed(&self, q: &Question) -> (u32, bool) {
        answer(&self.view, q)
    }

    /// The context that a specification of the ground gives, if the policy has it.
    pub(super) fn spec_context(&mut self, spec: &'g Spec) -> Option<Context> {
        let policy = &self.ground.policy;
        let parse = || policy.parse_context(spec.context.as_deref()?).ok();
        self.specified.entry(std::ptr::from_ref(spec).addr()).or_insert_with(parse).clone()
    }

    /// The sets of booleans that would let rules allow all of `vector`.
    pub(super) fn boolean_sets(&mut self, q: &Question, vector: u32) -> BooleanSets {
        let key = (q.source.ty, q.target.ty, q.class, vector);
        let view = &self.view;
        let find = || view.boolean_sets(key.0, key.1, key.2, key.3).into();
        Rc::clone(self.sets.entry(key).or_insert_with(find))
    }

    /// The sets of booleans that would let rules allow a question, the best first, each with how many other accesses
    /// it opens.
    pub fn boolean_choices(&mut self, q: &Question) -> Vec<(Vec<(String, bool)>, usize)> {
        let missing = boolean::missing(self, q);
        let booleans = self.ground.policy.booleans();
        let sets = boolean::ranked(self, q, missing).into_iter();
        let names = |set: Vec<(BooleanId, bool)>| {
            set.into_iter().map(|(b, on)| (booleans.name(b).to_owned(), on)).collect()
        };
        sets.map(|(set, opens)| (names(set), opens)).collect()
    }

    /// How many accesses a set of booleans opens.
    pub(super) fn opens(&mut self, set: &[(BooleanId, bool)]) -> usize {
        if let Some(known) = self.opens.get(set) {
            return *known;
        }
        let opens = self.view.opened_by_changes(set);
        self.opens.insert(set.to_vec(), opens);
        opens
    }

    /// The types that may do any of `vector` to a type.
    pub(in crate::learn) fn sources(&mut self, target: TypeId, class: ClassId, vector: u32) -> Rc<Bitmap> {
        let view = &self.view;
        let find = || Rc::new(view.sources_allowed(target, class, vector));
        Rc::clone(self.sources.entry((target, class, vector)).or_insert_with(find))
    }

    /// The name of a type.
    pub(in crate::learn) fn ty(&self, ty: TypeId) -> &'g str {
        self.ground.policy.types().name(ty)
    }

    /// `allow SOURCE TARGET:CLASS PERMISSIONS`
    pub(super) fn rule_text(&self, q: &Question, vector: u32) -> String {
        let policy = &self.ground.policy;
        let target = if q.source.ty == q.target.ty { "self" } else { self.ty(q.target.ty) };
        let class = policy.classes().name(q.class);
        format!("allow {} {target}:{class} {}", self.ty(q.source.ty), policy.vector_text(q.class, vector))
    }

    /// The rule that grants most of `vector`, as evidence.
    pub(in crate::learn) fn granting(&self, q: &Question, target: TypeId, vector: u32) -> Option<String> {
        let found = self.view.granting(q.source.ty, target, q.class, vector);
        found.first().map(|rule| self.ground.policy.granting_text(q.class, rule))
    }

    /// Those of a denial's permissions that are in `vector`, sorted.
    pub(super) fn permissions(&self, denial: &Denial, q: &Question, vector: u32) -> Box<[Name]> {
        let policy = &self.ground.policy;
        let all = denial.key.permissions.iter();
        if vector == q.vector && vector.count_ones() as usize == all.len() {
            return all.cloned().collect();
        }
        let bit = |p: &&Name| policy.permission(q.class, p.as_str()).is_some_and(|b| b & vector != 0);
        all.filter(bit).cloned().collect()
    }

    /// How many objects have a type: files that were counted, else specifications.
    pub(in crate::learn) fn objects(&self, ty: &str) -> Option<String> {
        if let Some(files) = self.ground.files() {
            let n = files.by_type.get(ty).copied().unwrap_or(0);
            let least = if files.whole { "" } else { "at least " };
            return Some(format!("{least}{}", crate::learn::text::count(n, "file", "files")));
        }
        // Types of homes and of what programs make have none, and are on many files all the same.
        let n = self.ground.labels()?.by_type.get(ty).copied()?;
        Some(crate::learn::text::count(n, "specification", "specifications"))
    }
}

/// What of a question a policy allows: permissions, and whether every command passes.
pub fn answer(view: &View<'_>, q: &Question) -> (u32, bool) {
    let allowed = if q.types_only {
        view.allowed_by_rules(q.source.ty, q.target.ty, q.class)
    } else {
        view.access(&q.source, &q.target, q.class).allowed
    };
    let commands = q.commands.iter().all(|c| {
        let access = view.extended_access(&q.source, &q.target, q.class, *c);
        // Whether the permission itself is there is said by the permissions.
        !access.permission || access.allowed
    });
    (q.vector & allowed, commands)
}
