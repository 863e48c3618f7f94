//! Addresses of engines behind ssh: `ssh://[USER@]HOST[:PORT][/PATH]`, as docker writes them.
//! <https://docs.docker.com/engine/security/protect-access/>

use std::fmt;

/// The socket of an engine on a host that is reached by ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshHost {
    /// The user there; `None` for ssh's own choice.
    pub user: Option<String>,
    /// Name or address of the host, or an alias of the user's ssh configuration.
    pub host: String,
    /// The port of its ssh server; `None` for ssh's own choice.
    pub port: Option<u16>,
    /// The engine's socket there.
    pub socket: String,
}

/// Where an engine listens unless it is told otherwise.
const SOCKET: &str = "/var/run/docker.sock";

impl SshHost {
    /// Reads what follows `ssh://`; `None` if it is not valid. A password in it is not: docker refuses it too. Nothing in
    /// it may look like an option of ssh.
    #[must_use]
    pub fn parse(rest: &str) -> Option<Self> {
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path.trim_end_matches('/')),
            None => (rest, ""),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                match port.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if port.is_empty() => (host, None),
                    None => return None,
                }
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
            None => None,
        };
        let socket = if path.is_empty() {
            SOCKET.to_owned()
        } else {
            format!("/{path}")
        };
        // ssh separates the ends of a tunnel by colons.
        let sound =
            is_word(host) && user.is_none_or(is_user) && !socket.contains([':', '\0', '\n']);
        sound.then(|| Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            socket,
        })
    }

    /// Returns the arguments that make ssh go there, as a user types them.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        arguments.extend(
            self.port
                .into_iter()
                .flat_map(|port| ["-p".to_owned(), port.to_string()]),
        );
        arguments.push(match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        });
        arguments
    }
}

impl fmt::Display for SshHost {
    /// Writes the arguments of ssh, for commands that users type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arguments().join(" "))
    }
}

fn is_user(user: &str) -> bool {
    is_word(user) && !user.contains(':')
}

/// Returns whether a text is a user or a host, and neither an option nor something for a shell.
fn is_word(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_docker_reads_it() {
        for (text, arguments, socket) in [
            ("box", "box", SOCKET),
            ("me@box", "me@box", SOCKET),
            ("me@box:22", "-p 22 me@box", SOCKET),
            ("me@[::1]:22", "-p 22 me@::1", SOCKET),
            ("[fe80::1%eth0]", "fe80::1%eth0", SOCKET),
            (
                "box/run/user/1000/docker.sock",
                "box",
                "/run/user/1000/docker.sock",
            ),
            ("box/", "box", SOCKET),
        ] {
            let host = SshHost::parse(text).unwrap();
            assert_eq!(
                (host.to_string(), host.socket.as_str()),
                (arguments.to_owned(), socket),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_in_an_address_becomes_an_option_or_a_command() {
        for text in [
            "",
            "@box",
            "me@",
            "-oProxyCommand=id",
            "me@-oProxyCommand=id",
            "-l@box",
            "me:secret@box",
            "box:0",
            "box:x",
            "box:99999",
            "a b",
            "box;id",
            "$(id)",
            "box/a:b",
            "[::1",
            "[::1]x",
            "me@you@box",
            "box:22:33",
        ] {
            assert_eq!(SshHost::parse(text), None, "{text}");
        }
    }
}
