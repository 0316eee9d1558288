//! The kernel is the judge: its decisions, by the policy that it has loaded, are ours.
//!
//! Random questions (`PERMS_CASES`, 10,000 without it) go to /sys/fs/selinux in the virtual machine, as the policy is,
//! with booleans flipped, and with a policy loaded that an overlay made and our writer wrote.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test ends at a surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use perms::selinux::policy::{
    Access, BooleanId, ClassId, CondNode, Context, HandleUnknown, New, Policy, RuleKind, Type, TypeKind,
    View, capability_name,
};
use serde::Deserialize;
use support::policy::Random;
use support::vm::{RunSpec, Vm};

/// Contexts that questions are about; the kernel keeps a table of all that it has met.
const CONTEXTS: usize = 1500;
/// Booleans that are flipped.
const FLIPPED: usize = 12;

const HARNESS: &str = "tests/harness/selinuxfs.py";
const ASK: &str = "python3 /run/selinuxfs.py ask";

/// What the kernel says of itself.
#[derive(Deserialize)]
struct State {
    classes: BTreeMap<String, KernelClass>,
    booleans: BTreeMap<String, bool>,
    initial_sids: BTreeMap<u32, String>,
    capabilities: BTreeMap<String, bool>,
    deny_unknown: bool,
    reject_unknown: bool,
    mls: bool,
}

#[derive(Deserialize)]
struct KernelClass {
    index: u32,
    /// From 1 on.
    permissions: BTreeMap<String, u32>,
}

/// A question of the harness.
enum Question {
    Access {
        source: Context,
        target: Context,
        class: ClassId,
    },
    New {
        source: Context,
        target: Context,
        class: ClassId,
        name: Option<String>,
    },
    Validate(String),
    Change {
        old: Context,
        new: Context,
        process: Context,
        class: ClassId,
    },
    /// A class that no policy has: number 0.
    NoClass(Context),
}

impl Question {
    fn text(&self, policy: &Policy) -> String {
        let text = |c| policy.context_text(c);
        match self {
            Question::Access { source, target, class } => {
                format!("A\t{}\t{}\t{}", text(source), text(target), class.get())
            }
            Question::New { source, target, class, name } => {
                let name = name.as_deref().unwrap_or_default();
                format!("N\t{}\t{}\t{}\t{name}", text(source), text(target), class.get())
            }
            Question::Validate(context) => format!("V\t{context}"),
            Question::Change { old, new, process, class } => {
                format!("T\t{}\t{}\t{}\t{}", text(old), text(new), class.get(), text(process))
            }
            Question::NoClass(context) => format!("A\t{0}\t{0}\t0", text(context)),
        }
    }

    fn ours(&self, view: &View<'_>) -> String {
        let policy = view.policy();
        match self {
            Question::Access { source, target, class } => {
                let Access { allowed, audit_allow, audit_deny, permissive, .. } =
                    view.access(source, target, *class);
                format!("{allowed:08x} {audit_allow:08x} {audit_deny:08x} {}", u8::from(permissive))
            }
            Question::New { source, target, class, name } => {
                let new = |new, name| {
                    let made = view.new_context(new, source, target, *class, name);
                    match policy.check_context(&made) {
                        Ok(()) => policy.context_text(&made),
                        Err(_) => "-".to_owned(),
                    }
                };
                let created = new(New::Created, name.as_deref().map(str::as_bytes));
                [created, new(New::Member, None), new(New::Changed, None)].join(" ")
            }
            Question::Validate(context) => {
                policy.parse_context(context).map_or("-".to_owned(), |c| policy.context_text(&c))
            }
            Question::Change { old, new, process, class } => {
                (if view.may_relabel(old, new, process, *class) { "yes" } else { "no" }).to_owned()
            }
            // Allowed or not by handle_unknown.
            Question::NoClass(source) => {
                let all = policy.handle_unknown() == HandleUnknown::Allow;
                let permissive = u8::from(policy.is_permissive(source.ty));
                format!("{:08x} {:08x} {:08x} {permissive}", if all { u32::MAX } else { 0 }, 0, u32::MAX)
            }
        }
    }
}

/// Questions near rules and anywhere, with a third near rules that a boolean turns on or off.
fn questions(policy: &Policy, cases: usize) -> Vec<Question> {
    let mut random = Random::new();
    let types: Vec<&Type> = policy.types().iter().filter(|t| t.kind == TypeKind::Type).collect();
    let texts: Vec<String> = (0..CONTEXTS)
        .map(|i| {
            let ty = (i % 3 != 0).then(|| *random.pick(&types));
            random.context(policy, ty)
        })
        .collect();
    let contexts: Vec<Context> = texts.iter().filter_map(|t| policy.parse_context(t).ok()).collect();
    assert!(contexts.len() > CONTEXTS / 3, "only {} contexts are valid", contexts.len());
    let branches = |c| policy.branch(c, true).iter().chain(policy.branch(c, false).iter());
    let conditional: Vec<_> = policy.conditionals().iter().flat_map(branches).collect();
    let classes: Vec<ClassId> = policy.classes().iter().map(|c| c.id).collect();
    let validated: Vec<ClassId> =
        policy.classes().iter().filter(|c| !c.validatetrans.is_empty()).map(|c| c.id).collect();

    let mut out: Vec<Question> = texts.into_iter().map(Question::Validate).collect();
    out.push(Question::NoClass(contexts[0].clone()));
    for _ in 0..if validated.is_empty() { 0 } else { 500 } {
        let mut one = || random.pick(&contexts).clone();
        let (old, new, process) = (one(), one(), one());
        out.push(Question::Change { old, new, process, class: *random.pick(&validated) });
    }
    let mut asked = 0;
    while asked < cases {
        // The rule's types in contexts that are there, or, of conditional rules, in a context made for it.
        let rule = match asked % 3 {
            0 => None,
            1 => Some(random.rule(policy)),
            _ => Some(*random.pick(&conditional)),
        };
        let (source, target, class) = match rule {
            None => {
                let (s, t) = (random.pick(&contexts).clone(), random.pick(&contexts).clone());
                let t = if random.one_in(5) { s.clone() } else { t };
                (s, t, *random.pick(&classes))
            }
            Some(rule) => {
                let mut of = |written| {
                    let all = policy.expand(written);
                    let ty = *all.get(random.below(all.len().max(1)))?;
                    let like = random.pick(&contexts).clone();
                    let context = Context { role: perms::selinux::policy::OBJECT_R, ty, ..like };
                    policy.check_context(&context).is_ok().then_some(context)
                };
                let (Some(s), Some(t)) = (of(rule.source().unwrap()), of(rule.target().unwrap())) else {
                    continue;
                };
                (s, t, rule.class().unwrap())
            }
        };
        if asked % 8 < 3 {
            let (source, target) = (source.clone(), target.clone());
            out.push(Question::New { source, target, class, name: None });
        }
        out.push(Question::Access { source, target, class });
        asked += 1;
    }
    // Where a file's name counts: the name as it stands in a rule, and another.
    for rule in policy.name_transitions() {
        let (Ok(name), Some((sources, _))) = (std::str::from_utf8(&rule.name), rule.outcomes.first()) else {
            continue;
        };
        let plain = name.bytes().all(|b| b.is_ascii_graphic() && b != b'%' && b != b'+');
        let Some(source) = sources.iter().next().and_then(perms::selinux::policy::TypeId::from_bit) else {
            continue;
        };
        let of = |ty| policy.expand(ty).first().map(|ty| Context { ty: *ty, ..contexts[0].clone() });
        let (Some(source), Some(target)) = (of(source), of(rule.target)) else { continue };
        let object = |c: Context| Context { role: perms::selinux::policy::OBJECT_R, ..c };
        let (source, target) = (object(source), object(target));
        if !plain || [&source, &target].iter().any(|c| policy.check_context(c).is_err()) || asked % 4 != 0 {
            asked += 1;
            continue;
        }
        asked += 1;
        for name in [name.to_owned(), format!("{name}x")] {
            let (source, target) = (source.clone(), target.clone());
            out.push(Question::New { source, target, class: rule.class, name: Some(name) });
        }
    }
    out
}

/// A policy made of the guest's: one type permissive, one new, with rules of its own, some under a new boolean.
fn changed(policy: &Policy) -> Policy {
    let mut overlay = policy.overlay();
    let id = |name: &str| policy.type_id(name).unwrap();
    let class = |name: &str| policy.classes().id(name).unwrap();
    let new = overlay.add_type("perms_judged_t").unwrap();
    let boolean = overlay.add_boolean("perms_judged", true).unwrap();
    let (httpd, shadow, file) = (id("httpd_t"), id("shadow_t"), class("file"));
    overlay.make_permissive(httpd);
    overlay.give_role(policy.roles().id("system_r").unwrap(), new);
    overlay.give_attribute(new, id("domain")).unwrap();
    overlay.add_rule(RuleKind::Allow, httpd, shadow, file, 0x12).unwrap();
    overlay.add_rule(RuleKind::DontAudit, httpd, new, file, 0x4).unwrap();
    overlay
        .add_conditional_rule(&[CondNode::Boolean(boolean)], RuleKind::Allow, (new, shadow, file), 0x21)
        .unwrap();
    overlay.add_transition(RuleKind::Transition, (new, shadow, file), httpd, None).unwrap();
    overlay.add_transition(RuleKind::Transition, (new, shadow, file), new, Some(b"named")).unwrap();
    overlay.add_commands(RuleKind::AllowX, (new, shadow, file), false, &[(0x5401, 0x5410)]).unwrap();
    overlay.finish().unwrap()
}

#[track_caller]
fn compare(what: &str, view: &View<'_>, questions: &[&Question], answers: &str) {
    let policy = view.policy();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), questions.len(), "{what}: {:?}", answers.last());
    for (question, theirs) in questions.iter().copied().zip(&answers) {
        let ours = question.ours(view);
        assert!(ours == **theirs, "{what}: {}\nours   {ours}\ntheirs {theirs}", question.text(policy));
    }
}

fn same_state(policy: &Policy, state: &State) {
    let unknown = match (state.reject_unknown, state.deny_unknown) {
        (true, _) => HandleUnknown::Reject,
        (false, true) => HandleUnknown::Deny,
        (false, false) => HandleUnknown::Allow,
    };
    assert_eq!((policy.handle_unknown(), policy.mls()), (unknown, state.mls));
    assert_eq!(policy.classes().iter().count(), state.classes.len());
    for class in policy.classes().iter() {
        let theirs = &state.classes[&*class.name];
        assert_eq!(class.id.get(), theirs.index, "{}", class.name);
        let ours: BTreeMap<String, u32> =
            policy.permissions(class.id).map(|p| (p.name.to_string(), u32::from(p.bit) + 1)).collect();
        assert_eq!(ours, theirs.permissions, "{}", class.name);
    }
    let booleans: BTreeMap<String, bool> =
        policy.booleans().iter().map(|b| (b.name.to_string(), b.state)).collect();
    assert_eq!(booleans, state.booleans);
    let known: Vec<(u32, &str)> = (0..64).filter_map(|n| Some((n, capability_name(n)?))).collect();
    for (name, on) in &state.capabilities {
        let (number, _) = known.iter().find(|(_, k)| k == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(policy.capabilities().contains(*number), *on, "{name}");
    }
    let mut sids = 0;
    for (sid, theirs) in &state.initial_sids {
        if let Some(ours) = policy.initial_context(*sid) {
            assert_eq!(&policy.context_text(ours), theirs, "initial SID {sid}");
            sids += 1;
        }
    }
    assert!(sids >= 10, "{sids} initial SIDs compared");
}

#[test]
fn every_decision_is_the_kernels() {
    let Some(vm) = Vm::get() else { return };
    let here = tempfile::tempdir().unwrap();
    let at = |name: &str| here.path().join(name);
    let loaded = RunSpec::script(
        "cat /sys/fs/selinux/policy > /root/policy && python3 /run/selinuxfs.py state > /root/state",
    );
    let loaded = loaded.put(Path::new(HARNESS), "/run/selinuxfs.py");
    let loaded = loaded.get("/root/policy", at("policy")).get("/root/state", at("state"));
    vm.run(&loaded).expect(0);
    let bytes = std::fs::read(at("policy")).unwrap();
    let policy = Policy::read(&bytes).unwrap();
    assert!(policy.write() == bytes, "the kernel's policy is written back byte for byte");
    let state: State = serde_json::from_slice(&std::fs::read(at("state")).unwrap()).unwrap();
    same_state(&policy, &state);

    let cases = std::env::var("PERMS_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(10_000);
    let asked = questions(&policy, cases);
    let other = changed(&policy);
    let asked_of_other = {
        let mut asked = questions(&other, cases / 4);
        asked.extend(about_what_changed(&other));
        asked
    };
    let write = |name: &str, asked: &[Question], policy: &Policy| {
        std::fs::write(at(name), asked.iter().map(|q| q.text(policy) + "\n").collect::<String>()).unwrap();
    };
    write("questions", &asked, &policy);
    write("others", &asked_of_other, &other);
    std::fs::write(at("changed"), other.write()).unwrap();

    let flips = flips(&policy);
    let set = |flip: bool| {
        let value = |state: bool| if state { "on" } else { "off" };
        let pairs =
            flips.iter().map(|(id, s)| format!("{}={}", policy.booleans().name(*id), value(*s == flip)));
        format!("setsebool {} >&2 || exit", pairs.collect::<Vec<_>>().join(" "))
    };
    let first = format!("{ASK} < /run/questions");
    // Every other one again.
    let flipped = format!("{}; awk 'NR % 2' /run/questions | {ASK}", set(true));
    let restored = format!("{}; tail -n 1000 /run/questions | {ASK}", set(false));
    let others = format!("python3 /run/selinuxfs.py load /run/changed >&2 || exit; {ASK} < /run/others");
    let spec = RunSpec::argv([])
        .put(Path::new(HARNESS), "/run/selinuxfs.py")
        .put(at("questions"), "/run/questions")
        .put(at("others"), "/run/others")
        .put(at("changed"), "/run/changed");
    let outputs = vm.steps(spec, [&first, &flipped, &restored, &others]);
    for output in &outputs {
        assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    }
    let [first, flipped, restored, others] = outputs.map(|o| o.stdout);

    let all: Vec<&Question> = asked.iter().collect();
    let half: Vec<&Question> = asked.iter().step_by(2).collect();
    let others_asked: Vec<&Question> = asked_of_other.iter().collect();
    let mut view = policy.view();
    compare("as it is", &view, &all, &first);
    for (id, state) in &flips {
        view.set_boolean(*id, *state);
    }
    compare("with booleans flipped", &view, &half, &flipped);
    let differ = first.lines().step_by(2).zip(flipped.lines()).filter(|(a, b)| a != b).count();
    assert!(differ > cases / 200, "only {differ} decisions depended on {FLIPPED} booleans");
    compare("restored", &policy.view(), &all[all.len() - 1000..], &restored);
    compare("with the changed policy", &other.view(), &others_asked, &others);
    eprintln!(
        "{} answers equal; {differ} of {} depend on the flipped booleans; {} are by the changed policy",
        all.len() + half.len() + 1000 + others_asked.len(),
        half.len(),
        others_asked.len()
    );
}

/// Booleans with the most rules, to be flipped.
fn flips(policy: &Policy) -> Vec<(BooleanId, bool)> {
    let mut rules: BTreeMap<BooleanId, usize> = BTreeMap::new();
    for conditional in policy.conditionals() {
        for boolean in conditional.booleans() {
            *rules.entry(boolean).or_default() +=
                policy.branch(conditional, true).len() + policy.branch(conditional, false).len();
        }
    }
    // Those that could shut the harness itself out of the kernel stay.
    let harmless = |id: &BooleanId| !policy.booleans().name(*id).starts_with("secure_mode");
    let mut all: Vec<(usize, BooleanId)> =
        rules.into_iter().filter(|(id, _)| harmless(id)).map(|(id, n)| (n, id)).collect();
    all.sort();
    let most = all.into_iter().rev().take(FLIPPED);
    most.map(|(_, id)| (id, !policy.booleans().get(id).unwrap().state)).collect()
}

/// The new and the permissive type with each other and the target of their rules, for every class; and by name.
fn about_what_changed(policy: &Policy) -> Vec<Question> {
    let of = |ty: &str| policy.parse_context(&format!("system_u:object_r:{ty}:s0")).unwrap();
    let running = policy.parse_context("system_u:system_r:perms_judged_t:s0").unwrap();
    let all = [running, of("perms_judged_t"), of("httpd_t"), of("shadow_t")];
    let mut out = Vec::new();
    for source in &all {
        for target in &all {
            for class in policy.classes().iter() {
                let (source, target) = (source.clone(), target.clone());
                if ["file", "process"].contains(&&*class.name) {
                    for name in [None, Some("named".to_owned())] {
                        let (source, target) = (source.clone(), target.clone());
                        out.push(Question::New { source, target, class: class.id, name });
                    }
                }
                out.push(Question::Access { source, target, class: class.id });
            }
        }
    }
    out
}
