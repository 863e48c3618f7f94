//! SECURITY.md names a test for every promise, and the test is there.

use std::path::Path;

const TEXT: &str = include_str!("../../SECURITY.md");

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let promises = TEXT
        .split("\n## ")
        .find(|part| part.starts_with("What is promised"));
    let rows = promises
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise"));
    let mut count = 0;
    for row in rows {
        count += 1;
        // Between backquotes, in the last column: a file, and then its tests.
        let named = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let mut source = String::new();
        let mut named_tests = 0;
        for word in named.split('`').skip(1).step_by(2) {
            if word.contains('/') {
                source = std::fs::read_to_string(tests.join(word))
                    .unwrap_or_else(|error| panic!("{word}: {error}"));
            } else {
                named_tests += 1;
                assert!(
                    source.contains(&format!("fn {word}(")),
                    "no test {word}: {row}"
                );
            }
        }
        assert!(named_tests > 0, "without a test: {row}");
    }
    assert!(count > 10, "{count}");
}
