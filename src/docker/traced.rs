//! An engine whose every call is told: for `-v`.
//!
//! Nothing here may tell what goes in or comes out: no standard input, no content of an archive, no log, no password.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Attached, Container, ContainerSpec, Docker, EngineInfo, ExecOutput, Network, NetworkSpec,
    Result, Volume,
};
use crate::archive;
use crate::credentials::RegistryCredentials;
use crate::trace::{Detail, Trace, indented};

/// An engine that tells of every call.
#[derive(Debug)]
pub struct Traced {
    engine: Arc<dyn Docker>,
    trace: Trace,
}

impl Traced {
    /// The engine, told of where somebody listens.
    pub fn over(engine: Arc<dyn Docker>, trace: &Trace) -> Arc<dyn Docker> {
        if trace.is_off() {
            return engine;
        }
        let trace = trace.clone();
        Arc::new(Self { engine, trace })
    }

    async fn told<T>(
        &self,
        verb: &str,
        object: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.trace
            .call(|| format!("engine: {verb} {object}"), call)
            .await
    }

    /// A command as far as it is to be told: its program, or all arguments, each in one line.
    fn command(&self, command: &[&str]) -> String {
        if !self.trace.tells(Detail::Commands) {
            return command.first().copied().unwrap_or_default().to_owned();
        }
        let word = |word: &&str| match word.split_once('\n') {
            Some((first, _)) => format!("{first:?}…"),
            None if word.is_empty() || word.contains([' ', '"', '\'']) => format!("{word:?}"),
            None => (*word).to_owned(),
        };
        command.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    /// How a command ended. One that was given something may say it again, so its output is kept to ourselves.
    fn ending(&self, result: &Result<ExecOutput>, input: &[u8]) -> String {
        match result {
            Err(error) => self.trace.failure(error),
            Ok(output) if output.code == 0 => String::new(),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let code = format!(": exit code {}", output.code);
                if self.trace.tells(Detail::Outputs) && input.is_empty() && !said.is_empty() {
                    format!("{code}\n      {}", indented(&said))
                } else {
                    code
                }
            }
        }
    }

    /// An archive as far as it is to be told: its size, and the path and size of each of its files.
    fn archive(&self, archive: &[u8]) -> String {
        let mut text = format!(": {} bytes", archive.len());
        if self.trace.tells(Detail::Commands) {
            for (path, file) in archive::files(archive).unwrap_or_default() {
                let _ = write!(text, "\n      {path}, {} bytes", file.content.len());
            }
        }
        text
    }
}

#[async_trait]
impl Docker for Traced {
    async fn info(&self) -> Result<EngineInfo> {
        self.told("ask", "what it is", self.engine.info()).await
    }
    async fn image(&self, reference: &str) -> Result<Option<String>> {
        let call = self.engine.image(reference);
        self.told("inspect image", reference, call).await
    }
    async fn pull(&self, reference: &str) -> Result<()> {
        self.told("pull", reference, self.engine.pull(reference))
            .await
    }
    async fn load(&self, archive: Bytes) -> Result<()> {
        let size = format!("of {} bytes", archive.len());
        self.told("load an image", &size, self.engine.load(archive))
            .await
    }
    async fn push(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()> {
        let call = self.engine.push(reference, credentials);
        self.told("push", reference, call).await
    }
    async fn remove_image(&self, reference: &str) -> Result<()> {
        let call = self.engine.remove_image(reference);
        self.told("remove image", reference, call).await
    }
    async fn container(&self, name: &str) -> Result<Option<Container>> {
        let call = self.engine.container(name);
        self.told("inspect container", name, call).await
    }
    async fn containers(&self, key: &str, value: &str) -> Result<Vec<Container>> {
        let call = self.engine.containers(key, value);
        let label = format!("{key}={value}");
        self.told("list containers with", &label, call).await
    }
    async fn published_ports(&self) -> Result<Vec<u16>> {
        let call = self.engine.published_ports();
        self.told("list", "published ports", call).await
    }
    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        let call = self.engine.create(spec);
        self.told("create container", &spec.name, call).await
    }
    async fn start(&self, name: &str) -> Result<()> {
        self.told("start", name, self.engine.start(name)).await
    }
    async fn stop(&self, name: &str, grace: u32) -> Result<()> {
        self.told("stop", name, self.engine.stop(name, grace)).await
    }
    async fn wait(&self, name: &str) -> Result<i64> {
        self.told("wait for", name, self.engine.wait(name)).await
    }
    async fn remove(&self, name: &str) -> Result<()> {
        let call = self.engine.remove(name);
        self.told("remove container", name, call).await
    }
    async fn logs(&self, name: &str, lines: u32) -> Result<String> {
        let call = self.engine.logs(name, lines);
        self.told("read log of", name, call).await
    }
    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>> {
        self.told("attach to", name, self.engine.attach(name)).await
    }
    async fn exec(&self, name: &str, command: &[&str], input: &[u8]) -> Result<ExecOutput> {
        let what = || format!("engine: exec in {name}: {}", self.command(command));
        let call = self.engine.exec(name, command, input);
        self.trace
            .watch(what, call, |result| self.ending(result, input))
            .await
    }
    async fn upload(&self, name: &str, folder: &str, archive: Bytes) -> Result<()> {
        let outcome = |result: &Result<()>| match result {
            Err(error) => self.trace.failure(error),
            Ok(()) => self.archive(&archive),
        };
        let what = || format!("engine: upload to {name}:{folder}");
        let call = self.engine.upload(name, folder, archive.clone());
        self.trace.watch(what, call, outcome).await
    }
    async fn download(&self, name: &str, path: &str) -> Result<Option<Bytes>> {
        let outcome = |result: &Result<Option<Bytes>>| match result {
            Err(error) => self.trace.failure(error),
            Ok(None) => ": absent".to_owned(),
            Ok(Some(archive)) => self.archive(archive),
        };
        let what = || format!("engine: download {name}:{path}");
        let call = self.engine.download(name, path);
        self.trace.watch(what, call, outcome).await
    }
    async fn network(&self, name: &str) -> Result<Option<Network>> {
        let call = self.engine.network(name);
        self.told("inspect network", name, call).await
    }
    async fn networks(&self, key: &str, value: &str) -> Result<Vec<Network>> {
        let call = self.engine.networks(key, value);
        let label = format!("{key}={value}");
        self.told("list networks with", &label, call).await
    }
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let call = self.engine.create_network(spec);
        self.told("create network", &spec.name, call).await
    }
    async fn remove_network(&self, name: &str) -> Result<()> {
        let call = self.engine.remove_network(name);
        self.told("remove network", name, call).await
    }
    async fn connect(&self, network: &str, container: &str, aliases: &[String]) -> Result<()> {
        let call = self.engine.connect(network, container, aliases);
        let what = format!("{container} to network {network}");
        self.told("connect", &what, call).await
    }
    async fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let call = self.engine.volume(name);
        self.told("inspect volume", name, call).await
    }
    async fn volumes(&self, key: &str, value: &str) -> Result<Vec<Volume>> {
        let call = self.engine.volumes(key, value);
        let label = format!("{key}={value}");
        self.told("list volumes with", &label, call).await
    }
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let call = self.engine.create_volume(volume);
        self.told("create volume", &volume.name, call).await
    }
    async fn remove_volume(&self, name: &str) -> Result<()> {
        let call = self.engine.remove_volume(name);
        self.told("remove volume", name, call).await
    }
}
