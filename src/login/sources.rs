//! The user's credentials for registries that kindreg does not run: from variables that `kindreg.toml` names, else (but
//! for those that a cache stands before) from docker's config and its helpers. Asks nobody at a terminal.

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};

use super::{DockerConfig, TOKEN};
use crate::credentials::RegistryCredentials;
use crate::problem::Problem;
use crate::spec::{Authentication, Cache, External, ExternalLogin, Registry, Variables};

/// Where a user keeps credentials.
pub struct CredentialSources<'a> {
    /// A variable of the environment; an empty one counts as unset.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Docker's config.
    pub config: DockerConfig,
}

impl std::fmt::Debug for CredentialSources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialSources")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl CredentialSources<'_> {
    /// What can be had without a helper, which may ask its user: variables, and what stands in docker's config itself.
    ///
    /// # Errors
    /// One of both variables is not set, docker's config can't be read, or no node could hold what is there.
    pub fn at_hand(&self, registry: &Registry) -> Result<Option<RegistryCredentials>> {
        if let Authentication::Variables(names) = registry.authentication() {
            let login = format!("or none and log in: docker login {}", registry.domain());
            if let Some(found) = self.variables(names, &registry.domain(), &login)? {
                return taken(found, registry).map(Some);
            }
        }
        for key in keys(registry) {
            match self.config.without_helper(&key)? {
                // Told of where it is needed, and only there: nodes may have got others.
                Some((user, _)) if user == TOKEN => return Ok(None),
                Some(found) => return taken(found, registry).map(Some),
                None => {}
            }
        }
        Ok(None)
    }

    /// What can be had by all means but a question; `None` where there is nothing.
    ///
    /// # Errors
    /// The same, a helper that fails, or an identity token, which kubelet can't use.
    pub async fn fetch(&self, registry: &Registry) -> Result<Option<RegistryCredentials>> {
        if let Some(found) = self.at_hand(registry)? {
            return Ok(Some(found));
        }
        for key in keys(registry) {
            match self.config.get(&key).await? {
                Some((user, _)) if user == TOKEN => return Err(refuse_token(registry)),
                Some(found) => return taken(found, registry).map(Some),
                None => {}
            }
        }
        Ok(None)
    }

    /// What variables hold for the registry that a cache stands before; `None` where they are not set, or none is named.
    ///
    /// # Errors
    /// One of both is not set, or they can't be used as credentials.
    pub fn upstream(&self, cache: &Cache) -> Result<Option<RegistryCredentials>> {
        let Cache {
            upstream,
            login: Some(names),
            ..
        } = cache
        else {
            return Ok(None);
        };
        let kept = "or none where the cache has them already";
        let found = self.variables(names, &upstream.to_string(), kept)?;
        let given = found.map(|(user, secret)| {
            RegistryCredentials::given(user, secret).with_context(|| {
                Problem::usage(
                    format!("the variables for {upstream} can't be used as credentials"),
                    format!("set others: {} and {}", names.username, names.password),
                )
            })
        });
        given.transpose()
    }

    /// What two variables hold for the registry of this name; `None` where neither is set.
    fn variables(
        &self,
        Variables { username, password }: &Variables,
        domain: &str,
        otherwise: &str,
    ) -> Result<Option<(String, SecretString)>> {
        let value = |name: &str| (self.variable)(name).filter(|value| !value.is_empty());
        match (value(username.as_str()), value(password.as_str())) {
            (None, None) => Ok(None),
            (Some(user), Some(secret)) => Ok(Some((user, secret.into()))),
            (found, _) => {
                let unset = if found.is_some() { password } else { username };
                Err(Problem::usage(
                    format!("{unset} is not set, by which {domain} gets its credentials"),
                    format!("set both {username} and {password}, {otherwise}"),
                )
                .into())
            }
        }
    }
}

/// The key under which docker's config has a registry: its own name and no further one, which a cloned repository's
/// settings may choose. `docker login` without an address means Docker Hub, and has a key of its own.
fn keys(registry: &Registry) -> Vec<String> {
    let domain = registry.domain();
    if domain == "docker.io" {
        vec!["https://index.docker.io/v1/".to_owned(), domain]
    } else {
        vec![domain]
    }
}

fn taken(
    (user, secret): (String, SecretString),
    registry: &Registry,
) -> Result<RegistryCredentials> {
    RegistryCredentials::given(user, secret.expose_secret().to_owned()).with_context(|| {
        Problem::usage(
            format!(
                "the credentials of {} can't be stored on a node",
                registry.domain()
            ),
            format!("log in with others: docker login {}", registry.domain()),
        )
    })
}

/// kubelet reads `auth` and nothing else: <https://kubernetes.io/docs/concepts/containers/images/#config-json>.
fn refuse_token(registry: &Registry) -> anyhow::Error {
    let domain = registry.domain();
    Problem::new(
        format!("docker has an identity token for {domain}, which kubelet can't use"),
        format!(
            "give a user and a password or an access token: docker logout {domain} && docker login -u USER {domain}, or \
             username_env and password_env in kindreg.toml"
        ),
    )
    .into()
}

/// Returns the problem that there are no credentials for an external registry that asks for them.
#[must_use]
pub fn missing(registry: &Registry, external: &External) -> Problem {
    let domain = registry.domain();
    let set = match &external.login {
        ExternalLogin::Variables(names) => {
            format!("set {} and {}", names.username, names.password)
        }
        ExternalLogin::Docker | ExternalLogin::Anonymous => {
            "name variables with username_env and password_env in kindreg.toml".to_owned()
        }
    };
    Problem::usage(
        format!("no credentials for {domain}, which is external and asks for them"),
        format!(
            "log in first: docker login {domain}; or {set}; or say auth = false if it asks for none"
        ),
    )
}
