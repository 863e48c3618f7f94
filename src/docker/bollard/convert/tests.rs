//! Answers as engines gave them.

use ::bollard::models::ContainerSummary;

use super::container::networks;
use super::*;
use crate::docker::ContainerState;

#[test]
fn the_colon_of_a_port_is_no_tag() {
    assert_eq!(
        tagged("registry.test:5001/a"),
        ("registry.test:5001/a", Some("latest"))
    );
    assert_eq!(
        tagged("registry.test:5001/a:1"),
        ("registry.test:5001/a", Some("1"))
    );
    assert_eq!(tagged("a@sha256:00"), ("a@sha256:00", None));
}

#[test]
fn a_list_tells_the_exit_code_in_prose() {
    let summary = ContainerSummary {
        state: Some(::bollard::models::ContainerSummaryStateEnum::EXITED),
        status: Some("Exited (137) 3 seconds ago".to_owned()),
        ..Default::default()
    };
    assert_eq!(listed(summary).state, ContainerState::Exited { code: 137 });
}

#[test]
fn a_mode_says_what_a_path_is() {
    // As `docker cp` of Docker 29 gets them for /etc, /etc/hosts, a link, /dev/null and a socket.
    for (mode, kind) in [
        (0o755 | 1 << 31, PathKind::Folder),
        (0o644, PathKind::File),
        (0o777 | 1 << 27, PathKind::Link),
        (0o666 | 1 << 26 | 1 << 21, PathKind::Other),
        (0o660 | 1 << 24, PathKind::Other),
        // Sticky and set-user-ID are bits besides.
        (0o777 | 1 << 31 | 1 << 20, PathKind::Folder),
        (0o755 | 1 << 23, PathKind::File),
    ] {
        assert_eq!(path_kind(mode), kind, "{mode:o}");
    }
}

#[test]
fn the_short_id_is_no_alias() {
    let endpoint = endpoint(&["registry.test".to_owned(), "0123456789ab".to_owned()]);
    let networks = networks(
        Some(HashMap::from([("n".to_owned(), endpoint)])),
        "0123456789abcdef",
    );
    assert_eq!(networks["n"], ["registry.test"]);
}
