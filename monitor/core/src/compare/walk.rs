//! Walks what is declared and what was read side by side, and notes where they part.
//!
//! Nothing is copied until something differs. Which texts mean the same is decided in [`super::scalar`], which items
//! belong together in [`super::list`].

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::explain::{self, BOOKKEEPING, DEFAULT, Fold, MOVED, NOTHING, READ_ONLY, TEMPLATE};
use super::{
    Change, ChangeOp, Class, Comparison, Facts, Flavor, Knowledge, Unknown, filling, kubernetes, list, owner, policy,
    scalar, scaler, sensitive, strict, table, undeclared,
};
use crate::resource::{self, Depth};
use crate::schema::{Spot, Tree, mark};

/// One step of the way from the root to the value at hand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Name(&'a str),
    Item(usize),
    Each,
}

/// What the tables say about the value at hand, and what it inherits from above.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) schema: Spot,
    pub(super) table: Spot,
    pub(super) strict: Spot,
    pub(super) marks: u32,
    /// Inside a document that is kept as it was written, where what is not declared counts all the same.
    pub(super) whole: bool,
    /// Inside a policy document, where order says nothing.
    pub(super) policy: bool,
}

/// Marks that hold for everything below.
const INHERITED: u32 = mark::READ_ONLY
    | mark::TEMPLATE
    | mark::WRITE_ONLY
    | mark::CREATE_ONLY
    | mark::NOT_READ
    | mark::FREE_FORM
    | mark::CASELESS
    | mark::ATOMIC
    | mark::UNSTATED
    | mark::DEEP;

/// How many values one comparison looks at in probes: far more than any resource needs that a person has written.
pub(super) const PROBED: usize = 1_000_000;

/// A declared object and the observed one beside it.
pub(super) type Pair<'a> = (&'a Map<String, Value>, &'a Map<String, Value>);

pub(super) struct Walk<'a> {
    pub(super) facts: Facts<'a>,
    pub(super) flavor: Flavor,
    pub(super) knowledge: &'a Knowledge,
    schema: &'a Tree,
    table: &'a Tree,
    strict: &'a Tree,
    pub(super) path: Vec<Step<'a>>,
    /// The objects on the way here, declared and observed.
    owners: Vec<Pair<'a>>,
    /// How many probes are under way: these only ask whether there is a difference.
    probing: usize,
    /// How many values were looked at in probes, in documents within texts too.
    pub(super) probed: Rc<Cell<usize>>,
    differs: bool,
    document: bool,
    out: Comparison,
    /// What counted for nothing, where somebody asks.
    pub(super) folds: Option<Vec<Fold>>,
}

impl<'a> Walk<'a> {
    pub(super) fn of(facts: Facts<'a>, knowledge: &'a Knowledge) -> Self {
        Self {
            facts,
            flavor: Flavor::of(facts.kind.as_str()),
            knowledge,
            schema: facts.schema.tree(),
            table: knowledge.table(facts.kind.as_str()),
            strict: facts.strictly.tree(),
            path: Vec::with_capacity(16),
            owners: Vec::with_capacity(16),
            probing: 0,
            probed: Rc::default(),
            differs: false,
            document: false,
            out: Comparison::default(),
            folds: None,
        }
    }

    /// Returns what comparing the two gives, in the order of the paths, and the folds if somebody listens.
    pub(super) fn run(mut self, desired: &'a Value, observed: &'a Value) -> (Comparison, Vec<Fold>) {
        let root = self.root();
        if observed.is_null() {
            self.absent(desired, root);
        } else {
            self.value(desired, observed, root);
            if self.flavor == Flavor::Kubernetes {
                kubernetes::given_up(&mut self, desired, observed);
            }
        }
        let (mut out, mut folds) = (self.out, self.folds);
        if self.flavor == Flavor::Kubernetes {
            let done = owner::settle(&mut out.changes, desired, observed);
            folds = folds.map(|folds| folds.into_iter().chain(done).collect());
        }
        if self.flavor == Flavor::Aws && !out.changes.is_empty() {
            let done = scaler::settle(&mut out, self.facts, [desired, observed]);
            folds = folds.map(|folds| folds.into_iter().chain(done).collect());
        }
        out.changes.sort_by(|a, b| a.path.cmp(&b.path));
        out.changes.dedup_by(|a, b| a.path == b.path);
        out.undeclared.sort();
        out.undeclared.dedup();
        out.unknown.sort_by(|a, b| (&a.path, a.reason).cmp(&(&b.path, b.reason)));
        out.unknown.dedup();
        let folds = folds.map(|folds| explain::settled(folds, &out.changes)).unwrap_or_default();
        (out, folds)
    }

    /// Returns whether a document inside a text means the same; everything in it counts if it is `whole`.
    pub(super) fn same_document(&self, desired: &Value, observed: &Value, whole: bool) -> bool {
        let mut inner = Walk::of(self.facts, self.knowledge);
        inner.probing = 1;
        inner.probed = Rc::clone(&self.probed);
        inner.document = true;
        inner.value(desired, observed, Place { whole, ..Place::default() });
        !inner.differs
    }

    pub(super) fn root(&self) -> Place {
        self.placed([self.schema.root(), self.table.root(), self.strict.root()], Place::default())
    }

    fn placed(&self, [schema, table, strict]: [Spot; 3], above: Place) -> Place {
        let mut marks =
            self.schema.marks(schema) | self.table.marks(table) | self.strict.marks(strict) | (above.marks & INHERITED);
        if marks & mark::LAX != 0 {
            marks &= !(mark::STRICT | mark::DEEP);
        }
        Place { schema, table, strict, marks, whole: above.whole, policy: above.policy }
    }

    pub(super) fn named(&self, at: Place, name: &str) -> Place {
        let spots =
            [self.schema.named(at.schema, name), self.table.named(at.table, name), self.strict.named(at.strict, name)];
        let mut place = self.placed(spots, at);
        if at.marks & mark::FREE_FORM == 0 {
            place.marks |= self.table.marks_anywhere(name);
        }
        place
    }

    pub(super) fn item(&self, at: Place) -> Place {
        self.placed([self.schema.item(at.schema), self.table.item(at.table), self.strict.item(at.strict)], at)
    }

    /// Returns whether the provider's schema speaks of the place at hand: what it does not mention there is not so.
    pub(super) fn is_stated(&self, at: Place) -> bool {
        self.facts.schema.states_lists() && at.marks & mark::UNSTATED == 0
    }

    /// Returns the attributes by which the provider tells the items of a list apart; none where it does not say.
    pub(super) fn stated_keys(&self, at: Place) -> &'a [Box<str>] {
        self.schema.keys_of(at.schema)
    }

    /// Returns whether `value` is what the attribute is when nobody says.
    pub(super) fn is_default(&self, value: &Value, at: Place) -> bool {
        at.marks & mark::USUAL == 0 && self.is_usual(value, at)
    }

    /// Returns whether `value` is what the attribute is when nobody says, or what is usually made of it then.
    pub(super) fn is_usual(&self, value: &Value, at: Place) -> bool {
        let known = [self.schema.default_of(at.schema), self.table.default_of(at.table)];
        known.into_iter().flatten().any(|default| {
            default == value || scalar::canonical(default, value) || policy::same_but_for_version(default, value)
        })
    }

    /// Returns whether a class of values is known.
    pub(super) fn knows(&self, fold: Class) -> bool {
        self.knowledge.has(fold)
    }

    /// Returns the name of the attribute at hand, or of the list that the item at hand is in.
    pub(super) fn name(&self) -> &'a str {
        self.path
            .iter()
            .rev()
            .find_map(|step| if let Step::Name(name) = step { Some(*name) } else { None })
            .unwrap_or_default()
    }

    /// Returns whether any attribute on the way here is called so.
    pub(super) fn inside(&self, is: impl Fn(&str) -> bool) -> bool {
        self.path.iter().any(|step| matches!(step, Step::Name(name) if is(name)))
    }

    /// Runs `then` one step further down.
    pub(super) fn below(&mut self, step: Step<'a>, then: impl FnOnce(&mut Self)) {
        self.path.push(step);
        then(self);
        self.path.pop();
    }

    /// Compares two values at one place.
    pub(super) fn value(&mut self, desired: &'a Value, observed: &'a Value, at: Place) {
        if self.settled() || desired.is_null() {
            return;
        }
        if self.is_spent() {
            self.differs = true;
            return;
        }
        if self.is_vain(desired, at) {
            return self.fold(said_in_vain(at), (desired, observed), at);
        }
        if is_unresolved(desired) {
            return self.unknown("unresolved");
        }
        if at.marks & mark::WRITE_ONLY != 0 {
            if !is_empty(desired) {
                self.unknown("write_only");
            }
            return;
        }
        if self.is_unread(observed) {
            return self.unknown("not_read");
        }
        match (desired, observed) {
            (Value::Object(desired), Value::Object(observed)) => self.object(desired, observed, at),
            (Value::Array(desired_items), Value::Array(observed_items)) => {
                list::compare(self, (desired, observed), (desired_items, observed_items), at);
            }
            (_, Value::Null) => self.absent(desired, at),
            _ if is_empty(desired) && is_empty(observed) => self.fold(NOTHING, (desired, observed), at),
            _ => self.unlike(desired, observed, at),
        }
    }

    /// Returns whether a value says that nobody read it.
    fn is_unread(&self, observed: &Value) -> bool {
        !self.document && self.facts.depth == Depth::Partial && resource::is_unread(observed)
    }

    /// Returns whether two values mean the same, without noting anything.
    pub(super) fn same(&mut self, desired: &'a Value, observed: &'a Value, at: Place) -> bool {
        let before = std::mem::replace(&mut self.differs, false);
        self.probing += 1;
        self.value(desired, observed, at);
        self.probing -= 1;
        !std::mem::replace(&mut self.differs, before)
    }

    /// Returns whether this is a probe.
    pub(super) fn probes(&self) -> bool {
        self.probing > 0
    }

    /// Returns whether two keys of list items are the same.
    pub(super) fn same_key(&mut self, key: &'a str, (left, right): (&'a Value, &'a Value), item: Place) -> bool {
        let place = self.named(item, key);
        self.path.push(Step::Name(key));
        let same = self.same(left, right, place);
        self.path.pop();
        same
    }

    /// Returns whether a declared item need not be found: it says nothing, or nothing that could be resolved.
    pub(super) fn is_void(&mut self, item: &'a Value, at: Place) -> bool {
        if is_unresolved(item) {
            self.unknown("unresolved");
            return true;
        }
        let fold = match item {
            _ if is_empty(item) => NOTHING,
            _ if self.is_default(item, at) => DEFAULT,
            _ => return false,
        };
        self.fold(fold, (item, &Value::Null), at);
        true
    }

    /// Returns whether only the provider sets the value at hand.
    pub(super) fn is_read_only(&self, value: &Value, at: Place) -> bool {
        at.marks & mark::READ_ONLY != 0 || self.is_type(value)
    }

    /// Returns whether a value is declared in vain: only the provider sets it, or it is part of the template alone.
    fn is_vain(&self, desired: &Value, at: Place) -> bool {
        at.marks & mark::TEMPLATE != 0 || self.is_read_only(desired, at)
    }

    /// Returns whether a value names the type of what it stands in, as Google's answers do: `compute#instance`. Other
    /// values under that name are settings.
    fn is_type(&self, value: &Value) -> bool {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        let parts = || value.as_str().and_then(|text| text.split_once('#'));
        self.flavor == Flavor::Gcp
            && self.name() == "kind"
            && parts().is_some_and(|(api, kind)| is_word(api) && is_word(kind))
    }

    /// Returns whether the value at hand is part of a document written as text.
    pub(super) fn is_document(&self) -> bool {
        self.document
    }

    /// Counts a value that is looked at in a probe, and returns whether these are too many. What was not looked at is
    /// not the same.
    fn is_spent(&self) -> bool {
        self.probed.set(self.probed.get() + self.probing.min(1));
        self.probes() && self.probed.get() > PROBED
    }

    fn settled(&self) -> bool {
        self.probing > 0 && self.differs
    }

    fn object(&mut self, desired: &'a Map<String, Value>, observed: &'a Map<String, Value>, at: Place) {
        if at.policy && self.knows(Class::Principal) && policy::may_be_one_user(desired, observed) {
            return self.unknown("unresolved");
        }
        let policy = at.policy || policy::is_document(desired);
        let at = Place { whole: at.whole || policy, policy, ..at };
        self.owners.push((desired, observed));
        // A name without a value, as templates leave it, declares nothing.
        for (name, value) in desired.iter().filter(|(_, value)| !value.is_null()) {
            if self.flavor == Flavor::Kubernetes && kubernetes::is_bookkeeping(&self.path, name) {
                self.below(Step::Name(name), |walk| walk.fold(BOOKKEEPING, (value, &Value::Null), at));
                continue;
            }
            if name == "stringData" && self.path.is_empty() && self.facts.kind.as_str() == "Secret" {
                self.below(Step::Name(name), |walk| kubernetes::string_data(walk, value, observed));
                continue;
            }
            let place = self.named(at, name);
            self.below(Step::Name(name), |walk| match walk.twin(observed, name, at) {
                Some((_, Value::Null)) | None => walk.elsewhere(value, observed, place),
                Some((read, other)) => {
                    if walk.folds.is_some() && read != name {
                        walk.fold(Class::Respelled.fold(), (value, other), place);
                    }
                    walk.value(value, other, place);
                }
            });
        }
        for (name, value) in observed {
            if desired.get(name).is_none_or(Value::is_null) && !self.settled() {
                self.extra(name, value, (desired, at));
            }
        }
        self.owners.pop();
    }

    /// Returns what was read under a declared name, or under the name that the service now uses for it, and that name.
    fn twin(&self, observed: &'a Map<String, Value>, name: &str, at: Place) -> Option<(&'a String, &'a Value)> {
        let found = observed.get_key_value(name);
        if found.is_some() {
            return found;
        }
        if !matches!(self.flavor, Flavor::Aws | Flavor::Azure) {
            return None;
        }
        let renamed = OPERATORS.iter().find(|(old, _)| *old == name).filter(|_| self.knows(Class::Operator));
        if let Some(renamed) = renamed.and_then(|(_, new)| observed.get_key_value(*new)) {
            return Some(renamed);
        }
        let declared = |key: &String| self.owners.last().is_some_and(|(desired, _)| desired.contains_key(key));
        let other = |key: &&String| {
            self.knows(Class::Respelled) && self.may_respell(at) && key.eq_ignore_ascii_case(name) && !declared(key)
        };
        let respelled = observed.keys().filter(other).min();
        let counted = || observed.keys().filter(|key| self.is_plural(key, name) && !declared(key)).min();
        respelled.or_else(counted).and_then(|key| observed.get_key_value(key))
    }

    /// Returns whether a name that is not declared was compared with what is declared under another name.
    fn is_twin(&self, name: &str, desired: &Map<String, Value>, at: Place) -> bool {
        let Some((_, observed)) = self.owners.last() else { return false };
        let may_be =
            |key: &str| key.eq_ignore_ascii_case(name) || self.is_plural(key, name) || synonym(name) == Some(key);
        let mut said = desired.iter().filter(|(key, value)| !value.is_null() && may_be(key));
        said.any(|(key, _)| self.twin(observed, key, at).is_some_and(|(read, _)| read == name))
    }

    /// Returns whether case says nothing in the names of the object at hand: not where people invent them, but in Azure's tags.
    fn may_respell(&self, at: Place) -> bool {
        at.marks & mark::FREE_FORM == 0 || self.flavor == Flavor::Azure && self.inside(|name| name == "tags")
    }

    /// Returns whether one name is that of a list and the other that of the only item of it, both of which Azure takes for
    /// one thing: `addressPrefix` and `addressPrefixes`.
    fn is_plural(&self, left: &str, right: &str) -> bool {
        let ends = |many: &str, one: &str| many.strip_prefix(one).is_some_and(|end| matches!(end, "s" | "es"));
        self.flavor == Flavor::Azure && self.knows(Class::Single) && (ends(left, right) || ends(right, left))
    }

    /// Compares a declared value that was not read under its name with what was read where the service gives it back.
    fn elsewhere(&mut self, value: &'a Value, observed: &'a Map<String, Value>, at: Place) {
        let places = self.table.moved_of(at.table).iter();
        match places.filter_map(|place| followed(observed, place)).find(|found| !found.is_null()) {
            Some(other) => {
                self.fold(MOVED, (value, other), at);
                self.value(value, other, Place { marks: at.marks & !(mark::WRITE_ONLY | mark::NOT_READ), ..at });
            }
            None => self.missing(value, observed, at),
        }
    }

    /// Notes a declared name that was not read, unless it was read under another one.
    fn missing(&mut self, value: &'a Value, observed: &'a Map<String, Value>, at: Place) {
        if self.flavor == Flavor::Kubernetes && kubernetes::is_elsewhere(&self.path, value, observed) {
            return self.fold("the server drops it where it does not apply", (value, &Value::Null), at);
        }
        if self.is_replaced(value, observed, at) {
            let reason = "it says which of several there is, and another one was read";
            return self.report_because(ChangeOp::Removed, (value, &Value::Null), at, reason);
        }
        self.absent(value, at);
    }

    /// Returns whether a declared `{}` is a choice that is gone: where nothing else is declared beside it, whatever was
    /// read instead was chosen; on a server that gives every structure back, another structure that nobody declares.
    fn is_replaced(&self, value: &Value, observed: &Map<String, Value>, at: Place) -> bool {
        let Some((desired, _)) = self.owners.last().filter(|_| self.path.len() > 1) else { return false };
        let is_choice = value.as_object().is_some_and(Map::is_empty) && !self.may_be_map(self.name(), at);
        let is_undeclared = |name: &String| desired.get(name).is_none_or(Value::is_null);
        let mut others = observed.iter().filter(|(name, other)| is_undeclared(name) && !other.is_null());
        let is_other = |(name, other): (&String, &Value)| other.is_object() && !self.may_be_map(name, at);
        is_choice
            && match self.flavor {
                Flavor::Kubernetes => others.any(is_other),
                _ => desired.len() == 1 && others.next().is_some(),
            }
    }

    /// Returns whether an attribute may be a map that is left out when it is empty.
    fn may_be_map(&self, name: &str, at: Place) -> bool {
        const UNREADABLE: u32 = mark::READ_ONLY | mark::WRITE_ONLY | mark::NOT_READ;
        at.marks & (mark::FREE_FORM | UNREADABLE) != 0
            || list::is_tags(name)
            || self.flavor == Flavor::Kubernetes && kubernetes::is_map(name)
    }

    /// Notes a name that was read and is not declared.
    fn extra(&mut self, name: &'a str, value: &'a Value, (desired, at): (&'a Map<String, Value>, Place)) {
        if at.whole {
            let counts = policy::counts(desired, name, value);
            return self.below(Step::Name(name), |walk| {
                if counts {
                    walk.report(ChangeOp::Added, (&Value::Null, value), at);
                } else {
                    walk.fold("a label of the document, which decides nothing", (&Value::Null, value), at);
                }
            });
        }
        let place = self.named(at, name);
        if at.marks & mark::ATOMIC != 0 && kubernetes::counts_in_atomic(&self.path, (name, value), (at, place)) {
            let reason = "the server writes what it is in as one value: what nobody declared counts too";
            return self.below(Step::Name(name), |walk| {
                walk.report_because(ChangeOp::Added, (&Value::Null, value), place, reason);
            });
        }
        if self.probing > 0 || self.is_twin(name, desired, at) {
            return;
        }
        if self.flavor == Flavor::Kubernetes && self.path.is_empty() && kubernetes::is_string_data(desired, name, value)
        {
            return;
        }
        let place = self.named(at, name);
        self.below(Step::Name(name), |walk| {
            if walk.is_unread(value) {
                return walk.unseen(place);
            }
            if !strict::undeclared(walk, value, place) {
                walk.undeclared(value, place);
            }
        });
    }

    /// Notes that what nobody declares was not read, where it would count.
    fn unseen(&mut self, at: Place) {
        const COUNTS: u32 = mark::STRICT | mark::DEEP;
        if at.strict.is_some() && (at.marks | self.item(at).marks) & COUNTS != 0 {
            self.unknown("not_read");
        }
    }

    /// Notes that nobody declares a value, if anybody need hear of it.
    fn undeclared(&mut self, value: &'a Value, at: Place) {
        match undeclared::silence(self, value, at) {
            Some(why) => self.fold(why, (&Value::Null, value), at),
            None if at.marks & mark::DEEP != 0 => strict::added(self, value, at),
            None => self.note_undeclared(value, at),
        }
    }

    /// Returns the whole of both sides.
    pub(super) fn roots(&self) -> Option<Pair<'a>> {
        self.owners.first().copied()
    }

    /// Returns whether anything is declared under the name at hand.
    pub(super) fn is_said(&self) -> bool {
        self.owners.last().is_some_and(|(desired, _)| desired.get(self.name()).is_some_and(|said| !is_empty(said)))
    }

    /// Notes that something was read at the place at hand that is not declared.
    pub(super) fn note_undeclared(&mut self, value: &Value, at: Place) {
        if self.probing == 0 {
            let path = pointer(&self.path);
            self.out.undeclared.push(path);
            self.fold("nobody declares it: listed as undeclared, not drift", (&Value::Null, value), at);
        }
    }

    /// Compares two values of different shape, or two scalars.
    fn unlike(&mut self, desired: &'a Value, observed: &'a Value, at: Place) {
        if desired.is_object() != observed.is_object() && list::is_tags(self.name()) {
            return self.documents(desired, observed, at);
        }
        match (desired, observed) {
            (Value::Array(items), other) if !other.is_array() => match items.as_slice() {
                [only] if self.knows(Class::Single) && (!other.is_object() || only.is_object()) => {
                    let place = self.item(at);
                    self.below(Step::Item(0), |walk| walk.value(only, other, place));
                }
                _ => self.documents(desired, observed, at),
            },
            (other, Value::Array(items)) => match items.as_slice() {
                [only] if self.knows(Class::Single) && (!other.is_object() || only.is_object()) => {
                    self.value(other, only, at);
                }
                _ => self.documents(desired, observed, at),
            },
            (Value::Object(_), _) | (_, Value::Object(_)) => self.documents(desired, observed, at),
            _ => self.scalars(desired, observed, at),
        }
    }

    fn scalars(&mut self, desired: &'a Value, observed: &'a Value, at: Place) {
        if desired == observed {
            return;
        }
        match scalar::judge(self, (desired, observed), at) {
            scalar::Judgment::Same(fold) => self.fold(fold, (desired, observed), at),
            scalar::Judgment::Unknown => self.unknown("unresolved"),
            scalar::Judgment::Withheld => self.unknown("write_only"),
            scalar::Judgment::Different => self.documents(desired, observed, at),
        }
    }

    /// Compares two values one of which may be a document written as text.
    fn documents(&mut self, desired: &'a Value, observed: &'a Value, at: Place) {
        let fold = match () {
            () if filling::is_vague(desired) => return self.unknown("unresolved"),
            () if at.policy
                && self.knows(Class::Principal)
                && policy::same_principal(self.name(), desired, observed) =>
            {
                Class::Principal
            }
            () if self.knows(Class::CommaList) && list::same_words(desired, observed) => Class::CommaList,
            () if self.knows(Class::TagShape) && list::is_tags(self.name()) && list::same_tags(desired, observed) => {
                Class::TagShape
            }
            () if self.knows(Class::Document) && self.same_texts(desired, observed, at) => {
                if filling::is_open(desired) {
                    return self.unknown("unresolved");
                }
                Class::Document
            }
            () => return self.report(ChangeOp::Changed, (desired, observed), at),
        };
        self.fold(fold.fold(), (desired, observed), at);
    }

    /// Returns whether two values, one of which at least is a document written as text, mean the same.
    fn same_texts(&self, desired: &Value, observed: &Value, at: Place) -> bool {
        let parsed = (scalar::document(desired), scalar::document(observed));
        let whole = at.marks & mark::PARTIAL == 0;
        match &parsed {
            (Some(left), Some(right)) => self.same_document(left, right, whole),
            (Some(left), None) if !observed.is_string() => self.same_document(left, observed, whole),
            (None, Some(right)) if !desired.is_string() => self.same_document(desired, right, whole),
            _ => false,
        }
    }

    /// Notes that nothing was read where something is declared.
    pub(super) fn absent(&mut self, desired: &'a Value, at: Place) {
        if self.settled() {
            return;
        }
        if self.is_lost(desired, at) {
            return self.report(ChangeOp::Removed, (desired, &Value::Null), at);
        }
        match desired {
            _ if is_empty(desired) => self.fold(NOTHING, (desired, &Value::Null), at),
            _ if self.is_vain(desired, at) => self.fold(said_in_vain(at), (desired, &Value::Null), at),
            _ if self.is_default(desired, at) => self.fold(DEFAULT, (desired, &Value::Null), at),
            _ if self.is_any_port(desired) => self.fold(Class::AnyPort.fold(), (desired, &Value::Null), at),
            _ if is_unresolved(desired) => self.unknown("unresolved"),
            _ if at.marks & mark::WRITE_ONLY != 0 => self.unknown("write_only"),
            _ if self.facts.depth == Depth::Listed || at.marks & mark::NOT_READ != 0 || self.is_instruction() => {
                self.unknown("not_read");
            }
            Value::Object(map) => {
                for (name, value) in map {
                    let place = self.named(at, name);
                    self.below(Step::Name(name), |walk| walk.absent(value, place));
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    let place = self.item(at);
                    self.below(Step::Item(index), |walk| walk.absent(value, place));
                }
            }
            _ if self.flavor == Flavor::Kubernetes => {}
            _ => self.unknown("write_only"),
        }
    }

    /// Returns whether any part of a declared value that was not read must have been removed.
    fn is_lost(&mut self, desired: &'a Value, at: Place) -> bool {
        !self.is_default(desired, at) && self.is_lost_below(desired, at)
    }

    /// The same where what it was part of is gone too: a default is what a part is of something that is there, so only
    /// one that says nothing or off stays what it was.
    fn is_lost_below(&mut self, desired: &'a Value, at: Place) -> bool {
        const UNREADABLE: u32 = mark::WRITE_ONLY | mark::NOT_READ;
        let unread = self.facts.depth == Depth::Listed || at.marks & UNREADABLE != 0;
        let unreadable = unread || self.is_vain(desired, at);
        let off = undeclared::is_silent(desired) && self.is_default(desired, at);
        let said_once = self.is_instruction() || self.is_any_port(desired);
        // A gap in a document stands for a value that is there.
        let is_vague = is_unresolved(desired) && !(self.document && desired.is_string());
        if unreadable || off || said_once || is_empty(desired) || is_vague {
            return false;
        }
        match desired {
            Value::Object(map) => map.iter().any(|(name, value)| {
                self.path.push(Step::Name(name));
                let lost = self.is_lost_below(value, self.named(at, name));
                self.path.pop();
                lost
            }),
            Value::Array(items) => items.iter().any(|value| self.is_lost_below(value, self.item(at))),
            _ if self.flavor == Flavor::Kubernetes => !kubernetes::is_left_out(self.name(), desired),
            // A switch that is about passwords is no password.
            Value::Bool(_) => true,
            // A document is given back in whole, and so is a map in which people invent the names.
            _ if at.whole || !self.knows(Class::HiddenSecret) || self.is_alone_lost(at) => true,
            _ => !sensitive::is_secret_name(self.name()),
        }
    }

    /// Returns whether the value at hand is missing from a map of people's own names of which others were read.
    fn is_alone_lost(&self, at: Place) -> bool {
        let is_invented = at.marks & mark::FREE_FORM != 0 || self.inside(|name| name == "Variables");
        let is_read = |(desired, observed): &Pair<'_>| {
            desired.contains_key(self.name()) && observed.values().any(|value| !value.is_null())
        };
        is_invented && self.owners.last().is_some_and(is_read)
    }

    /// Returns whether the attribute at hand only says how to carry out an operation, so that nothing is kept of it.
    fn is_instruction(&self) -> bool {
        self.flavor == Flavor::Aws
            && self.knows(Class::Instruction)
            && self.knowledge.lists(&table::INSTRUCTIONS, |word| word == self.name())
    }

    /// Returns whether a value is a port of a rule for every protocol, where it says nothing.
    pub(super) fn is_any_port(&self, value: &Value) -> bool {
        const WHATEVER: [i64; 3] = [-1, 0, 65_535];
        let every = |rule: &Map<String, Value>| rule.get("IpProtocol").is_some_and(|p| p == "-1" || p == -1);
        matches!(self.name(), "FromPort" | "ToPort")
            && self.knows(Class::AnyPort)
            && value.as_i64().is_some_and(|port| WHATEVER.contains(&port))
            && self.owners.last().is_some_and(|(rule, _)| every(rule))
    }

    /// Notes a difference at the place at hand.
    pub(super) fn report(&mut self, op: ChangeOp, both: (&Value, &Value), at: Place) {
        self.report_because(op, both, at, Cow::Borrowed(explain::because(op, at)));
    }

    /// Notes a difference at the place at hand, and why it counts.
    pub(super) fn report_because(
        &mut self,
        op: ChangeOp,
        both: (&Value, &Value),
        at: Place,
        reason: impl Into<Cow<'static, str>>,
    ) {
        self.differs = true;
        if self.probing == 0 {
            let (desired, observed, sensitive) = self.shown(both, at);
            let (path, reason) = (pointer(&self.path), reason.into());
            self.out.changes.push(Change { path, op, desired, observed, sensitive, reason, owner: None });
        }
    }

    /// Returns two values as they may be shown, and whether anything in them was masked.
    pub(super) fn shown(&self, (desired, observed): (&Value, &Value), at: Place) -> (Value, Value, bool) {
        let mut veil = sensitive::Veil::new(self.facts, self.schema);
        let named = sensitive::is_secret_place(self) || self.is_beside_secret() || filling::holds_secret(desired);
        let secret = at.marks & mark::WRITE_ONLY != 0 || named && !sensitive::is_measure(self, [desired, observed]);
        let (desired, observed) = (veil.shown(desired, at.schema, secret), veil.shown(observed, at.schema, secret));
        (desired, observed, veil.lifted())
    }

    /// Returns whether the value at hand stands beside what makes it a secret.
    fn is_beside_secret(&self) -> bool {
        let Some(Step::Name(name)) = self.path.last() else { return false };
        self.owners.last().is_some_and(|(left, right)| {
            sensitive::is_secret_entry(left, name) || sensitive::is_secret_entry(right, name)
        })
    }

    pub(super) fn unknown(&mut self, reason: &'static str) {
        if self.probing == 0 {
            self.out.unknown.push(Unknown { path: pointer(&self.path), reason });
        }
    }
}

/// Returns why it says nothing that Git declares a value which nobody can set.
fn said_in_vain(at: Place) -> &'static str {
    if at.marks & mark::TEMPLATE != 0 { TEMPLATE } else { READ_ONLY }
}

/// Returns the value at the end of a way below an object. Where the only item of a list is asked for and there are several,
/// it is the list, which nothing else is the same as.
fn followed<'v>(object: &'v Map<String, Value>, way: &str) -> Option<&'v Value> {
    let mut steps = way.split('/');
    let mut at = object.get(steps.next()?)?;
    for step in steps {
        at = match (step, at.as_array().map(Vec::as_slice)) {
            ("*", Some([only])) => only,
            ("*", Some(_)) => return Some(at),
            (name, _) => at.get(name)?,
        };
    }
    Some(at)
}

/// Comparison operators of services that renamed them, old and new.
const OPERATORS: [(&str, &str); 6] = [
    ("Eq", "Equals"),
    ("Neq", "NotEquals"),
    ("Gt", "GreaterThan"),
    ("Gte", "GreaterThanOrEqual"),
    ("Lt", "LessThan"),
    ("Lte", "LessThanOrEqual"),
];

fn synonym(name: &str) -> Option<&'static str> {
    OPERATORS.iter().find(|(_, new)| *new == name).map(|(old, _)| *old)
}

/// Returns whether a declared value stands for one that could not be resolved: marked so, or looked up by the provider
/// when it is applied.
pub(super) fn is_unresolved(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.len() == 1 && map.get("$unknown") == Some(&Value::Bool(true)),
        Value::String(text) => text.starts_with("{{resolve:") || text.starts_with("resolve:ssm:"),
        _ => false,
    }
}

/// Returns whether a declared value could match too much, because part of it is not known.
pub(super) fn holds_unresolved(value: &Value) -> bool {
    match value {
        Value::Object(map) => is_unresolved(value) || map.values().any(holds_unresolved),
        Value::Array(items) => items.iter().any(holds_unresolved),
        _ => false,
    }
}

/// Returns whether a value says no more than its absence does.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns the RFC 6901 pointer of a path.
pub(super) fn pointer(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        out.push('/');
        match step {
            Step::Item(index) => out.push_str(&index.to_string()),
            Step::Each => out.push('*'),
            Step::Name(name) => {
                for c in name.chars() {
                    match c {
                        '~' => out.push_str("~0"),
                        '/' => out.push_str("~1"),
                        _ => out.push(c),
                    }
                }
            }
        }
    }
    out
}
