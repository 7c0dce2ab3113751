use smallvec::SmallVec;

use super::Connection;
use crate::fs::Credentials;

/// AUTH_SYS: the longest machine name (RFC 5531 appendix A).
const MACHINE_NAME_MAX: usize = 255;
/// AUTH_SYS: the most supplementary groups (RFC 5531 appendix A).
const GIDS_MAX: usize = 16;

/// auth_flavor (RFC 5531 section 8.2), as far as the framework knows callers by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthFlavor {
    /// AUTH_NONE: nobody in particular.
    None,
    /// AUTH_SYS: the ids that the client claims.
    Sys,
}

impl AuthFlavor {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Sys => 1,
        }
    }

    /// The flavor with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Sys),
            _ => None,
        }
    }
}

/// auth_stat (RFC 5531 section 9): why a caller is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthStat {
    /// AUTH_BADCRED: the credential does not decode.
    BadCred = 1,
    /// AUTH_REJECTEDCRED: the credential is of a kind that is not accepted, or no longer.
    RejectedCred = 2,
    /// AUTH_BADVERF: the verifier does not decode or does not fit the credential.
    BadVerf = 3,
    /// AUTH_REJECTEDVERF: the verifier expired or was used before.
    RejectedVerf = 4,
    /// AUTH_TOOWEAK: a stronger flavor is needed.
    TooWeak = 5,
    /// AUTH_FAILED: for another reason.
    Failed = 7,
}

impl AuthStat {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// opaque_auth: a credential or verifier as it came.
#[derive(Debug, Clone, Copy)]
pub struct OpaqueAuth<'a> {
    /// auth_flavor.
    pub flavor: u32,
    /// At most 400 bytes.
    pub body: &'a [u8],
}

/// A caller. Two calls are of the same principal when these are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// How the caller was known.
    pub flavor: AuthFlavor,
    /// With what rights it acts on files.
    pub credentials: Credentials,
}

/// Finds out who is calling.
pub trait Authenticator: Send + Sync + 'static {
    /// The caller that `cred` and `verf` stand for, or why it is refused. Runs for every call: it must not block.
    fn authenticate(
        &self,
        cred: OpaqueAuth<'_>,
        verf: OpaqueAuth<'_>,
        connection: &Connection,
    ) -> Result<Principal, AuthStat>;
}

/// Accepts AUTH_NONE, as nobody, and AUTH_SYS, as whom the client claims; all else is AUTH_REJECTEDCRED.
#[derive(Debug, Clone, Copy, Default)]
pub struct SysAuthenticator;

impl Authenticator for SysAuthenticator {
    fn authenticate(
        &self,
        cred: OpaqueAuth<'_>,
        verf: OpaqueAuth<'_>,
        _connection: &Connection,
    ) -> Result<Principal, AuthStat> {
        let flavor = AuthFlavor::from_number(cred.flavor).ok_or(AuthStat::RejectedCred)?;
        // RFC 5531 section 10.1: what is in the body of AUTH_NONE is undefined, of credential and verifier alike.
        let credentials = match flavor {
            AuthFlavor::None => Credentials::nobody(),
            AuthFlavor::Sys => decode_sys(cred.body).ok_or(AuthStat::BadCred)?,
        };
        // RFC 5531 appendix A: the verifier that goes with AUTH_SYS is AUTH_NONE.
        if verf.flavor != AuthFlavor::None.number() {
            return Err(AuthStat::BadVerf);
        }
        Ok(Principal { flavor, credentials })
    }
}

/// authsys_parms (RFC 5531 appendix A), which must be all of `body`.
fn decode_sys(body: &[u8]) -> Option<Credentials> {
    let (_stamp, rest) = split_u32(body)?;
    let (name_len, rest) = split_u32(rest)?;
    let name_len = usize::try_from(name_len).ok().filter(|&len| len <= MACHINE_NAME_MAX)?;
    let rest = rest.get(name_len.next_multiple_of(4)..)?;
    let (uid, rest) = split_u32(rest)?;
    let (gid, rest) = split_u32(rest)?;
    let (count, rest) = split_u32(rest)?;
    let count = usize::try_from(count).ok().filter(|&count| count <= GIDS_MAX)?;
    let (gids, []) = rest.as_chunks::<4>() else { return None };
    if gids.len() != count {
        return None;
    }
    let groups: SmallVec<[u32; 16]> = gids.iter().map(|gid| u32::from_be_bytes(*gid)).collect();
    Some(Credentials { uid, gid, groups })
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*first), rest))
}
