//! An engine that traces every call, for `-v`.
//!
//! The trace never has data that goes in or out: no standard input, content of an archive, log or password.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Attached, Container, ContainerSpec, Docker, EngineInfo, ExecOutput, Label, Network,
    NetworkSpec, PathKind, Result, Volume,
};
use crate::archive;
use crate::credentials::RegistryCredentials;
use crate::trace::{Detail, Trace, indented};

/// An engine that traces every call.
#[derive(Debug)]
pub struct Traced {
    engine: Arc<dyn Docker>,
    trace: Trace,
}

impl Traced {
    /// Returns the engine with tracing, or the engine itself if the trace is off.
    pub fn over(engine: Arc<dyn Docker>, trace: &Trace) -> Arc<dyn Docker> {
        if trace.is_off() {
            return engine;
        }
        let trace = trace.clone();
        Arc::new(Self { engine, trace })
    }

    async fn traced<T>(
        &self,
        verb: &str,
        object: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.trace
            .call(|| format!("engine: {verb} {object}"), call)
            .await
    }

    /// Returns a command as the trace shows it: its program, or all arguments, each shortened to its first line.
    fn command(&self, command: &[&str]) -> String {
        if !self.trace.includes(Detail::Commands) {
            return command.first().copied().unwrap_or_default().to_owned();
        }
        let word = |word: &&str| match word.split_once('\n') {
            Some((first, _)) => format!("{first:?}…"),
            None if word.is_empty() || word.contains([' ', '"', '\'']) => format!("{word:?}"),
            None => (*word).to_owned(),
        };
        command.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    /// Returns the outcome of a command. A command with input may print it, so its output is never shown.
    fn ending(&self, result: &Result<ExecOutput>, input: &[u8]) -> String {
        match result {
            Err(error) => self.trace.failure(error),
            Ok(output) if output.code == 0 => String::new(),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let code = format!(": exit code {}", output.code);
                if self.trace.includes(Detail::Outputs) && input.is_empty() && !said.is_empty() {
                    format!("{code}\n      {}", indented(&said))
                } else {
                    code
                }
            }
        }
    }

    /// Returns an archive as the trace shows it: its size, and perhaps path and size of each file.
    fn archive(&self, archive: &[u8]) -> String {
        let mut text = format!(": {} bytes", archive.len());
        if self.trace.includes(Detail::Commands) {
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
        self.traced("get", "info", self.engine.info()).await
    }
    async fn image(&self, reference: &str) -> Result<Option<String>> {
        let call = self.engine.image(reference);
        self.traced("inspect image", reference, call).await
    }
    async fn image_labels(&self, image: &str) -> Result<Option<BTreeMap<String, String>>> {
        let call = self.engine.image_labels(image);
        self.traced("inspect image", image, call).await
    }
    async fn pull(&self, reference: &str) -> Result<()> {
        self.traced("pull", reference, self.engine.pull(reference))
            .await
    }
    async fn load(&self, archive: Bytes) -> Result<()> {
        let size = format!("of {} bytes", archive.len());
        self.traced("load an image", &size, self.engine.load(archive))
            .await
    }
    async fn push(&self, reference: &str, credentials: Option<&RegistryCredentials>) -> Result<()> {
        let call = self.engine.push(reference, credentials);
        self.traced("push", reference, call).await
    }
    async fn remove_image(&self, reference: &str) -> Result<()> {
        let call = self.engine.remove_image(reference);
        self.traced("remove image", reference, call).await
    }
    async fn container(&self, name: &str) -> Result<Option<Container>> {
        let call = self.engine.container(name);
        self.traced("inspect container", name, call).await
    }
    async fn containers(&self, label: Label<'_>) -> Result<Vec<Container>> {
        let call = self.engine.containers(label);
        self.traced("list containers with", &label.to_string(), call)
            .await
    }
    async fn members(&self, network: &str) -> Result<Vec<Container>> {
        let call = self.engine.members(network);
        self.traced("list containers on network", network, call)
            .await
    }
    async fn published_ports(&self) -> Result<Vec<u16>> {
        let call = self.engine.published_ports();
        self.traced("list", "published ports", call).await
    }
    async fn create(&self, spec: &ContainerSpec) -> Result<String> {
        let call = self.engine.create(spec);
        self.traced("create container", &spec.name, call).await
    }
    async fn start(&self, name: &str) -> Result<()> {
        self.traced("start", name, self.engine.start(name)).await
    }
    async fn stop(&self, name: &str, grace: u32) -> Result<()> {
        self.traced("stop", name, self.engine.stop(name, grace))
            .await
    }
    async fn wait(&self, name: &str) -> Result<i64> {
        self.traced("wait for", name, self.engine.wait(name)).await
    }
    async fn remove(&self, name: &str) -> Result<()> {
        let call = self.engine.remove(name);
        self.traced("remove container", name, call).await
    }
    async fn logs(&self, name: &str, lines: u32) -> Result<String> {
        let call = self.engine.logs(name, lines);
        self.traced("read log of", name, call).await
    }
    async fn attach(&self, name: &str) -> Result<Box<dyn Attached>> {
        self.traced("attach to", name, self.engine.attach(name))
            .await
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
    async fn stat(&self, name: &str, path: &str) -> Result<Option<PathKind>> {
        let call = self.engine.stat(name, path);
        self.traced("stat", &format!("{name}:{path}"), call).await
    }
    async fn network(&self, name: &str) -> Result<Option<Network>> {
        let call = self.engine.network(name);
        self.traced("inspect network", name, call).await
    }
    async fn networks(&self, label: Label<'_>) -> Result<Vec<Network>> {
        let call = self.engine.networks(label);
        self.traced("list networks with", &label.to_string(), call)
            .await
    }
    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let call = self.engine.create_network(spec);
        self.traced("create network", &spec.name, call).await
    }
    async fn remove_network(&self, name: &str) -> Result<()> {
        let call = self.engine.remove_network(name);
        self.traced("remove network", name, call).await
    }
    async fn connect(&self, network: &str, container: &str, aliases: &[String]) -> Result<()> {
        let call = self.engine.connect(network, container, aliases);
        let what = format!("{container} to network {network}");
        self.traced("connect", &what, call).await
    }
    async fn volume(&self, name: &str) -> Result<Option<Volume>> {
        let call = self.engine.volume(name);
        self.traced("inspect volume", name, call).await
    }
    async fn volumes(&self, label: Label<'_>) -> Result<Vec<Volume>> {
        let call = self.engine.volumes(label);
        self.traced("list volumes with", &label.to_string(), call)
            .await
    }
    async fn create_volume(&self, volume: &Volume) -> Result<()> {
        let call = self.engine.create_volume(volume);
        self.traced("create volume", &volume.name, call).await
    }
    async fn remove_volume(&self, name: &str) -> Result<()> {
        let call = self.engine.remove_volume(name);
        self.traced("remove volume", name, call).await
    }
}
