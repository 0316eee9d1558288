//! Random questions to a policy: contexts that are valid more often than not, and what to ask about them.

use perms::selinux::policy::{Context, Level, OBJECT_R, Policy, Range, Rule, Type, TypeKind};

/// xorshift64*: the same cases in every run, others by PERMS_SEED.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let seed = std::env::var("PERMS_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1u64);
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// A rule without a condition.
    pub fn rule(&mut self, policy: &Policy) -> Rule {
        policy.rules().get(self.below(policy.rules().len())).unwrap()
    }

    /// A level of the policy: any sensitivity, few categories, in a row or not.
    pub fn level(&mut self, policy: &Policy) -> Level {
        let all: Vec<_> = policy.sensitivities().iter().map(|s| s.level.clone()).collect();
        let mut level = self.pick(&all).clone();
        let own: Vec<u32> = level.categories.iter().collect();
        let mut chosen = Vec::new();
        if !own.is_empty() {
            match self.below(4) {
                0 => {}
                1 => chosen = own,
                2 => (0..self.below(4)).for_each(|_| chosen.push(*self.pick(&own))),
                _ => {
                    let (a, b) = (self.below(own.len()), self.below(own.len()));
                    chosen = own[a.min(b)..=a.max(b)].to_vec();
                }
            }
        }
        level.categories = chosen.into_iter().collect();
        level
    }

    /// A context that may or may not be valid; more often valid than not. With a type it is an object's.
    pub fn context(&mut self, policy: &Policy, ty: Option<&Type>) -> String {
        let types: Vec<_> = policy.types().iter().filter(|t| t.kind == TypeKind::Type).collect();
        let users: Vec<_> = policy.users().iter().collect();
        let user = *self.pick(&users);
        let roles: Vec<_> = policy.roles().iter().filter(|r| user.roles.contains(r.id.bit())).collect();
        let (role, ty) = if ty.is_some() || self.below(2) == 0 || roles.is_empty() {
            (OBJECT_R, ty.unwrap_or_else(|| *self.pick(&types)))
        } else {
            let role = *self.pick(&roles);
            let own: Vec<_> = types.iter().filter(|t| role.types.contains(t.id.bit())).collect();
            (role.id, if own.is_empty() { *self.pick(&types) } else { **self.pick(&own) })
        };
        let range = policy.mls().then(|| {
            let (a, b) = (self.level(policy), self.level(policy));
            let own = user.mls.as_ref().map(|m| m.0.clone());
            match self.below(4) {
                0 => own.unwrap(),
                1 => Range::single(own.unwrap().low),
                2 if b.dominates(&a) => Range::new(a, b),
                _ => Range::single(a),
            }
        });
        policy.context_text(&Context { user: user.id, role, ty: ty.id, range })
    }
}
