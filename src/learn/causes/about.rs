//! What the policy says of one source, target and class: found out once, for all sets of permissions that were denied
//! there. What is asked of one such set is then a matter of bits.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::RandomState;
use rustc_hash::FxHashMap;

use crate::selinux::module::Name;
use crate::selinux::policy::{
    Attributes, Barriers, Between, ClassId, Context, OnTarget, Policy, TypeId, View,
};

/// What the policy says of one source, target and class.
#[derive(Debug)]
pub(in crate::learn) struct About {
    source: Rc<Context>,
    target: Rc<Context>,
    class: ClassId,
    /// Its rules, in force or not.
    pub(in crate::learn) between: Between,
    /// What rules in force allow.
    pub(in crate::learn) rules: u32,
    /// What else stands in the way.
    pub(in crate::learn) barriers: Barriers,
    /// For other contexts that the target may get: what is allowed if it gets the type alone, and all of it.
    relabelled: RefCell<Vec<(Rc<Context>, u32, u32)>>,
}

impl About {
    fn is(&self, source: &Rc<Context>, target: &Rc<Context>, class: ClassId) -> bool {
        self.class == class && Rc::ptr_eq(&self.source, source) && Rc::ptr_eq(&self.target, target)
    }

    /// What is allowed; by rules alone where users, roles and levels are not known.
    pub(in crate::learn) fn allowed(&self, types_only: bool) -> u32 {
        if types_only { self.rules } else { self.rules & !self.barriers.all() }
    }
}

/// By where the contexts lie in memory, in which those that are equal mostly are one ([`Abouts::one`]): what was found out
/// keeps them there.
type Key = (usize, usize, ClassId);

/// What was found out.
#[derive(Debug, Default)]
pub(super) struct Abouts {
    all: RefCell<FxHashMap<Key, Rc<About>>>,
    /// The last one: denials come in order of what they are about.
    last: RefCell<Option<Rc<About>>>,
    /// The source of the last one that was found out about.
    source: RefCell<Option<(TypeId, Attributes)>>,
    targets: RefCell<FxHashMap<(TypeId, ClassId), OnTarget>>,
    /// Contexts, each once. They are partly the log's choice: hashed with a key of this process.
    contexts: RefCell<HashSet<Rc<Context>, RandomState>>,
    /// A context with the type of another, by where these lie in memory; both are kept.
    retyped: RefCell<Retyped>,
}

/// A context, another, and the first with the type of the second.
type Retyped = FxHashMap<(usize, usize), [Rc<Context>; 3]>;

fn place(context: &Rc<Context>) -> usize {
    Rc::as_ptr(context).addr()
}

/// Most that are remembered.
const REMEMBERED: usize = 1 << 13;

/// Most targets whose rules are kept at hand.
const TARGETS: usize = 1 << 10;

impl Abouts {
    /// This context, where it is known the one in memory.
    pub(super) fn one(&self, context: Context) -> Rc<Context> {
        let mut all = self.contexts.borrow_mut();
        if let Some(known) = all.get(&context) {
            return Rc::clone(known);
        }
        if all.len() >= REMEMBERED {
            all.clear();
        }
        let one = Rc::new(context);
        all.insert(Rc::clone(&one));
        one
    }

    /// A context with the type of another.
    pub(super) fn retyped(&self, context: &Rc<Context>, to: &Rc<Context>) -> Rc<Context> {
        let key = (place(context), place(to));
        if let Some([.., retyped]) = self.retyped.borrow().get(&key) {
            return Rc::clone(retyped);
        }
        let retyped = self.one(Context { ty: to.ty, ..Context::clone(context) });
        let mut all = self.retyped.borrow_mut();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key, [Rc::clone(context), Rc::clone(to), Rc::clone(&retyped)]);
        retyped
    }

    /// What the policy says of these.
    pub(super) fn of(
        &self,
        view: &View<'_>,
        source: &Rc<Context>,
        target: &Rc<Context>,
        class: ClassId,
    ) -> Rc<About> {
        if let Some(last) = self.last.borrow().as_ref().filter(|last| last.is(source, target, class)) {
            return Rc::clone(last);
        }
        let found = self.find(view, source, target, class);
        self.last.replace(Some(Rc::clone(&found)));
        found
    }

    fn find(&self, view: &View<'_>, source: &Rc<Context>, target: &Rc<Context>, class: ClassId) -> Rc<About> {
        let key = (place(source), place(target), class);
        if let Some(known) = self.all.borrow().get(&key) {
            return Rc::clone(known);
        }
        let between = self.between(view.policy(), source.ty, target.ty, class);
        let about = Rc::new(About {
            source: Rc::clone(source),
            target: Rc::clone(target),
            class,
            rules: view.in_force(&between),
            between,
            barriers: view.barriers(source, target, class),
            relabelled: RefCell::default(),
        });
        let mut all = self.all.borrow_mut();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key, Rc::clone(&about));
        about
    }

    fn between(&self, policy: &Policy, source: TypeId, target: TypeId, class: ClassId) -> Between {
        let mut last = self.source.borrow_mut();
        if last.as_ref().is_none_or(|(ty, _)| *ty != source) {
            *last = Some((source, policy.all_attributes(source)));
        }
        let Some((_, attributes)) = &*last else { return policy.between(source, target, class) };
        let mut targets = self.targets.borrow_mut();
        if let Some(on) = targets.get(&(target, class)) {
            return on.by(attributes);
        }
        let on = policy.on_target(target, class);
        let between = on.by(attributes);
        if targets.len() < TARGETS {
            targets.insert((target, class), on);
        }
        between
    }

    /// What is allowed if the target gets the type of this context, and if it gets all of it.
    pub(super) fn relabelled(
        &self,
        view: &View<'_>,
        about: &About,
        to: &Rc<Context>,
        types_only: bool,
    ) -> (u32, u32) {
        let known = |(context, ..): &&(Rc<Context>, u32, u32)| Rc::ptr_eq(context, to);
        if let Some((_, plain, whole)) = about.relabelled.borrow().iter().find(known).filter(|_| !types_only)
        {
            return (*plain, *whole);
        }
        let plain = self.retyped(&about.target, to);
        let ask = |target| self.find(view, &about.source, target, about.class).allowed(types_only);
        let answer = (ask(&plain), ask(to));
        if !types_only {
            let mut all = about.relabelled.borrow_mut();
            // One, mostly.
            all.reserve_exact(1);
            all.push((Rc::clone(to), answer.0, answer.1));
        }
        answer
    }
}

/// The bits of permissions that the log names, by class.
#[derive(Debug, Default)]
pub(super) struct Bits {
    single: RefCell<FxHashMap<ClassId, OfClass>>,
    /// Of the permissions of a denial together, by where they lie in memory, which keeps them there.
    together: RefCell<Together>,
}

type OfClass = Vec<(Name, Option<u32>)>;

type Together = FxHashMap<(ClassId, usize), (Arc<[Name]>, u32)>;

impl Bits {
    /// The permission's bit. Names of a log share their memory, so that comparing them is cheap; a class has 32 at most.
    pub(super) fn of(&self, policy: &Policy, class: ClassId, name: &Name) -> Option<u32> {
        let mut all = self.single.borrow_mut();
        let of_class = all.entry(class).or_default();
        if let Some((_, bit)) = of_class.iter().find(|(known, _)| known == name) {
            return *bit;
        }
        let bit = policy.permission(class, name.as_str());
        of_class.push((name.clone(), bit));
        bit
    }

    /// The bits of those permissions that the policy has.
    pub(super) fn vector(&self, policy: &Policy, class: ClassId, names: &Arc<[Name]>) -> u32 {
        let key = (class, names.as_ptr().addr());
        if let Some((_, vector)) = self.together.borrow().get(&key) {
            return *vector;
        }
        let bits = names.iter().filter_map(|name| self.of(policy, class, name));
        let vector = bits.fold(0, |all, bit| all | bit);
        let mut together = self.together.borrow_mut();
        if together.len() >= REMEMBERED {
            together.clear();
        }
        together.insert(key, (Arc::clone(names), vector));
        vector
    }
}
