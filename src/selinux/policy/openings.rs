//! How many accesses a change of booleans opens: those that rules come to allow and did not, types expanded.
//!
//! One rule between attributes stands for a hundred thousand accesses. So where the objects are many, those that get a
//! permission and those that have it are sets of bits, made of the attributes that rules are written with.

use rustc_hash::FxHashMap;

use super::database::Policy;
use super::decide::{Members, View, with_members};
use super::id::{ClassId, TypeId};
use super::rules::RuleKind;
use super::types::TypeKind;

/// Types or attributes as rules have them for targets, each with permissions.
type Written = Vec<(TypeId, u32)>;

/// For this many objects, looking each of them up costs less than going through all rules once.
const FEW: usize = 500;

/// Most words of sets of types; Debian's policy comes to some 10,000.
const MOST: usize = 1 << 21;

impl View<'_> {
    /// How many accesses (a source type, a target type, a class and a permission, types expanded) the other view allows by
    /// conditional rules and this one does not.
    pub(super) fn opened_by(&self, other: &View<'_>) -> usize {
        let policy = self.policy();
        let mut by_source: FxHashMap<TypeId, FxHashMap<ClassId, Written>> = FxHashMap::default();
        for conditional in policy.conditionals() {
            let (before, after) = (self.is_true(conditional), other.is_true(conditional));
            if before == after {
                continue;
            }
            for rule in policy.branch(conditional, after).iter().filter(|r| r.kind() == RuleKind::Allow) {
                let (Some(s), Some(t), Some(class)) = (rule.source(), rule.target(), rule.class()) else {
                    continue;
                };
                for source in self.expand(s) {
                    by_source.entry(source).or_default().entry(class).or_default().push((t, rule.data()));
                }
            }
        }
        let having = self.having();
        let is_much = |having: &Having, on: &Written| {
            on.iter().map(|(written, _)| having.count(*written)).sum::<usize>() > FEW
        };
        let mut few = Few { view: self, granted: Vec::new(), round: 0 };
        let mut opened = 0;
        for (source, mut classes) in by_source {
            with_members(policy, source, |members| {
                if let Some(having) = having {
                    let many: Vec<_> = classes.extract_if(|_, on| is_much(having, on)).collect();
                    opened += self.opened_on_many(having, source, members, &many);
                }
                for (class, on) in &classes {
                    opened += few.opened(source, members, *class, on);
                }
            });
        }
        opened
    }

    fn expand(&self, written: TypeId) -> Vec<TypeId> {
        match self.having().and_then(|having| having.set(written)) {
            Some(set) => {
                let words = (0u32..).zip(set).flat_map(|(at, word)| {
                    let mut bits = *word;
                    std::iter::from_fn(move || {
                        let bit = bits.trailing_zeros();
                        bits &= bits.checked_sub(1)?;
                        TypeId::from_bit(at * 64 + bit)
                    })
                });
                words.collect()
            }
            None => self.policy().expand(written),
        }
    }

    /// The same for one source and classes with many objects.
    fn opened_on_many(
        &self,
        having: &Having,
        source: TypeId,
        members: &Members<'_>,
        classes: &[(ClassId, Written)],
    ) -> usize {
        if classes.is_empty() {
            return 0;
        }
        let granted = self.granted_to(having, source, members, classes);
        let mut opened = 0;
        let mut set = vec![0; having.words];
        for ((_, new), granted) in classes.iter().zip(&granted) {
            let wanted = new.iter().fold(0, |all, (_, permissions)| all | permissions);
            for bit in (0..u32::BITS).filter(|bit| wanted >> bit & 1 != 0) {
                set.fill(0);
                let with = |(_, permissions): &&(TypeId, u32)| permissions >> bit & 1 != 0;
                for (written, _) in new.iter().filter(with) {
                    having.each(*written, &mut set, |word, bits| *word |= bits);
                }
                for (written, _) in granted.iter().filter(with) {
                    having.each(*written, &mut set, |word, bits| *word &= !bits);
                }
                opened += set.iter().map(|word| word.count_ones() as usize).sum::<usize>();
            }
        }
        opened
    }

    /// What rules in force let a source do, class by class: as rules have it for targets.
    fn granted_to(
        &self,
        having: &Having,
        source: TypeId,
        members: &Members<'_>,
        classes: &[(ClassId, Written)],
    ) -> Vec<Written> {
        let policy = self.policy();
        let mut granted = vec![Written::new(); classes.len()];
        for (word, at) in members.words().iter().zip(0..) {
            let mut bits = *word;
            while bits != 0 {
                for number in having.rules_by(at * 64 + bits.trailing_zeros()) {
                    let Some((rule, gate)) = policy.rule(*number) else { continue };
                    let place = classes.iter().position(|(class, _)| rule.class() == Some(*class));
                    if let Some(list) = place.and_then(|place| granted.get_mut(place))
                        && rule.kind() == RuleKind::Allow
                        && self.is_open(gate)
                        && let Some(target) = rule.target()
                    {
                        list.push((target, rule.data()));
                    }
                }
                bits &= bits - 1;
            }
        }
        for (target, class, permissions) in self.laid_over_for(source) {
            let place = classes.iter().position(|(c, _)| *c == class);
            if let Some(list) = place.and_then(|place| granted.get_mut(place)) {
                list.push((target, permissions));
            }
        }
        granted
    }

    /// What `allow` rules in force let a source do to what is written as their target.
    fn granted_on(&self, written: TypeId, class: ClassId, members: &Members<'_>) -> u32 {
        let policy = self.policy();
        let rules = policy.index.rules.get(written, class).filter(|e| members.contains(e.source));
        let rules = rules.filter_map(|e| policy.rule(e.rule));
        let rules = rules.filter(|(rule, gate)| rule.kind() == RuleKind::Allow && self.is_open(*gate));
        rules.fold(0, |all, (rule, _)| all | rule.data())
    }
}

/// Sources and classes with few objects: each object is looked up.
struct Few<'a, 'p> {
    view: &'a View<'p>,
    /// What a source may do to what is written as a target, by its number, and in which round that was found.
    granted: Vec<(usize, u32)>,
    round: usize,
}

impl Few<'_, '_> {
    fn opened(&mut self, source: TypeId, members: &Members<'_>, class: ClassId, on: &Written) -> usize {
        let view = self.view;
        self.granted.resize(view.policy().types().greatest() as usize, (0, 0));
        self.round += 1;
        let of = |(written, permissions): &(TypeId, u32)| {
            let permissions = *permissions;
            view.expand(*written).into_iter().map(move |target| (target, permissions))
        };
        let mut objects: Written = on.iter().flat_map(of).collect();
        objects.sort_unstable();
        let mut opened = 0;
        for same in objects.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((target, _)) = same.first() else { continue };
            let mut new = same.iter().fold(0, |all, (_, permissions)| all | permissions);
            new &= !view.laid_over(source, *target, class);
            view.policy().each_written(*target, |written| {
                if let Some(known) = self.granted.get_mut(written.index()) {
                    if known.0 != self.round {
                        *known = (self.round, view.granted_on(written, class, members));
                    }
                    new &= !known.1;
                }
                new != 0
            });
            opened += new.count_ones() as usize;
        }
        opened
    }
}

/// The types that have each attribute, as sets; bit 0 is type 1. And the rules by their sources.
#[derive(Debug)]
pub(super) struct Having {
    /// The sets, one after the other.
    sets: Vec<u64>,
    /// How many words each has.
    words: usize,
    /// Which set is an attribute's, plus one; 0 of a type, which stands for itself.
    places: Vec<u32>,
    /// Numbers of rules, by source as it is written.
    rules: Vec<u32>,
    /// Where those of each source end.
    ends: Vec<u32>,
}

impl Having {
    /// Of all attributes. `None` where a type counts as another (which is no attribute), or where sets would grow too large:
    /// no policy that was compiled is such.
    pub(super) fn new(policy: &Policy) -> Option<Having> {
        let types = policy.types();
        let count = types.greatest() as usize;
        let words = count / 64 + 1;
        let mut places = vec![0; count];
        let mut attributes = vec![0u64; words];
        let mut last = 0;
        for ty in types.iter().filter(|t| t.kind == TypeKind::Attribute) {
            last += 1;
            if let (Some(place), Some(word)) =
                (places.get_mut(ty.id.index()), attributes.get_mut(ty.id.index() / 64))
            {
                *place = last;
                *word |= 1 << (ty.id.index() % 64);
            }
        }
        if last as usize * words > MOST {
            return None;
        }
        let mut sets = vec![0; last as usize * words];
        for ty in types.iter().filter(|t| t.kind == TypeKind::Type) {
            let (own, bit) = (ty.id.index() / 64, 1 << (ty.id.index() % 64));
            for (word, mut bits) in
                policy.type_attributes.get(ty.id.index()).into_iter().flat_map(|b| b.words())
            {
                let at = word as usize;
                if at == own {
                    bits &= !bit;
                }
                if bits & !attributes.get(at).copied().unwrap_or(0) != 0 {
                    return None;
                }
                while bits != 0 {
                    let number = at * 64 + bits.trailing_zeros() as usize;
                    let place = places.get(number).map_or(0, |p| *p as usize);
                    if let Some(set) = place.checked_sub(1).and_then(|p| sets.get_mut(p * words + own)) {
                        *set |= bit;
                    }
                    bits &= bits - 1;
                }
            }
        }
        let (rules, ends) = policy.rules_by_source();
        Some(Having { sets, words, places, rules, ends })
    }

    /// The numbers of the rules whose source is written with this bit's number.
    fn rules_by(&self, bit: u32) -> &[u32] {
        let end = |number: usize| self.ends.get(number).map_or(0, |end| *end as usize);
        self.rules.get(end(bit as usize)..end(bit as usize + 1)).unwrap_or_default()
    }

    /// An attribute's set.
    fn set(&self, written: TypeId) -> Option<&[u64]> {
        let place = self.places.get(written.index())?.checked_sub(1)? as usize;
        self.sets.get(place * self.words..(place + 1) * self.words)
    }

    /// How many types are or have what is written.
    fn count(&self, written: TypeId) -> usize {
        self.set(written).map_or(1, |set| set.iter().map(|word| word.count_ones() as usize).sum())
    }

    /// Calls for each word of `set` with the types that are or have what is written.
    #[inline]
    fn each(&self, written: TypeId, set: &mut [u64], call: impl Fn(&mut u64, u64)) {
        match self.set(written) {
            Some(having) => set.iter_mut().zip(having).for_each(|(word, bits)| call(word, *bits)),
            None => {
                if let Some(word) = set.get_mut(written.index() / 64) {
                    call(word, 1 << (written.index() % 64));
                }
            }
        }
    }
}
