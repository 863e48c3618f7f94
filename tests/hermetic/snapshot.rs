//! Texts that are compared whole. `KINDREG_BLESS=1 cargo test` writes what there is now.

use std::path::Path;

/// A text is the same as in `tests/hermetic/data`.
pub(crate) fn same(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hermetic/data")
        .join(name);
    if std::env::var_os("KINDREG_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (was, is)) in kept.lines().zip(text.lines()).enumerate() {
        assert_eq!(was, is, "{name}, line {}", number + 1);
    }
    let last = kept.lines().count().min(text.lines().count());
    let (was, is) = (kept.lines().nth(last), text.lines().nth(last));
    assert_eq!(was, is, "{name}, line {}", last + 1);
    assert_eq!(kept.len(), text.len(), "{name} ends in another way");
}
