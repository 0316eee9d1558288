//! How fast a policy loads and decides: `cargo bench --bench policy`. `benches/policy.sh` sets it beside libsepol.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a benchmark ends at a surprise"
)]

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use perms::selinux::policy::{ClassId, Context, New, OBJECT_R, Policy, TypeKind};

const POLICIES: [&str; 2] = ["/etc/selinux/default/policy/policy.33", "/etc/selinux/mls/policy/policy.33"];

fn main() {
    divan::main();
}

fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}; install selinux-policy-default and -mls"))
}

#[divan::bench(args = POLICIES)]
fn load(bencher: Bencher<'_, '_>, path: &str) {
    let bytes = bytes(path);
    // From bytes in memory, as libsepol's; the policy keeps them.
    bencher.with_inputs(|| bytes.clone()).bench_values(|bytes| Policy::read_owned(black_box(bytes)).unwrap());
}

#[divan::bench(args = POLICIES)]
fn write(bencher: Bencher<'_, '_>, path: &str) {
    let policy = Policy::read(&bytes(path)).unwrap();
    bencher.bench(|| policy.write());
}

/// Domains at the head of real log lines, files and domains as targets, every class: what replaying a log asks.
fn questions(policy: &Policy) -> Vec<(Context, Context, ClassId)> {
    let range = policy.users().iter().find_map(|u| u.mls.as_ref().map(|m| m.0.clone()));
    let user = policy.users().id("system_u").unwrap();
    let role = policy.roles().id("system_r").unwrap();
    let types: Vec<_> = policy.types().iter().filter(|t| t.kind == TypeKind::Type).map(|t| t.id).collect();
    let domains: Vec<_> =
        types.iter().copied().filter(|t| policy.roles().get(role).unwrap().types.contains(t.bit())).collect();
    let mut state = 1u64;
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % n
    };
    let rules: Vec<_> = policy.rules().iter().collect();
    (0..10_000)
        .map(|i| {
            let source = Context { user, role, ty: domains[below(domains.len())], range: range.clone() };
            let (target, class) = if i % 2 == 0 {
                (types[below(types.len())], below(policy.classes().greatest() as usize) as u32 + 1)
            } else {
                let rule = rules[below(rules.len())];
                let expanded = policy.expand(rule.target().unwrap());
                let class = rule.class().unwrap().get();
                (expanded.get(below(expanded.len().max(1))).copied().unwrap_or(types[0]), class)
            };
            let target = Context { user, role: OBJECT_R, ty: target, range: range.clone() };
            (source, target, ClassId::new(class).unwrap())
        })
        .collect()
}

#[divan::bench(args = POLICIES)]
fn decide(bencher: Bencher<'_, '_>, path: &str) {
    let policy = Policy::read(&bytes(path)).unwrap();
    let questions = questions(&policy);
    let view = policy.view();
    bencher
        .counter(ItemsCount::new(questions.len()))
        .bench(|| questions.iter().fold(0, |sum, (s, t, c)| sum ^ view.access(s, t, *c).allowed));
}

/// The contexts and the order of questions of tests/harness/sepol_oracle.c, so that both answer the same.
#[divan::bench(args = POLICIES)]
fn decide_as_libsepol(bencher: Bencher<'_, '_>, path: &str) {
    let policy = Policy::read(&bytes(path)).unwrap();
    let types = ["httpd_t", "sshd_t", "init_t", "bin_t", "etc_t", "shadow_t"];
    let texts = types.iter().flat_map(|t| ["system_r", "object_r"].map(|r| format!("system_u:{r}:{t}:s0")));
    let contexts: Vec<Context> = texts.filter_map(|t| policy.parse_context(&t).ok()).collect();
    let classes = policy.classes().greatest();
    let view = policy.view();
    bencher.counter(ItemsCount::new(200_000usize)).bench(|| {
        let mut state = 12345u32;
        let mut next = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            state >> 8
        };
        let mut sum = 0u32;
        for _ in 0..200_000 {
            let (s, t) = (next() as usize % contexts.len(), next() as usize % contexts.len());
            let class = ClassId::new(1 + next() % classes).unwrap();
            sum = sum.wrapping_add(view.access(&contexts[s], &contexts[t], class).allowed);
        }
        sum
    });
}

#[divan::bench(args = POLICIES)]
fn new_context(bencher: Bencher<'_, '_>, path: &str) {
    let policy = Policy::read(&bytes(path)).unwrap();
    let questions = questions(&policy);
    let view = policy.view();
    bencher.counter(ItemsCount::new(questions.len())).bench(|| {
        for (s, t, c) in &questions {
            black_box(view.new_context(New::Created, s, t, *c, None));
        }
    });
}
