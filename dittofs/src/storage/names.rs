use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use super::DEFAULT_SHARE;

const LONGEST: usize = 64;

/// A name that a share can have: it is a directory's name as well, and a component of a path that people mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareName(String);

impl ShareName {
    pub(super) fn of_default() -> Self {
        Self(DEFAULT_SHARE.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it is exported.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.0)
    }
}

impl fmt::Display for ShareName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ShareName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = !text.is_empty() && !text.starts_with('.') && text.bytes().all(is_plain);
        if is_name && text.len() <= LONGEST {
            Ok(Self(text.to_owned()))
        } else {
            Err("a name has up to 64 letters, digits, '-', '_' and '.', and does not begin with '.'")
        }
    }
}

/// A directory of the machine that is exported under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryExport {
    pub(crate) name: ShareName,
    pub(crate) path: PathBuf,
}

impl DirectoryExport {
    /// `NAME=PATH`, where the path can have any bytes.
    pub(crate) fn parse(text: &OsString) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=').ok_or("it is not NAME=PATH")?;
        let (name, path) = bytes.split_at_checked(at).unwrap_or_default();
        let name = String::from_utf8_lossy(name).parse()?;
        let path = PathBuf::from(OsString::from_vec(path.get(1..).unwrap_or_default().to_vec()));
        if path.as_os_str().is_empty() {
            return Err("it is not NAME=PATH".to_owned());
        }
        Ok(Self { name, path })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // Origin: what becomes the name of a directory and a part of a path on the wire. RFC: none.
    #[rstest]
    #[case::plain("export", true)]
    #[case::all_that_it_may_have("A-b_c.9", true)]
    #[case::empty("", false)]
    #[case::path("a/b", false)]
    #[case::absolute("/a", false)]
    #[case::up("..", false)]
    #[case::hidden(".a", false)]
    #[case::space("a b", false)]
    #[case::equals("a=b", false)]
    #[case::too_long(&"a".repeat(65), false)]
    #[case::long(&"a".repeat(64), true)]
    fn names(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(text.parse::<ShareName>().is_ok(), is_one);
    }

    #[rstest]
    #[case::plain(b"a=/srv/a", Some(("a", "/srv/a")))]
    #[case::equals_in_the_path(b"a=/srv/a=b", Some(("a", "/srv/a=b")))]
    #[case::any_bytes(b"a=/srv/\xff", Some(("a", "/srv/\\xff")))]
    #[case::no_path(b"a=", None)]
    #[case::no_name(b"=/srv", None)]
    #[case::no_equals(b"/srv", None)]
    #[case::no_text(b"\xff=/srv", None)]
    fn directories(#[case] text: &[u8], #[case] expected: Option<(&str, &str)>) {
        let parsed = DirectoryExport::parse(&OsString::from_vec(text.to_vec())).ok();
        let shown = |path: &PathBuf| path.as_os_str().as_bytes().escape_ascii().to_string();
        let parsed = parsed.map(|export| (export.name.to_string(), shown(&export.path)));
        assert_eq!(parsed, expected.map(|(name, path)| (name.to_owned(), path.to_owned())));
    }
}
