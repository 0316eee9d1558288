//! SELINUX_ERR records: what SELinux refused without an access vector.
//!
//! ```text
//! op=security_compute_sid invalid_context="C" scontext=C tcontext=C tclass=CLASS
//! security_compute_sid:  invalid context C for scontext=C tcontext=C tclass=CLASS      (before Linux 4.18)
//! op=security_bounded_transition seresult=denied oldcontext=C newcontext=C
//! op=security_validate_transition seresult=denied oldcontext=C newcontext=C taskcontext=C tclass=CLASS
//! op=security_compute_av reason=bounds scontext=C tcontext=C tclass=CLASS perms=a,b
//! op=setxattr invalid_context="C"
//! ```

use super::Context;
use super::fields;
use crate::selinux::module::Name;

/// What was refused. Types are checked; a context that the policy calls invalid is kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The context that a new process or file would have is not valid: often a role without the type.
    InvalidContext {
        /// The context that would have been.
        context: Box<[u8]>,
        /// The process.
        source: Context,
        /// The program's file, or the folder.
        target: Context,
        /// Of what class the new thing is.
        class: Name,
    },
    /// A transition that leaves the bounds of the old type (usually with `NoNewPrivileges` or `nosuid`).
    BoundedTransition {
        /// From.
        old: Context,
        /// To.
        new: Context,
    },
    /// A relabelling that a validatetrans statement forbids.
    ValidateTransition {
        /// From.
        old: Context,
        /// To.
        new: Context,
        /// By.
        task: Context,
        /// Class.
        class: Name,
    },
    /// Permissions taken away because a type is bounded by another that does not have them.
    Bounds {
        /// The bounded domain.
        source: Context,
        /// The object.
        target: Context,
        /// Its class.
        class: Name,
    },
    /// A label that the policy does not know, which a program tried to set.
    UnknownLabel {
        /// The system call or file that it was set with.
        operation: Box<[u8]>,
        /// The label.
        context: Box<[u8]>,
    },
}

/// Longest invalid context kept.
pub(super) const LONGEST: usize = 1024;

/// Reads the body of a SELINUX_ERR record.
pub fn parse(body: &[u8]) -> Result<Refusal, &'static str> {
    if let Some(rest) = body.strip_prefix(b"security_compute_sid:") {
        return old_form(rest);
    }
    let mut operation: &[u8] = b"";
    let (mut invalid, mut s, mut t, mut class) = (None, None, None, None);
    let (mut old, mut new, mut task, mut bounds) = (None, None, None, false);
    for field in fields::fields(body) {
        let value = field.value;
        match field.key {
            b"op" => operation = value,
            b"invalid_context" => invalid = field.decoded(),
            b"scontext" => s = Context::parse(value),
            b"tcontext" => t = Context::parse(value),
            b"tclass" => class = Name::from_bytes(value),
            b"oldcontext" => old = Context::parse(value),
            b"newcontext" => new = Context::parse(value),
            b"taskcontext" => task = Context::parse(value),
            b"reason" => bounds = value == b"bounds",
            _ => {}
        }
    }
    let invalid = invalid.map(|c| c.iter().copied().take(LONGEST).collect::<Box<[u8]>>());
    match operation {
        b"security_compute_sid" => match (invalid, s, t, class) {
            (Some(context), Some(source), Some(target), Some(class)) => {
                Ok(Refusal::InvalidContext { context, source, target, class })
            }
            _ => Err("an `op=security_compute_sid` without its contexts"),
        },
        b"security_bounded_transition" => match (old, new) {
            (Some(old), Some(new)) => Ok(Refusal::BoundedTransition { old, new }),
            _ => Err("an `op=security_bounded_transition` without its contexts"),
        },
        b"security_validate_transition" => match (old, new, task, class) {
            (Some(old), Some(new), Some(task), Some(class)) => {
                Ok(Refusal::ValidateTransition { old, new, task, class })
            }
            _ => Err("an `op=security_validate_transition` without its contexts"),
        },
        b"security_compute_av" if bounds => match (s, t, class) {
            (Some(source), Some(target), Some(class)) => Ok(Refusal::Bounds { source, target, class }),
            _ => Err("an `op=security_compute_av` without its contexts"),
        },
        b"" => Err("a SELINUX_ERR record that is not known"),
        operation => match invalid {
            Some(context) => {
                let operation = operation.iter().copied().take(64).collect();
                Ok(Refusal::UnknownLabel { operation, context })
            }
            None => Err("a SELINUX_ERR record that is not known"),
        },
    }
}

fn old_form(rest: &[u8]) -> Result<Refusal, &'static str> {
    const BAD: &str = "a `security_compute_sid:` without its contexts";
    let rest = rest.trim_ascii_start().strip_prefix(b"invalid context ").ok_or(BAD)?;
    let end = memchr::memchr(b' ', rest).ok_or(BAD)?;
    let context: Box<[u8]> = rest.get(..end).ok_or(BAD)?.iter().copied().take(LONGEST).collect();
    let (mut s, mut t, mut class) = (None, None, None);
    for field in fields::fields(rest.get(end..).ok_or(BAD)?) {
        match field.key {
            b"scontext" => s = Context::parse(field.value),
            b"tcontext" => t = Context::parse(field.value),
            b"tclass" => class = Name::from_bytes(field.value),
            _ => {}
        }
    }
    match (s, t, class) {
        (Some(source), Some(target), Some(class)) => {
            Ok(Refusal::InvalidContext { context, source, target, class })
        }
        _ => Err(BAD),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let tail = "scontext=u:r:a_t:s0 tcontext=u:r:b_exec_t:s0 tclass=process";
        let new = format!("op=security_compute_sid invalid_context=\"u:r:b_t:s0\" {tail}");
        let old = format!("security_compute_sid:  invalid context u:r:b_t:s0 for {tail}");
        assert!(matches!(parse(new.as_bytes()), Ok(Refusal::InvalidContext { .. })));
        assert_eq!(parse(new.as_bytes()), parse(old.as_bytes()));
        assert!(parse(b"op=security_bounded_transition seresult=denied oldcontext=x newcontext=y").is_err());
        assert!(matches!(
            parse(b"op=setxattr invalid_context=\"a:b:no_such_t\""),
            Ok(Refusal::UnknownLabel { .. })
        ));
    }
}
