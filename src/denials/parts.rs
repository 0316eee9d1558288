//! What decides denials, each text checked once and known by a number from then on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Context;
use super::avc::Avc;
use super::collect::MOST;
use super::denial::DenialKey;
use super::usual::Denied;
use crate::report::Code;
use crate::report::codes::log::{BAD_CONTEXT, BAD_RECORD, UNKNOWN_CLASS, UNKNOWN_PERMISSION};
use crate::selinux::module::{Name, classes};

/// A distinct denial: the numbers of its contexts, its class with its permissions, and its label on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Part {
    source: u32,
    target: u32,
    access: u32,
    /// 0: none.
    label: u32,
}

/// There are too many texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Full;

/// Texts (or what was made of them), each with a number: that of its place in the list.
#[derive(Debug)]
struct Numbered<K, V> {
    numbers: HashMap<K, u32, RandomState>,
    list: Vec<V>,
}

impl<K, V> Default for Numbered<K, V> {
    fn default() -> Self {
        Numbered { numbers: HashMap::default(), list: Vec::new() }
    }
}

impl<K: Hash + Eq, V> Numbered<K, V> {
    fn get(&self, number: u32) -> Option<&V> {
        self.list.get(usize::try_from(number).ok()?)
    }

    fn add(&mut self, key: K, value: V) -> Result<u32, Full> {
        let number = u32::try_from(self.list.len()).ok().filter(|_| self.list.len() < MOST).ok_or(Full)?;
        self.list.push(value);
        self.numbers.insert(key, number);
        Ok(number)
    }
}

/// What is wrong with a record's texts. Nothing of such a record is kept: there may be any number of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bad {
    Source,
    Target,
    Class,
    /// More than a class can have.
    Permissions,
    NoPermission,
}

/// Why a record is not a denial that can be taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Not {
    Bad(Bad),
    Full,
}

impl From<Full> for Not {
    fn from(_: Full) -> Not {
        Not::Full
    }
}

/// Longest text of permissions: a class has 32 at the most.
const LONGEST: usize = 4096;

/// A class and permissions, sorted.
type Access = (Name, Arc<[Name]>);

/// All texts of a lane.
#[derive(Debug, Default)]
pub(super) struct Parts {
    contexts: Numbered<Box<[u8]>, Arc<Context>>,
    /// From a class and what stands in the braces to the access.
    written: HashMap<Box<[u8]>, u32, RandomState>,
    accesses: Numbered<Access, Access>,
    /// What an access is about, by its number.
    about: Vec<About>,
    labels: Numbered<Box<[u8]>, Box<[u8]>>,
    /// Names that contexts and accesses have in common.
    names: HashSet<Name, RandomState>,
    scratch: Vec<u8>,
}

/// What the permissions on a class tell of the records of its events.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct About {
    /// The object is a folder, and what is named an entry of it.
    pub(super) entry: bool,
    /// The object is to be made, if it has no number.
    pub(super) made: bool,
    /// Owner and mode of an object refused.
    pub(super) owner: bool,
}

/// From the numbers of another lane to one's own.
pub(super) struct Numbers {
    contexts: Vec<Option<u32>>,
    accesses: Vec<Option<u32>>,
    labels: Vec<Option<u32>>,
}

impl Numbers {
    /// The same denial here; `None` if there are too many texts.
    pub(super) fn part(&self, part: Part) -> Option<Part> {
        let of = |list: &[Option<u32>], n: u32| list.get(usize::try_from(n).ok()?).copied().flatten();
        Some(Part {
            source: of(&self.contexts, part.source)?,
            target: of(&self.contexts, part.target)?,
            access: of(&self.accesses, part.access)?,
            label: match part.label.checked_sub(1) {
                None => 0,
                Some(n) => of(&self.labels, n)? + 1,
            },
        })
    }
}

/// The place of each number's text in the order of texts.
pub(super) struct Ranks {
    contexts: Vec<u32>,
    accesses: Vec<u32>,
    labels: Vec<u32>,
}

impl Ranks {
    /// A number that is ordered as the denials' keys are, in so few bits as there are ranks; `None` if that is too many.
    pub(super) fn short(&self, part: Part) -> Option<u64> {
        let bits = |list: &[u32]| usize::BITS - list.len().leading_zeros();
        let [contexts, accesses, labels] = [bits(&self.contexts), bits(&self.accesses), bits(&self.labels)];
        if contexts + contexts + accesses + labels > u64::BITS {
            return None;
        }
        let [source, target, access, label] = self.ranks(part).map(u64::from);
        Some(((source << contexts | target) << accesses | access) << labels | label)
    }

    /// The same in as many bits as there may be.
    pub(super) fn of(&self, part: Part) -> u128 {
        self.ranks(part).into_iter().fold(0, |number, rank| number << 32 | u128::from(rank))
    }

    fn ranks(&self, part: Part) -> [u32; 4] {
        let of =
            |list: &[u32], n: u32| usize::try_from(n).ok().and_then(|n| list.get(n)).copied().unwrap_or(0);
        let label = part.label.checked_sub(1).map_or(0, |n| of(&self.labels, n).saturating_add(1));
        [
            of(&self.contexts, part.source),
            of(&self.contexts, part.target),
            of(&self.accesses, part.access),
            label,
        ]
    }
}

fn ranks<T: Ord>(list: &[T]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.sort_unstable_by_key(|n| list.get(*n));
    let mut ranks = vec![0; list.len()];
    let mut rank = 0u32;
    for (at, number) in order.iter().enumerate() {
        // Contexts may be written in several ways.
        let before = at.checked_sub(1).and_then(|at| order.get(at));
        if before.is_some_and(|before| list.get(*before) != list.get(*number)) {
            rank += 1;
        }
        if let Some(slot) = ranks.get_mut(*number) {
            *slot = rank;
        }
    }
    ranks
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)).into_owned()
}

impl Parts {
    /// What a record denies, and permissions in it that no kernel is known to have for its class.
    pub(super) fn of(&mut self, avc: &Avc<'_>) -> Result<(Part, BTreeSet<Name>), Not> {
        let source = self.context(avc.scontext, Bad::Source)?;
        let target = self.context(avc.tcontext, Bad::Target)?;
        let (access, unknown) = self.written(avc)?;
        let label = match avc.trawcon.and_then(|field| field.decoded()) {
            None => 0,
            Some(label) => self.label(label.get(..1024).unwrap_or(&label))?,
        };
        Ok((Part { source, target, access, label }, unknown))
    }

    /// What a record denies whose texts are all known; without a label on disk.
    pub(super) fn known(&mut self, denied: &Denied<'_>) -> Option<Part> {
        let source = *self.contexts.numbers.get(denied.scontext)?;
        let target = *self.contexts.numbers.get(denied.tcontext)?;
        let text = written(&mut self.scratch, denied.tclass, denied.permissions.trim_ascii());
        let access = *self.written.get(text)?;
        Some(Part { source, target, access, label: 0 })
    }

    /// What its access is about.
    pub(super) fn about(&self, part: Part) -> About {
        let about = usize::try_from(part.access).ok().and_then(|number| self.about.get(number));
        about.copied().unwrap_or_default()
    }

    /// What these numbers mean.
    pub(super) fn key(&self, part: Part) -> Option<DenialKey> {
        let context = |number| self.contexts.get(number).cloned();
        let (class, permissions) = self.accesses.get(part.access)?.clone();
        let unknown_label = match part.label.checked_sub(1) {
            None => None,
            Some(n) => Some(self.labels.get(n)?.clone()),
        };
        Some(DenialKey {
            source: context(part.source)?,
            target: context(part.target)?,
            class,
            permissions,
            unknown_label,
        })
    }

    /// The order of all denials by what they are about.
    pub(super) fn ranks(&self) -> Ranks {
        Ranks {
            contexts: ranks(&self.contexts.list),
            accesses: ranks(&self.accesses.list),
            labels: ranks(&self.labels.list),
        }
    }

    /// Takes the texts of another lane.
    pub(super) fn take(&mut self, other: &Parts) -> Numbers {
        let mut contexts = vec![None; other.contexts.list.len()];
        for (text, number) in &other.contexts.numbers {
            if let Some(slot) = usize::try_from(*number).ok().and_then(|n| contexts.get_mut(n)) {
                *slot = self.context(text, Bad::Source).ok();
            }
        }
        let accesses = other.accesses.list.iter().map(|access| self.access(access).ok()).collect();
        let labels = other.labels.list.iter();
        let labels = labels.map(|label| self.label(label).ok().and_then(|n| n.checked_sub(1))).collect();
        Numbers { contexts, accesses, labels }
    }

    fn context(&mut self, text: &[u8], bad: Bad) -> Result<u32, Not> {
        if let Some(number) = self.contexts.numbers.get(text) {
            return Ok(*number);
        }
        let context = Context::parse(text).ok_or(Not::Bad(bad))?;
        let context = Context {
            user: self.name(context.user),
            role: self.name(context.role),
            kind: self.name(context.kind),
            range: context.range,
        };
        Ok(self.contexts.add(text.into(), context.into())?)
    }

    fn written(&mut self, avc: &Avc<'_>) -> Result<(u32, BTreeSet<Name>), Not> {
        let permissions = avc.permissions.trim_ascii();
        if permissions.len() > LONGEST {
            return Err(Not::Bad(Bad::Permissions));
        }
        let known = self.written.get(written(&mut self.scratch, avc.tclass, permissions)).copied();
        match known {
            Some(access) => Ok((access, BTreeSet::new())),
            None => check(avc.tclass, permissions).and_then(|(access, unknown)| {
                let access = self.access(&access)?;
                // What has unknown ones is rare, and of endless variety.
                if unknown.is_empty() && self.written.len() < MOST {
                    self.written.insert(self.scratch.as_slice().into(), access);
                }
                Ok((access, unknown))
            }),
        }
    }

    fn access(&mut self, access: &Access) -> Result<u32, Full> {
        if let Some(number) = self.accesses.numbers.get(access) {
            return Ok(*number);
        }
        let (class, permissions) = access.clone();
        let class = self.name(class);
        let permissions: Arc<[Name]> = permissions.iter().map(|p| self.name(p.clone())).collect();
        let has = |is: &dyn Fn(&str) -> bool| permissions.iter().any(|p| is(p.as_str()));
        let entry = class.as_str() == "dir" && has(&|p| matches!(p, "add_name" | "remove_name"));
        let made = !entry && has(&|p| p == "create");
        let about = About { entry, made, owner: has(&|p| p.contains("dac_")) };
        let access = (class, permissions);
        let number = self.accesses.add(access.clone(), access)?;
        self.about.push(about);
        Ok(number)
    }

    /// 1 and up.
    fn label(&mut self, label: &[u8]) -> Result<u32, Full> {
        let number = match self.labels.numbers.get(label) {
            Some(number) => *number,
            None => self.labels.add(label.into(), label.into())?,
        };
        Ok(number + 1)
    }

    fn name(&mut self, name: Name) -> Name {
        if let Some(known) = self.names.get(&name) {
            return known.clone();
        }
        self.names.insert(name.clone());
        name
    }
}

/// A class and what stands in the braces, as one text.
fn written<'s>(scratch: &'s mut Vec<u8>, class: &[u8], permissions: &[u8]) -> &'s [u8] {
    scratch.clear();
    scratch.extend_from_slice(class);
    scratch.push(0);
    scratch.extend_from_slice(permissions);
    scratch
}

/// A class, its permissions and those that no kernel is known to have for it.
fn check(class: &[u8], permissions: &[u8]) -> Result<(Access, BTreeSet<Name>), Not> {
    let class =
        Name::from_bytes(class).filter(|c| classes::is_class(c.as_str())).ok_or(Not::Bad(Bad::Class))?;
    let mut known = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for word in words(permissions) {
        match Name::from_bytes(word) {
            Some(name) if classes::has_permission(class.as_str(), name.as_str()) => {
                known.insert(name);
            }
            other => unknown.extend(other),
        }
    }
    if known.is_empty() {
        return Err(Not::Bad(Bad::NoPermission));
    }
    Ok(((class, known.into_iter().collect()), unknown))
}

fn words(permissions: &[u8]) -> impl Iterator<Item = &[u8]> {
    permissions.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty())
}

impl Bad {
    /// What is said of it. Called only for the few records that are shown: looking for what was meant takes time.
    pub(super) fn reason(self, avc: &Avc<'_>) -> String {
        let context = |which: &str, text: &[u8]| format!("the {which} context `{}` is none", lossy(text));
        let meant = |near: Option<String>| near.map(|n| format!(", did you mean `{n}`?")).unwrap_or_default();
        match self {
            Bad::Source => context("source", avc.scontext),
            Bad::Target => context("target", avc.tcontext),
            Bad::Class => {
                let class = lossy(avc.tclass);
                let hint = meant(classes::nearest_class(&class).map(|c| c.to_string()));
                format!("no class is called `{class}`{hint}")
            }
            Bad::Permissions => "more permissions than a class can have".to_owned(),
            Bad::NoPermission => match words(avc.permissions).next().map(lossy) {
                None => "no permission in the braces".to_owned(),
                Some(bad) => {
                    let class = lossy(avc.tclass);
                    let hint = meant(classes::nearest_permission(&class, &bad).map(|p| p.to_string()));
                    format!("the class `{class}` has no permission `{bad}`{hint}")
                }
            },
        }
    }

    /// Its code.
    pub(super) fn code(self, avc: &Avc<'_>) -> Code {
        match self {
            Bad::Source | Bad::Target => &BAD_CONTEXT,
            Bad::Class => &UNKNOWN_CLASS,
            Bad::NoPermission if words(avc.permissions).next().is_some() => &UNKNOWN_PERMISSION,
            Bad::Permissions | Bad::NoPermission => &BAD_RECORD,
        }
    }
}
