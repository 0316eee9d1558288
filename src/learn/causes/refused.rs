//! SELINUX_ERR records by the policy: contexts that may not exist, and the statement that lets them.

use super::Judge;
use crate::denials::refusal::Refusal;
use crate::learn::advice::{self, Advice};
use crate::selinux::module::{Name, Statement};
use crate::selinux::policy::InvalidContext;

/// What helps, and the statement that belongs into the module.
pub fn judge(judge: &Judge<'_>, refusal: &Refusal) -> (Advice, Option<Statement>) {
    let mut advice = advice::refusal(refusal);
    let Refusal::InvalidContext { context, .. } = refusal else { return (advice, None) };
    let policy = &judge.ground().policy;
    let text = String::from_utf8_lossy(context);
    let parsed = match policy.parse_context_unchecked(&text) {
        Ok(parsed) => parsed,
        Err(error) => {
            advice.next = error.to_string();
            return (advice, None);
        }
    };
    let statement = match policy.check_context(&parsed) {
        Ok(()) => {
            advice.next = "nothing: the policy allows this context today".to_owned();
            None
        }
        Err(InvalidContext::RoleType { role, ty }) => {
            let statement =
                Name::new(&role).zip(Name::new(&ty)).map(|(role, ty)| Statement::RoleTypes { role, ty });
            if let Some(statement) = &statement {
                advice.next =
                    format!("`{statement}` (the module has it); or start it through its unit, in system_r");
            }
            statement
        }
        Err(InvalidContext::UserRole { user, role }) => {
            let roles: Vec<&str> = policy
                .users()
                .find(&user)
                .into_iter()
                .flat_map(|u| u.roles.iter())
                .filter_map(crate::selinux::policy::RoleId::from_bit)
                .map(|r| policy.roles().name(r))
                .filter(|r| *r != "object_r")
                .chain([role.as_str()])
                .collect();
            advice.next = format!("semanage user -m -R '{}' {user}", roles.join(" "));
            None
        }
        Err(InvalidContext::UserRange { user, range, .. }) => {
            advice.next = format!("semanage user -m -r {range} {user}; or a level that the user may have");
            None
        }
        Err(why) => {
            advice.next = why.to_string();
            None
        }
    };
    (advice, statement)
}
