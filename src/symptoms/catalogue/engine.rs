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

/// Another CA than the one in `ca.pem` signed the engine's certificate.
pub static ENGINE_UNTRUSTED: Symptom = Symptom {
    code: Code(9),
    // The second where the CA was made anew with the same name.
    words: Words::any(&[
        "invalid peer certificate: UnknownIssuer",
        "invalid peer certificate: BadSignature",
    ]),
    meaning: Meaning::EngineTls,
    waiting: Waiting::Useless,
    cause: "another CA than the one in ca.pem signed the engine's certificate",
    fix: "use the ca.pem of that engine: DOCKER_CERT_PATH, or docker context inspect",
    source: "https://docs.docker.com/engine/security/protect-access/",
};

/// The engine's certificate does not have the name in its address.
pub static ENGINE_OTHER_NAME: Symptom = Symptom {
    code: Code(10),
    words: Words::any(&["certificate not valid for name"]),
    meaning: Meaning::EngineTls,
    waiting: Waiting::Useless,
    cause: "the engine's certificate does not have the name or address by which you reach it",
    fix: "use a name of the certificate in DOCKER_HOST or the docker context",
    source: "https://docs.docker.com/engine/security/protect-access/",
};

/// The client's certificate has expired.
pub static CLIENT_EXPIRED: Symptom = Symptom {
    code: Code(11),
    words: Words::any(&["fatal alert: CertificateExpired"]),
    meaning: Meaning::EngineTls,
    waiting: Waiting::Useless,
    cause: "your client certificate (cert.pem) has expired",
    fix: "get a new cert.pem and key.pem from whoever runs the engine",
    source: "https://docs.docker.com/engine/security/protect-access/",
};

/// The engine does not accept the client's certificate, or there is none.
pub static CLIENT_REFUSED: Symptom = Symptom {
    code: Code(12),
    words: Words::any(&[
        "fatal alert: CertificateRequired",
        "fatal alert: UnknownCA",
        "fatal alert: BadCertificate",
        "fatal alert: CertificateUnknown",
    ]),
    meaning: Meaning::EngineTls,
    waiting: Waiting::Useless,
    cause: "the engine does not accept your client certificate, or you have none",
    fix: "put cert.pem and key.pem of that engine beside ca.pem: DOCKER_CERT_PATH",
    source: "https://docs.docker.com/engine/security/protect-access/",
};

/// The engine speaks TLS, and the client does not.
pub static ENGINE_WANTS_TLS: Symptom = Symptom {
    code: Code(13),
    words: Words::any(&["Client sent an HTTP request to an HTTPS server"]),
    meaning: Meaning::EngineTls,
    waiting: Waiting::Useless,
    cause: "the engine speaks TLS, and you do not",
    fix: "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or use a docker context with its certificates",
    source: "https://docs.docker.com/engine/security/protect-access/",
};

/// A container that is not ours is on the network.
pub static NETWORK_IN_USE: Symptom = Symptom {
    code: Code(14),
    words: Words::any(&["has active endpoints"]),
    meaning: Meaning::NetworkInUse,
    waiting: Waiting::Useless,
    cause: "a container is still connected to the network",
    fix: "see which one: docker network inspect NETWORK; then run: docker network disconnect NETWORK CONTAINER",
    source: "https://github.com/moby/moby/blob/master/daemon/libnetwork/network.go",
};
