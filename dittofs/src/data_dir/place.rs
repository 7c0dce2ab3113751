use std::ffi::OsString;
use std::path::PathBuf;

use super::DataDirError;

/// Where the data directory is if nobody says: in `$XDG_DATA_HOME`, by default `~/.local/share`.
pub(crate) fn default_place() -> Result<PathBuf, DataDirError> {
    place(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")).ok_or(DataDirError::NoPlace)
}

/// A path that is not absolute does not count (XDG Base Directory Specification).
fn place(xdg_data_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute(xdg_data_home).or_else(|| Some(absolute(home)?.join(".local/share")))?;
    Some(data.join("dittofs"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;

    // Origin: the XDG Base Directory Specification. RFC: none.
    #[rstest]
    #[case::said(Some("/data"), Some("/home/a"), Some("/data/dittofs"))]
    #[case::not_said(None, Some("/home/a"), Some("/home/a/.local/share/dittofs"))]
    #[case::empty(Some(""), Some("/home/a"), Some("/home/a/.local/share/dittofs"))]
    #[case::relative(Some("data"), Some("/home/a"), Some("/home/a/.local/share/dittofs"))]
    #[case::no_home(Some("/data"), None, Some("/data/dittofs"))]
    #[case::nothing(None, None, None)]
    #[case::relative_home(None, Some("a"), None)]
    fn the_place(#[case] xdg: Option<&str>, #[case] home: Option<&str>, #[case] expected: Option<&str>) {
        let found = place(xdg.map(OsString::from), home.map(OsString::from));
        assert_eq!(found.as_deref(), expected.map(Path::new));
    }
}
