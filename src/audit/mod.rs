//! Verification: the differences between manifests and host, as findings. Nothing here, and nothing that it uses,
//! writes.

mod accept;
mod excess;
mod promise;
pub mod whole;

use crate::escalation::{World, sudo_tree};
use crate::host::Host;
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::report::{Class, Finding};

pub use accept::{ACCEPTED, AcceptError, Accepted};
pub use promise::promise_not_to_write;
pub use whole::Whole;

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    plan: Plan,
    /// What was found beyond the differences between manifests and host, and is not accepted.
    more: Vec<Finding>,
    /// How many findings are accepted.
    pub accepted: usize,
    /// Accounts that may run everything as root, and by what; known where the whole host was looked at.
    pub administrators: Vec<(String, String)>,
}

/// Verifies a host against manifests. `whole`: there are no others, so that what `perms` wrote for any other application is
/// excess. `tick` is called with how many files were
/// looked at since its last call; `accepted` is what the host accepts.
pub fn audit(
    manifests: Vec<Manifest>,
    whole: bool,
    host: &mut Host,
    accepted: &Accepted,
    tick: &dyn Fn(u64),
) -> Audit {
    let make = if whole { Plan::make_whole } else { Plan::make };
    let plan = make(manifests, host, tick);
    let world = World::new(host, &plan.manifests, sudo_tree(host));
    let found = excess::of_users(&plan, host, &world);
    let mut audit = Audit { plan, more: Vec::new(), accepted: 0, administrators: Vec::new() };
    audit.add(found, accepted);
    audit
}

impl Audit {
    /// The manifests.
    pub fn manifests(&self) -> &[Manifest] {
        &self.plan.manifests
    }

    /// Adds what concerns the host beyond declared users: rules, what rules run, ways of other accounts to root.
    pub fn add_host(&mut self, host: &Host, accepted: &Accepted) {
        let world = World::new(host, &self.plan.manifests, sudo_tree(host));
        let found = excess::of_host(&self.plan.manifests, host, &world);
        self.administrators = found.administrators;
        self.add(found.findings, accepted);
    }

    /// Adds what was found otherwise, but for what the manifests or the host's table accept.
    pub fn add(&mut self, findings: Vec<Finding>, accepted: &Accepted) {
        for f in findings {
            let manifest = self.plan.manifests.iter().find(|m| m.app.name.value == f.app);
            let by_manifest = manifest.is_some_and(|m| m.app.accept.iter().any(|a| a.code.id == f.code.id));
            if by_manifest || accepted.accepts(&f) {
                self.accepted += 1;
            } else {
                self.more.push(f);
            }
        }
    }

    /// The findings, by application, the most telling first.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut all = self.plan.findings();
        all.extend(&self.more);
        let rank = |c: Class| {
            [Class::Excess, Class::Wrong, Class::Missing, Class::Risk].iter().position(|o| *o == c)
        };
        all.sort_by_key(|f| (&f.app, rank(f.class).unwrap_or(usize::MAX)));
        all
    }

    /// The exit status that they come to.
    pub fn status(&self) -> u8 {
        self.more.iter().fold(self.plan.status(), |bits, f| bits | f.class.exit_bit())
    }
}
