//! Why an access was denied: one file a cause, asked in the order in which a cause explains most.
//!
//! | file | cause |
//! |---|---|
//! | [`judge`] | the order in which they are asked |
//! | [`about`] | what the policy says of one source, target and class, found out once |
//! | [`names`] | the policy does not have the type, class or permission |
//! | [`allowed`] | the policy allows it today |
//! | [`blocked`] | a constraint, a role or bounds: no allow rule helps |
//! | [`label`] | the object has not the label that it should have, or none of its own |
//! | [`made`] | the object was to be made, and takes its type from its folder |
//! | [`port`] | the port has no type of its own |
//! | [`boolean`] | a boolean stands in the way |
//! | [`ownership`] | owner and mode refuse root, who would need a capability |
//! | [`noise`] | nobody needs it |
//! | [`rule`] | a rule is missing |
//!
//! A denial's answer depends on its contexts, class and permissions; the paths and ports in the log only decide
//! whether something better than a rule is proposed. What the policy says is asked once for each pair of types.

mod about;
mod allowed;
mod blocked;
pub mod boolean;
mod judge;
mod label;
mod made;
mod names;
mod noise;
mod ownership;
mod port;
pub mod refused;
mod rule;

pub(in crate::learn) use judge::commands_pass;
pub use judge::{After, Judge, Judged, Question, answer};
pub use label::{Shared, kind as file_kind, may_be_a_place};

/// The parts of a list in a row: `a`, `a and b`, `a, b and c`.
fn listed<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}
