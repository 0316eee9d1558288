//! Whoever judges denials: the order of the causes, and what is remembered from one denial to the next.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::RandomState;
use rustc_hash::FxHashMap;

use super::about::{About, Abouts, Bits};
use super::boolean::Ranked;
use super::{allowed, blocked, boolean, label, names, noise, ownership, port, rule};
use crate::denials::{Denial, DenialKey};
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
    pub source: Rc<Context>,
    /// On what.
    pub target: Rc<Context>,
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
    Context(Rc<Context>),
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

/// A denial's key in the policy's numbers, for those that follow and differ in their permissions alone.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) key: DenialKey,
    pub(super) source: Rc<Context>,
    pub(super) target: Rc<Context>,
    pub(super) class: ClassId,
    pub(super) types_only: bool,
}

/// An access as rules see it, and permissions.
type Access = (TypeId, TypeId, ClassId, u32);

/// Whoever judges denials, with what is remembered from one to the next.
#[derive(Debug)]
pub struct Judge<'g> {
    pub(super) ground: &'g Ground,
    pub(super) view: View<'g>,
    pub(super) lookups: Option<SectionLookups<'g>>,
    /// Only remedies are wanted.
    brief: bool,
    abouts: Abouts,
    bits: Bits,
    pub(super) last: Option<Numbers>,
    ranked: FxHashMap<Access, Rc<[Ranked]>>,
    /// Verdicts that are nothing but a rule, by class and permissions: where no texts are wanted, one for all.
    pub(super) rules: FxHashMap<(ClassId, u32), Rc<Verdict>>,
    opens: FxHashMap<Vec<(BooleanId, bool)>, usize>,
    sources: FxHashMap<(TypeId, ClassId, u32), Rc<Bitmap>>,
    /// What specifications give, by where they lie in memory.
    specified: FxHashMap<usize, Option<Rc<Context>>>,
    below: FxHashMap<Box<[u8]>, Option<Below>>,
    /// The log's contexts in the policy's numbers.
    contexts: HashMap<Arc<crate::denials::Context>, Option<Rc<Context>>, RandomState>,
    /// The same by where they lie in memory, which keeps them there.
    places: FxHashMap<usize, (Arc<crate::denials::Context>, Option<Rc<Context>>)>,
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
            brief: false,
            abouts: Abouts::default(),
            bits: Bits::default(),
            last: None,
            ranked: FxHashMap::default(),
            rules: FxHashMap::default(),
            opens: FxHashMap::default(),
            sources: FxHashMap::default(),
            specified: FxHashMap::default(),
            below: FxHashMap::default(),
            contexts: HashMap::default(),
            places: FxHashMap::default(),
        }
    }

    /// Somebody who finds remedies: of causes and evidence only what is told of denials that need somebody's hand.
    pub fn brief(ground: &'g Ground) -> Self {
        Judge { brief: true, ..Judge::new(ground) }
    }

    /// Whether only remedies are wanted.
    pub(in crate::learn) fn is_brief(&self) -> bool {
        self.brief
    }

    /// A text, or texts, that only those read who want to know why.
    pub(in crate::learn) fn told<T: Default>(&self, make: impl FnOnce() -> T) -> T {
        if self.brief { T::default() } else { make() }
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
                if let Some(question) = judged.question.as_ref().filter(|_| !self.brief) {
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
        let mut shared = None;
        let (verdict, after) = if let Some(verdict) = allowed::judge(self, denial, q) {
            (verdict.into(), None)
        } else if let Some((verdict, after)) = blocked::judge(self, denial, q) {
            (verdict.into(), after)
        } else if let Some((verdict, after)) = label::wrong(self, denial, q) {
            (verdict.into(), Some(after))
        } else {
            shared = label::shared(self, denial, q).map(Box::new);
            match port::judge(self, denial, q) {
                Some((verdict, after)) => (verdict.into(), after),
                None => {
                    let switched = boolean::judge(self, q).map(Rc::new);
                    (switched.unwrap_or_else(|| self.beyond_booleans(denial, q)), None)
                }
            }
        };
        Judged { verdict, after: after.map_or(After::Same, After::Context), question: Some(question), shared }
    }

    /// The causes that are asked after booleans.
    pub(super) fn beyond_booleans(&mut self, denial: &Denial, q: &Question) -> Rc<Verdict> {
        let other = ownership::judge(self, denial, q).or_else(|| noise::judge(self, denial, q));
        other.map_or_else(|| rule::judge(self, denial, q), Rc::new)
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
    pub(super) fn context(&mut self, context: &Arc<crate::denials::Context>) -> Option<Rc<Context>> {
        let place = Arc::as_ptr(context).addr();
        if let Some((_, known)) = self.places.get(&place) {
            return known.clone();
        }
        let known = self.contexts.get(context).cloned();
        let parsed = known.unwrap_or_else(|| {
            let parsed = self.ground.policy.parse_context_unchecked(&context.to_string());
            parsed.ok().map(|parsed| self.abouts.one(parsed))
        });
        if self.places.len() >= CONTEXTS {
            self.contexts.clear();
            self.places.clear();
        }
        self.contexts.insert(Arc::clone(context), parsed.clone());
        self.places.insert(place, (Arc::clone(context), parsed.clone()));
        parsed
    }

    /// This context, where it is known the one in memory.
    pub(super) fn one(&self, context: Context) -> Rc<Context> {
        self.abouts.one(context)
    }

    /// A context with the type of another.
    pub(super) fn retyped(&self, context: &Rc<Context>, to: &Rc<Context>) -> Rc<Context> {
        self.abouts.retyped(context, to)
    }

    /// What the policy says of a question's source, target and class.
    pub(in crate::learn) fn about(&self, q: &Question) -> Rc<About> {
        self.about_target(q, &q.target)
    }

    /// What it says where the target has this context.
    pub(in crate::learn) fn about_target(&self, q: &Question, target: &Rc<Context>) -> Rc<About> {
        self.abouts.of(&self.view, &q.source, target, q.class)
    }

    /// What of a question the policy allows: permissions, and whether every command passes.
    pub fn allowed(&self, q: &Question) -> (u32, bool) {
        (q.vector & self.about(q).allowed(q.types_only), commands_pass(&self.view, q))
    }

    /// Whether a question would be allowed on a target that gets the type of this context, and on one that gets all of it.
    pub(super) fn relabelled(&self, q: &Question, to: &Rc<Context>) -> (bool, bool) {
        let about = self.about(q);
        let (plain, whole) = self.abouts.relabelled(&self.view, &about, to, q.types_only);
        let passes = |allowed: u32, target: &dyn Fn() -> Context| {
            let commands = || {
                q.commands.is_empty()
                    || commands_pass(&self.view, &Question { target: target().into(), ..q.clone() })
            };
            q.vector & allowed == q.vector && commands()
        };
        let of_type = || Context { ty: to.ty, ..Context::clone(&q.target) };
        (passes(plain, &of_type), passes(whole, &|| Context::clone(to)))
    }

    /// The bits of a denial's permissions, those that the policy has.
    pub(super) fn vector(&self, class: ClassId, names: &Arc<[Name]>) -> u32 {
        self.bits.vector(&self.ground.policy, class, names)
    }

    /// The bit of a permission.
    pub(in crate::learn) fn bit(&self, class: ClassId, name: &Name) -> Option<u32> {
        self.bits.of(&self.ground.policy, class, name)
    }

    /// The context that a specification of the ground gives, if the policy has it.
    pub(super) fn spec_context(&mut self, spec: &'g Spec) -> Option<Rc<Context>> {
        let policy = &self.ground.policy;
        let abouts = &self.abouts;
        let parse = || policy.parse_context(spec.context.as_deref()?).ok().map(|c| abouts.one(c));
        self.specified.entry(std::ptr::from_ref(spec).addr()).or_insert_with(parse).clone()
    }

    /// The sets of booleans that would let rules allow all of a question: few booleans first, then those that open least;
    /// what turns a boolean off comes last, for it is on to protect something.
    pub(in crate::learn) fn boolean_choices(&mut self, q: &Question) -> Rc<[Ranked]> {
        let about = self.about(q);
        let missing = q.vector & !about.rules;
        if missing == 0 || about.between.is_unconditional() {
            return Rc::default();
        }
        let key = (q.source.ty, q.target.ty, q.class, missing);
        if let Some(known) = self.ranked.get(&key) {
            return Rc::clone(known);
        }
        let own = missing.count_ones() as usize;
        let sets = self.view.boolean_sets(&about.between, missing).into_iter();
        let mut ranked: Vec<Ranked> = sets
            .map(|set| {
                let opens = self.opens(&set).saturating_sub(own);
                (set, opens)
            })
            .collect();
        ranked.sort_by_key(|(set, opens)| (set.iter().any(|(_, on)| !on), set.len(), *opens));
        let ranked: Rc<[Ranked]> = ranked.into();
        self.ranked.insert(key, Rc::clone(&ranked));
        ranked
    }

    /// A set of booleans by name.
    pub(in crate::learn) fn named(&self, set: &[(BooleanId, bool)]) -> Vec<(String, bool)> {
        let booleans = self.ground.policy.booleans();
        set.iter().map(|(b, on)| (booleans.name(*b).to_owned(), *on)).collect()
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
        let all = denial.key.permissions.iter();
        if vector == q.vector && vector.count_ones() as usize == all.len() {
            return all.cloned().collect();
        }
        let bit = |p: &&Name| self.bit(q.class, p).is_some_and(|b| b & vector != 0);
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
        let n = self.ground.labels()?.giving(ty)?;
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
    (q.vector & allowed, commands_pass(view, q))
}

/// Whether every command of a question passes. Whether the permission itself is there is said by the permissions.
pub(in crate::learn) fn commands_pass(view: &View<'_>, q: &Question) -> bool {
    q.commands.iter().all(|c| {
        let access = view.extended_access(&q.source, &q.target, q.class, *c);
        !access.permission || access.allowed
    })
}
