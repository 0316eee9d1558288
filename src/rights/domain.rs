//! What the SELinux policy says to a process in a domain: the permissions that the kernel asks for each action
//! (security/selinux/hooks.c), of the object's own label.

use std::path::Path;

use super::answer::{Layer, Step, Verdict};
use super::files::class;
use crate::grants::access::{CapSet, Capability};
use crate::selinux::policy::{Context, HandleUnknown, New, View};
use crate::sys::{Handle, Meta};

/// Number of the initial SID that an invalid label stands for.
const UNLABELED: u32 = 3;
/// Policy capability `open_perms`: opening asks for `open` too.
const OPEN_PERMS: u32 = 1;

/// What a file without a label would be labelled: file_contexts, for a tree that is not the running host's.
pub type Expected<'p> = dyn Fn(&Path, &Meta) -> Option<String> + 'p;

/// A policy, and the labels of files as far as they are not on the files.
pub struct Labels<'p> {
    /// The policy with its booleans as they are.
    pub view: View<'p>,
    /// Whether the kernel enforces; `None` where no running kernel is asked about.
    pub enforced: Option<bool>,
    /// What a file without a label is taken for.
    pub expected: Box<Expected<'p>>,
}

/// A domain in which the user's process runs.
pub struct Domain<'p> {
    labels: &'p Labels<'p>,
    context: Context,
}

impl Labels<'_> {
    /// The object's context, and what is to be said of where it comes from.
    fn of(&self, path: &Path, handle: &Handle, meta: &Meta) -> Result<(Context, Option<String>), String> {
        let policy = self.view.policy();
        let text = match handle.label(meta) {
            Ok(Some(label)) => Ok((String::from_utf8_lossy(&label).into_owned(), None)),
            Ok(None) => match (self.expected)(path, meta) {
                Some(text) => {
                    Ok((text, Some("it has no label; this is what file_contexts gives it".to_owned())))
                }
                None => Err("it has no label, and file_contexts gives none".to_owned()),
            },
            Err(e) => Err(format!("its label cannot be read: {e}")),
        };
        let (text, note) = text?;
        match policy.parse_context(&text) {
            Ok(context) => Ok((context, note)),
            Err(_) => {
                let unlabeled = policy.initial_context(UNLABELED).cloned();
                let unlabeled = unlabeled.ok_or("the policy has no context for what is not labelled")?;
                Ok((unlabeled, Some(format!("its label `{text}` is not valid in this policy"))))
            }
        }
    }

    /// The domains whose processes may do all of that to the object, each with a rule by which they may. Constraints may
    /// take part of it away.
    pub(super) fn domains(
        &self,
        path: &Path,
        handle: &Handle,
        meta: &Meta,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<(String, String)>, String> {
        let policy = self.view.policy();
        let (target, _) = self.of(path, handle, meta)?;
        let class = policy.classes().id(wanted.class);
        let class = class.ok_or_else(|| format!("the policy does not have the class {}", wanted.class))?;
        let bits = wanted.permissions.iter().filter_map(|p| policy.permission(class, p));
        let vector = bits.fold(0, |a, b| a | b);
        let mut found = Vec::new();
        for grant in self.view.who_can(target.ty, class, vector) {
            let holding = || grant.rules.iter().filter(|(_, _, holds)| *holds);
            if holding().fold(0, |all, (_, bits, _)| all | bits) & vector == vector {
                let rule = holding().max_by_key(|(_, bits, _)| bits.count_ones());
                let text = rule.map_or_else(String::new, |(r, bits, _)| {
                    let name = |ty: Option<_>| ty.map_or("?", |t| policy.types().name(t));
                    let (source, on) = (name(r.rule.source()), name(r.rule.target()));
                    format!("allow {source} {on}:{} {}", wanted.class, policy.vector_text(class, *bits))
                });
                found.push((policy.types().name(grant.source).to_owned(), text));
            }
        }
        Ok(found)
    }
}

/// Permissions of a class.
pub(super) struct Wanted<'a> {
    class: &'a str,
    permissions: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(class: &'a str, permissions: &[&'a str]) -> Wanted<'a> {
        Wanted { class, permissions: permissions.to_vec() }
    }
}

/// Why a domain cannot be asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// The policy does not have it.
    #[error("{0}")]
    Context(String),
    /// A type without a user and role that go with it.
    #[error(
        "`{0}` goes with none of the usual users and roles: give the whole context, such as user_u:user_r:{0}:s0"
    )]
    NoRole(String),
}

impl<'p> Domain<'p> {
    /// A domain by its context, or by its type alone, upon which user, role and range are those of system services, else
    /// of unconfined or of ordinary users.
    ///
    /// # Errors
    /// The policy does not have it.
    pub fn new(labels: &'p Labels<'p>, text: &str) -> Result<Domain<'p>, DomainError> {
        let policy = labels.view.policy();
        let context = if text.contains(':') {
            policy.parse_context(text).map_err(|e| DomainError::Context(e.to_string()))?
        } else {
            if policy.types().id(text).is_none() {
                return Err(DomainError::Context(format!("the policy has no type `{text}`")));
            }
            let low = if policy.mls() { ":s0" } else { "" };
            let homes =
                ["system_u:system_r", "unconfined_u:unconfined_r", "staff_u:staff_r", "user_u:user_r"];
            let found = homes.iter().find_map(|h| policy.parse_context(&format!("{h}:{text}{low}")).ok());
            found.ok_or_else(|| DomainError::NoRole(text.to_owned()))?
        };
        Ok(Domain { labels, context })
    }

    /// The whole context.
    pub fn text(&self) -> String {
        self.view().policy().context_text(&self.context)
    }

    fn view(&self) -> &'p View<'p> {
        &self.labels.view
    }

    /// Which of the capabilities the policy lets the domain use.
    pub(super) fn capabilities(&self, have: CapSet) -> CapSet {
        let policy = self.view().policy();
        let Some(class) = policy.classes().id("capability") else { return have };
        let access = self.view().access(&self.context, &self.context, class);
        if access.permissive || self.labels.enforced == Some(false) {
            return have;
        }
        let names = [
            (Capability::DacOverride, "dac_override"),
            (Capability::DacReadSearch, "dac_read_search"),
            (Capability::Fowner, "fowner"),
        ];
        names.iter().fold(CapSet::NONE, |set, (capability, name)| {
            let bit = policy.permission(class, name).unwrap_or(0);
            if have.has(*capability) && access.allowed & bit != 0 { set.with(*capability) } else { set }
        })
    }

    /// Asks for permissions on an object.
    pub(super) fn ask(&self, path: &Path, handle: &Handle, meta: &Meta, wanted: &Wanted<'_>) -> Option<Step> {
        let at = path.display().to_string();
        let what = format!("{} {}", wanted.class, wanted.permissions.join(" "));
        Some(match self.labels.of(path, handle, meta) {
            Err(why) => Step::new(Layer::Selinux, at, what, Verdict::Unknown, why),
            Ok((target, note)) => {
                let mut step = self.decide(&at, &self.context, &target, wanted);
                step.notes.extend(note);
                step
            }
        })
    }

    /// Asks for permissions of one context on another.
    fn decide(&self, at: &str, source: &Context, target: &Context, wanted: &Wanted<'_>) -> Step {
        let policy = self.view().policy();
        let names: Vec<&str> = wanted
            .permissions
            .iter()
            .copied()
            .filter(|p| *p != "open" || policy.capabilities().contains(OPEN_PERMS))
            .collect();
        let types = (policy.types().name(source.ty), policy.types().name(target.ty));
        let what = format!("{} {}", wanted.class, names.join(" "));
        let step = |verdict, by: String| Step::new(Layer::Selinux, at, what.clone(), verdict, by);
        let unknown = Verdict::of(policy.handle_unknown() == HandleUnknown::Allow);
        let Some(class) = policy.classes().id(wanted.class) else {
            return step(unknown, format!("the policy does not have the class {}", wanted.class));
        };
        let mut vector = 0;
        for name in &names {
            match policy.permission(class, name) {
                Some(bit) => vector |= bit,
                None if unknown == Verdict::Yes => {}
                None => return step(Verdict::No, format!("the policy does not have the permission {name}")),
            }
        }
        let found = self.view().explain(source, target, class, vector);
        if found.allowed == vector {
            let rule = format!(
                "allow {} {}:{} {};",
                types.0,
                types.1,
                wanted.class,
                policy.vector_text(class, vector)
            );
            return step(Verdict::Yes, rule);
        }
        let denied = vector & !found.allowed;
        let lacks = |v: u32| policy.vector_text(class, v);
        let mut notes = Vec::new();
        let by = if found.no_rule != 0 {
            for change in self.view().boolean_changes(source.ty, target.ty, class, vector).iter().take(3) {
                let set: Vec<String> = change
                    .changes
                    .iter()
                    .map(|(b, on)| {
                        format!("{} {}", policy.booleans().name(*b), if *on { "on" } else { "off" })
                    })
                    .collect();
                notes.push(format!("a rule would allow it with {}", set.join(" and ")));
            }
            format!("no rule: allow {} {}:{} {}", types.0, types.1, wanted.class, lacks(found.no_rule))
        } else if let Some(c) = found.constraints.first() {
            notes.push("no allow rule helps against a constraint".to_owned());
            format!("a constraint denies {}: {}", lacks(c.permissions), c.tree)
        } else if found.role != 0 {
            format!("the role may not change for {}", lacks(found.role))
        } else {
            format!("{} is bounded by a type that lacks {}", types.0, lacks(denied))
        };
        let let_through = if found.permissive {
            Some("reported and let through: the domain is permissive")
        } else if self.labels.enforced == Some(false) {
            Some("reported and let through: the kernel does not enforce now")
        } else {
            None
        };
        let mut step = step(Verdict::of(let_through.is_some()), by);
        step.notes = notes;
        step.notes.extend(let_through.map(str::to_owned));
        step
    }

    /// What executing asks: of this domain, or of the one that it becomes.
    pub(super) fn execute(&self, path: &Path, handle: &Handle, meta: &Meta) -> Vec<Step> {
        let at = path.display().to_string();
        let opens = Wanted::new("file", &["read", "open", "execute"]);
        let (target, note) = match self.labels.of(path, handle, meta) {
            Ok(found) => found,
            Err(why) => return vec![Step::new(Layer::Selinux, at, "file execute", Verdict::Unknown, why)],
        };
        let mut steps = vec![self.decide(&at, &self.context, &target, &opens)];
        let policy = self.view().policy();
        let process = policy.classes().id("process");
        let new = process
            .map(|process| self.view().new_context(New::Created, &self.context, &target, process, None))
            .filter(|new| *new != self.context);
        match new {
            None => {
                steps.push(self.decide(
                    &at,
                    &self.context,
                    &target,
                    &Wanted::new("file", &["execute_no_trans"]),
                ));
            }
            Some(new) => {
                let becomes = format!("it becomes {}", policy.context_text(&new));
                steps.push(
                    self.decide(&at, &self.context, &new, &Wanted::new("process", &["transition"]))
                        .note(becomes),
                );
                steps.push(self.decide(&at, &new, &target, &Wanted::new("file", &["entrypoint"])));
            }
        }
        if let Some(first) = steps.first_mut() {
            first.notes.extend(note);
        }
        steps
    }

    /// What making a file in a folder asks of the new file's label; `name` is its name, where it is known, `file_system` the kind
    /// that the folder is on, which is asked whether it takes such a label.
    pub(super) fn create(
        &self,
        path: &Path,
        handle: &Handle,
        meta: &Meta,
        name: Option<&[u8]>,
        file_system: Option<&str>,
    ) -> Vec<Step> {
        let at = path.display().to_string();
        let policy = self.view().policy();
        // What is wrong with the folder's label was said when the folder itself was asked about.
        let (Ok((folder, _)), Some(file)) = (self.labels.of(path, handle, meta), policy.classes().id("file"))
        else {
            return Vec::new();
        };
        let new = self.view().new_context(New::Created, &self.context, &folder, file, name);
        let text = policy.context_text(&new);
        if policy.check_context(&new).is_err() {
            let why = format!("what it makes there would be {text}, which the policy does not allow");
            return vec![Step::new(Layer::Selinux, at, "file create", Verdict::No, why)];
        }
        let wanted = Wanted::new(class(crate::sys::Kind::File), &["create", "write", "open"]);
        let mut steps = vec![
            self.decide(&at, &self.context, &new, &wanted).note(format!("what it makes there is {text}")),
        ];
        let of = file_system.and_then(|kind| policy.file_system(kind.as_bytes()).context);
        if let Some(of) = of {
            let step = self.decide(&at, &new, of, &Wanted::new("filesystem", &["associate"]));
            steps.push(step.note(format!(
                "whether the file system, {}, takes a file labelled {text}",
                policy.context_text(of)
            )));
        }
        steps
    }
}
