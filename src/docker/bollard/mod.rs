//! The adapter for a real engine: Docker's API from 1.41 (engine 20.10) on, by bollard, which no other module uses.
//!
//! Every call has a limit: two minutes, or half an hour if it moves data or waits. No call is retried. Dropping a
//! future closes its connection, but the engine may still finish what it began.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use ::bollard::body_full;
use ::bollard::container::LogOutput;
use ::bollard::errors::Error;
use ::bollard::models::{NetworkConnectRequest, VolumeCreateRequest};
use ::bollard::query_parameters::{
    AttachContainerOptionsBuilder, ContainerArchiveInfoOptionsBuilder,
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    ImportImageOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, LogsOptionsBuilder, PushImageOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
    StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use self::convert::{Filters, labelled};
use self::failure::{Call, QUICK, TICK, name_taken, optional, port_taken, says};
use self::streams::{end, first_bytes, last_bytes, pulled};
use self::tunnel::Tunnel;
use crate::credentials::RegistryCredentials;
use crate::symptoms::Meaning;

use super::{
    Attached, Container, ContainerSpec, Docker, DockerError, EngineInfo, ExecOutput, Label,
    MAX_DOWNLOAD, MAX_OUTPUT, Network, NetworkSpec, PathKind, Result, Volume,
};

mod connect;
mod convert;
mod exec;
mod failure;
mod streams;
mod tls;
mod tunnel;

/// How many downloads run at the same time. Each may hold [`MAX_DOWNLOAD`] bytes and the room to grow, of any number of
/// nodes whose content is not trusted.
const DOWNLOADS: usize = 4;

/// A Docker engine, reached by its API.
pub struct Bollard {
    api: ::bollard::Docker,
    address: String,
    /// How long a stream of progress may say nothing.
    stall: Duration,
    /// The tunnel to an engine behind ssh.
    tunnel: Option<Tunnel>,
    /// The downloads that may run at the same time.
    downloads: Semaphore,
}

impl fmt::Debug for Bollard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bollard")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Bollard {
    fn call(&self, verb: &str, kind: &str, name: &str) -> Call {
        let subject = format!("{kind} {name}");
        Call {
            address: self.address.clone(),
            doing: format!("{verb} {subject}"),
            subject,
        }
    }

    async fn find_networks(&self, call: &Call, filter: Filters) -> Result<Vec<Network>> {
        let options = ListNetworksOptionsBuilder::new().filters(&filter).build();
        let networks = call.quick(self.api.list_networks(Some(options))).await?;
        Ok(networks.into_iter().map(convert::network).collect())
    }
}

#[async_trait]
impl Docker for Bollard {
    async fn info(&self) -> Result<EngineInfo> {
        let call = self.call("ask", "engine", &self.address);
        let (version, info) = (call.quick(self.api.version()), call.quick(self.api.info()));
        let (version, info) = future::try_join(version, info).await?;
        Ok(convert::engine(version, info))
    }

    async fn image(&self, reference: &str) -> Result<Option<String>> {
        let call = self.call("look for", "image", reference);
        let found = optional(call.quick(self.api.inspect_image(reference)).await)?;
        Ok(found.and_then(|image| image.id))
    }

    async fn image_labels(&self, image: &str) -> Result<Option<BTreeMap<String, String>>> {
        let call = self.call("look for", "image", image);
        let found = optional(call.quick(self.api.inspect_image(image)).await)?;
        Ok(found.map(convert::image_labels))
    }

    async fn pull(&self, reference: &str) -> Result<()> {
        let call = self.call("pull", "image", reference);
        let (repository, tag) = convert::tagged(reference);
        let options = CreateImageOptionsBuilder::new().from_image(repository);
        let options = if let Some(tag) = tag {
            options.tag(tag)
        } else {
            options
        };
        let ended = call
            .long(pulled(
                self.stall,
                self.api.create_image(Some(options.build()), None, None),
            ))
            .await;
        ended.map_err(|error| match error {
            DockerError::Other { cause, .. } | DockerError::Missing { what: cause } => {
                DockerError::Pull {
                    image: reference.to_owned(),
                    cause,
                }
            }
            error => error,
        })
    }

    async fn load(&self, archive: Bytes) -> Result<()> {
        let call = self.call("load", "image", "archive");
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        call.long(end(
            self.stall,
            self.api.import_image(options, body_full(archive), None),
        ))
        .await
    }

    async fn push(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()> {
        let call = self.call("push", "image", reference);
        let (repository, tag) = convert::tagged(reference);
        let options = PushImageOptionsBuilder::new();
        let options = if let Some(tag) = tag {
            options.tag(tag)
        } else {
            options
        };
        call.long(end(
            self.stall,
            self.api.push_image(
                repository,
                Some(options.build()),
                credentials.map(|credentials| convert::credentials(repository, credentials)),
            ),
        ))
        .await
    }

    async fn remove_image(&self, reference: &str) -> Result<()> {
        let call = self.call("remove", "image", reference);
        let removal = self
            .api
            .remove_image(reference, None::<RemoveImageOptions>, None);
        optional(call.quick(removal).await).map(drop)
    }

    async fn container(&self, name: &str) -> Result<Option<Container>> {
        let call = self.call("look for", "container", name);
        let found = optional(call.quick(self.api.inspect_container(name, None)).await)?;
        Ok(found.map(convert::inspected))
    }

    async fn containers(&self, label: Label<'_>) -> Result<Vec<Container>> {
        let call = self.call("list", "containers labelled", &label.to_string());
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&labelled(label))
            .build();
        let containers = call.quick(self.api.list_containers(Some(options))).await?;
        Ok(containers.into_iter().map(convert::listed).collect())
    }

    async fn members(&self, network: &str) -> Result<Vec<Container>> {
        let call = self.call("list", "containers on network", network);
        let filter = HashMap::from([("network", vec![network.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().filters(&filter).build();
        let containers = call.quick(self.api.list_containers(Some(options))).await?;
        let mut members: Vec<_> = containers.into_iter().map(convert::listed).collect();
        // The filter also matches ids.
        members.retain(|member| member.networks.contains_key(network));
        Ok(members)
    }

    async fn published_ports(&self) -> Result<Vec<u16>> {
        let call = self.call("list", "running", "containers");
        let containers = call.quick(self.api.list_containers(None)).await?;
        let containers = containers.into_iter().map(convert::listed);
        Ok(super::host_ports(containers))
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        let call = self.call("create", "container", &spec.name);
        let options = CreateContainerOptionsBuilder::new()
            .name(&spec.name)
            .build();
        let request = convert::container_request(spec);
        let made = call
            .quick(self.api.create_container(Some(options), request))
            .await;
        made.map(|answer| answer.id)
            .map_err(|error| name_taken(error, &spec.name))
    }

    /// Starts a container. One that failed to start must be created again: Docker 29 disconnects it from its networks.
    async fn start(&self, name: &str) -> Result<()> {
        let call = self.call("start", "container", name);
        call.quick(self.api.start_container(name, None))
            .await
            .map_err(port_taken)
    }

    async fn stop(&self, name: &str, grace: u32) -> Result<()> {
        let call = self.call("stop", "container", name);
        let seconds = i32::try_from(grace).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let limit = QUICK + Duration::from_secs(grace.into());
        optional(
            call.run(limit, self.api.stop_container(name, Some(options)))
                .await,
        )
        .map(drop)
    }

    async fn wait(&self, name: &str) -> Result<i64> {
        let call = self.call("wait for", "container", name);
        let mut answers = self.api.wait_container(name, None);
        let first = async {
            match answers.next().await {
                Some(Ok(answer)) => Ok(Some(answer.status_code)),
                // bollard returns an error for every exit code other than 0.
                Some(Err(Error::DockerContainerWaitError { code, error })) if error.is_empty() => {
                    Ok(Some(code))
                }
                Some(Err(error)) => Err(error),
                None => Ok(None),
            }
        };
        call.long(first)
            .await?
            .ok_or_else(|| call.other("the engine closed the connection"))
    }

    /// Repeats the call until the container is removed: if `AutoRemove` or another client is already removing it, the
    /// engine answers before that is finished.
    async fn remove(&self, name: &str) -> Result<()> {
        let call = self.call("remove", "container", name);
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let deadline = Instant::now() + QUICK;
        loop {
            let removal = self.api.remove_container(name, Some(options.clone()));
            match optional(call.quick(removal).await) {
                Err(error) if says(&error, Meaning::BeingRemoved) && Instant::now() < deadline => {
                    sleep(TICK).await;
                }
                outcome => return outcome.map(drop),
            }
        }
    }

    async fn logs(&self, name: &str, lines: u32) -> Result<String> {
        let call = self.call("read the logs of", "container", name);
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail(&lines.to_string());
        let chunks = self
            .api
            .logs(name, Some(options.build()))
            .map_ok(LogOutput::into_bytes);
        let output = call.quick(last_bytes(chunks, MAX_OUTPUT)).await?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>> {
        let call = self.call("attach to", "container", name);
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .build();
        let attached = call
            .quick(self.api.attach_container(name, Some(options)))
            .await?;
        Ok(Box::new(exec::Stdin::new(attached)))
    }

    async fn exec(&self, name: &str, command: &[&str], input: &[u8]) -> Result<ExecOutput> {
        self.run_command(name, command, input).await
    }

    async fn upload(&self, name: &str, folder: &str, archive: Bytes) -> Result<()> {
        let call = self.call("upload to", "container", name);
        let options = UploadToContainerOptionsBuilder::new().path(folder).build();
        let archive = body_full(archive);
        call.long(self.api.upload_to_container(name, Some(options), archive))
            .await
    }

    async fn download(&self, name: &str, path: &str) -> Result<Option<Bytes>> {
        let call = self.call("download from", "container", name);
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let _one = self.downloads.acquire().await;
        let chunks = self.api.download_from_container(name, Some(options));
        match optional(call.long(first_bytes(chunks, MAX_DOWNLOAD)).await)? {
            Some(None) => Err(call.too_large(path)),
            archive => Ok(archive.flatten()),
        }
    }

    async fn stat(&self, name: &str, path: &str) -> Result<Option<PathKind>> {
        let call = self.call("look for a path in", "container", name);
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let found = self.api.get_container_archive_info(name, Some(options));
        let found = optional(call.quick(found).await)?;
        Ok(found.map(|found| convert::path_kind(found.file_mode)))
    }

    /// Searches a list, as an inspection also finds a network whose *id* begins with the name. The list's filter also
    /// matches parts of names.
    async fn network(&self, name: &str) -> Result<Option<Network>> {
        let call = self.call("look for", "network", name);
        let filter = HashMap::from([("name", vec![name.to_owned()])]);
        let networks = self.find_networks(&call, filter).await?;
        Ok(networks.into_iter().find(|network| network.name == name))
    }

    async fn networks(&self, label: Label<'_>) -> Result<Vec<Network>> {
        let call = self.call("list", "networks labelled", &label.to_string());
        self.find_networks(&call, labelled(label)).await
    }

    /// Looks for the name first: below API 1.44, an engine creates a second network of the same name, unless the
    /// request has a field that bollard no longer has (`CheckDuplicate`).
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        if self.network(&spec.name).await?.is_some() {
            return Err(DockerError::NameTaken {
                name: spec.name.clone(),
            });
        }
        let call = self.call("create", "network", &spec.name);
        let made = call
            .quick(self.api.create_network(convert::network_request(spec)))
            .await;
        made.map(drop)
            .map_err(|error| name_taken(error, &spec.name))
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        let call = self.call("remove", "network", name);
        optional(call.quick(self.api.remove_network(name)).await).map(drop)
    }

    async fn connect(&self, network: &str, container: &str, aliases: &[String]) -> Result<()> {
        let call = self.call("connect to", "network", network);
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(convert::endpoint(aliases)),
        };
        match call.quick(self.api.connect_network(network, request)).await {
            Err(error) if says(&error, Meaning::Connected) => Ok(()),
            outcome => outcome,
        }
    }

    async fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let call = self.call("look for", "volume", name);
        let found = optional(call.quick(self.api.inspect_volume(name)).await)?;
        Ok(found.map(convert::volume))
    }

    async fn volumes(&self, label: Label<'_>) -> Result<Vec<Volume>> {
        let call = self.call("list", "volumes labelled", &label.to_string());
        let options = ListVolumesOptionsBuilder::new()
            .filters(&labelled(label))
            .build();
        let answer = call.quick(self.api.list_volumes(Some(options))).await?;
        Ok(answer
            .volumes
            .into_iter()
            .flatten()
            .map(convert::volume)
            .collect())
    }

    /// Creates a volume. The engine returns the volume of that name, new or not; its labels show which.
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let call = self.call("create", "volume", &volume.name);
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            labels: Some(convert::unordered(&volume.labels)),
            ..Default::default()
        };
        let made = convert::volume(call.quick(self.api.create_volume(request)).await?);
        if made.labels == volume.labels {
            Ok(())
        } else {
            Err(DockerError::NameTaken { name: made.name })
        }
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let call = self.call("remove", "volume", name);
        let removal = self.api.remove_volume(name, None::<RemoveVolumeOptions>);
        optional(call.quick(removal).await).map(drop)
    }
}
