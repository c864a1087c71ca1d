//! The estate and everything around it, running: two clouds, a proxy that can break calls to one of them, and Git.
//!
//! In sync when it starts. Not its business: the daemon.

use serde_json::Value;

use crate::harness::aws::Checks;
use crate::harness::aws::Key;
use crate::harness::aws::Microburst;
use crate::harness::aws::Ministack;
use crate::harness::aws::REGION;
use crate::harness::estate;
use crate::harness::estate::Declared;
use crate::harness::estate::NAMESPACE;
use crate::harness::estate::STACK;
use crate::harness::git::GitServer;
use crate::harness::kubernetes::ApiServer;
use crate::harness::kubernetes::Who;

/// The clouds, Git and a proxy that can break calls.
pub struct World {
    pub aws: Ministack,
    pub proxy: Microburst,
    pub cluster: ApiServer,
    pub git: GitServer,
    pub declared_aws: Vec<Declared>,
    pub declared_kubernetes: Vec<Declared>,
    identifiers: Vec<String>,
}

impl World {
    /// Sows the estate and declares it: no drift anywhere.
    pub fn in_sync() -> Option<Self> {
        let aws = Ministack::start(Checks::Nothing)?;
        let proxy = Microburst::in_front_of(&aws.url())?;
        let cluster = ApiServer::start()?;
        let git = GitServer::start("ci", "secret")?;
        let (declared_aws, declared_kubernetes) = (estate::aws(), estate::kubernetes());
        let identifiers = estate::sow_aws(&aws, &declared_aws);
        estate::sow_kubernetes(&cluster, &declared_kubernetes);
        let world = Self { aws, proxy, cluster, git, declared_aws, declared_kubernetes, identifiers };
        world.commit("ann");
        Some(world)
    }

    /// Commits the declarations and returns the revision.
    pub fn commit(&self, author: &str) -> String {
        estate::commit(&self.git, author, &self.declared_aws, &self.declared_kubernetes)
    }

    /// Returns the declaration of a resource, to be changed before the next commit.
    pub fn declared(&mut self, kind: &str, name: &str) -> &mut Declared {
        let all = self.declared_aws.iter_mut().chain(&mut self.declared_kubernetes);
        all.into_iter().find(|declared| declared.kind == kind && declared.name == name).unwrap()
    }

    /// Returns the identifier that the cloud gave to a resource.
    pub fn identifier(&self, kind: &str, name: &str) -> String {
        let mut pairs = self.declared_aws.iter().zip(&self.identifiers);
        let found = pairs.find(|(declared, _)| declared.kind == kind && declared.name == name);
        found.map_or_else(|| name.to_owned(), |(_, identifier)| identifier.clone())
    }

    /// Changes an AWS resource behind Git's back.
    pub fn patch_aws(&self, kind: &str, name: &str, patch: &Value) {
        self.aws.update(kind, &self.identifier(kind, name), patch);
    }

    /// Runs kubectl as the administrator in the namespace of the estate.
    pub fn kubectl(&self, arguments: &[&str]) {
        let arguments: Vec<_> = ["-n", NAMESPACE].into_iter().chain(arguments.iter().copied()).collect();
        self.cluster.kubectl(&arguments, None).unwrap();
    }

    /// Returns a configuration for all of it, with `more` at its end.
    pub fn config(&self, more: &str) -> String {
        let kubeconfig = self.cluster.kubeconfig(Who::Reader);
        format!(
            r#"
clouds:
  - {{name: prod, type: aws, direct: {{exclude: ["*"]}}, regions: [{REGION}], endpoint: "{aws}", requests_per_second: 1000, every: 2s}}
  - {{name: shop, type: kubernetes, kubeconfig: "{kubeconfig}", context: test, namespaces: {{include: [{NAMESPACE}]}}, requests_per_second: 200, every: 2s}}
desired:
  - name: infra
    git: {{url: "{git}", ref: main, path: prod, every: 1s, username: ci, password: "${{env:GIT_PASSWORD}}"}}
    clouds: [prod, shop]
    stacks: [{{file: "**/template.yaml", stack: {STACK}}}]
hold: {{scans: 1, for: 0s, rollout: 0s}}
{more}"#,
            aws = self.proxy.url(),
            kubeconfig = kubeconfig.display(),
            git = self.git.url(),
        )
    }

    /// Lets the reader see every kind of the cluster but secrets.
    pub fn hide_secrets(&self) {
        let names = self.cluster.kubectl(&["api-resources", "--verbs=list", "-o", "name"], None).unwrap();
        let pairs = names.lines().map(|name| name.split_once('.').unwrap_or((name, "")));
        let resources: Vec<_> = pairs.filter(|(plural, _)| *plural != "secrets").map(|(p, g)| (g, p)).collect();
        self.cluster.let_reader_list(&resources);
    }
}

/// The environment of the daemon: credentials of the account's owner, and the password of Git.
pub fn environment(key: &Key) -> Vec<(&'static str, &str)> {
    vec![
        ("AWS_ACCESS_KEY_ID", key.id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", key.secret.as_str()),
        ("GIT_PASSWORD", "secret"),
    ]
}
