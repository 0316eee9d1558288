//! Contexts as text, and whether the policy lets their parts go together.

use super::bitmap::Bitmap;
use super::context::Context;
use super::database::Policy;
use super::id::{CategoryId, OBJECT_R};
use super::mls::{Level, Range};
use super::types::TypeKind;

/// Why a text is no context of this policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Not `user:role:type` and so on.
    #[error("`{text}` is not of the form user:role:type{}", if *mls { ":range" } else { "" })]
    Form {
        /// As written.
        text: String,
        /// Whether a range must follow.
        mls: bool,
    },
    /// A part that the policy does not have.
    #[error("the policy has no {kind} `{name}`")]
    Unknown {
        /// `user`, `role`, `type`, `sensitivity` or `category`.
        kind: &'static str,
        /// As written.
        name: String,
    },
    /// An attribute in the type's place.
    #[error("`{0}` is an attribute, not a type")]
    Attribute(String),
    /// Levels where the policy has none.
    #[error("`{0}` has a level, and the policy has no MLS")]
    NoMls(String),
    /// A range that is none of the policy's.
    #[error(
        "`{0}` is no range of levels of this policy; \
         a name that mcstrans shows must be given as it is stored, such as s0:c1,c3"
    )]
    Range(String),
    /// All parts exist, and do not go together.
    #[error("`{context}` is not valid: {why}")]
    Invalid {
        /// As written.
        context: String,
        /// Which parts.
        why: InvalidContext,
    },
}

/// Why the parts of a context do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContext {
    /// A number that the policy does not have.
    #[error("a part that the policy does not have")]
    Missing,
    /// An attribute in the type's place.
    #[error("`{0}` is an attribute, not a type")]
    Attribute(String),
    /// The role may not have the type.
    #[error("the role `{role}` may not have the type `{ty}`")]
    RoleType {
        /// Role.
        role: String,
        /// Type.
        ty: String,
    },
    /// The user may not have the role.
    #[error("the user `{user}` may not have the role `{role}`")]
    UserRole {
        /// User.
        user: String,
        /// Role.
        role: String,
    },
    /// A level with a category that its sensitivity may not have.
    #[error("the level `{0}` has a category that its sensitivity may not have")]
    Level(String),
    /// The high level does not dominate the low one.
    #[error("in `{0}` the high level does not dominate the low one")]
    Order(String),
    /// The range is outside of the user's.
    #[error("the range `{range}` is not within that of the user `{user}`, `{own}`")]
    UserRange {
        /// User.
        user: String,
        /// The context's range.
        range: String,
        /// The user's range.
        own: String,
    },
}

impl Policy {
    /// Reads a context and checks that it is valid in this policy.
    ///
    /// # Errors
    /// A part is unknown, or the parts do not go together.
    pub fn parse_context(&self, text: &str) -> Result<Context, ContextError> {
        let context = self.parse_context_unchecked(text)?;
        match self.check_context(&context) {
            Ok(()) => Ok(context),
            Err(why) => Err(ContextError::Invalid { context: text.to_owned(), why }),
        }
    }

    /// Reads a context whose parts exist and may not go together.
    ///
    /// # Errors
    /// A part is unknown.
    pub fn parse_context_unchecked(&self, text: &str) -> Result<Context, ContextError> {
        let form = || ContextError::Form { text: text.to_owned(), mls: self.mls };
        let unknown = |kind, name: &str| ContextError::Unknown { kind, name: name.to_owned() };
        let mut parts = text.splitn(4, ':');
        let (Some(user), Some(role), Some(ty)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        let user = self.users.id(user).ok_or_else(|| unknown("user", user))?;
        let role = self.roles.id(role).ok_or_else(|| unknown("role", role))?;
        let found = self.types.find(ty).ok_or_else(|| unknown("type", ty))?;
        if found.kind == TypeKind::Attribute {
            return Err(ContextError::Attribute(ty.to_owned()));
        }
        let range = match (parts.next(), self.mls) {
            (None, false) => None,
            (Some(range), true) => Some(self.parse_range(range)?),
            (None, true) => return Err(form()),
            (Some(_), false) => return Err(ContextError::NoMls(text.to_owned())),
        };
        Ok(Context { user, role, ty: found.id, range })
    }

    /// Reads `LEVEL` or `LEVEL-LEVEL`.
    ///
    /// # Errors
    /// It is no range of this policy.
    pub fn parse_range(&self, text: &str) -> Result<Range, ContextError> {
        let level = |part| self.parse_level(part).ok_or_else(|| ContextError::Range(text.to_owned()));
        // A category's name may hold a hyphen in theory; the kernel splits at the first all the same.
        match text.split_once('-') {
            None => Ok(Range::single(level(text)?)),
            Some((low, high)) => Ok(Range::new(level(low)?, level(high)?)),
        }
    }

    /// Reads `SENSITIVITY` or `SENSITIVITY:CATEGORY,FIRST.LAST`.
    fn parse_level(&self, text: &str) -> Option<Level> {
        let (sensitivity, categories) = match text.split_once(':') {
            None => (text, None),
            Some((s, c)) => (s, Some(c)),
        };
        let sensitivity = self.sensitivities.id(sensitivity)?;
        let mut bits = Vec::new();
        for part in categories.into_iter().flat_map(|c| c.split(',')) {
            match part.split_once('.') {
                None => bits.push(self.categories.id(part)?.bit()),
                Some((first, last)) => {
                    let (first, last) = (self.categories.id(first)?, self.categories.id(last)?);
                    if first >= last {
                        return None;
                    }
                    bits.extend(first.bit()..=last.bit());
                }
            }
        }
        Some(Level { sensitivity, categories: bits.into_iter().collect() })
    }

    /// Whether the policy lets the parts of a context go together (`policydb_context_isvalid`).
    ///
    /// # Errors
    /// Which parts do not.
    pub fn check_context(&self, context: &Context) -> Result<(), InvalidContext> {
        if !self.context_exists(context) || context.range.is_some() != self.mls {
            return Err(InvalidContext::Missing);
        }
        let role_name = || self.roles.name(context.role).to_owned();
        let user_name = || self.users.name(context.user).to_owned();
        let ty_name = || self.types.name(context.ty).to_owned();
        if self.types.get(context.ty).is_some_and(|t| t.kind == TypeKind::Attribute) {
            return Err(InvalidContext::Attribute(ty_name()));
        }
        let user = self.users.get(context.user).ok_or(InvalidContext::Missing)?;
        if context.role != OBJECT_R {
            let role = self.roles.get(context.role).ok_or(InvalidContext::Missing)?;
            if !role.types.contains(context.ty.bit()) {
                return Err(InvalidContext::RoleType { role: role_name(), ty: ty_name() });
            }
            if !user.roles.contains(context.role.bit()) {
                return Err(InvalidContext::UserRole { user: user_name(), role: role_name() });
            }
        }
        let Some(range) = &context.range else { return Ok(()) };
        for level in [&range.low, range.high()] {
            let own = self.sensitivities.get(level.sensitivity).ok_or(InvalidContext::Missing)?;
            if !own.level.categories.contains_all(&level.categories) {
                return Err(InvalidContext::Level(self.level_text(level)));
            }
        }
        if !range.high().dominates(&range.low) {
            return Err(InvalidContext::Order(self.range_text(range)));
        }
        let Some((own, _)) = &user.mls else { return Ok(()) };
        if context.role != OBJECT_R && !own.contains(range) {
            let (range, own) = (self.range_text(range), self.range_text(own));
            return Err(InvalidContext::UserRange { user: user_name(), range, own });
        }
        Ok(())
    }

    /// A context as text, as the kernel writes it.
    pub fn context_text(&self, context: &Context) -> String {
        let mut out = format!(
            "{}:{}:{}",
            self.users.name(context.user),
            self.roles.name(context.role),
            self.types.name(context.ty)
        );
        if let Some(range) = &context.range {
            out.push(':');
            out.push_str(&self.range_text(range));
        }
        out
    }

    /// A range as text.
    pub fn range_text(&self, range: &Range) -> String {
        let mut out = self.level_text(&range.low);
        if let Some(high) = &range.high {
            out.push('-');
            out.push_str(&self.level_text(high));
        }
        out
    }

    /// A level as text: three and more categories in a row as `FIRST.LAST`.
    pub fn level_text(&self, level: &Level) -> String {
        let mut out = self.sensitivities.name(level.sensitivity).to_owned();
        if !level.categories.is_empty() {
            out.push(':');
            out.push_str(&self.categories_text(&level.categories));
        }
        out
    }

    /// A set of categories as text.
    pub fn categories_text(&self, categories: &Bitmap) -> String {
        let mut out = String::new();
        let mut bits = categories.iter().peekable();
        while let Some(first) = bits.next() {
            let mut last = first;
            while let Some(next) = bits.next_if_eq(&(last + 1)) {
                last = next;
            }
            let name = |bit| CategoryId::from_bit(bit).map_or("?", |c| self.categories.name(c));
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(name(first));
            if last != first {
                out.push(if last - first > 1 { '.' } else { ',' });
                out.push_str(name(last));
            }
        }
        out
    }
}
