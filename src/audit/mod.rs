//! Verification: the differences between manifests and host, as findings. Nothing here, and nothing that it uses,
//! writes.

mod promise;

use crate::host::Host;
use crate::manifest::Manifest;
use crate::plan::Plan;
use crate::report::Finding;

pub use promise::promise_not_to_write;

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    plan: Plan,
}

/// Verifies a host against manifests. `tick` is called for each file looked at.
pub fn audit(manifests: Vec<Manifest>, host: &mut Host, tick: &dyn Fn()) -> Audit {
    Audit { plan: Plan::make(manifests, host, tick) }
}

impl Audit {
    /// The findings, by application, the most telling first.
    pub fn findings(&self) -> Vec<&Finding> {
        self.plan.findings()
    }

    /// The exit status that they come to.
    pub fn status(&self) -> u8 {
        self.plan.status()
    }
}
