//! Any valid policy decides, explains and is changed without a panic, and explanations agree with decisions.
//!
//! The first bytes choose what is asked; the rest is the policy.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perms::selinux::policy::{Command, Context, New, Policy, RuleKind};

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first_chunk::<8>() else { return };
    let Ok(policy) = Policy::read(bytes) else { return };
    let pick = |n: usize, byte: u8| usize::from(byte) % n.max(1);
    let types: Vec<_> = policy.types().iter().map(|t| t.id).collect();
    let roles: Vec<_> = policy.roles().iter().map(|r| r.id).collect();
    let users: Vec<_> = policy.users().iter().collect();
    let classes: Vec<_> = policy.classes().iter().map(|c| c.id).collect();
    let context = |a: u8, b: u8| {
        let user = users.get(pick(users.len(), b))?;
        Some(Context {
            user: user.id,
            role: *roles.get(pick(roles.len(), b >> 3))?,
            ty: *types.get(pick(types.len(), a))?,
            range: user.mls.as_ref().map(|m| m.0.clone()),
        })
    };
    let [a, b, c, d, class, bits, name, booleans] = *choice;
    let (Some(source), Some(target)) = (context(a, b), context(c, d)) else { return };
    let Some(class) = classes.get(pick(classes.len(), class)).copied() else { return };

    let mut view = policy.view();
    for (i, boolean) in policy.booleans().iter().map(|b| b.id).enumerate().take(8) {
        view.set_boolean(boolean, booleans >> i & 1 != 0);
    }
    let vector = policy.all_permissions(class) & (u32::from(bits) | u32::from(name) << 8);
    let access = view.access(&source, &target, class);
    let explanation = view.explain(&source, &target, class, vector);
    assert_eq!(explanation.allowed, access.allowed & vector);
    let constraints = explanation.constraints.iter().fold(0, |v, c| v | c.permissions);
    let bounds = explanation.bounds.as_ref().map_or(0, |(v, _)| *v);
    let causes = explanation.no_rule | constraints | explanation.role | bounds;
    assert_eq!(causes, vector & !access.allowed);
    for new in [New::Created, New::Member, New::Changed] {
        let made = view.new_context(new, &source, &target, class, Some(&[b'a' + name % 26]));
        let _ = policy.check_context(&made);
    }
    let command = u16::from_be_bytes([bits, name]);
    let extended = view.extended_access(&source, &target, class, Command::Ioctl(command));
    assert!(extended.permission || !extended.allowed);
    let _ = view.allowed_commands(source.ty, target.ty, class, name & 1 != 0);
    let _ = view.may_relabel(&source, &target, &source, class);
    let _ = view.nearest(source.ty, target.ty, class, vector, 3);
    let _ = view.boolean_changes(source.ty, target.ty, class, vector);
    let _ = (view.reach(source.ty), view.transitions(source.ty), view.who_can(target.ty, class, vector));

    let mut overlay = policy.overlay();
    if overlay.add_rule(RuleKind::Allow, source.ty, target.ty, class, vector).is_ok() {
        let wider = overlay.finish().expect("an overlay is a policy");
        let after = wider.view().explain(&source, &target, class, vector);
        assert_eq!(after.no_rule, 0);
        let written = wider.write();
        assert!(Policy::read(&written).expect("an overlay is a policy").write() == written);
    }
});
