//! Whether what a policy store holds has reached /etc/selinux and the kernel. A change that was cut off (killed, power
//! lost) leaves the store as it was or as it was to become; what lies behind it may still be the old.

use std::path::Path;

use super::selinux::Selinux;
use crate::selinux::policy::Policy;
use crate::sys::Root;

const LIMIT: u64 = 64 << 20;

/// Where the running kernel shows its policy.
const RUNNING: &str = "/sys/fs/selinux/policy";

/// What is not as the store has it, in words; none if all is.
pub fn stale(root: &Root, selinux: &Selinux) -> Option<String> {
    let store = selinux.store_folder()?;
    let etc = Path::new("/etc/selinux").join(selinux.policy_type.as_deref()?);
    let read = |path: &Path| root.read(path, LIMIT).unwrap_or_default();
    for (name, installed) in [
        ("file_contexts", "contexts/files/file_contexts"),
        ("file_contexts.homedirs", "contexts/files/file_contexts.homedirs"),
        ("file_contexts.local", "contexts/files/file_contexts.local"),
        ("seusers", "seusers"),
    ] {
        let installed = etc.join(installed);
        if read(&store.join(name)) != read(&installed) {
            return Some(format!("{} is not what the policy store has", installed.display()));
        }
    }
    let policy = selinux.policy(root).ok()?;
    if selinux.active
        && let Ok(running) = root.read(Path::new(RUNNING), LIMIT)
        && let Ok(running) = Policy::read(&running)
        && !alike(policy, &running)
    {
        return Some("the kernel runs another policy than the one that is installed".to_owned());
    }
    None
}

/// Whether two policies are the same as far as it matters here; the kernel writes its own in another order, and states of
/// booleans may differ.
fn alike(a: &Policy, b: &Policy) -> bool {
    let counts = |p: &Policy| {
        [
            p.types().iter().count(),
            p.rules().len(),
            p.conditionals().len(),
            p.booleans().iter().count(),
            p.genfs().len(),
        ]
    };
    counts(a) == counts(b) && a.object_contexts() == b.object_contexts()
}
