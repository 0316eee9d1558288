//! `audit` gives up the right to write, to the kernel (landlock(7)).

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
};

/// Gives up, for this thread and what it starts, the right to write, truncate, make, rename or delete any file. Modes,
/// owners and extended attributes are beyond Landlock: that those are left alone is kept by the code (`audit` and what
/// it uses cannot name what changes them). Where the kernel has no Landlock all of it is.
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

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    #[test]
    fn the_kernel_holds_it_to_the_promise() {
        let known = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        if !known.contains("landlock") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let (at, new) = (file.clone(), folder.path().join("new"));
        // It holds for the thread that makes it.
        let refused = std::thread::spawn(move || {
            super::promise_not_to_write();
            let kinds = [
                std::fs::File::options().append(true).open(&at).map(drop),
                std::fs::File::options().write(true).create(true).truncate(true).open(&new).map(drop),
                std::fs::remove_file(&at),
                std::fs::rename(&at, &new),
                std::fs::File::options().write(true).open("/dev/null").map(drop),
                std::fs::read(&at).map(drop),
            ];
            kinds.map(|r| r.err().map(|e| e.kind()))
        })
        .join()
        .unwrap();
        let no = Some(ErrorKind::PermissionDenied);
        assert_eq!(refused, [no, no, no, no, None, None]);
        assert_eq!(std::fs::read(&file).unwrap(), b"x");
    }
}
