//! `audit` gives up the right to write, to the kernel (landlock(7)).

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
};

/// Gives up, for this process and those it starts, the right to change any file. Where the kernel has no Landlock the
/// promise is kept by the code alone.
pub fn promise_not_to_write() {
    let abi = ABI::V3;
    // Best effort by design: an old kernel must not stop an audit. /dev/null stays writable for the tools that are run.
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(abi))
        .and_then(landlock::Ruleset::create)
        .and_then(|r| {
            r.add_rules(landlock::path_beneath_rules(
                ["/dev/null"],
                AccessFs::from_file(abi) & AccessFs::from_write(abi),
            ))
        })
        .and_then(landlock::RulesetCreated::restrict_self);
    drop(restricted);
}
