//! `kubectl` with a static token, with the shell plugin and with `kubectl-remotegpu`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::{Effort, credentials::World};
use crate::{
    progress::say,
    report::{Bound, Report, median},
    server::BINARY,
    store::Backend,
};

/// How many calls of each kind make a round: one is too short to tell.
const CALLS: usize = 5;

/// What is called, and how long each call took, by round, in milliseconds.
struct Kind {
    name: &'static str,
    program: Program,
    milliseconds: Vec<f64>,
}

enum Program {
    Kubectl(PathBuf),
    /// The plugin alone, as the kubeconfig says it.
    Plugin(Value),
}

/// `minted` is how long the server takes for a credential, in milliseconds.
pub fn measure(
    backend: Backend,
    world: &World,
    minted: f64,
    effort: Effort,
    report: &mut Report,
) -> Result<()> {
    let calls = Calls::prepare(world)?;
    let shell = Calls::kubeconfig(world, "shell")?;
    let remotegpu = Calls::kubeconfig(world, "remotegpu")?;
    let fixed = calls.fixed_token(&shell, world)?;
    let kubectl = |name, document: &Value| {
        let program = Program::Kubectl(calls.write(name, document)?);
        Ok::<_, anyhow::Error>(Kind {
            name,
            program,
            milliseconds: Vec::new(),
        })
    };
    let plugin = |name, document: &Value| Kind {
        name,
        program: Program::Plugin(document["users"][0]["user"]["exec"].clone()),
        milliseconds: Vec::new(),
    };
    let mut kinds = [
        kubectl("kubectl, static token", &fixed)?,
        kubectl("kubectl, shell plugin", &shell)?,
        kubectl("kubectl, kubectl-remotegpu", &remotegpu)?,
        plugin("the shell plugin alone", &shell),
        plugin("kubectl-remotegpu alone", &remotegpu),
    ];
    for kind in &kinds {
        calls.run(&kind.program)?;
    }
    let rounds = effort.rounds * 4;
    for round in 0..rounds {
        say(format_args!(
            "{backend}, kubectl: round {} of {rounds}",
            round + 1
        ));
        for kind in &mut kinds {
            let mut times = Vec::new();
            for _ in 0..CALLS {
                let started = Instant::now();
                calls.run(&kind.program)?;
                times.push(started.elapsed().as_secs_f64() * 1000.0);
            }
            kind.milliseconds.extend(median(&times));
        }
    }
    tell(backend, &kinds, minted, report);
    Ok(())
}

fn tell(backend: Backend, kinds: &[Kind; 5], minted: f64, report: &mut Report) {
    let [fixed, shell, remotegpu, shell_alone, remotegpu_alone] = kinds;
    for (kind, bound) in [(shell, 1.50), (remotegpu, 1.25)] {
        let pairs = kind.milliseconds.iter().zip(&fixed.milliseconds);
        report.promise(
            format!(
                "{backend}, real API server: time of `kubectl get --raw`, {} / static token",
                kind.name
            ),
            Bound::AtMost(bound),
            "",
            pairs.map(|(one, other)| one / other).collect(),
        );
    }
    for kind in kinds {
        report.shown(
            format!("{backend}: {}", kind.name),
            " ms",
            kind.milliseconds.clone(),
        );
    }
    let middle = |kind: &Kind| median(&kind.milliseconds).unwrap_or(f64::NAN);
    for (with, alone) in [(shell, shell_alone), (remotegpu, remotegpu_alone)] {
        let own = middle(fixed);
        report.remark(format!(
            "{backend}: of the {:.1} ms of {}, {own:.1} are kubectl's own with a static token, \
             {minted:.1} the mint, {:.1} the start and the end of the plugin, and {:.1} what \
             kubectl does for it.",
            middle(with),
            with.name,
            middle(alone) - minted,
            middle(with) - own - middle(alone),
        ));
    }
}

/// The surroundings of every call: a home of its own and little else.
struct Calls {
    home: TempDir,
    path: String,
    key: String,
    raw: String,
}

impl Calls {
    fn prepare(world: &World) -> Result<Self> {
        let beside = Path::new(BINARY).parent().context("no folder")?;
        if !beside.join("kubectl-remotegpu").exists() {
            bail!("kubectl-remotegpu is not built beside {BINARY}");
        }
        let path = std::env::var("PATH").unwrap_or_default();
        Ok(Self {
            home: tempfile::tempdir()?,
            path: format!("{}:{path}", beside.display()),
            key: world.keys.get(0).to_owned(),
            raw: format!("/api/v1/namespaces/{}/pods", world.kubernetes_namespace),
        })
    }

    /// What the server hands out.
    fn kubeconfig(world: &World, plugin: &str) -> Result<Value> {
        let path = format!(
            "/v1/kubernetes/namespaces/{}/kubeconfig?plugin={plugin}",
            world.namespace_id
        );
        let answer = world.server.get(&path, &world.session)?;
        let text = answer["kubeconfig"].as_str().context("no kubeconfig")?;
        Ok(serde_saphyr::from_str(text)?)
    }

    /// The same kubeconfig with a token instead of the plugin.
    fn fixed_token(&self, document: &Value, world: &World) -> Result<Value> {
        let path = format!(
            "http://{}/v1/kubernetes/namespaces/{}/exec-credential",
            world.server.address, world.namespace_id
        );
        let mut answer = ureq::post(&path)
            .header("x-api-key", &self.key)
            .send_empty()?;
        let credential: Value = answer.body_mut().read_json()?;
        let mut document = document.clone();
        document["users"][0]["user"] = serde_json::json!({"token": credential["status"]["token"]});
        Ok(document)
    }

    fn write(&self, name: &str, document: &Value) -> Result<PathBuf> {
        let path = self.home.path().join(name);
        fs::write(&path, document.to_string())?;
        Ok(path)
    }

    fn run(&self, program: &Program) -> Result<()> {
        let mut command = match program {
            Program::Kubectl(kubeconfig) => {
                let mut command = Command::new("kubectl");
                command.arg("--kubeconfig").arg(kubeconfig);
                command.args(["get", "--raw", &self.raw]);
                command
            }
            Program::Plugin(exec) => plugin(exec)?,
        };
        let output = command
            .env("PATH", &self.path)
            .env("HOME", self.home.path())
            .env("REMOTEGPU_API_KEY", &self.key)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// As kubectl would start it.
fn plugin(exec: &Value) -> Result<Command> {
    let mut command = Command::new(exec["command"].as_str().context("no command")?);
    command.env_clear();
    for argument in exec["args"].as_array().into_iter().flatten() {
        command.arg(argument.as_str().context("an argument that is no text")?);
    }
    for variable in exec["env"].as_array().into_iter().flatten() {
        let part = |name: &str| {
            variable[name]
                .as_str()
                .context("a variable that is no text")
        };
        command.env(part("name")?, part("value")?);
    }
    let wanted = serde_json::json!({
        "kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",
        "spec": {"interactive": false},
    });
    command.env("KUBERNETES_EXEC_INFO", wanted.to_string());
    Ok(command)
}
