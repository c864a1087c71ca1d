//! A real kube-apiserver on a real etcd, without controllers: nothing changes unless a test changes it.
//!
//! It is version 1.20: no aggregated discovery, no OpenAPI v3, no watch lists. Two tokens: `admin` may do everything,
//! `reader` what a test grants. Seeds are sown with kubectl.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::http;
use crate::harness::peers;
use crate::harness::process;
use crate::harness::process::Process;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A member of `system:masters`.
    Admin,
    /// A user without any right of its own.
    Reader,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Reader => "reader",
        }
    }
}

/// A running control plane: etcd and kube-apiserver.
pub struct ApiServer {
    server: Process,
    etcd: Process,
    port: u16,
    folder: TempDir,
}

impl ApiServer {
    /// Starts an empty cluster.
    pub fn start() -> Option<Self> {
        peers::available("kube-apiserver", Self::try_start())
    }

    fn try_start() -> Result<Self, String> {
        let folder = process::folder();
        let (etcd, etcd_url) = start_etcd(folder.path())?;
        let port = process::free_port();
        let server = start_server(folder.path(), &etcd_url, port)?;
        let cluster = Self { server, etcd, port, folder };
        for who in [Who::Admin, Who::Reader] {
            cluster.write_kubeconfig(who)?;
        }
        cluster.wait_until_ready()
    }

    /// Returns `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns the kubeconfig of a user; its only context is named `test`.
    pub fn kubeconfig(&self, who: Who) -> PathBuf {
        self.folder.path().join(format!("{}.kubeconfig", who.name()))
    }

    /// Returns the certificate that signs the server's own.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certs/apiserver.crt")
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        self.kubectl_as(Who::Admin, arguments, input)
    }

    /// Runs kubectl as somebody.
    pub fn kubectl_as(&self, who: Who, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        let mut command = Command::new(peers::python()?.join("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig(who))
            .args(arguments)
            .env("HOME", self.folder.path())
            .env("KUBERC", "off");
        process::run(&mut command, input)
    }

    /// Applies manifests on the server's side, as this field manager.
    pub fn apply(&self, manager: &str, manifests: &str) {
        let arguments = ["apply", "--server-side", "--force-conflicts", "--field-manager", manager, "-f", "-"];
        self.kubectl(&arguments, Some(manifests)).unwrap();
    }

    /// Lets the reader get, list and watch these resources (group, plural), and nothing else.
    pub fn let_reader_list(&self, resources: &[(&str, &str)]) {
        let rules = resources.iter().map(
            |(group, plural)| json!({"apiGroups": [group], "resources": [plural], "verbs": ["get", "list", "watch"]}),
        );
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "reader"}, "rules": rules.collect::<Vec<_>>()});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}]});
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]});
        self.kubectl(&["apply", "-f", "-"], Some(&list.to_string())).unwrap();
    }

    /// Reads one object as JSON.
    pub fn object(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<_> = ["get", "-o", "json"].into_iter().chain(arguments.iter().copied()).collect();
        serde_json::from_str(&self.kubectl(&arguments, None).unwrap()).unwrap()
    }

    fn write_kubeconfig(&self, who: Who) -> Result<(), String> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url(), "certificate-authority": self.certificate()}}],
            "users": [{"name": who.name(), "user": {"token": token(who)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": who.name()}}],
        });
        std::fs::write(self.kubeconfig(who), config.to_string()).map_err(|error| error.to_string())
    }

    fn wait_until_ready(mut self) -> Result<Self, String> {
        for _ in 0..600 {
            let ready = self.kubectl(&["get", "--raw", "/readyz"], None).is_ok_and(|answer| answer.starts_with("ok"));
            // Namespaces come a moment after readiness, and most seeds go to this one.
            if ready && self.kubectl(&["get", "namespace", "default"], None).is_ok() {
                return Ok(self);
            }
            if !self.server.is_running() || !self.etcd.is_running() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Err(format!("kube-apiserver is not ready:\n{}", self.server.log()))
    }
}

fn token(who: Who) -> String {
    format!("{}-token", who.name())
}

fn start_etcd(folder: &Path) -> Result<(Process, String), String> {
    let address = format!("http://127.0.0.1:{}", process::free_port());
    let peer = format!("http://127.0.0.1:{}", process::free_port());
    let mut command = Command::new(peers::debian()?.join("usr/bin/etcd"));
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &address, "--advertise-client-urls", &address])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}"), "--unsafe-no-fsync"])
        .env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH);
    let process = Process::start(&mut command, &folder.join("etcd.log"))?;
    let health = format!("{address}/health");
    let process = process.ready(60, || http::get(&health).ok().filter(|answer| answer.body.contains("true")))?;
    Ok((process, address))
}

fn start_server(folder: &Path, etcd: &str, port: u16) -> Result<Process, String> {
    let tokens =
        format!("{},admin,1,\"system:masters\"\n{},reader,2,\"readers\"\n", token(Who::Admin), token(Who::Reader));
    std::fs::write(folder.join("tokens.csv"), tokens).map_err(|error| error.to_string())?;
    let key = folder.join("service-account.key");
    std::fs::write(&key, signing_key()).map_err(|error| error.to_string())?;
    let path = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let mut command = Command::new(peers::kube_apiserver()?);
    command
        .arg(format!("--etcd-servers={etcd}"))
        .args(["--bind-address=127.0.0.1", "--insecure-port=0", "--authorization-mode=RBAC"])
        .arg(format!("--secure-port={port}"))
        .arg(path("cert-dir", &folder.join("certs")))
        .arg(path("service-account-key-file", &key))
        .arg(path("service-account-signing-key-file", &key))
        .arg(path("token-auth-file", &folder.join("tokens.csv")))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .args(["--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount"]);
    Process::start(&mut command, &folder.join("kube-apiserver.log"))
}

/// Makes the key that signs service account tokens: any 32 bytes are a private key of P-256, here in the form of RFC 5915.
fn signing_key() -> String {
    let secret: Vec<u8> = (0..4).flat_map(|_| (process::random() >> 1).to_be_bytes()).collect();
    let head = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    let curve = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let key = base64::engine::general_purpose::STANDARD.encode([&head, secret.as_slice(), &curve].concat());
    format!("-----BEGIN EC PRIVATE KEY-----\n{key}\n-----END EC PRIVATE KEY-----\n")
}
