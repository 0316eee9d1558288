//! Places in the file system that get a type of their own, instead of a rule on a type that many objects share.
//!
//! Denials of one domain on one shared type are taken together by folder. The folder's type is one of the domain's own
//! family (`httpd_sys_content_t` for `httpd_t`) where one allows just this, else a new one that the module makes. The
//! names of new types are made of the module's name: nothing that a log holds becomes part of a name.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::causes::{After, Judge, Judged, file_kind, may_be_a_place};
use super::verdict::{Not, Place, Remedy};
use super::{text, types};
use crate::denials::Denial;
use crate::report::codes::rule::GENERIC_TYPE;
use crate::selinux::module::{Name, Rule};
use crate::selinux::policy::{ClassId, Context, TypeId};

/// Attributes that every file's type has in policies of the reference family; without them, administrators' domains
/// could not so much as restore its label.
const ATTRIBUTES: &[&str] = &["file_type", "non_auth_file_type", "non_security_file_type"];

/// Endings of types that are for content of a domain, the commonest first.
const CONTENT: &[&str] =
    &["_content_t", "_db_t", "_zone_t", "_data_t", "_var_lib_t", "_cache_t", "_spool_t", "_log_t"];

/// What one may go on doing in a place whose type changes: looking and reading. (Writing was asked for, or is not
/// given.)
const KEPT: &[&str] = &["getattr", "ioctl", "lock", "map", "open", "read", "search"];

/// A specification in the module's `.fc`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileSpec {
    /// The regular expression.
    pub pattern: String,
    /// The kind of files, as `.fc` writes it; empty for all.
    pub kind: String,
    /// The whole context.
    pub context: String,
}

/// A type that the module makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewType {
    /// Its name.
    pub name: Name,
    /// Its attributes.
    pub attributes: BTreeSet<Name>,
    /// Where its files lie.
    pub specs: BTreeSet<FileSpec>,
    /// The rules on it: class and permissions.
    pub rules: BTreeMap<Rule, BTreeSet<Name>>,
    /// Those permissions that were not asked for in the log, but are allowed on the shared type today.
    pub kept: BTreeMap<Rule, BTreeSet<Name>>,
}

/// What a folder is needed for.
#[derive(Debug)]
struct Folder {
    tree: bool,
    class: ClassId,
    context: Context,
    /// What was denied there, by class.
    needs: BTreeMap<ClassId, u32>,
    denials: Vec<usize>,
}

/// Finds places for the denials that have none of their own, and changes their remedies. `module` names the module
/// that a denial belongs to, by its place. Returns the types to be made, each with the module's name.
pub fn settle(
    judge: &mut Judge<'_>,
    denials: &[&Denial],
    judged: &mut [Judged],
    module: &dyn Fn(usize) -> Option<Name>,
) -> Vec<(Name, NewType)> {
    let mut folders = folders(judge, judged, module);
    let mut new: Vec<(Name, NewType)> = Vec::new();
    let mut taken = BTreeSet::new();
    // By what is needed: folders of one module that need the same share a type.
    type Same = (Name, TypeId, Vec<(ClassId, u32)>);
    let mut made: BTreeMap<Same, usize> = BTreeMap::new();
    for ((module, source, _, path), folder) in &mut folders {
        let needs: Vec<(ClassId, u32)> = folder.needs.iter().map(|(c, v)| (*c, *v)).collect();
        let (ty, is_new) = match family(judge, *source, folder, &needs) {
            Some(ty) => (judge.ty(ty).to_owned(), false),
            None => {
                let key = (module.clone(), *source, needs.clone());
                let at = match made.get(&key) {
                    Some(at) => *at,
                    None => {
                        let Some(made_now) =
                            new_type(judge, module, *source, &folder.context, &needs, &mut taken)
                        else {
                            continue;
                        };
                        new.push((module.clone(), made_now));
                        made.insert(key, new.len() - 1);
                        new.len() - 1
                    }
                };
                let Some((_, made_type)) = new.get_mut(at) else { continue };
                made_type.specs.insert(spec(judge, path, folder, made_type.name.as_str()));
                (made_type.name.as_str().to_owned(), true)
            }
        };
        let surplus = surplus(judge, *source, folder, &needs, &ty, is_new);
        let place = Place {
            pattern: pattern(path, folder.tree),
            path: path.clone(),
            ty: ty.clone(),
            new: is_new,
            tree: folder.tree,
            surplus,
        };
        for at in &folder.denials {
            if let (Some(judged), Some(denial)) = (judged.get_mut(*at), denials.get(*at)) {
                put(judge, judged, denial, &place);
            }
        }
    }
    new
}

/// Gives a denial its place as remedy; what was its remedy before is worse.
fn put(judge: &mut Judge<'_>, judged: &mut Judged, denial: &Denial, place: &Place) {
    let Some(shared) = &judged.shared else { return };
    let verdict = Rc::make_mut(&mut judged.verdict);
    let is = denial.key.target.kind.as_str();
    verdict.code = &GENERIC_TYPE;
    verdict.cause = format!("no specification of its own: {is} is what a whole tree has");
    verdict.evidence = vec![shared.spec.clone(), place.surplus[0].clone()];
    if !place.new
        && let Some(question) = &judged.question
        && let Some(ty) = judge.ground().policy.type_id(&place.ty)
        && let Some(rule) = judge.granting(question, ty, question.vector)
    {
        verdict.evidence.push(format!("may: {rule}"));
    }
    match std::mem::replace(&mut verdict.remedy, Remedy::Nothing) {
        Remedy::Places(mut places) => {
            places.push(place.clone());
            verdict.remedy = Remedy::Places(places);
        }
        before => {
            if let Remedy::Allow { permissions, .. } = &before {
                let key = &denial.key;
                let rule = Rule::new(key.source.kind.clone(), key.target.kind.clone(), key.class.clone());
                let rule =
                    crate::selinux::module::te::one_line(&rule, &permissions.iter().cloned().collect());
                let remedy = format!("a rule: {}", rule.trim_end_matches(';'));
                verdict.not.push(Not { remedy, why: place.surplus[1].clone() });
            }
            verdict.not.extend(
                before.steps().into_iter().map(|remedy| Not {
                    remedy,
                    why: "it would open other files of the type too".to_owned(),
                }),
            );
            verdict.remedy = Remedy::Places(vec![place.clone()]);
        }
    }
    let Some(name) = Name::new(&place.ty) else { return };
    match &mut judged.after {
        After::Types(types) => types.push(name),
        after => *after = After::Types(vec![name]),
    }
}

type Key = (Name, TypeId, TypeId, String);

/// The folders (or single files) that denials are about.
fn folders(
    judge: &mut Judge<'_>,
    judged: &[Judged],
    module: &dyn Fn(usize) -> Option<Name>,
) -> BTreeMap<Key, Folder> {
    let mut paths: BTreeMap<Key, Folder> = BTreeMap::new();
    for (at, one) in judged.iter().enumerate() {
        let (Some(shared), Some(q)) = (&one.shared, &one.question) else { continue };
        if matches!(one.verdict.remedy, Remedy::Silence { .. } | Remedy::Nothing) {
            continue;
        }
        // All of a denial's paths, or none: else a rule would be needed all the same.
        let found: Option<Vec<(String, bool)>> =
            shared.paths.iter().map(|p| folder_of(judge, p, q)).collect();
        let Some(module) = module(at) else { continue };
        for (path, tree) in found.into_iter().flatten() {
            let key = (module.clone(), q.source.ty, q.target.ty, path);
            let folder = paths.entry(key).or_insert_with(|| Folder {
                tree,
                class: q.class,
                context: shared.context.clone(),
                needs: BTreeMap::new(),
                denials: Vec::new(),
            });
            folder.tree |= tree;
            *folder.needs.entry(q.class).or_default() |= q.vector;
            folder.denials.push(at);
        }
    }
    // What lies below another place belongs to it.
    let mut merged: BTreeMap<Key, Folder> = BTreeMap::new();
    for (key, folder) in paths {
        let above = merged.iter_mut().find(|((m, s, t, path), above)| {
            (m, s, t) == (&key.0, &key.1, &key.2)
                && above.tree
                && key.3.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        match above {
            Some((_, above)) => {
                for (class, vector) in folder.needs {
                    *above.needs.entry(class).or_default() |= vector;
                }
                above.denials.extend(folder.denials);
            }
            None => {
                merged.insert(key, folder);
            }
        }
    }
    merged
}

/// The place that a path belongs to, and whether everything below it does.
fn folder_of(judge: &mut Judge<'_>, path: &[u8], q: &super::causes::Question) -> Option<(String, bool)> {
    let text = |p: &[u8]| String::from_utf8(p.to_vec()).ok();
    let class = judge.ground().policy.classes().name(q.class);
    let made = judge.ground().policy.permission(q.class, "create").is_some_and(|b| b & q.vector != 0);
    if class == "dir" && !made {
        return may_be_a_place(judge, path).then(|| text(path)).flatten().map(|p| (p, true));
    }
    let end = path.iter().rposition(|b| *b == b'/')?;
    let parent = path.get(..end)?;
    if may_be_a_place(judge, parent) {
        return Some((text(parent)?, true));
    }
    // A single file in somebody's home is theirs, not the application's; and one that is only being made takes the
    // type of its folder, whatever the specifications say.
    let is = judge.ty(q.target.ty);
    (!types::HOMES.contains(&is) && !made).then_some((text(path)?, false))
}

/// A type of the domain's own family that allows all that is needed, and least besides.
fn family(
    judge: &mut Judge<'_>,
    source: TypeId,
    folder: &Folder,
    needs: &[(ClassId, u32)],
) -> Option<TypeId> {
    let policy = &judge.ground().policy;
    let domain = judge.ty(source);
    let stem = domain.strip_suffix("_t").unwrap_or(domain);
    let mut best = None;
    for ty in policy.types().iter() {
        let own = ty.name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('_'));
        let Some(rank) = CONTENT.iter().position(|end| own && ty.name.ends_with(end)) else { continue };
        // A single file is no database and no cache.
        if rank > 0 && !folder.tree {
            continue;
        }
        let target = Context { ty: ty.id, ..folder.context.clone() };
        let mut more = 0;
        let fits = needs.iter().all(|(class, vector)| {
            let allowed = judge.view().allowed_by_rules(source, ty.id, *class);
            more += (allowed & !vector).count_ones();
            allowed & vector == *vector
        });
        if !fits || policy.check_context(&target).is_err() {
            continue;
        }
        let users: usize =
            needs.iter().map(|(class, vector)| judge.sources(ty.id, *class, *vector).len()).sum();
        // `httpd_sys_rw_content_t` is for anything; `httpd_bugzilla_content_t` is another application's.
        let front = ty.name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(CONTENT.get(rank)?));
        let another =
            front.is_some_and(|f| f.split('_').any(|w| !["", "sys", "rw", "ro", "ra"].contains(&w)));
        let key = (another, more, rank, users, ty.id);
        if best.is_none_or(|b| key < b) {
            best = Some(key);
        }
    }
    best.map(|(.., ty)| ty)
}

fn new_type(
    judge: &Judge<'_>,
    module: &Name,
    source: TypeId,
    context: &Context,
    needs: &[(ClassId, u32)],
    taken: &mut BTreeSet<String>,
) -> Option<NewType> {
    let policy = &judge.ground().policy;
    let stem = module.as_str().strip_suffix("_t").unwrap_or(module.as_str());
    let stem = stem.replace('-', "_");
    let writes = needs.iter().any(|(class, vector)| {
        let names = policy.permission_names(*class, *vector);
        names.iter().any(|p| types::CHANGES.contains(p))
    });
    let base = format!("{stem}_{}", if writes { "rw_content" } else { "content" });
    let free = |name: &String| policy.types().find(name).is_none() && !taken.contains(name);
    let numbered = (2u32..1000).map(|n| format!("{base}{n}_t"));
    let name = std::iter::once(format!("{base}_t")).chain(numbered).find(free)?;
    taken.insert(name.clone());
    let name = Name::new(&name)?;
    // As the type had before: what every file's type has.
    let has = |a: &&&str| policy.type_id(a).is_some_and(|a| policy.covers(a, context.ty));
    let attributes = ATTRIBUTES.iter().filter(has).filter_map(|a| Name::new(a)).collect();
    let source_name = Name::new(judge.ty(source))?;
    let mut rules: BTreeMap<Rule, BTreeSet<Name>> = BTreeMap::new();
    let mut kept: BTreeMap<Rule, BTreeSet<Name>> = BTreeMap::new();
    let names = |class: ClassId, vector: u32| -> BTreeSet<Name> {
        policy.permission_names(class, vector).into_iter().filter_map(Name::new).collect()
    };
    let rule = |class: ClassId| {
        Name::new(policy.classes().name(class)).map(|c| Rule::new(source_name.clone(), name.clone(), c))
    };
    for (class, vector) in needs {
        rules.entry(rule(*class)?).or_default().extend(names(*class, *vector));
    }
    let folders = policy.classes().id("dir");
    let classes: BTreeSet<ClassId> = needs.iter().map(|(c, _)| *c).chain(folders).collect();
    for class in classes {
        let today = judge.view().allowed_by_rules(source, context.ty, class);
        let may = KEPT.iter().filter_map(|p| policy.permission(class, p)).fold(0, |a, b| a | b);
        let asked = needs.iter().find(|(c, _)| *c == class).map_or(0, |(_, v)| *v);
        let keep = names(class, today & may & !asked);
        if !keep.is_empty() {
            rules.entry(rule(class)?).or_default().extend(keep.iter().cloned());
            kept.entry(rule(class)?).or_default().extend(keep);
        }
    }
    Some(NewType { name, attributes, specs: BTreeSet::new(), rules, kept })
}

/// The specification of a place.
fn spec(judge: &Judge<'_>, path: &str, folder: &Folder, ty: &str) -> FileSpec {
    let policy = &judge.ground().policy;
    let c = &folder.context;
    let mut context = format!("{}:{}:{ty}", policy.users().name(c.user), policy.roles().name(c.role));
    if let Some(range) = &c.range {
        context.push(':');
        context.push_str(&policy.range_text(range));
    }
    let kind = file_kind(policy.classes().name(folder.class));
    let kind = kind.filter(|_| !folder.tree).map_or_else(String::new, |k| format!("-{}", k.letter()));
    FileSpec { pattern: pattern(path, folder.tree), kind, context }
}

/// A path as a regular expression, and all below it.
fn pattern(path: &str, tree: bool) -> String {
    let mut out = String::new();
    for c in path.chars() {
        if "\\.^$?*+|[](){}".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    if tree {
        out.push_str("(/.*)?");
    }
    out
}

/// What the type opens beside what was asked for, and what a rule on the shared type would.
fn surplus(
    judge: &mut Judge<'_>,
    source: TypeId,
    folder: &Folder,
    needs: &[(ClassId, u32)],
    ty: &str,
    new: bool,
) -> [String; 2] {
    let (domain, shared) = (judge.ty(source), judge.ty(folder.context.ty));
    let objects = judge.objects(shared).map_or_else(String::new, |n| format!(" ({n})"));
    let rule = format!("it would let {domain} do the same to everything labelled {shared}{objects}");
    let mut users = 0;
    if let Some(id) = judge.ground().policy.type_id(ty).filter(|_| !new) {
        users =
            needs.iter().map(|(class, vector)| judge.sources(id, *class, *vector).len()).max().unwrap_or(0);
    }
    let own = if new {
        format!("{ty} is a type of its own: nothing else is opened to {domain}, and nothing there to others")
    } else {
        format!("{} may do the same to {ty}", text::count(text::len(users), "domain", "domains"))
    };
    [own, rule]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_patterns_that_match_them_alone() {
        assert_eq!(pattern("/srv/a.b+c", true), "/srv/a\\.b\\+c(/.*)?");
        assert_eq!(pattern("/srv/x(1)", false), "/srv/x\\(1\\)");
    }
}
