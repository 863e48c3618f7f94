//! What a machine says: its disk, its files, its keychain.

use crate::symptoms::words::Words;
use crate::symptoms::{Code, Meaning, Symptom, Waiting};

/// A disk is full: the engine's, a registry's or a node's, or the user's own.
pub static FULL_DISK: Symptom = Symptom {
    code: Code(4001),
    words: Words::any(&["no space left on device"]).in_any_case(),
    meaning: Meaning::FullDisk,
    // kubelet removes images that no pod uses.
    waiting: Waiting::Helps,
    cause: "a disk is full",
    fix: "make room: df -h shows which disk is full, docker system df what of it is Docker's",
    source: "https://github.com/kubernetes-sigs/kind/issues/156",
};

/// A file can't be replaced: it is a mount, or on a read-only one.
pub static MOUNTED_FILE: Symptom = Symptom {
    code: Code(4002),
    // rename(2) onto a mount, in coreutils' and Go's words; the engine's upload; the same in the node.
    words: Words::any(&["resource busy", "marked read-only", "Read-only file system"]),
    meaning: Meaning::MountedFile,
    waiting: Waiting::Useless,
    cause: "the file is mounted, so it can't be replaced",
    fix: "take the mount out of your kind configuration (extraMounts)",
    source: "https://github.com/moby/moby/issues/28187",
};

/// The credential helper has nothing for that server: the words of the library that all helpers are built on.
pub static NOTHING_STORED: Symptom = Symptom {
    code: Code(4003),
    words: Words::any(&["credentials not found"]).in_any_case(),
    meaning: Meaning::NothingStored,
    waiting: Waiting::Useless,
    cause: "the credential helper has no credentials for this registry",
    fix: "log in: docker login HOST",
    source: "https://github.com/docker/docker-credential-helpers/blob/master/credentials/error.go",
};
