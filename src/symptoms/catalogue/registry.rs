//! What registries and token servers say, and clients about credentials.
//!
//! The words are those of containerd (`core/remotes/docker/{auth,authorizer}`), docker (`cli/config/credentials`) and
//! distribution (`registry/api/errcode`, `registry/auth/htpasswd`); the end-to-end tests have most of them said.

use crate::symptoms::credentials::Trouble;
use crate::symptoms::words::Words;
use crate::symptoms::{Code, Meaning, Symptom, Waiting};

/// Words about asking for a token. docker and oras give the URL alone.
const ASKS_TOKEN: &[&str] = &["fetch oauth token", "fetch anonymous token", "/token?"];

/// A symptom of credentials; what it needs besides is given with `..`.
const fn of(trouble: Trouble) -> Symptom {
    Symptom {
        code: Code(2000),
        words: Words::any(&[]),
        meaning: Meaning::Credentials(trouble),
        waiting: Waiting::Useless,
        cause: trouble.cause(),
        fix: trouble.fix(),
        source: "https://github.com/containerd/containerd/blob/main/core/remotes/docker/authorizer.go",
    }
}

/// The certificate of the token server is not trusted.
pub static TOKEN_SERVER_UNTRUSTED: Symptom = Symptom {
    code: Code(2001),
    words: Words::any(ASKS_TOKEN).and(&["x509:"]),
    ..of(Trouble::TokenServer)
};

/// The token server is not reached, or out of order.
pub static TOKEN_SERVER_DOWN: Symptom = Symptom {
    code: Code(2002),
    words: Words::any(ASKS_TOKEN).and(&[
        "no such host",
        "connection refused",
        "i/o timeout",
        "network is unreachable",
        "Client.Timeout",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ]),
    // It may be on its way up, as a registry may.
    waiting: Waiting::Helps,
    ..of(Trouble::TokenServer)
};

/// What answers at the realm gives no tokens. (One that wants another verb is asked again.)
pub static NO_TOKEN_SERVER: Symptom = Symptom {
    code: Code(2003),
    words: Words::any(ASKS_TOKEN).and(&[
        "404 Not Found",
        "405 Method Not Allowed",
        "404: ",
        "405: ",
    ]),
    ..of(Trouble::Realm)
};

/// A client without credentials asked for a token all the same, as some registries let everybody pull, and got none.
pub static NO_ANONYMOUS_TOKEN: Symptom = Symptom {
    code: Code(2004),
    words: Words::any(&["fetch anonymous token"]).and(&["401 Unauthorized", "403 Forbidden"]),
    ..of(Trouble::None)
};

/// The registry sends for a token to no usable address, or what is there answers with no token.
pub static INVALID_REALM: Symptom = Symptom {
    code: Code(2005),
    words: Words::any(&[
        "no realm specified",
        "invalid token auth challenge realm",
        "unable to decode token response",
        "did not include a token in the response",
        "no scope specified for token auth challenge",
        // crane, which refuses private addresses.
        "invalid realm in www-authenticate",
    ]),
    source: "https://github.com/containerd/containerd/blob/main/core/remotes/docker/auth/fetch.go",
    ..of(Trouble::Realm)
};

/// docker's config names a credential helper that is not installed.
pub static HELPER_MISSING: Symptom = Symptom {
    code: Code(2006),
    words: Words::any(&["docker-credential-"]).and(&[
        "not found",
        "not in PATH",
        // What Go's execabs makes of a missing program: <https://github.com/containerd/nerdctl/issues/3945>.
        "resolves to executable in current directory",
    ]),
    source: "https://github.com/docker/docker-credential-helpers/issues/149",
    ..of(Trouble::Helper)
};

/// The user is known and may not do it (403).
pub static FORBIDDEN: Symptom = Symptom {
    code: Code(2007),
    words: Words::any(&[
        "403 Forbidden",
        "requested access to the resource is denied",
        "insufficient_scope",
    ]),
    source: "https://github.com/distribution/distribution/blob/main/registry/api/errcode/register.go",
    ..of(Trouble::Forbidden)
};

/// The registry asks for credentials, and the client has none for it.
pub static NO_CREDENTIALS: Symptom = Symptom {
    code: Code(2008),
    words: Words::any(&["no basic auth credentials"]),
    ..of(Trouble::None)
};

/// The same in the words of oras.
pub static NO_CREDENTIALS_IN_ORAS: Symptom = Symptom {
    code: Code(2009),
    words: Words::any(&["basic credential not found"]),
    source: "https://github.com/oras-project/oras-go/blob/main/registry/remote/auth/client.go",
    ..of(Trouble::None)
};

/// User or password are wrong (401).
pub static WRONG_CREDENTIALS: Symptom = Symptom {
    code: Code(2010),
    words: Words::any(&[
        "401 Unauthorized",
        "incorrect username or password",
        "unauthorized: authentication required",
        "UNAUTHORIZED: authentication required",
        "authorization failed",
        "invalid username/password",
        // Docker asks a registry on loopback again over HTTP, and shows that answer.
        "login attempt to http://",
    ]),
    source: "https://github.com/distribution/distribution/blob/main/registry/api/errcode/register.go",
    ..of(Trouble::Wrong)
};

/// The registry says neither that the image exists nor that it does not.
pub static ACCESS_DENIED: Symptom = Symptom {
    code: Code(2011),
    words: Words::any(&["insufficient_scope", "pull access denied", "403 Forbidden"]),
    meaning: Meaning::Denied,
    // Many registries say so of an image that is not pushed yet.
    waiting: Waiting::Helps,
    cause: "the image does not exist, or this user may not pull it",
    fix: "check the name, or log in as a user who may: docker login HOST",
    source: "https://github.com/containerd/containerd/blob/main/core/remotes/docker/resolver.go",
};

/// The registry has no such image. containerd's words for any 404 are "not found"; the others are codes of the
/// distribution specification. A token server's 404 is about no image.
pub static ABSENT: Symptom = Symptom {
    code: Code(2012),
    words: Words::any(&[
        ": not found",
        "manifest unknown",
        "MANIFEST_UNKNOWN",
        "NAME_UNKNOWN",
    ])
    .without(&["fetch"]),
    meaning: Meaning::Absent,
    // Until someone pushes it.
    waiting: Waiting::Helps,
    cause: "the registry has no image of that name and tag",
    fix: "push it, or check its name: curl -s https://HOST/v2/NAME/tags/list",
    source: "https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes",
};
