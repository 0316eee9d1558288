//! Any text is an error or a context, and a context is written so that it is read as the same.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perms::selinux::policy::Policy;

static POLICIES: LazyLock<[Policy; 2]> = LazyLock::new(|| {
    let read = |bytes: &[u8]| Policy::read(bytes).expect("a policy of the tests");
    [
        read(include_bytes!("../../tests/policies/features.33")),
        read(include_bytes!("../../tests/policies/features-nomls.33")),
    ]
});

fuzz_target!(|text: &str| {
    for policy in POLICIES.iter() {
        for context in [policy.parse_context(text), policy.parse_context_unchecked(text)].into_iter().flatten() {
            let written = policy.context_text(&context);
            let again = policy.parse_context_unchecked(&written).expect("what is written can be read");
            assert_eq!(context, again, "{text} {written}");
            assert_eq!(policy.parse_context(&written).is_ok(), policy.check_context(&context).is_ok());
        }
        if let Ok(range) = policy.parse_range(text) {
            let again = policy.parse_range(&policy.range_text(&range)).expect("what is written can be read");
            assert_eq!(range, again, "{text}");
        }
    }
});
