//! What one file declares. Its format is told by its content, document by document.
//!
//! A file that is ours and broken is an error; one that is none of ours is listed as skipped. Nothing here knows of
//! other files.

use std::sync::Arc;

use driftwarden_core::ignore::IgnoreRule;
use driftwarden_core::resource::{Desired, Kind, Origin, ResourceId};
use serde_json::{Value, json};

use crate::desired::cloudformation::Template;
use crate::desired::kubernetes::{self, Object, Refusal};
use crate::desired::yaml::{self, Document, Flaw, Place};
use crate::desired::{DesiredError, Skipped, cloudformation, ignore, manifest};

/// Everything that one file declares.
#[derive(Debug, Default)]
pub struct File {
    /// Its path in the repository.
    pub path: Arc<str>,
    /// Resources of our own manifests.
    pub plain: Vec<Desired>,
    /// Kubernetes objects.
    pub objects: Vec<Object>,
    /// CloudFormation templates.
    pub templates: Vec<Template>,
    /// Ignore rules.
    pub ignores: Vec<IgnoreRule>,
    /// Documents that declare nothing.
    pub skipped: Vec<Skipped>,
    /// What a kustomization says, if the file is one.
    pub kustomization: Option<Kustomization>,
}

/// What a kustomization does to the files that it names.
#[derive(Debug, PartialEq, Eq)]
pub struct Kustomization {
    /// Whether it changes them, so that the files are not what the cluster gets.
    pub changes: bool,
    /// Files and folders that it names.
    pub names: Vec<String>,
}

/// Where in a file, by name and not by line, a resource is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// A manifest of our own, or a Kubernetes object.
    Manifest {
        /// Its kind.
        kind: Kind,
        /// Its name, as written.
        name: Option<Arc<str>>,
        /// Namespace or account, as written.
        within: Option<Arc<str>>,
        /// Region, as written.
        region: Option<Arc<str>>,
    },
    /// A logical id of a template.
    Logical(Arc<str>),
}

impl File {
    /// Returns where a resource is declared that stands at a line.
    pub fn spot(&self, line: u32, resource: &ResourceId) -> Option<Spot> {
        let mut declarations = self.templates.iter().flat_map(|template| &template.resources);
        let here = self.manifests().filter(|(spot, desired)| {
            desired.origin.line == line && matches!(spot, Spot::Manifest { kind, .. } if *kind == resource.kind)
        });
        let here: Vec<_> = here.collect();
        // A list in one line holds many.
        let is_named = |desired: &Desired| {
            desired
                .name
                .as_deref()
                .is_some_and(|name| name == &*resource.name || resource.name.ends_with(&format!("/{name}")))
        };
        let found = here.iter().find(|(_, desired)| is_named(desired)).or_else(|| here.first());
        found.map(|(spot, _)| spot.clone()).or_else(|| {
            let declaration =
                declarations.find(|declaration| declaration.line == line && declaration.kind == resource.kind);
            declaration.map(|declaration| Spot::Logical(Arc::clone(&declaration.id)))
        })
    }

    /// Returns all that is said of a resource.
    pub fn says(&self, spot: &Spot) -> Option<Value> {
        match spot {
            Spot::Manifest { .. } => {
                let (_, desired) = self.manifests().find(|(other, _)| other == spot)?;
                Some(json!([desired.labels, desired.attributes]))
            }
            Spot::Logical(id) => {
                let mut declarations = self.templates.iter().flat_map(|template| &template.resources);
                let found = declarations.find(|declaration| declaration.id == *id)?;
                Some(json!([found.kind.as_str(), found.condition, found.properties]))
            }
        }
    }

    fn manifests(&self) -> impl Iterator<Item = (Spot, &Desired)> {
        let spot = |desired: &Desired, within: &Option<Arc<str>>| Spot::Manifest {
            kind: desired.kind.clone(),
            name: desired.name.clone(),
            within: within.clone(),
            region: desired.region.clone(),
        };
        let plain = self.plain.iter().map(move |desired| (spot(desired, &desired.account), desired));
        plain.chain(self.objects.iter().map(move |object| (spot(&object.desired, &object.namespace), &object.desired)))
    }
}

/// Returns what a file declares.
pub fn read(path: &Arc<str>, content: &[u8]) -> Result<File, DesiredError> {
    let mut file = File { path: Arc::clone(path), ..File::default() };
    let at_top = Place { line: 1, column: 1 };
    let Ok(text) = std::str::from_utf8(content) else {
        if path.ends_with(".json") {
            file.skipped.push(skipped(path, at_top, "not UTF-8"));
            return Ok(file);
        }
        let why = "the text is not UTF-8".to_owned();
        return Err(invalid(path, Flaw { place: at_top, why, hint: None }));
    };
    match yaml::documents(text) {
        Ok(documents) if documents.is_empty() => file.skipped.push(skipped(path, at_top, "empty")),
        Ok(documents) => {
            for document in documents {
                read_document(&mut file, path, document)?;
            }
        }
        Err(flaw) => file.skipped.push(skipped(path, flaw.place, excuse(path, text, flaw)?)),
    }
    Ok(file)
}

/// Returns why a file that cannot be read does not matter, or the error that it is.
fn excuse(path: &Arc<str>, text: &str, flaw: Flaw) -> Result<&'static str, DesiredError> {
    let has_placeholders = text.contains("{{");
    let may_be_ours = text.contains("apiVersion") || text.contains("Resources");
    if has_placeholders && path.split('/').any(|part| part == "templates") {
        Ok("a template, which must be rendered first")
    } else if path.ends_with(".json") && !may_be_ours {
        Ok("no format that is known")
    } else {
        let hint =
            if has_placeholders { Some("render templates first, or keep them outside `path`") } else { flaw.hint };
        Err(invalid(path, Flaw { hint, ..flaw }))
    }
}

fn read_document(file: &mut File, path: &Arc<str>, document: Document) -> Result<(), DesiredError> {
    let is_manifest = kubernetes::is_manifest(&document.value);
    let is_template = cloudformation::is_template(&document.value);
    if !is_manifest && !is_template && !manifest::is_ours(&document.value) {
        file.skipped.push(skipped(path, document.place, "no format that is known"));
        return Ok(());
    }
    if let Some(flaw) = document.flaw {
        return Err(invalid(path, flaw));
    }
    if is_template {
        let template = Template::read(path, &document).map_err(|flaw| invalid(path, flaw))?;
        file.templates.push(template);
        return Ok(());
    }
    if let Some(kustomization) = kustomization(&document.value) {
        file.kustomization = Some(kustomization);
    }
    match kubernetes::items(&document.value) {
        Some(items) => {
            for (at, item) in items.iter().enumerate() {
                read_manifest(file, path, item, document.place_of(&format!("/items/{at}")))?;
            }
            Ok(())
        }
        None => read_manifest(file, path, &document.value, document.place),
    }
}

fn read_manifest(file: &mut File, path: &Arc<str>, value: &Value, place: Place) -> Result<(), DesiredError> {
    let origin = Origin { file: Arc::clone(path), line: place.line, ..Origin::default() };
    let flawed = |why| invalid(path, Flaw { place, why, hint: None });
    if manifest::is_ours(value) && ignore::is_rule(value) {
        file.ignores.push(ignore::rule(value, (path, place)).map_err(|flaw| invalid(path, flaw))?);
        return Ok(());
    }
    if manifest::is_ours(value) {
        let desired = manifest::desired(value).map_err(flawed)?;
        file.plain.push(Desired { origin, ..desired });
        return Ok(());
    }
    match kubernetes::object(value) {
        Ok(mut object) => {
            object.desired.origin = origin;
            file.objects.push(object);
        }
        Err(Refusal::Skip(reason)) => file.skipped.push(skipped(path, place, reason)),
        Err(Refusal::Invalid(why)) => return Err(flawed(why)),
    }
    Ok(())
}

/// Returns what a kustomization does. One that only lists files leaves them as they are.
fn kustomization(value: &Value) -> Option<Kustomization> {
    const HARMLESS: [&str; 5] = ["apiVersion", "kind", "metadata", "resources", "bases"];
    let version = value.get("apiVersion")?.as_str()?;
    if !version.starts_with("kustomize.config.k8s.io/") {
        return None;
    }
    let map = value.as_object()?;
    let lists = ["resources", "bases", "components", "crds"].into_iter().filter_map(|key| map.get(key)?.as_array());
    Some(Kustomization {
        changes: map.keys().any(|key| !HARMLESS.contains(&key.as_str())),
        names: lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

fn skipped(path: &Arc<str>, place: Place, reason: &str) -> Skipped {
    Skipped { file: Arc::clone(path), line: place.line, reason: reason.into() }
}

fn invalid(path: &Arc<str>, flaw: Flaw) -> DesiredError {
    let Flaw { place, why, hint } = flaw;
    DesiredError::File { file: Arc::clone(path), line: place.line, column: place.column, why, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with `line kind` of everything declared, then `-line reason` of everything skipped.
    fn check(path: &str, text: &str, want: &[&str]) {
        let file = read(&path.into(), text.as_bytes()).unwrap();
        let plain = file.plain.iter().chain(file.objects.iter().map(|object| &object.desired));
        let mut got = plain.map(|d| format!("{} {}", d.origin.line, d.kind)).collect::<Vec<_>>();
        got.extend(file.templates.iter().map(|_| "template".to_owned()));
        got.extend(file.skipped.iter().map(|s| format!("-{} {}", s.line, s.reason)));
        assert_eq!(got, want, "{path}");
    }

    fn refused(path: &str, text: &str) -> String {
        read(&path.into(), text.as_bytes()).unwrap_err().to_string()
    }

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";

    #[test]
    fn the_format_is_told_by_the_content() {
        check("a.yaml", POD, &["1 Pod"]);
        check("a.yml", &format!("# x\n---\n{POD}---\n{POD}"), &["3 Pod", "7 Pod"]);
        check("a.json", "\n{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}}", &["2 Pod"]);
        check(
            "a.yaml",
            "apiVersion: driftwarden.dev/v1\nkind: AWS::S3::Bucket\nmetadata: {name: a}",
            &["1 AWS::S3::Bucket"],
        );
        check("a.yaml", "Resources:\n  A: {Type: AWS::S3::Bucket}", &["template"]);
        check(
            "a.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: b}\n",
            &["4 Pod", "8 apps/Deployment"],
        );
    }

    #[test]
    fn what_is_none_of_ours_is_skipped() {
        check("values.yaml", "image: x\nreplicas: 1", &["-1 no format that is known"]);
        check("package.json", "{\"name\": \"x\"}", &["-1 no format that is known"]);
        check("tsconfig.json", "{ // why\n \"a\": 1 }", &["-1 no format that is known"]);
        check("mkdocs.yml", "a: !!python/name:x.y.z\na: 1", &["-1 no format that is known"]);
        check("list.yaml", "- 1\n- 2", &["-1 no format that is known"]);
        check("empty.yaml", "# nothing", &["-1 empty"]);
        check(
            "chart/templates/a.yaml",
            "a: {{ .Values.a }}\nb: {{- c }}",
            &["-1 a template, which must be rendered first"],
        );
        check("mixed.yaml", &format!("a: 1\n---\n{POD}"), &["3 Pod", "-1 no format that is known"]);
    }

    #[test]
    fn what_is_ours_and_broken_is_refused_with_its_place() {
        let twice = refused("a.yaml", "apiVersion: v1\nkind: Pod\nkind: Pod\nmetadata: {name: a}");
        assert_eq!(twice, "invalid file `a.yaml`, line 3, column 1: key `kind` is given twice");
        let nameless = refused("b.yaml", &format!("{POD}---\napiVersion: v1\nkind: Pod\n"));
        assert_eq!(nameless, "invalid file `b.yaml`, line 5, column 1: `metadata` is missing");
        assert!(refused("c.yaml", "a: [1").starts_with("invalid file `c.yaml`, line "));
        assert!(refused("d.json", "{\"apiVersion\": 1").starts_with("invalid file `d.json`, line 1"));
        let error = read(&"e.yaml".into(), b"kind: {{ .Values.kind }}\nx: {{ a }} b").unwrap_err();
        assert_eq!(error.hint(), Some("render templates first, or keep them outside `path`"));
        assert_eq!(
            read(&"f.yaml".into(), b"a: \xff").unwrap_err().to_string(),
            "invalid file `f.yaml`, line 1, column 1: the text is not UTF-8"
        );
    }

    /// What becomes of a file: how many resources it declares, why it is skipped, or what is wrong with it.
    fn fate(content: &[u8]) -> String {
        match read(&"a.yaml".into(), content) {
            Err(error) => format!("refused {}", error.to_string().rsplit(": ").next().unwrap()),
            Ok(file) if file.skipped.is_empty() => format!("{} declared", file.plain.len() + file.objects.len()),
            Ok(file) => format!("skipped {}", file.skipped[0].reason),
        }
    }

    #[test]
    fn hostile_manifests_are_refused_or_read_as_text() {
        let pod = |more: &str| format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{more}");
        let laughs = (1..10).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
            text + &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
        });
        let named = |name: &str| format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n");
        for (text, want) in [
            (pod(&laughs), "refused the file is larger"),
            (pod("spec: &a {b: *a}"), "refused an anchor is used inside itself"),
            (pod("spec: &a [*a]"), "refused an anchor is used inside itself"),
            (pod("spec: {<<: &a {<<: *a}}"), "refused an anchor is used inside itself"),
            (pod("spec: {<<: [1]}"), "refused `<<` takes a map or a list of maps"),
            (pod("spec: *nowhere"), "refused "),
            (pod("kind: Pod"), "refused key `kind` is given twice"),
            (pod("\"kind\": Pod"), "refused key `kind` is given twice"),
            (pod("spec: {a: 1, b: {c: 1, 'c': 2}}"), "refused key `c` is given twice"),
            (pod("spec: {? [a] : 1}"), "refused a key must be text"),
            (pod("spec: {{a: 1}: 1}"), "refused a key must be text"),
            (pod("spec: !!python/object/apply:os.system [id]"), "refused unknown tag"),
            (pod("spec: !!binary aGk="), "refused unknown tag"),
            (pod("spec: !!set {a}"), "refused unknown tag"),
            (pod("spec: !include /etc/passwd"), "refused unknown tag"),
            (format!("%TAG ! tag:evil,1:\n---\n{}", pod("spec: !Ref x")), "refused unknown tag"),
            (format!("%YAML 9.9\n---\n{}", pod("")), "refused "),
            (pod("spec: [1"), "refused "),
            (pod("spec: \"x"), "refused "),
            (pod("spec: \"\\q\""), "refused "),
            (pod("spec: @x"), "refused "),
            (pod("spec: `x`"), "refused "),
            (pod("spec:\n\t a: 1"), "refused "),
            (pod("spec: a: b"), "refused "),
            (pod("spec: a\0b"), "refused "),
            (pod("spec: a\u{7}b"), "refused "),
            (pod(&format!("spec: {}", "[".repeat(5000))), "refused "),
            (pod(&format!("spec:\n{}", "- ".repeat(5000))), "refused "),
            (pod("---\n]"), "refused "),
            (pod("spec: {{ .Values.spec }}"), "refused "),
            (pod("<<<<<<< HEAD\n"), "refused "),
            (named("1"), "refused `metadata.name` is not a name; a number needs quotes"),
            (named("1e3"), "refused `metadata.name` is not a name; a number needs quotes"),
            (named("true"), "refused `metadata.name` is not a name; a number needs quotes"),
            (named("[a]"), "refused `metadata.name` is not a name; a number needs quotes"),
            (named("../../etc"), "refused `metadata.name` is not a name; a number needs quotes"),
            (named("\"a\\nb\""), "refused `metadata.name` is not a name; a number needs quotes"),
            (named("no"), "1 declared"),
            (named("on"), "1 declared"),
            (named("0777"), "1 declared"),
            (named("0o17"), "1 declared"),
            (named("1:30"), "1 declared"),
            (named("1_000"), "1 declared"),
            (named("2001-01-01"), "1 declared"),
            (named("!!str 1"), "1 declared"),
            (format!("\u{feff}{}", named("a")), "1 declared"),
            (named("a").replace('\n', "\r\n"), "1 declared"),
            (format!("{}...\n---\n# no more\n", named("a")), "1 declared"),
            (named("a").trim_end().to_owned(), "1 declared"),
            (pod("spec: {'<<': 1, x: '{{ y }}'}"), "1 declared"),
            (pod("spec: &a {b: &a 1, c: *a}"), "1 declared"),
            (pod("status: ''\n'': 1"), "1 declared"),
            ("apiVersion: 1\nkind: Pod".to_owned(), "skipped no format that is known"),
            ("- apiVersion: v1".to_owned(), "skipped no format that is known"),
            ("just text".to_owned(), "skipped no format that is known"),
            (String::new(), "skipped empty"),
            ("\u{feff}".to_owned(), "skipped empty"),
        ] {
            let got = fate(text.as_bytes());
            let start: String = text.chars().take(200).collect();
            assert!(got.starts_with(want), "{got}\n{start}");
        }
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert!(fate(&wide(&named("a"))).starts_with("refused "));
        assert_eq!(fate(&wide(&format!("\u{feff}{}", named("a")))), "refused the text is not UTF-8");
    }

    #[test]
    fn an_anchor_inside_a_list_counts_once_for_each_use() {
        let item = "{apiVersion: v1, kind: Pod, metadata: {name: a}}";
        let text = format!("apiVersion: v1\nkind: List\nitems:\n- &a {item}\n- *a\n");
        assert_eq!(fate(text.as_bytes()), "2 declared");
    }
}
