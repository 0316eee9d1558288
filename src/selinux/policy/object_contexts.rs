//! Contexts of what carries no label of its own: initial SIDs, file systems, ports, interfaces, nodes, InfiniBand.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::context::Context;
use super::cursor::{Cursor, Result, Sink};

/// A context that the kernel needs before anything has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialSid {
    /// Its number in the kernel.
    pub sid: u32,
    /// Its context.
    pub context: Context,
}

/// A file system (`fscon`) or a network interface (`netifcon`): two contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Name of the file system or interface.
    pub name: Box<[u8]>,
    /// Of the file system; of the interface.
    pub context: Context,
    /// Of its files; of its packets.
    pub second: Context,
}

/// `portcon`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The IP protocol's number: 6 tcp, 17 udp, 33 dccp, 132 sctp.
    pub protocol: u32,
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
    /// Its context.
    pub context: Context,
}

/// `nodecon` for addresses of kind `A`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetNode<A> {
    /// Address.
    pub address: A,
    /// Which bits of the address count.
    pub mask: A,
    /// Its context.
    pub context: Context,
}

/// How the files of a file system are labelled (`fs_use_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FsUseKind {
    /// `fs_use_xattr`: by extended attribute.
    Xattr,
    /// `fs_use_trans`: by transition from the process and the file system.
    Trans,
    /// `fs_use_task`: as the process.
    Task,
    /// By `genfscon`; the kernel's own value, never in a file so far.
    Genfs,
    /// Not at all; likewise.
    None,
    /// By the mount point's context; likewise.
    MountPoint,
    /// By the file system itself (NFS); likewise.
    Native,
}

const FS_USES: [FsUseKind; 7] = [
    FsUseKind::Xattr,
    FsUseKind::Trans,
    FsUseKind::Task,
    FsUseKind::Genfs,
    FsUseKind::None,
    FsUseKind::MountPoint,
    FsUseKind::Native,
];

/// `fs_use_*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsUse {
    /// How.
    pub kind: FsUseKind,
    /// The file system's type.
    pub name: Box<[u8]>,
    /// The file system's context.
    pub context: Context,
}

/// `ibpkeycon`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IbPkey {
    /// The subnet prefix, in the file's bytes.
    pub prefix: [u8; 8],
    /// First key.
    pub low: u16,
    /// Last key.
    pub high: u16,
    /// Its context.
    pub context: Context,
}

/// `ibendportcon`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IbEndPort {
    /// Device.
    pub name: Box<[u8]>,
    /// Port of the device.
    pub port: u8,
    /// Its context.
    pub context: Context,
}

/// All of them, each kind in the file's order (of which the kernel takes the first that fits).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectContexts {
    /// Initial SIDs.
    pub initial_sids: Vec<InitialSid>,
    /// `fscon`
    pub file_systems: Vec<Named>,
    /// `portcon`
    pub ports: Vec<Port>,
    /// `netifcon`
    pub interfaces: Vec<Named>,
    /// `nodecon` of IPv4
    pub nodes4: Vec<NetNode<Ipv4Addr>>,
    /// `fs_use_*`
    pub fs_uses: Vec<FsUse>,
    /// `nodecon` of IPv6
    pub nodes6: Vec<NetNode<Ipv6Addr>>,
    /// `ibpkeycon`, from version 31 on
    pub ib_pkeys: Vec<IbPkey>,
    /// `ibendportcon`, from version 31 on
    pub ib_end_ports: Vec<IbEndPort>,
}

impl ObjectContexts {
    /// How many kinds a version has.
    pub(super) fn kinds(version: u32) -> u32 {
        if version >= 31 { 9 } else { 7 }
    }

    /// Every context with the name of its section.
    pub(super) fn contexts(&self) -> impl Iterator<Item = &Context> {
        let sids = self.initial_sids.iter().map(|x| &x.context);
        let named = self.file_systems.iter().chain(&self.interfaces).flat_map(|x| [&x.context, &x.second]);
        let ports = self.ports.iter().map(|x| &x.context);
        let nodes = self.nodes4.iter().map(|x| &x.context).chain(self.nodes6.iter().map(|x| &x.context));
        let uses = self.fs_uses.iter().map(|x| &x.context);
        let ib = self.ib_pkeys.iter().map(|x| &x.context).chain(self.ib_end_ports.iter().map(|x| &x.context));
        sids.chain(named).chain(ports).chain(nodes).chain(uses).chain(ib)
    }

    pub(super) fn read(c: &mut Cursor<'_>, version: u32, mls: bool) -> Result<Self> {
        c.section("initial sids");
        let initial_sids = list(c, 4, |c| Ok(InitialSid { sid: c.u32()?, context: Context::read(c, mls)? }))?;
        c.section("file systems");
        let file_systems = list(c, 4 + Context::MIN_SIZE, |c| Named::read(c, mls))?;
        c.section("ports");
        let ports = list(c, 12, |c| {
            let at = c.offset();
            let [protocol, low, high] = c.u32s()?;
            let (low, high) = (number(c, at + 4, low, "a port")?, number(c, at + 8, high, "a port")?);
            Ok(Port { protocol, low, high, context: Context::read(c, mls)? })
        })?;
        c.section("interfaces");
        let interfaces = list(c, 4 + Context::MIN_SIZE, |c| Named::read(c, mls))?;
        c.section("nodes");
        let nodes4 = list(c, 8, |c| {
            let (address, mask) = (c.array::<4>()?.into(), c.array::<4>()?.into());
            Ok(NetNode { address, mask, context: Context::read(c, mls)? })
        })?;
        c.section("file system uses");
        let fs_uses = list(c, 8, |c| {
            let at = c.offset();
            let [kind, len] = c.u32s()?;
            let Some(kind) = kind.checked_sub(1).and_then(|k| FS_USES.get(k as usize)) else {
                return c.fail(at, "a way to label files, from 1 to 7", kind);
            };
            let name = c.file_name(len, "a file system")?;
            Ok(FsUse { kind: *kind, name, context: Context::read(c, mls)? })
        })?;
        c.section("nodes of IPv6");
        let nodes6 = list(c, 32, |c| {
            let (address, mask) = (c.array::<16>()?.into(), c.array::<16>()?.into());
            Ok(NetNode { address, mask, context: Context::read(c, mls)? })
        })?;
        let (mut ib_pkeys, mut ib_end_ports) = (Vec::new(), Vec::new());
        if version >= 31 {
            c.section("InfiniBand keys");
            ib_pkeys = list(c, 16, |c| {
                let prefix = c.array()?;
                let at = c.offset();
                let [low, high] = c.u32s()?;
                let (low, high) = (number(c, at, low, "a key")?, number(c, at + 4, high, "a key")?);
                Ok(IbPkey { prefix, low, high, context: Context::read(c, mls)? })
            })?;
            c.section("InfiniBand end ports");
            ib_end_ports = list(c, 8, |c| {
                let at = c.offset();
                let [len, port] = c.u32s()?;
                let Ok(port) = u8::try_from(port) else {
                    return c.fail(at + 4, "a port up to 255", port);
                };
                let name = c.file_name(len, "a device")?;
                Ok(IbEndPort { name, port, context: Context::read(c, mls)? })
            })?;
        }
        Ok(Self {
            initial_sids,
            file_systems,
            ports,
            interfaces,
            nodes4,
            fs_uses,
            nodes6,
            ib_pkeys,
            ib_end_ports,
        })
    }

    pub(super) fn write(&self, out: &mut Sink, version: u32) {
        out.count(self.initial_sids.len());
        for x in &self.initial_sids {
            out.u32(x.sid);
            x.context.write(out);
        }
        Named::write_list(&self.file_systems, out);
        out.count(self.ports.len());
        for x in &self.ports {
            out.u32s(&[x.protocol, x.low.into(), x.high.into()]);
            x.context.write(out);
        }
        Named::write_list(&self.interfaces, out);
        out.count(self.nodes4.len());
        for x in &self.nodes4 {
            out.bytes(&x.address.octets());
            out.bytes(&x.mask.octets());
            x.context.write(out);
        }
        out.count(self.fs_uses.len());
        for x in &self.fs_uses {
            out.count(FS_USES.iter().position(|k| *k == x.kind).map_or(0, |i| i + 1));
            out.count(x.name.len());
            out.bytes(&x.name);
            x.context.write(out);
        }
        out.count(self.nodes6.len());
        for x in &self.nodes6 {
            out.bytes(&x.address.octets());
            out.bytes(&x.mask.octets());
            x.context.write(out);
        }
        if version < 31 {
            return;
        }
        out.count(self.ib_pkeys.len());
        for x in &self.ib_pkeys {
            out.bytes(&x.prefix);
            out.u32s(&[x.low.into(), x.high.into()]);
            x.context.write(out);
        }
        out.count(self.ib_end_ports.len());
        for x in &self.ib_end_ports {
            out.count(x.name.len());
            out.u32(x.port.into());
            out.bytes(&x.name);
            x.context.write(out);
        }
    }
}

impl Named {
    fn read(c: &mut Cursor<'_>, mls: bool) -> Result<Self> {
        let len = c.u32()?;
        let name = c.file_name(len, "a file system or interface")?;
        Ok(Self { name, context: Context::read(c, mls)?, second: Context::read(c, mls)? })
    }

    fn write_list(list: &[Self], out: &mut Sink) {
        out.count(list.len());
        for x in list {
            out.count(x.name.len());
            out.bytes(&x.name);
            x.context.write(out);
            x.second.write(out);
        }
    }
}

fn list<T>(
    c: &mut Cursor<'_>,
    own_size: usize,
    mut read: impl FnMut(&mut Cursor<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = c.count(own_size + Context::MIN_SIZE, "object contexts")?;
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        out.push(read(c)?);
    }
    Ok(out)
}

fn number(c: &Cursor<'_>, at: usize, value: u32, what: &str) -> Result<u16> {
    match u16::try_from(value) {
        Ok(v) => Ok(v),
        Err(_) => c.fail(at, format!("{what} up to 65535"), value),
    }
}
