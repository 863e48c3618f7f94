//! The user's credentials for registries that kindreg does not run: from variables that `kindreg.toml` names, or else
//! from docker's config and its helpers. Upstream registries of caches use variables only. Nothing here prompts.

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};

use super::{DockerConfig, TOKEN};
use crate::credentials::RegistryCredentials;
use crate::problem::Problem;
use crate::spec::{Authentication, Cache, External, ExternalLogin, Registry, Variables};

/// The sources of the user's credentials.
pub struct CredentialSources<'a> {
    /// Returns an environment variable; an empty one counts as unset.
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
    /// Returns credentials from variables or docker's config itself, without a helper, which may prompt its user.
    ///
    /// # Errors
    /// Only one of two variables is set, docker's config can't be read, or the credentials can't be stored on a node.
    pub fn at_hand(&self, registry: &Registry) -> Result<Option<RegistryCredentials>> {
        if let Authentication::Variables(names) = registry.authentication() {
            let login = format!("or unset both and run: docker login {}", registry.domain());
            if let Some(found) = self.variables(names, &registry.domain(), &login)? {
                return taken(found, registry).map(Some);
            }
        }
        for key in keys(registry) {
            match self.config.without_helper(&key)? {
                // `fetch` reports it if it is needed: nodes may have other credentials already.
                Some((user, _)) if user == TOKEN => return Ok(None),
                Some(found) => return taken(found, registry).map(Some),
                None => {}
            }
        }
        Ok(None)
    }

    /// Returns credentials from variables, docker's config or its helpers; `None` if there are none.
    ///
    /// # Errors
    /// As for [`Self::at_hand`]; also if a helper fails, or docker has an identity token, which kubelet can't use.
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

    /// Returns the credentials for the upstream registry of a cache from its variables; `None` if it has none, or they
    /// are not set.
    ///
    /// # Errors
    /// Only one of the two variables is set, or their values are invalid.
    pub fn upstream(&self, cache: &Cache) -> Result<Option<RegistryCredentials>> {
        let Cache {
            upstream,
            login: Some(names),
            ..
        } = cache
        else {
            return Ok(None);
        };
        let kept = "or unset both if the cache has the credentials already";
        let found = self.variables(names, &upstream.to_string(), kept)?;
        let given = found.map(|(user, secret)| {
            RegistryCredentials::given(user, secret).with_context(|| {
                Problem::usage(
                    format!("can't use the variables as credentials for {upstream}"),
                    format!(
                        "set {} and {} to other values",
                        names.username, names.password
                    ),
                )
            })
        });
        given.transpose()
    }

    /// Returns the values of two variables; `None` if neither is set. `domain` and `otherwise` are for the error and
    /// its hint.
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
                    format!("no credentials for {domain}: {unset} is not set"),
                    format!("set both {username} and {password}, {otherwise}"),
                )
                .into())
            }
        }
    }
}

/// Returns the keys of a registry in docker's config: its canonical name only, as a cloned repository's settings may
/// choose the further names. Docker Hub also has the key that `docker login` without an address uses.
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
            format!("run: docker login {}", registry.domain()),
        )
    })
}

/// Returns the error for an identity token. kubelet reads `auth` only:
/// <https://kubernetes.io/docs/concepts/containers/images/#config-json>.
fn refuse_token(registry: &Registry) -> anyhow::Error {
    let domain = registry.domain();
    Problem::new(
        format!("docker has an identity token for {domain}, which kubelet can't use"),
        format!(
            "run: docker logout {domain} && docker login -u USER {domain}, or set username_env and password_env in \
             kindreg.toml"
        ),
    )
    .into()
}

/// Returns the problem of an external registry that needs credentials and has none.
#[must_use]
pub fn missing(registry: &Registry, external: &External) -> Problem {
    let domain = registry.domain();
    let set = match &external.login {
        ExternalLogin::Variables(names) => {
            format!("set {} and {}", names.username, names.password)
        }
        ExternalLogin::Docker | ExternalLogin::Anonymous => {
            "set username_env and password_env in kindreg.toml".to_owned()
        }
    };
    Problem::usage(
        format!("no credentials for external registry {domain}"),
        format!("run: docker login {domain}, or {set}, or set auth = false if it needs none"),
    )
}
