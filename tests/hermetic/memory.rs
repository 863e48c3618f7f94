//! How much of what an engine sends is read: a node has 700 MB in a folder that kindreg reads, and the program stays
//! small.

use std::sync::atomic::Ordering;

use kindreg::internal::docker::MAX_DOWNLOAD;

use crate::scripted::{Reply, with_cluster};

/// Goal: everything that kindreg does, with whatever content of nodes.
const MEMORY: u64 = 64 << 10;
/// What the sockets between both may hold besides.
const SLACK: u64 = 4 << 20;

/// The beginning of an archive with one file of 700 MB.
fn huge() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("containerd/a").unwrap();
    header.set_size(700_000_000);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn seven_hundred_megabytes_in_a_node_are_neither_read_nor_held() {
    for command in ["status", "down"] {
        let engine = with_cluster(|path| {
            if path.contains("/kindreg-c/") {
                // The record has no file, and its label counts.
                return Reply::Json(404, r#"{"message":"Could not find the file"}"#.to_owned());
            }
            Reply::Endless(huge())
        });
        let (output, peak) = engine.run(&[command, "--name", "c"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        let sent = engine.sent.load(Ordering::Relaxed);
        assert!(
            sent > 0,
            "{command}: nothing was read of a container: {said}"
        );
        assert!(
            sent < MAX_DOWNLOAD as u64 + SLACK,
            "{command}: {sent} bytes were read"
        );
        assert!(peak > 1 << 10, "{command}: the peak was not seen");
        assert!(peak < MEMORY, "{command}: {peak} KiB");
    }
}
