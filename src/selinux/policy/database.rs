//! The whole policy: read, checked, and written back.

use std::ops::Range as Span;
use std::sync::Arc;

use super::bitmap::{Bitmap, Bitmaps, Bits};
use super::booleans::Boolean;
use super::classes::{Class, Common, Permission};
use super::conditionals::Conditional;
use super::constraints::{Constraint, Node, attr};
use super::context::Context;
use super::cursor::{Cursor, Result, Sink};
use super::error::ReadError;
use super::genfs::Genfs;
use super::id::{ClassId, TypeId};
use super::index::Index;
use super::mls::{Category, Level, Range, Sensitivity};
use super::name_transitions::NameTransition;
use super::object_contexts::ObjectContexts;
use super::range_transitions::RangeTransition;
use super::role_rules::{RoleAllow, RoleTransition};
use super::roles::Role;
use super::rule_tables::{Gate, Limits, RuleList, Runs, Tables, Written, write_table};
use super::rules::{Extended, Rule};
use super::symbols::Symbols;
use super::types::{Type, TypeKind};
use super::users::User;

/// The first bytes of a kernel policy.
pub(super) const MAGIC: u32 = 0xf97c_ff8c;
/// The oldest version that is read.
pub const OLDEST: u32 = 24;
/// The newest version that is read.
pub const NEWEST: u32 = 35;

const MLS: u32 = 1;
const REJECT_UNKNOWN: u32 = 2;
const ALLOW_UNKNOWN: u32 = 4;

/// How deep a type's bounds may lie (`POLICYDB_BOUNDS_MAXDEPTH`).
const BOUNDS_DEPTH: usize = 4;

/// What the kernel does about classes and permissions that it knows and the policy does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandleUnknown {
    /// Deny them.
    Deny,
    /// Refuse to load the policy.
    Reject,
    /// Allow them.
    Allow,
}

impl HandleUnknown {
    /// As `seinfo` and the policy language write it.
    pub fn as_str(self) -> &'static str {
        match self {
            HandleUnknown::Deny => "deny",
            HandleUnknown::Reject => "reject",
            HandleUnknown::Allow => "allow",
        }
    }
}

/// A valid policy of the kernel for Linux, versions 24 to 35, ready to decide.
///
/// It holds the sections as the file has them (so that [`Policy::write`] gives the same bytes) and indexes over them;
/// the rules, most of a file, stay in its bytes.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(super) version: u32,
    pub(super) mls: bool,
    pub(super) handle_unknown: HandleUnknown,
    pub(super) capabilities: Bitmap,
    /// Bit number is the type's number, not one less.
    pub(super) permissive: Bitmap,
    /// Likewise; from version 35 on.
    pub(super) never_audit: Bitmap,
    pub(super) commons: Symbols<Common>,
    pub(super) classes: Symbols<Class>,
    pub(super) roles: Symbols<Role>,
    pub(super) types: Symbols<Type>,
    pub(super) users: Symbols<User>,
    pub(super) booleans: Symbols<Boolean>,
    pub(super) sensitivities: Symbols<Sensitivity>,
    pub(super) categories: Symbols<Category>,
    /// The file, in which the rules lie.
    data: Arc<Vec<u8>>,
    /// Where in it.
    runs: Runs,
    /// The runs of the rules that always hold.
    always: Span<u32>,
    pub(super) conditionals: Vec<Conditional>,
    pub(super) role_transitions: Vec<RoleTransition>,
    pub(super) role_allows: Vec<RoleAllow>,
    pub(super) name_transitions: Vec<NameTransition>,
    pub(super) object_contexts: ObjectContexts,
    pub(super) genfs: Vec<Genfs>,
    pub(super) range_transitions: Vec<RangeTransition>,
    /// For each type, the attributes it has (bit 0 is type 1), itself included.
    pub(super) type_attributes: Bitmaps,
    pub(super) index: Index,
}

impl Policy {
    /// Reads a kernel policy from its (uncompressed) bytes.
    ///
    /// # Errors
    /// Where a byte is not what the format has there, or where the policy refers to what it does not define; nothing
    /// is repaired or left out.
    pub fn read(data: &[u8]) -> std::result::Result<Self, ReadError> {
        Self::read_owned(data.to_vec())
    }

    /// As [`Policy::read`], without a copy of the bytes: the policy keeps them.
    ///
    /// # Errors
    /// As [`Policy::read`].
    pub fn read_owned(data: Vec<u8>) -> std::result::Result<Self, ReadError> {
        let data = Arc::new(data);
        let mut c = Cursor::new(&data);
        let c = &mut c;
        if i32::try_from(data.len()).is_err() {
            return c.fail(0, "a policy of less than 2 GiB", format!("{} bytes", data.len()));
        }
        let (version, config) = header(c)?;
        let mls = config & MLS != 0;
        let handle_unknown = match config & (REJECT_UNKNOWN | ALLOW_UNKNOWN) {
            0 => HandleUnknown::Deny,
            REJECT_UNKNOWN => HandleUnknown::Reject,
            ALLOW_UNKNOWN => HandleUnknown::Allow,
            _ => return c.fail(20, "unknown permissions either rejected or allowed", "both"),
        };
        c.section("capabilities");
        let capabilities = Bitmap::read(c)?;
        c.section("permissive types");
        let permissive = Bitmap::read(c)?;
        c.section("never audited types");
        let never_audit = if version >= 35 { Bitmap::read(c)? } else { Bitmap::default() };
        c.section("commons");
        let commons = Symbols::read(c, Common::MIN_SIZE, "commons", Common::read)?;
        c.section("classes");
        let classes = Symbols::read(c, Class::MIN_SIZE, "classes", |c| Class::read(c, version))?;
        c.section("roles");
        let roles = Symbols::read(c, Role::MIN_SIZE, "roles", Role::read)?;
        c.section("types");
        let types = Symbols::read(c, Type::MIN_SIZE, "types", Type::read)?;
        c.section("users");
        let users = Symbols::read(c, User::MIN_SIZE, "users", |c| User::read(c, mls))?;
        c.section("booleans");
        let booleans = Symbols::read(c, Boolean::MIN_SIZE, "booleans", Boolean::read)?;
        c.section("sensitivities");
        let sensitivities = Symbols::read(c, Sensitivity::MIN_SIZE, "sensitivities", Sensitivity::read)?;
        c.section("categories");
        let categories = Symbols::read(c, Category::MIN_SIZE, "categories", Category::read)?;

        let limits = Limits::new(version, &types, &classes);
        let mut tables = Tables::new(&limits);
        c.section("rules");
        let always = tables.read_table(c, 0, version >= 30)?;
        c.section("conditional rules");
        let mut index = 0;
        let conditionals = list(c, Conditional::MIN_SIZE, "conditionals", |c| {
            index += 1;
            Conditional::read(c, index - 1, &mut tables, &|v| booleans.has(v))
        })?;
        let (runs, rule_index) = tables.index(&data);
        c.section("role transitions");
        let role_transitions = list(c, 12, "role transitions", |c| RoleTransition::read(c, version))?;
        c.section("role allows");
        let role_allows = list(c, 8, "role allows", RoleAllow::read)?;
        c.section("name transitions");
        let name_transitions = if version >= 25 {
            let size = NameTransition::min_size(version);
            list(c, size, "name transitions", |c| NameTransition::read(c, version))?
        } else {
            Vec::new()
        };
        let object_contexts = ObjectContexts::read(c, version, mls)?;
        c.section("genfs");
        let genfs = list(c, Genfs::MIN_SIZE, "file systems", |c| Genfs::read(c, mls))?;
        c.section("range transitions");
        let range_transitions =
            list(c, RangeTransition::MIN_SIZE, "range transitions", RangeTransition::read)?;
        c.section("attributes of types");
        let type_attributes = Bitmaps::read(c, types.greatest())?;
        c.end()?;

        let mut policy = Self {
            version,
            mls,
            handle_unknown,
            capabilities,
            permissive,
            never_audit,
            commons,
            classes,
            roles,
            types,
            users,
            booleans,
            sensitivities,
            categories,
            data: Arc::clone(&data),
            runs,
            always,
            conditionals,
            role_transitions,
            role_allows,
            name_transitions,
            object_contexts,
            genfs,
            range_transitions,
            type_attributes,
            index: Index::default(),
        };
        policy.check().or_else(|e| c.fail(c.offset(), e.0, e.1))?;
        policy.index = Index::build(&policy, rule_index);
        policy.check_contexts().or_else(|e| c.fail(c.offset(), e.0, e.1))?;
        Ok(policy)
    }

    /// The policy as the kernel reads it; for a policy that was read, the bytes that it was read from.
    pub fn write(&self) -> Vec<u8> {
        let always = self.rules().iter().map(|r| (r, self.extended(&r))).collect::<Vec<_>>();
        self.write_with(&always, |_| Vec::new())
    }

    /// The same with these rules that always hold, and more under conditions: by a conditional's index, those while it
    /// is true.
    pub(super) fn write_with(&self, always: &[Written], more: impl Fn(usize) -> Vec<Written>) -> Vec<u8> {
        let mut out = Sink::default();
        let out = &mut out;
        let name = b"SE Linux";
        out.u32(MAGIC);
        out.count(name.len());
        out.bytes(name);
        let unknown = match self.handle_unknown {
            HandleUnknown::Deny => 0,
            HandleUnknown::Reject => REJECT_UNKNOWN,
            HandleUnknown::Allow => ALLOW_UNKNOWN,
        };
        out.u32s(&[self.version, u32::from(self.mls) | unknown, 8, ObjectContexts::kinds(self.version)]);
        self.capabilities.write(out);
        self.permissive.write(out);
        if self.version >= 35 {
            self.never_audit.write(out);
        }
        self.commons.write(out, Common::write);
        self.classes.write(out, |x, out| x.write(out, self.version));
        self.roles.write(out, Role::write);
        self.types.write(out, Type::write);
        self.users.write(out, User::write);
        self.booleans.write(out, Boolean::write);
        self.sensitivities.write(out, Sensitivity::write);
        self.categories.write(out, Category::write);
        write_table(always, out);
        out.count(self.conditionals.len());
        for (i, conditional) in self.conditionals.iter().enumerate() {
            conditional.write_expression(out);
            let branch = |when| self.branch(conditional, when).iter().map(|r| (r, self.extended(&r)));
            write_table(&branch(true).chain(more(i)).collect::<Vec<_>>(), out);
            write_table(&branch(false).collect::<Vec<_>>(), out);
        }
        out.count(self.role_transitions.len());
        self.role_transitions.iter().for_each(|x| x.write(out, self.version));
        out.count(self.role_allows.len());
        self.role_allows.iter().for_each(|x| x.write(out));
        if self.version >= 25 {
            out.count(self.name_transitions.len());
            self.name_transitions.iter().for_each(|x| x.write(out, self.version));
        }
        self.object_contexts.write(out, self.version);
        out.count(self.genfs.len());
        self.genfs.iter().for_each(|x| x.write(out));
        out.count(self.range_transitions.len());
        self.range_transitions.iter().for_each(|x| x.write(out));
        self.type_attributes.iter().for_each(|x| x.write(out));
        std::mem::take(&mut out.0)
    }

    /// Everything refers to what is there.
    fn check(&self) -> Checked {
        let bits_are_types = |b: &Bitmap| self.types.has_bits(b);
        let ensure = |ok: bool, expected: &'static str, found: &str| {
            if ok { Ok(()) } else { Err((expected, format!("`{found}`, which does not"))) }
        };
        for bitmap in [&self.permissive, &self.never_audit] {
            ensure(
                bitmap.iter().all(|t| self.types.has(t)),
                "permissive and never audited types to exist",
                "a number",
            )?;
        }
        for class in self.classes.records() {
            if let Some(common) = &class.common {
                let Some(common) = self.commons.find(common) else {
                    return Err(("the common of each class to exist", format!("`{common}`, which does not")));
                };
                let clash = |p: &Permission| {
                    common.permissions.list().iter().any(|q| q.bit == p.bit || q.name == p.name)
                };
                if let Some(p) = class.permissions.list().iter().find(|p| clash(p)) {
                    return Err(("each permission of a class once", format!("`{}` twice", p.name)));
                }
            }
            let constraints = class.constraints.iter().chain(&class.validatetrans);
            ensure(
                constraints.clone().all(|c| self.names_exist(c)),
                "names in constraints to exist",
                &class.name,
            )?;
        }
        for role in self.roles.records() {
            ensure(bits_are_types(&role.types), "the types of each role to exist", &role.name)?;
            ensure(self.roles.has_bits(&role.dominates), "dominated roles to exist", &role.name)?;
            ensure(
                role.bounds.is_none_or(|b| self.roles.has(b.get())),
                "the bounds of each role to exist",
                &role.name,
            )?;
        }
        for ty in self.types.records() {
            let mut at = ty.bounds;
            for _ in 0..BOUNDS_DEPTH {
                at = at.and_then(|b| self.types.get(b)).and_then(|b| b.bounds);
            }
            let exists =
                ty.bounds.is_none_or(|b| self.types.get(b).is_some_and(|b| b.kind == TypeKind::Type));
            ensure(exists, "the bounds of each type to be a type", &ty.name)?;
            ensure(at.is_none(), "the bounds of each type to be at most 4 deep", &ty.name)?;
        }
        for sensitivity in self.sensitivities.records() {
            ensure(
                self.categories.has_bits(&sensitivity.level.categories),
                "the categories of each sensitivity to exist",
                &sensitivity.name,
            )?;
        }
        for user in self.users.records() {
            let mls = user.mls.as_ref();
            ensure(self.roles.has_bits(&user.roles), "the roles of each user to exist", &user.name)?;
            ensure(
                user.bounds.is_none_or(|b| self.users.has(b.get())),
                "the bounds of each user to exist",
                &user.name,
            )?;
            ensure(
                mls.is_none_or(|(r, l)| self.range_exists(r) && self.level_exists(l)),
                "the levels of each user to exist",
                &user.name,
            )?;
        }
        for rule in &self.role_transitions {
            let ok = self.roles.has(rule.role.get())
                && self.roles.has(rule.new_role.get())
                && self.types.has(rule.ty.get())
                && rule.class.is_none_or(|c| self.classes.has(c.get()));
            ensure(ok, "the names of each role transition to exist", "a number")?;
        }
        for rule in &self.role_allows {
            let ok = self.roles.has(rule.role.get()) && self.roles.has(rule.new_role.get());
            ensure(ok, "the roles of each role allow to exist", "a number")?;
        }
        for rule in &self.name_transitions {
            let ok = self.types.has(rule.target.get())
                && self.classes.has(rule.class.get())
                && rule.outcomes.iter().all(|(s, t)| bits_are_types(s) && self.types.has(t.get()));
            ensure(ok, "the names of each name transition to exist", "a number")?;
        }
        for rule in &self.range_transitions {
            let ok = self.types.has(rule.source.get())
                && self.types.has(rule.target.get())
                && self.classes.has(rule.class.get())
                && self.range_exists(&rule.range);
            ensure(ok, "the names of each range transition to exist", "a number")?;
        }
        if !self.mls && !self.range_transitions.is_empty() {
            return Err(("no range transitions, for the policy has no MLS", "some".into()));
        }
        for path in self.genfs.iter().flat_map(|g| &g.paths) {
            let ok = path.class.is_none_or(|c| self.classes.has(c.get()));
            ensure(ok, "the class of each genfs path to exist", "a number")?;
        }
        for (bit, attributes) in self.type_attributes.iter().enumerate() {
            let exists = |b: u32| b as usize == bit || self.types.has(b + 1);
            let within = |b: Bits<'_>| b.last().is_none_or(|b| b < self.types.greatest());
            let ok = self.types.is_dense() && within(attributes) || attributes.iter().all(exists);
            ensure(ok, "the attributes of each type to exist", "a number")?;
        }
        Ok(())
    }

    fn check_contexts(&self) -> Checked {
        let genfs = self.genfs.iter().flat_map(|g| &g.paths).map(|p| &p.context);
        for context in self.object_contexts.contexts().chain(genfs) {
            if let Err(why) = self.check_context(context) {
                return Err(("valid contexts of objects", why.to_string()));
            }
        }
        Ok(())
    }

    /// Has constraints that are written with an attribute hold for a type that now has it.
    pub(super) fn expand_in_constraints(&mut self, ty: TypeId, attribute: TypeId) {
        let classes: Vec<ClassId> = self.classes.iter().map(|c| c.id).collect();
        for class in classes {
            let Some(class) = self.classes.get_mut(class) else { continue };
            let constraints = class.constraints.iter_mut().chain(&mut class.validatetrans);
            for node in constraints.flat_map(|c| &mut c.nodes) {
                if let Node::Names { attr, names, .. } = node
                    && *attr & attr::TYPE != 0
                    && names.written.types.contains(attribute.bit())
                    && !names.written.negated.contains(attribute.bit())
                {
                    names.set.insert(ty.bit());
                }
            }
        }
    }

    fn names_exist(&self, constraint: &Constraint) -> bool {
        constraint.nodes.iter().all(|node| match node {
            Node::Names { attr, names, .. } => {
                let set = match attr & (attr::USER | attr::ROLE | attr::TYPE) {
                    attr::USER => self.users.has_bits(&names.set),
                    attr::ROLE => self.roles.has_bits(&names.set),
                    _ => self.types.has_bits(&names.set),
                };
                let written = &names.written;
                set && self.types.has_bits(&written.types) && self.types.has_bits(&written.negated)
            }
            _ => true,
        })
    }

    pub(super) fn level_exists(&self, level: &Level) -> bool {
        self.sensitivities.has(level.sensitivity.get()) && self.categories.has_bits(&level.categories)
    }

    pub(super) fn range_exists(&self, range: &Range) -> bool {
        self.level_exists(&range.low) && range.high.as_ref().is_none_or(|h| self.level_exists(h))
    }

    /// Whether the policy has all that this context names.
    pub(super) fn context_exists(&self, context: &Context) -> bool {
        self.users.has(context.user.get())
            && self.roles.has(context.role.get())
            && self.types.has(context.ty.get())
            && context.range.as_ref().is_none_or(|r| self.range_exists(r))
    }
}

/// What was expected, and what was found instead.
type Checked = std::result::Result<(), (&'static str, String)>;

fn list<T>(
    c: &mut Cursor<'_>,
    min_size: usize,
    what: &'static str,
    mut read: impl FnMut(&mut Cursor<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = c.count(min_size, what)?;
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        out.push(read(c)?);
    }
    Ok(out)
}

/// Reads the header: version and configuration.
fn header(c: &mut Cursor<'_>) -> Result<(u32, u32)> {
    let magic = c.u32()?;
    match magic {
        MAGIC => {}
        0xf97c_ff8f => return c.fail(0, "a kernel policy", "a policy package (.pp)"),
        0xf97c_ff8d => return c.fail(0, "a kernel policy", "a policy module"),
        0xf97c_ff8a => return c.fail(0, "a kernel policy", "compiled file contexts (file_contexts.bin)"),
        _ => return c.fail(0, format!("the number {MAGIC:#x} of a kernel policy"), format!("{magic:#x}")),
    }
    let at = c.offset();
    let len = c.u32()?;
    if len != 8 {
        return c.fail(at, "a target's name of 8 bytes", len);
    }
    match &c.array::<8>()? {
        b"SE Linux" => {}
        b"XenFlask" => return c.fail(at, "a policy for Linux (`SE Linux`)", "one for Xen (`XenFlask`)"),
        other => {
            return c.fail(at, "`SE Linux`", format!("`{}`", String::from_utf8_lossy(other).escape_debug()));
        }
    }
    let at = c.offset();
    let [version, config, symbols, contexts] = c.u32s()?;
    if !(OLDEST..=NEWEST).contains(&version) {
        return c.fail(at, format!("a version from {OLDEST} to {NEWEST}"), version);
    }
    if config & !(MLS | REJECT_UNKNOWN | ALLOW_UNKNOWN) != 0 {
        return c.fail(at + 4, "a configuration of MLS, reject and allow", format!("{config:#x}"));
    }
    if symbols != 8 {
        return c.fail(at + 8, "8 tables of symbols", symbols);
    }
    let kinds = ObjectContexts::kinds(version);
    if contexts != kinds {
        return c.fail(at + 12, format!("{kinds} kinds of object contexts"), contexts);
    }
    Ok((version, config))
}

/// What the policy has, for those who ask.
impl Policy {
    /// Version of the format.
    pub fn version(&self) -> u32 {
        self.version
    }
    /// Whether contexts have levels.
    pub fn mls(&self) -> bool {
        self.mls
    }
    /// What happens to what the kernel knows and the policy does not.
    pub fn handle_unknown(&self) -> HandleUnknown {
        self.handle_unknown
    }
    /// Policy capabilities by number; see [`capability_name`](super::capability_name).
    pub fn capabilities(&self) -> &Bitmap {
        &self.capabilities
    }
    /// Object classes.
    pub fn classes(&self) -> &Symbols<Class> {
        &self.classes
    }
    /// Shared sets of permissions.
    pub fn commons(&self) -> &Symbols<Common> {
        &self.commons
    }
    /// Roles.
    pub fn roles(&self) -> &Symbols<Role> {
        &self.roles
    }
    /// Types, aliases and attributes.
    pub fn types(&self) -> &Symbols<Type> {
        &self.types
    }
    /// SELinux users.
    pub fn users(&self) -> &Symbols<User> {
        &self.users
    }
    /// Booleans.
    pub fn booleans(&self) -> &Symbols<Boolean> {
        &self.booleans
    }
    /// Sensitivities.
    pub fn sensitivities(&self) -> &Symbols<Sensitivity> {
        &self.sensitivities
    }
    /// Categories.
    pub fn categories(&self) -> &Symbols<Category> {
        &self.categories
    }
    /// Rules that always hold.
    pub fn rules(&self) -> RuleList<'_> {
        self.runs.list(&self.data, self.always.clone())
    }
    /// Rules under conditions.
    pub fn conditionals(&self) -> &[Conditional] {
        &self.conditionals
    }
    /// Rules while a condition of this policy is true, or while it is false.
    pub fn branch(&self, conditional: &Conditional, when: bool) -> RuleList<'_> {
        let runs = if when { &conditional.when_true } else { &conditional.when_false };
        self.runs.list(&self.data, runs.clone())
    }
    /// The rule of this number, and the branch that it hangs on.
    #[inline]
    pub(super) fn rule(&self, number: u32) -> Option<(Rule, Gate)> {
        self.runs.get(&self.data, number)
    }
    /// The numbers of all rules by source, and where those of each source's number end.
    pub(super) fn rules_by_source(&self) -> (Vec<u32>, Vec<u32>) {
        super::index::by_source(&self.data, &self.runs, self.types.greatest())
    }
    /// The extended permissions of a rule of this policy that has them.
    pub fn extended(&self, rule: &Rule) -> Option<Extended> {
        let bytes = self.data.get(rule.extended()? as usize..)?.first_chunk()?;
        Extended::decode(bytes).ok()
    }
    /// `role_transition` rules.
    pub fn role_transitions(&self) -> &[RoleTransition] {
        &self.role_transitions
    }
    /// Role `allow` rules.
    pub fn role_allows(&self) -> &[RoleAllow] {
        &self.role_allows
    }
    /// `type_transition` rules by name.
    pub fn name_transitions(&self) -> &[NameTransition] {
        &self.name_transitions
    }
    /// `range_transition` rules.
    pub fn range_transitions(&self) -> &[RangeTransition] {
        &self.range_transitions
    }
    /// Contexts of what has no label of its own.
    pub fn object_contexts(&self) -> &ObjectContexts {
        &self.object_contexts
    }
    /// `genfscon` statements.
    pub fn genfs(&self) -> &[Genfs] {
        &self.genfs
    }
    /// Whether denials of this type are only reported.
    pub fn is_permissive(&self, ty: TypeId) -> bool {
        self.permissive.contains(ty.get())
    }
    /// Whether denials of this type are never reported.
    pub fn is_never_audited(&self, ty: TypeId) -> bool {
        self.never_audit.contains(ty.get())
    }

    /// A class's permissions, those of its common first.
    pub fn permissions(&self, class: ClassId) -> impl Iterator<Item = &Permission> {
        let class = self.classes.get(class);
        let common = class.and_then(|c| c.common.as_deref()).and_then(|n| self.commons.find(n));
        let common = common.map_or(&[][..], |c| c.permissions.list());
        common.iter().chain(class.map_or(&[][..], |c| c.permissions.list()))
    }

    /// The access vector of one permission of a class.
    pub fn permission(&self, class: ClassId, name: &str) -> Option<u32> {
        self.permissions(class).find(|p| &*p.name == name).map(|p| 1 << p.bit)
    }

    /// The names of an access vector's permissions, by bit; a bit without a name is left out.
    pub fn permission_names(&self, class: ClassId, vector: u32) -> Vec<&str> {
        let mut found: Vec<_> = self.permissions(class).filter(|p| vector >> p.bit & 1 != 0).collect();
        found.sort_unstable_by_key(|p| p.bit);
        found.into_iter().map(|p| &*p.name).collect()
    }

    /// All bits that have a name.
    pub fn all_permissions(&self, class: ClassId) -> u32 {
        self.permissions(class).fold(0, |vector, p| vector | 1 << p.bit)
    }

    /// The attributes of a type, itself first.
    pub fn attributes(&self, ty: TypeId) -> impl Iterator<Item = TypeId> + '_ {
        let own = self.type_attributes.get(ty.index());
        let others = own.into_iter().flat_map(|b| b.iter()).filter_map(TypeId::from_bit);
        std::iter::once(ty).chain(others.filter(move |t| *t != ty))
    }

    /// Whether a rule about `written` (a type or an attribute) is about the type `ty`.
    pub fn covers(&self, written: TypeId, ty: TypeId) -> bool {
        written == ty || self.type_attributes.get(ty.index()).is_some_and(|b| b.contains(written.bit()))
    }

    /// The types that a rule about `written` is about: itself, or those that have the attribute.
    pub fn expand(&self, written: TypeId) -> Vec<TypeId> {
        match self.types.get(written).map(|t| t.kind) {
            Some(TypeKind::Attribute) => {
                let all = self.types.iter().filter(|t| t.kind == TypeKind::Type).map(|t| t.id);
                all.filter(|t| self.covers(written, *t)).collect()
            }
            _ => vec![written],
        }
    }
}
