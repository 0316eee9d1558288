//! Type-enforcement rules: what may be, what is audited, and what type a new object has.

use super::cursor::Sink;
use super::id::{ClassId, TypeId};

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum RuleKind {
    /// `allow`
    Allow = 1,
    /// `auditallow`
    AuditAllow = 2,
    /// `dontaudit`; the file has the complement of its permissions.
    DontAudit = 4,
    /// `type_transition`
    Transition = 0x10,
    /// `type_member`
    Member = 0x20,
    /// `type_change`
    Change = 0x40,
    /// `allowxperm`
    AllowX = 0x100,
    /// `auditallowxperm`
    AuditAllowX = 0x200,
    /// `dontauditxperm`
    DontAuditX = 0x400,
}

impl RuleKind {
    #[inline]
    pub(super) fn decode(value: u16) -> Option<Self> {
        Some(match value {
            1 => RuleKind::Allow,
            2 => RuleKind::AuditAllow,
            4 => RuleKind::DontAudit,
            0x10 => RuleKind::Transition,
            0x20 => RuleKind::Member,
            0x40 => RuleKind::Change,
            0x100 => RuleKind::AllowX,
            0x200 => RuleKind::AuditAllowX,
            0x400 => RuleKind::DontAuditX,
            _ => return None,
        })
    }

    /// From [`Rule::kind_number`].
    #[inline]
    pub(super) fn of_rule(number: u16) -> Self {
        Self::decode(number).unwrap_or(RuleKind::Allow)
    }

    /// Whether the rule gives a type to a new object.
    pub fn gives_type(self) -> bool {
        self as u16 & 0x70 != 0
    }

    /// Whether the rule is about extended permissions.
    pub fn is_extended(self) -> bool {
        self as u16 & 0x700 != 0
    }

    /// As the policy language writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleKind::Allow => "allow",
            RuleKind::AuditAllow => "auditallow",
            RuleKind::DontAudit => "dontaudit",
            RuleKind::Transition => "type_transition",
            RuleKind::Member => "type_member",
            RuleKind::Change => "type_change",
            RuleKind::AllowX => "allowxperm",
            RuleKind::AuditAllowX => "auditallowxperm",
            RuleKind::DontAuditX => "dontauditxperm",
        }
    }
}

/// A rule: 12 bytes, of which a policy has a hundred thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    source: u16,
    target: u16,
    class: u16,
    /// With the bit that some writers leave in it.
    kind: u16,
    /// Permissions, a type, or where in the file the extended permissions are.
    data: u32,
}

/// That a conditional rule is in force. The kernel takes it from the file, and looks at it anew only when the value of
/// the condition changes; so it must be written rightly.
pub(super) const ENABLED: u16 = 0x8000;

impl Rule {
    /// Bytes in the file of a rule whose datum is a number.
    pub(super) const SIZE: usize = 12;

    /// A row of the file whose datum is a number.
    #[inline]
    pub(super) fn decode(bytes: [u8; Self::SIZE]) -> Self {
        let [h0, h1, h2, h3, h4, h5, h6, h7, d0, d1, d2, d3] = bytes;
        // One load for the head, for there are many.
        let head = u64::from_le_bytes([h0, h1, h2, h3, h4, h5, h6, h7]);
        #[expect(clippy::cast_possible_truncation, reason = "16 bits at a time")]
        let part = |n: u32| (head >> (16 * n)) as u16;
        let data = u32::from_le_bytes([d0, d1, d2, d3]);
        Self { source: part(0), target: part(1), class: part(2), kind: part(3), data }
    }

    /// A rule of permissions; `permissions` are those meant, also for `dontaudit`.
    pub(super) fn of_permissions(
        kind: RuleKind,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        permissions: u32,
    ) -> Option<Self> {
        let data = if kind == RuleKind::DontAudit { !permissions } else { permissions };
        Self::of_data(kind, source, target, class, data)
    }

    /// A rule with its datum as the file has it.
    pub(super) fn of_data(
        kind: RuleKind,
        source: TypeId,
        target: TypeId,
        class: ClassId,
        data: u32,
    ) -> Option<Self> {
        Some(Self {
            source: u16::try_from(source.get()).ok()?,
            target: u16::try_from(target.get()).ok()?,
            class: u16::try_from(class.get()).ok()?,
            kind: kind as u16,
            data,
        })
    }

    /// Type or attribute that acts; `None` never happens in a valid policy.
    pub fn source(&self) -> Option<TypeId> {
        TypeId::new(self.source.into())
    }

    /// Type or attribute that is acted upon.
    pub fn target(&self) -> Option<TypeId> {
        TypeId::new(self.target.into())
    }

    /// Class of what is acted upon.
    pub fn class(&self) -> Option<ClassId> {
        ClassId::new(self.class.into())
    }

    /// What the rule says.
    pub fn kind(&self) -> RuleKind {
        RuleKind::of_rule(self.kind_number())
    }

    /// The permissions meant, where the rule is about permissions; also those that `dontaudit` silences.
    pub fn permissions(&self) -> Option<u32> {
        match self.kind() {
            RuleKind::Allow | RuleKind::AuditAllow => Some(self.data),
            RuleKind::DontAudit => Some(!self.data),
            _ => None,
        }
    }

    /// The type it gives, where the rule gives a type.
    pub fn new_type(&self) -> Option<TypeId> {
        if self.kind().gives_type() { TypeId::new(self.data) } else { None }
    }

    /// Where in the file its extended permissions are.
    pub(super) fn extended(&self) -> Option<u32> {
        self.kind().is_extended().then_some(self.data)
    }

    /// The same rule in a conditional, in force or not.
    pub(super) fn under_condition(mut self, in_force: bool) -> Self {
        self.kind = if in_force { self.kind | ENABLED } else { self.kind & !ENABLED };
        self
    }

    /// Adds the permissions of a rule of the same kind, between the same.
    pub(super) fn widen(&mut self, other: &Rule) {
        match self.kind() {
            RuleKind::Allow | RuleKind::AuditAllow => self.data |= other.data,
            RuleKind::DontAudit => self.data &= other.data,
            _ => {}
        }
    }

    #[inline]
    pub(super) fn data(&self) -> u32 {
        self.data
    }

    /// The same rule with its extended permissions at this place of the file.
    pub(super) fn at(mut self, place: u32) -> Self {
        self.data = place;
        self
    }

    /// Source, target, class and kind as they are written.
    pub(super) fn head(&self) -> [u16; 4] {
        [self.source, self.target, self.class, self.kind]
    }

    #[inline]
    pub(super) fn target_index(&self) -> usize {
        self.target.into()
    }

    #[inline]
    pub(super) fn class_index(&self) -> usize {
        self.class.into()
    }

    #[inline]
    pub(super) fn kind_number(&self) -> u16 {
        self.kind & !ENABLED
    }

    pub(super) fn raw(&self) -> (u16, u16, u16, u16) {
        (self.source, self.target, self.class, self.kind & !ENABLED)
    }
}

/// What extended permissions are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtendedKind {
    /// Commands of one ioctl driver (the high byte of the command): the low bytes.
    IoctlFunction,
    /// Whole ioctl drivers: the high bytes.
    IoctlDriver,
    /// Netlink message types with this high byte: the low bytes.
    Netlink,
}

/// 256 extended permissions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Extended {
    /// What they are of.
    pub kind: ExtendedKind,
    /// The high byte; without meaning for drivers.
    pub driver: u8,
    /// A bit for each low byte (or driver).
    pub bits: [u32; 8],
}

impl Extended {
    /// Whether the command or message type is among them.
    pub fn contains(&self, command: u16) -> bool {
        let [driver, function] = command.to_be_bytes();
        match self.kind {
            ExtendedKind::IoctlDriver => self.bit(driver),
            ExtendedKind::IoctlFunction | ExtendedKind::Netlink => {
                self.driver == driver && self.bit(function)
            }
        }
    }

    /// The smallest sets that hold these commands: one for each high byte, or one of whole drivers.
    pub(super) fn of_commands(kind: ExtendedKind, commands: &[(u16, u16)]) -> Vec<Self> {
        let mut by_driver = std::collections::BTreeMap::new();
        let mut whole = [0u32; 8];
        for (first, last) in commands {
            for command in *first..=*last {
                let [driver, function] = command.to_be_bytes();
                let bits = by_driver.entry(driver).or_insert([0u32; 8]);
                if let Some(word) = bits.get_mut(usize::from(function / 32)) {
                    *word |= 1 << (function % 32);
                }
            }
        }
        if kind == ExtendedKind::IoctlFunction {
            by_driver.retain(|driver, bits| {
                let all = *bits == [u32::MAX; 8];
                if let Some(word) = whole.get_mut(usize::from(driver / 32)).filter(|_| all) {
                    *word |= 1 << (driver % 32);
                }
                !all
            });
        }
        let mut out: Vec<Self> =
            by_driver.into_iter().map(|(driver, bits)| Self { kind, driver, bits }).collect();
        if whole != [0; 8] {
            out.push(Self { kind: ExtendedKind::IoctlDriver, driver: 0, bits: whole });
        }
        out
    }

    fn bit(&self, n: u8) -> bool {
        self.bits.get(usize::from(n / 32)).is_some_and(|w| w >> (n % 32) & 1 != 0)
    }

    /// The commands as ranges, first and last.
    pub fn ranges(&self) -> Vec<(u16, u16)> {
        let mut out: Vec<(u16, u16)> = Vec::new();
        for n in (0..=255u8).filter(|n| self.bit(*n)) {
            let (first, last) = match self.kind {
                ExtendedKind::IoctlDriver => (u16::from_be_bytes([n, 0]), u16::from_be_bytes([n, 255])),
                _ => (u16::from_be_bytes([self.driver, n]), u16::from_be_bytes([self.driver, n])),
            };
            match out.last_mut() {
                Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
                _ => out.push((first, last)),
            }
        }
        out
    }
}

impl Extended {
    /// Bytes in the file: u8 kind, u8 driver, 256 bits.
    pub(super) const SIZE: usize = 34;

    pub(super) fn decode(bytes: &[u8; Self::SIZE]) -> std::result::Result<Self, u8> {
        let [kind, driver, rest @ ..] = bytes;
        let kind = match kind {
            1 => ExtendedKind::IoctlFunction,
            2 => ExtendedKind::IoctlDriver,
            3 => ExtendedKind::Netlink,
            _ => return Err(*kind),
        };
        let mut bits = [0; 8];
        for (word, bytes) in bits.iter_mut().zip(rest.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Ok(Self { kind, driver: *driver, bits })
    }

    pub(super) fn write(&self, out: &mut Sink) {
        out.u8(match self.kind {
            ExtendedKind::IoctlFunction => 1,
            ExtendedKind::IoctlDriver => 2,
            ExtendedKind::Netlink => 3,
        });
        out.u8(self.driver);
        out.u32s(&self.bits);
    }
}
