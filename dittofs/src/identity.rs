use std::hash::Hasher;
use std::net::SocketAddr;

use dittofs_framework::session::ServerIdentity;
use siphasher::sip128::{Hasher128, SipHasher24};

/// Where systemd and dbus keep the machine's own number.
const MACHINE_ID: &str = "/etc/machine-id";

/// Who this server is to its clients: the same over restarts, another than any server beside it (RFC 8881 section 2.10.5).
///
/// `None` where nothing lasting is known: a port that the system chooses, or a machine without a number. The server is then a
/// new one at each start.
pub(crate) fn of_server(listen: SocketAddr) -> Result<Option<ServerIdentity>, getrandom::Error> {
    let Ok(machine) = std::fs::read(MACHINE_ID) else { return Ok(None) };
    let Some(name) = name(&machine, listen) else { return Ok(None) };
    Ok(Some(ServerIdentity::new(name.as_bytes(), getrandom::u32()?)))
}

/// The machine's number is hashed: systemd asks not to show it to the network.
fn name(machine: &[u8], listen: SocketAddr) -> Option<String> {
    if listen.port() == 0 || machine.is_empty() {
        return None;
    }
    let mut hasher = SipHasher24::new();
    hasher.write(machine);
    Some(format!("dittofs-{:032x}-{listen}", hasher.finish128().as_u128()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Origin: two servers on one machine, and a restart of one.
    // RFC: 8881 sections 2.10.4 and 2.10.5.
    #[test]
    fn a_server_is_the_same_again_and_no_other() {
        let at = |addr: &str| addr.parse().unwrap();
        let first = name(b"machine", at("127.0.0.1:2049"));
        assert!(first.is_some());
        assert_eq!(first, name(b"machine", at("127.0.0.1:2049")), "after a restart");
        assert_ne!(first, name(b"machine", at("127.0.0.1:2050")), "beside it");
        assert_ne!(first, name(b"another", at("127.0.0.1:2049")), "on another machine");
        assert_eq!(name(b"machine", at("127.0.0.1:0")), None, "on any port");
        assert_eq!(name(b"", at("127.0.0.1:2049")), None, "on a machine without a number");
    }
}
