//! What to look at before a rule goes in, and where no rule helps.
//!
//! Each piece of advice has a finding code, whose page (`perms explain CODE`) tells the whole of it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::types;
use crate::denials::denial::DenialKey;
use crate::denials::refusal::Refusal;
use crate::denials::{Context, Denial};
use crate::report::Code;
use crate::report::codes::rule;
use crate::selinux::module::Name;

/// A piece of advice. The texts may hold names from the log; renderers escape them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The code.
    pub code: Code,
    /// What is the case here.
    pub text: String,
    /// What to do: a command, or a sentence.
    pub next: String,
    /// Whether no rule is written.
    pub instead_of_rule: bool,
}

impl Advice {
    fn new(code: Code, text: impl Into<String>, next: impl Into<String>) -> Self {
        Advice { code, text: text.into(), next: next.into(), instead_of_rule: false }
    }

    /// The remark in the module: only our own words, never anything from the log.
    pub fn remark(&self) -> Option<String> {
        (!self.instead_of_rule).then(|| format!("{}: {}", self.code.id, self.code.summary))
    }
}

/// What may have to be said of a denial, the weightiest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    UnknownLabel,
    GenericType,
    GenericPort,
    Level,
    Role,
    Inherited,
    DacOverride,
    DacReadSearch,
    ModuleLoad,
    Ptrace,
    ExecMem,
    ExecStack,
    ExecHeap,
    ExecMod,
    Policy,
    Secrets,
    ExecutableWrite,
    Ioctl,
}

/// All of them, in order.
const TOPICS: [Topic; 18] = [
    Topic::UnknownLabel,
    Topic::GenericType,
    Topic::GenericPort,
    Topic::Level,
    Topic::Role,
    Topic::Inherited,
    Topic::DacOverride,
    Topic::DacReadSearch,
    Topic::ModuleLoad,
    Topic::Ptrace,
    Topic::ExecMem,
    Topic::ExecStack,
    Topic::ExecHeap,
    Topic::ExecMod,
    Topic::Policy,
    Topic::Secrets,
    Topic::ExecutableWrite,
    Topic::Ioctl,
];

/// A set of topics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Topics(u32);

impl Topics {
    fn put(&mut self, topic: Topic, is: bool) {
        self.0 |= u32::from(is) << topic as u32;
    }

    fn take(&mut self, topic: Topic) {
        self.0 &= !(1 << topic as u32);
    }

    /// What is left to be said where the policy was asked; about single commands of ioctl only where none is filtered.
    pub(super) fn unanswered(mut self, filtered: bool) -> Topics {
        let answered = [Topic::UnknownLabel, Topic::Level, Topic::Role, Topic::Inherited, Topic::GenericPort];
        answered.into_iter().for_each(|topic| self.take(topic));
        if filtered {
            self.take(Topic::Ioctl);
        }
        self
    }

    /// The advice.
    pub(super) fn on(self, denial: &Denial) -> Vec<Advice> {
        if self.0 == 0 {
            return Vec::new();
        }
        let told = TOPICS.iter().filter(|topic| self.0 >> **topic as u32 & 1 != 0);
        told.filter_map(|topic| topic.on(denial)).collect()
    }
}

/// Finds the topics of many denials: what depends on class, type and permissions is found out once for each.
#[derive(Debug, Default)]
pub(super) struct Advisor<'a> {
    /// By where these lie in memory: names of one log are there once.
    known: FxHashMap<[usize; 3], Topics>,
    /// The last contexts, and whether roles, and levels, may have to be spoken of.
    last: Option<(&'a Arc<Context>, &'a Arc<Context>, bool, bool)>,
}

impl<'a> Advisor<'a> {
    pub(super) fn topics(&mut self, key: &'a DenialKey) -> Topics {
        let place = |name: &Name| name.as_str().as_ptr().addr();
        let parts = [place(&key.class), place(&key.target.kind), key.permissions.as_ptr().addr()];
        let find = || topics(key.class.as_str(), key.target.kind.as_str(), &key.permissions);
        let mut topics = *self.known.entry(parts).or_insert_with(find);
        let same = |(source, target, ..): &(&Arc<Context>, &Arc<Context>, bool, bool)| {
            Arc::ptr_eq(source, &key.source) && Arc::ptr_eq(target, &key.target)
        };
        let (_, _, roles, levels) = *match &mut self.last {
            Some(last) if same(last) => last,
            last => last.insert((
                &key.source,
                &key.target,
                changes_role(&key.source, &key.target),
                key.source.range != key.target.range,
            )),
        };
        if key.unknown_label.is_some() {
            topics.take(Topic::GenericType);
            topics.put(Topic::UnknownLabel, true);
        }
        topics.put(Topic::Level, levels);
        if !roles {
            topics.take(Topic::Role);
        }
        topics
    }
}

/// All advice on a denial, the weightiest first.
pub fn denial(denial: &Denial) -> Vec<Advice> {
    Advisor::default().topics(&denial.key).on(denial)
}

/// The topics that class, type of the target and permissions may give reason for.
fn topics(class: &str, target: &str, permissions: &[Name]) -> Topics {
    let any = |names: &[&str]| permissions.iter().any(|p| names.contains(&p.as_str()));
    let is_file = types::FILES.contains(&class);
    let capability = |name| is_capability(class) && any(&[name]);
    let process = |name| class == "process" && any(&[name]);
    let mut found = Topics::default();
    found.put(Topic::GenericType, is_file && types::GENERIC.contains(&target));
    found.put(
        Topic::GenericPort,
        any(&["name_bind", "name_connect"]) && types::GENERIC_PORTS.contains(&target),
    );
    found.put(Topic::Role, class == "process" && any(&["transition", "dyntransition"]));
    found.put(Topic::Inherited, may_be_inherited(class, permissions));
    found.put(Topic::DacOverride, capability("dac_override"));
    found.put(Topic::DacReadSearch, !capability("dac_override") && capability("dac_read_search"));
    found.put(Topic::ModuleLoad, capability("sys_module") || (class == "system" && any(&["module_load"])));
    found.put(Topic::Ptrace, capability("sys_ptrace") || process("ptrace"));
    found.put(Topic::ExecMem, process("execmem"));
    found.put(Topic::ExecStack, process("execstack"));
    found.put(Topic::ExecHeap, process("execheap"));
    found.put(Topic::ExecMod, any(&["execmod"]));
    found.put(
        Topic::Policy,
        (class == "security" && any(&["load_policy", "setenforce", "setsecparam", "setbool"]))
            || (is_capability2(class) && any(&["mac_admin", "mac_override"]))
            || (is_file && types::is_policy(target) && any(types::CHANGES)),
    );
    found.put(Topic::Secrets, is_file && types::is_secret(target) && any(types::CONTENT));
    found.put(Topic::ExecutableWrite, is_file && types::is_run_by_others(target) && any(types::CHANGES));
    found.put(Topic::Ioctl, any(&["ioctl"]) && class != "system");
    found
}

impl Topic {
    fn on(self, denial: &Denial) -> Option<Advice> {
        let key = &denial.key;
        let source = key.source.kind.as_str();
        let target = key.target.kind.as_str();
        Some(match self {
            Topic::UnknownLabel => {
                let label = String::from_utf8_lossy(key.unknown_label.as_deref()?);
                let mut advice = Advice::new(
                    &rule::UNKNOWN_LABEL,
                    format!("the label on disk is `{label}`, which the policy does not know"),
                    with_path("restorecon -v", denial),
                );
                advice.instead_of_rule = true;
                advice
            }
            Topic::GenericType => Advice::new(
                &rule::GENERIC_TYPE,
                format!(
                    "`{target}` is what objects get that were not labelled for a purpose: probably a wrong label"
                ),
                with_path("restorecon -v", denial),
            ),
            Topic::GenericPort => Advice::new(
                &rule::GENERIC_PORT,
                format!("`{target}` is every port without a type"),
                semanage_port(denial),
            ),
            Topic::Level => return level(denial),
            Topic::Role => Advice::new(
                &rule::ROLE,
                format!(
                    "from {}:{} to {}:{}",
                    key.source.user, key.source.role, key.target.user, key.target.role
                ),
                "see which roles the policy allows: sesearch --role_allow; seinfo -r ROLE -x",
            ),
            Topic::Inherited => {
                if !inherited(denial) {
                    return None;
                }
                Advice::new(
                    &rule::INHERITED,
                    "all while a program was started, on what was open already",
                    "dontaudit it, or mend the parent",
                )
            }
            Topic::DacOverride => Advice::new(
                &rule::DAC_OVERRIDE,
                "root was refused by a file's owner and mode",
                "find the file (see the paths) and give it the owner, group or mode that the program has",
            ),
            Topic::DacReadSearch => Advice::new(
                &rule::DAC_READ_SEARCH,
                "root was refused reading by a file's owner and mode",
                "find the file (see the paths) and give it the owner, group or mode that the program has",
            ),
            Topic::ModuleLoad => Advice::new(
                &rule::MODULE_LOAD,
                "whoever loads a module is the kernel",
                "load the module at boot: /etc/modules-load.d",
            ),
            Topic::Ptrace => Advice::new(
                &rule::PTRACE,
                "it could read and change the other process's memory",
                "dontaudit it where it only looks at /proc",
            ),
            Topic::ExecMem => Advice::new(
                &rule::EXECMEM,
                "it could run what it wrote into memory",
                "look for a switch that turns the JIT off",
            ),
            Topic::ExecStack => {
                Advice::new(&rule::EXECSTACK, "its stack could be run", "find the library: execstack -q")
            }
            Topic::ExecHeap => Advice::new(&rule::EXECHEAP, "its heap could be run", "mend the program"),
            Topic::ExecMod => Advice::new(
                &rule::EXECMOD,
                "it could run a file's code that it changed in memory",
                "build the library with -fPIC, or: semanage fcontext -a -t textrel_shlib_t FILE",
            ),
            Topic::Policy => Advice::new(
                &rule::POLICY,
                format!("`{source}` could change what SELinux enforces"),
                "leave it denied unless the program's purpose is SELinux itself",
            ),
            Topic::Secrets => Advice::new(
                &rule::SECRETS,
                format!("`{target}` holds passwords or private keys"),
                "let the program ask a helper whose domain may (PAM, unix_chkpwd), or move the file to a type of its own",
            ),
            Topic::ExecutableWrite => Advice::new(
                &rule::EXECUTABLE_WRITE,
                format!("others run files of type `{target}`"),
                "write elsewhere, or install through the package manager",
            ),
            Topic::Ioctl => Advice::new(
                &rule::IOCTL,
                if denial.ioctls.is_empty() {
                    "the rule is on every command; the log does not tell which".to_owned()
                } else {
                    let commands: Vec<String> =
                        denial.ioctls.iter().take(8).map(|n| format!("0x{n:x}")).collect();
                    format!("the rule is on every command; denied: {}", commands.join(", "))
                },
                "perms learn --xperms narrows it to the commands that were denied; read the page first",
            ),
        })
    }
}

fn is_capability(class: &str) -> bool {
    matches!(class, "capability" | "cap_userns")
}

fn is_capability2(class: &str) -> bool {
    matches!(class, "capability2" | "cap2_userns")
}

/// Levels that differ such that the source does not dominate the target.
fn level(denial: &Denial) -> Option<Advice> {
    if denial.key.source.range == denial.key.target.range {
        return None;
    }
    let (_, mine) = denial.key.source.levels()?;
    let (_, theirs) = denial.key.target.levels()?;
    if mine.dominates(theirs)? {
        return None;
    }
    let (s, t) = (denial.key.source.range.as_deref()?, denial.key.target.range.as_deref()?);
    Some(Advice::new(
        &rule::LEVEL,
        format!("`{s}` does not dominate `{t}`: if a constraint says so, no rule helps"),
        "give both the same categories: chcon -l for a file, the unit's SELinuxContext= for a service",
    ))
}

fn changes_role(source: &Context, target: &Context) -> bool {
    source.user != target.user || source.role != target.role
}

/// Whether all of it came while a program was being started, on a descriptor that was open before.
pub fn inherited(denial: &Denial) -> bool {
    let key = &denial.key;
    let calls = denial.evidence.syscalls();
    may_be_inherited(key.class.as_str(), &key.permissions)
        && !calls.is_empty()
        && calls
            .iter()
            .all(|c| matches!(c, b"execve \xe2\x86\x92 success" | b"execveat \xe2\x86\x92 success"))
}

/// Whether it is what a descriptor is good for that somebody else opened.
fn may_be_inherited(class: &str, permissions: &[Name]) -> bool {
    let descriptor = matches!(
        class,
        "file"
            | "fifo_file"
            | "chr_file"
            | "sock_file"
            | "unix_stream_socket"
            | "unix_dgram_socket"
            | "tcp_socket"
            | "udp_socket"
            | "fd"
    );
    descriptor && permissions.iter().all(|p| matches!(p.as_str(), "read" | "write" | "append" | "use"))
}

fn semanage_port(denial: &Denial) -> String {
    let kind = types::port_type(denial.key.source.kind.as_str()).unwrap_or("TYPE");
    let protocol = match denial.key.class.as_str() {
        "udp_socket" => "udp",
        "sctp_socket" => "sctp",
        "dccp_socket" => "dccp",
        _ => "tcp",
    };
    match denial.evidence.ports.iter().collect::<Vec<_>>().as_slice() {
        [one] => format!("semanage port -a -t {kind} -p {protocol} {one}"),
        [] => format!("semanage port -a -t {kind} -p {protocol} PORT"),
        many => {
            let list: Vec<String> = many.iter().take(32).map(|p| p.to_string()).collect();
            let more = match many.len().saturating_sub(list.len()) {
                0 => String::new(),
                more => format!("  # and {more} more"),
            };
            let list = list.join(" ");
            format!("for port in {list}; do semanage port -a -t {kind} -p {protocol} $port; done{more}")
        }
    }
}

/// A command on the object's path, if there is one path that can be pasted safely.
fn with_path(command: &str, denial: &Denial) -> String {
    let paths: Vec<&[u8]> = denial.evidence.objects.iter().filter(|p| p.starts_with(b"/")).collect();
    match paths.as_slice() {
        [one] => match shell_word(one) {
            Some(word) => format!("{command} {word}"),
            None => format!("{command} PATH"),
        },
        _ => format!("{command} PATH"),
    }
}

/// A path as one word of a shell; `None` if it holds anything that a terminal or a shell could take otherwise.
pub fn shell_word(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    if crate::report::escape(text) != text || text.contains('\'') {
        return None;
    }
    let plain = text
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ',' | ':' | '@' | '%'));
    Some(if plain { text.to_owned() } else { format!("'{text}'") })
}

/// The domain that a refusal concerns.
pub fn refused_domain(refusal: &Refusal) -> Option<&Name> {
    match refusal {
        Refusal::InvalidContext { source, .. } | Refusal::Bounds { source, .. } => Some(&source.kind),
        Refusal::BoundedTransition { old, .. } => Some(&old.kind),
        Refusal::ValidateTransition { task, .. } => Some(&task.kind),
        Refusal::UnknownLabel { .. } => None,
    }
}

/// What helps where SELinux refused without an access vector. None of it is an allow rule.
pub fn refusal(refusal: &Refusal) -> Advice {
    let mut advice = match refusal {
        Refusal::InvalidContext { context, source, target, class } => {
            let shown = String::from_utf8_lossy(context);
            let next = match Context::parse(context) {
                Some(c) if class.as_str() == "process" && c.role.in_te() && c.kind.in_te() => {
                    format!("role {} types {}; or start it through its unit, in system_r", c.role, c.kind)
                }
                _ => "a role or user that may have the type".to_owned(),
            };
            Advice::new(
                &rule::INVALID_CONTEXT,
                format!("{} with {}: `{shown}` is not a valid context", source.kind, target.kind),
                next,
            )
        }
        Refusal::BoundedTransition { old, new } => Advice::new(
            &rule::BOUNDED_TRANSITION,
            format!("{} to {}: privileges must not grow here", old.kind, new.kind),
            format!(
                "`allow {} {}:process2 nnp_transition;` in a module; or no NoNewPrivileges in the unit",
                old.kind, new.kind
            ),
        ),
        Refusal::ValidateTransition { old, new, task, class } => Advice::new(
            &rule::VALIDATE_TRANSITION,
            format!("{} may not relabel a {class} from {} to {}", task.kind, old.kind, new.kind),
            "relabel with restorecon from an administrator's domain",
        ),
        Refusal::Bounds { source, target, class } => Advice::new(
            &rule::BOUNDS,
            format!("{} on {} ({class}): its bounding type lacks it", source.kind, target.kind),
            "give the bounding type the permission, too",
        ),
        Refusal::UnknownLabel { operation, context } => Advice::new(
            &rule::LABEL_NOT_IN_POLICY,
            format!("{}: `{}`", String::from_utf8_lossy(operation), String::from_utf8_lossy(context)),
            "install the module that defines the type, or leave the labels out and run restorecon",
        ),
    };
    advice.instead_of_rule = true;
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_pasted_only_where_that_is_safe() {
        assert_eq!(shell_word(b"/srv/x.html").as_deref(), Some("/srv/x.html"));
        assert_eq!(shell_word(b"/srv/a b;rm -rf").as_deref(), Some("'/srv/a b;rm -rf'"));
        for hostile in [&b"/a'b"[..], b"/a\x1b[2J", b"/a\nb", b"/\xff", b"/a\\b"] {
            assert_eq!(shell_word(hostile), None);
        }
    }
}
