//! Where a client of minor version 0 wants to be called (RFC 7530 section 2.2.10, RFC 5665 sections 5.2.3.3 and 5.2.3.4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::proto::ClientAddr4;

/// To which addresses the server connects for the callbacks of minor version 0.
///
/// The address is the client's to say, and nothing proves it: a server that connects to any address connects for its clients to
/// places that they cannot reach themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallbackAddresses {
    /// To that alone which the client said it from, at any port.
    #[default]
    Own,
    /// To any: for clients that reach the server from another address than they are called at.
    Any,
}

/// Why a client cannot be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Uncallable {
    /// It gave no address, as far as the server understands.
    #[error("its callback address is none")]
    NoAddress,
    /// It gave that of another.
    #[error("its callback address {0} is not its own")]
    Foreign(IpAddr),
}

impl CallbackAddresses {
    /// Where to call a client that said `addr` from `peer`.
    pub fn resolve(self, addr: &ClientAddr4, peer: SocketAddr) -> Result<SocketAddr, Uncallable> {
        let (ip, port) = parse(&addr.netid, &addr.addr).ok_or(Uncallable::NoAddress)?;
        if ip.to_canonical() == peer.ip().to_canonical() {
            // The peer's has the interface of a link-local address, too.
            let mut own = peer;
            own.set_port(port);
            return Ok(own);
        }
        match self {
            Self::Own => Err(Uncallable::Foreign(ip)),
            Self::Any => Ok(SocketAddr::new(ip, port)),
        }
    }
}

/// A universal address. One of nowhere, or without a port, is none: so clients say that they take no callbacks.
fn parse(netid: &[u8], addr: &[u8]) -> Option<(IpAddr, u16)> {
    let mut parts = std::str::from_utf8(addr).ok()?.rsplitn(3, '.');
    let (low, high, host) = (octet(parts.next()?)?, octet(parts.next()?)?, parts.next()?);
    let ip = match netid {
        b"tcp" => host.parse::<Ipv4Addr>().ok()?.into(),
        // Some write the interface of a link-local address behind it.
        b"tcp6" => host.split('%').next()?.parse::<Ipv6Addr>().ok()?.into(),
        _ => return None,
    };
    let port = u16::from_be_bytes([high, low]);
    (port != 0 && !IpAddr::is_unspecified(&ip)).then_some((ip, port))
}

fn octet(text: &str) -> Option<u8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // Origin: own table. RFC: 5665 sections 5.2.3.3 and 5.2.3.4.
    #[rstest]
    #[case::v4("tcp", "192.0.2.1.8.1", Some("192.0.2.1:2049"))]
    #[case::highest_port("tcp", "192.0.2.1.255.255", Some("192.0.2.1:65535"))]
    #[case::v6("tcp6", "2001:db8::5.3.231", Some("[2001:db8::5]:999"))]
    #[case::v6_in_full("tcp6", "2001:db8:0:0:0:0:0:5.3.231", Some("[2001:db8::5]:999"))]
    #[case::v6_with_v4_behind("tcp6", "::ffff:192.0.2.1.8.1", Some("[::ffff:192.0.2.1]:2049"))]
    #[case::v6_of_an_interface("tcp6", "fe80::1%eth0.8.1", Some("[fe80::1]:2049"))]
    #[case::udp("udp", "192.0.2.1.8.1", None)]
    #[case::another_transport("rdma", "192.0.2.1.8.1", None)]
    #[case::v6_as_v4("tcp", "2001:db8::5.8.1", None)]
    #[case::v4_as_v6("tcp6", "192.0.2.1.8.1", None)]
    #[case::nothing("tcp", "", None)]
    #[case::no_port("tcp", "192.0.2.1", None)]
    #[case::half_a_port("tcp", "192.0.2.1.8", None)]
    #[case::port_of_none("tcp", "192.0.2.1.0.0", None)]
    #[case::nowhere("tcp", "0.0.0.0.8.1", None)]
    #[case::nowhere_of_v6("tcp6", "::.8.1", None)]
    #[case::octet_too_large("tcp", "192.0.2.1.256.1", None)]
    #[case::octet_with_a_sign("tcp", "192.0.2.1.+8.1", None)]
    #[case::octet_with_a_space("tcp", "192.0.2.1. 8.1", None)]
    #[case::empty_octet("tcp", "192.0.2.1..1", None)]
    #[case::a_name("tcp", "localhost.8.1", None)]
    fn universal_addresses(#[case] netid: &str, #[case] addr: &str, #[case] expected: Option<&str>) {
        let expected = expected.map(|addr| addr.parse::<SocketAddr>().unwrap());
        let found = parse(netid.as_bytes(), addr.as_bytes());
        assert_eq!(found.map(SocketAddr::from), expected);
    }

    // Origin: own table. RFC: none; 7530 does not say that the address has to be the client's.
    #[rstest]
    #[case::its_own("tcp", "192.0.2.1.8.1", "192.0.2.1:700", Ok("192.0.2.1:2049"))]
    #[case::its_own_in_v6("tcp6", "2001:db8::5.8.1", "[2001:db8::5]:700", Ok("[2001:db8::5]:2049"))]
    #[case::v4_that_came_by_v6(
        "tcp",
        "192.0.2.1.8.1",
        "[::ffff:192.0.2.1]:700",
        Ok("[::ffff:192.0.2.1]:2049")
    )]
    #[case::on_its_interface("tcp6", "fe80::1%eth0.8.1", "[fe80::1%3]:700", Ok("[fe80::1%3]:2049"))]
    #[case::anothers("tcp", "192.0.2.2.8.1", "192.0.2.1:700", Err(Uncallable::Foreign(Ipv4Addr::new(192, 0, 2, 2).into())))]
    #[case::the_servers("tcp", "127.0.0.1.8.1", "192.0.2.1:700", Err(Uncallable::Foreign(Ipv4Addr::LOCALHOST.into())))]
    #[case::none("tcp", "0.0.0.0.0.0", "192.0.2.1:700", Err(Uncallable::NoAddress))]
    fn which_addresses_are_called(
        #[case] netid: &str,
        #[case] addr: &str,
        #[case] peer: &str,
        #[case] expected: Result<&str, Uncallable>,
    ) {
        let addr = ClientAddr4 { netid: netid.into(), addr: addr.into() };
        let peer: SocketAddr = peer.parse().unwrap();
        let expected = expected.map(|addr| addr.parse::<SocketAddr>().unwrap());
        assert_eq!(CallbackAddresses::Own.resolve(&addr, peer), expected);
        match CallbackAddresses::Any.resolve(&addr, peer) {
            Ok(called) => assert!(expected.is_err() || expected == Ok(called)),
            Err(error) => assert_eq!(error, Uncallable::NoAddress),
        }
    }
}
