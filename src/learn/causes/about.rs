//! What the policy says of one source, target and class: found out once, for all sets of permissions that were denied
//! there. What is asked of one such set is then a matter of bits.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

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

type Key = (Rc<Context>, Rc<Context>, ClassId);

/// What was found out. Contexts are partly the log's choice: hashed with a key of this process.
#[derive(Debug, Default)]
pub(super) struct Abouts {
    all: RefCell<HashMap<Key, Rc<About>, RandomState>>,
    /// The last one: denials come in order of what they are about.
    last: RefCell<Option<Rc<About>>>,
    /// The source of the last one that was found out about.
    source: RefCell<Option<(TypeId, Attributes)>>,
    targets: RefCell<FxHashMap<(TypeId, ClassId), OnTarget>>,
}

/// Most that are remembered.
const REMEMBERED: usize = 1 << 13;

/// Most targets whose rules are kept at hand.
const TARGETS: usize = 1 << 10;

impl Abouts {
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
        let key = (Rc::clone(source), Rc::clone(target), class);
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
        let plain = Rc::new(Context { ty: to.ty, ..Context::clone(&about.target) });
        let ask = |target| self.find(view, &about.source, target, about.class).allowed(types_only);
        let answer = (ask(&plain), ask(to));
        if !types_only {
            about.relabelled.borrow_mut().push((Rc::clone(to), answer.0, answer.1));
        }
        answer
    }
}

/// The bits of permissions that the log names, by class.
#[derive(Debug, Default)]
pub(super) struct Bits(RefCell<FxHashMap<ClassId, OfClass>>);

type OfClass = Vec<(Name, Option<u32>)>;

impl Bits {
    /// The permission's bit. Names of a log share their memory, so that comparing them is cheap; a class has 32 at most.
    pub(super) fn of(&self, policy: &Policy, class: ClassId, name: &Name) -> Option<u32> {
        let mut all = self.0.borrow_mut();
        let of_class = all.entry(class).or_default();
        if let Some((_, bit)) = of_class.iter().find(|(known, _)| known == name) {
            return *bit;
        }
        let bit = policy.permission(class, name.as_str());
        of_class.push((name.clone(), bit));
        bit
    }
}
