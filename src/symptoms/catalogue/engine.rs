//! What the Docker engine says.

use crate::symptoms::words::Words;
use crate::symptoms::{Code, Meaning, Symptom, Waiting};

/// Another container or process has the host port.
pub static PORT_TAKEN: Symptom = Symptom {
    code: Code(1),
    // Docker's own book-keeping, the kernel's answer to its proxy, Docker 28 and later, Docker Desktop.
    words: Words::any(&[
        "port is already allocated",
        "address already in use",
        "failed to bind host port",
        "Ports are not available",
    ]),
    meaning: Meaning::PortTaken,
    waiting: Waiting::Useless,
    cause: "another container or process uses the port",
    fix: "choose another port with --port",
    source: "https://github.com/moby/moby/blob/master/daemon/libnetwork/portallocator/portallocator.go",
};

/// Another container or network has the name.
pub static NAME_TAKEN: Symptom = Symptom {
    code: Code(2),
    words: Words::any(&["is already in use by container", "already exists"]),
    meaning: Meaning::NameTaken,
    waiting: Waiting::Useless,
    cause: "another container or network has the name",
    fix: "another program made it meanwhile; try again, or choose another --name",
    source: "https://github.com/moby/moby/blob/master/daemon/errors.go",
};

/// The container is on the network already.
pub static CONNECTED: Symptom = Symptom {
    code: Code(3),
    words: Words::any(&["already exists in network"]),
    meaning: Meaning::Connected,
    waiting: Waiting::Useless,
    cause: "the container is connected to the network already",
    fix: "see what is connected: docker network inspect NETWORK",
    source: "https://github.com/moby/moby/blob/master/daemon/libnetwork/network.go",
};

/// Someone else removes the container.
pub static BEING_REMOVED: Symptom = Symptom {
    code: Code(4),
    words: Words::any(&["is already in progress"]),
    meaning: Meaning::BeingRemoved,
    waiting: Waiting::Helps,
    cause: "another program is removing the container",
    fix: "wait a moment and try again",
    source: "https://github.com/moby/moby/blob/master/daemon/delete.go",
};

/// The container is not running.
pub static NOT_RUNNING: Symptom = Symptom {
    code: Code(5),
    words: Words::any(&["is not running"]),
    meaning: Meaning::NotRunning,
    waiting: Waiting::Helps,
    cause: "the container is not running",
    fix: "start it: kindreg up --name CLUSTER",
    source: "https://github.com/moby/moby/blob/master/daemon/errors.go",
};

/// The engine's host has no IPv6, in the words that kind looks for, too.
pub static NO_IPV6: Symptom = Symptom {
    code: Code(6),
    words: Words::any(&["ipv6", "ip6tables"]).in_any_case(),
    meaning: Meaning::NoIpv6,
    waiting: Waiting::Useless,
    cause: "the engine's host has no IPv6, or no ip6tables",
    fix: "see what the engine lacks: journalctl -u docker | grep -i ip6",
    source: "https://github.com/kubernetes-sigs/kind/issues/1544",
};

/// The subnet that was asked for belongs to another network.
pub static POOL_OVERLAPS: Symptom = Symptom {
    code: Code(7),
    words: Words::any(&["pool overlaps"]).in_any_case(),
    ..NO_ADDRESS_RANGE
};

/// The engine has no address range left for another network.
pub static NO_ADDRESS_RANGE: Symptom = Symptom {
    code: Code(8),
    words: Words::any(&["fully subnetted", "overlaps"]),
    meaning: Meaning::NoAddressRange,
    waiting: Waiting::Useless,
    cause: "the engine has no free address range for another network",
    fix: "remove networks that nothing uses (docker network prune), or give the engine more with \
          default-address-pools",
    source: "https://github.com/moby/moby/blob/master/daemon/libnetwork/ipamapi/contract.go",
};
