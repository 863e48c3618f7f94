//! The user's home folder: `HOME`, or else the password database, as docker does it, and never the current folder.

use std::path::PathBuf;

/// The password database, where every user of the machine itself is.
pub const PASSWORD_FILE: &str = "/etc/passwd";

/// Returns `found` (the value of `HOME`, or what the system's password database has without one) if it is absolute, or
/// else the folder that the text of `/etc/passwd` has for a user; `None` if there is none.
#[must_use]
pub fn folder(found: Option<PathBuf>, passwd: &str, user: u32) -> Option<PathBuf> {
    let recorded = || {
        let mut entries = passwd.lines().map(|line| line.split(':'));
        entries.find_map(|mut fields| {
            let id = fields.nth(2)?;
            let home = PathBuf::from(fields.nth(2)?);
            (id == user.to_string()).then_some(home)
        })
    };
    let absolute = |home: &PathBuf| home.is_absolute();
    found
        .filter(absolute)
        .or_else(|| recorded().filter(absolute))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_an_absolute_folder_or_that_of_the_password_database() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken:x\nme:x:1000:1000:,,,:/home/me:/bin/sh\n\
                      odd:x:1001:1001::.:/bin/sh\n";
        let home = |found: Option<&str>, user| folder(found.map(PathBuf::from), passwd, user);
        assert_eq!(home(Some("/h"), 1000), Some("/h".into()));
        for found in [None, Some(""), Some("."), Some("h"), Some("../h")] {
            assert_eq!(home(found, 1000), Some("/home/me".into()), "{found:?}");
            assert_eq!(home(found, 0), Some("/root".into()), "{found:?}");
            assert_eq!(home(found, 1001), None, "{found:?}");
            assert_eq!(home(found, 7), None, "{found:?}");
        }
    }
}
