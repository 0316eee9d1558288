//! Socket addresses of SOCKADDR records.

use super::fields;
use super::record::Record;

/// A socket address as text: `127.0.0.1 port 81`, or a path.
pub(super) fn socket_address(record: &Record<'_>) -> Option<Vec<u8>> {
    if record.interpreted {
        let at = memchr::memmem::find(record.body, b"saddr=")?;
        let (mut address, mut port, mut path) = (None, None, None);
        let inner = record.body.get(at + 6..)?;
        fields::interpreted(inner, &[b"saddr_fam", b"laddr", b"lport", b"path"], |key, value| {
            let value = value.strip_suffix(b" }").unwrap_or(value);
            match key {
                b"laddr" => address = Some(value),
                b"lport" => port = Some(value),
                b"path" => path = Some(value),
                _ => {}
            }
        });
        return match (address, port, path) {
            (Some(address), Some(port), _) => Some([address, port].join(&b" port "[..])),
            (_, _, Some(path)) => Some(path.to_vec()),
            _ => None,
        };
    }
    let raw = fields::fields(record.body).find(|f| f.key == b"saddr")?;
    let bytes = fields::unhex(raw.value)?;
    let family = u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]);
    let port = || Some(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    match family {
        1 => {
            let path = bytes.get(2..)?;
            // An abstract name begins with NUL, shown as `@`.
            let (mut text, path) = match path.strip_prefix(b"\0") {
                Some(rest) => (b"@".to_vec(), rest),
                None => (Vec::new(), path),
            };
            text.extend(path.iter().take_while(|b| **b != 0));
            Some(text)
        }
        2 => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(format!("{} port {}", std::net::Ipv4Addr::from(address), port()?).into_bytes())
        }
        10 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(format!("{} port {}", std::net::Ipv6Addr::from(address), port()?).into_bytes())
        }
        _ => None,
    }
}
