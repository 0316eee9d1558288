//! Any bytes are an error or a policy, and a policy is written back as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perms::selinux::policy::{Package, Policy, Query};

fuzz_target!(|data: &[u8]| {
    match Policy::read(data) {
        Ok(policy) => {
            assert!(policy.write() == data, "written back otherwise");
            policy.search(&Query::default()).iter().for_each(|found| {
                if let perms::selinux::policy::Found::Rule(rule, _) = found {
                    policy.rule_text(rule);
                }
            });
            // Of a whole policy it takes seconds.
            assert!(data.len() > 100_000 || policy.difference(&policy).is_empty());
        }
        Err(e) => assert!(e.offset <= data.len() && e.to_string().len() < 1000, "{e}"),
    }
    let _ = Package::read(data);
});
