//! What SECINFO and SECINFO_NO_NAME answer (RFC 8881 section 18.29.2).

use dittofs_framework::xdr_union;

xdr_union! {
    /// secinfo4: a security flavor, as far as the server has it.
    #[derive(Clone, PartialEq, Eq)]
    pub enum Secinfo4 {
        /// AUTH_NONE.
        0 => AuthNone(()),
        /// AUTH_SYS.
        1 => AuthSys(()),
    }
}

/// The flavors that every export accepts, the preferred one first: what
/// [`SysAuthenticator`](dittofs_framework::rpc::SysAuthenticator) lets in.
pub(crate) fn accepted() -> Vec<Secinfo4> {
    vec![Secinfo4::AuthSys(()), Secinfo4::AuthNone(())]
}
