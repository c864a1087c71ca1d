//! What a comparison knows besides the two values, in parts that can be taken away.
//!
//! In operation everything is known. Parts are taken away only to measure what each of them is worth: a part that one
//! kind alone needs was found by reading that kind, and says how much would be missing on a kind nobody has read.

use super::table::{self, Fact};
use super::{list, scalar, text, undeclared, unsaid};
use crate::schema::Tree;

/// A class of values that look different and mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Numbers and truth values written as text.
    Canonical,
    /// Numbers that were kept in 32 bits.
    Precision,
    /// A moment as a count of seconds.
    Epoch,
    /// Line ends, blanks at the end, blanks in schedules.
    Blanks,
    /// Certificates and keys between `BEGIN` and `END`, whatever their line breaks.
    Pem,
    /// Decimal numbers with zeros at their end.
    Decimal,
    /// Addresses and networks of the internet.
    Network,
    /// Protocols by name or by number.
    Protocol,
    /// Addresses of the web.
    Url,
    /// Text in base 64, or with percent signs.
    Encoded,
    /// Names of header fields, in any case.
    HeaderCase,
    /// Actions of policies, weekly windows and mail addresses, in any case.
    PlainCase,
    /// Names that the service keeps in lower case.
    LoweredName,
    /// Words of a fixed vocabulary, in any case.
    Word,
    /// Words of a fixed vocabulary, with dashes or with underscores.
    Dash,
    /// Host names, in any case and with a dot at their end.
    Host,
    /// Moments written with or without zone and fraction.
    Time,
    /// Spans of time in the notation of ISO 8601.
    Span,
    /// SSH public keys with their comments.
    PublicKey,
    /// A version and the shorter one that stands for it.
    Version,
    /// Access lists of Redis.
    AccessList,
    /// A key and its alias.
    KeyAlias,
    /// A name for an ARN.
    ArnForName,
    /// An ARN with what the service adds at its end.
    ArnSuffix,
    /// An account and the ARN of its root; everybody; an origin access identity.
    Principal,
    /// Letters that templates cannot carry.
    Garbled,
    /// Stars in place of a value.
    Withheld,
    /// Identifiers and places of Azure.
    Azure,
    /// Names and spans of Google Cloud.
    Google,
    /// Names of attributes in another case.
    Respelled,
    /// Comparison operators under their old and new names.
    Operator,
    /// One item in place of a list of one.
    Single,
    /// Documents written as text.
    Document,
    /// A list of words with commas between them.
    CommaList,
    /// Tags as a list of pairs and as a map.
    TagShape,
    /// Tags that the provider adds.
    ProviderTag,
    /// More items beside those that have names.
    NamedItem,
    /// Items that other resources declare.
    Sibling,
    /// Lists whose order is not said to mean anything.
    AnyOrder,
    /// The same item twice.
    Duplicate,
    /// A secret that is not given back.
    HiddenSecret,
    /// What was only said to carry out an operation.
    Instruction,
    /// Ports of a rule for every protocol.
    AnyPort,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 43] = [
        Self::Canonical,
        Self::Precision,
        Self::Epoch,
        Self::Blanks,
        Self::Pem,
        Self::Decimal,
        Self::Network,
        Self::Protocol,
        Self::Url,
        Self::Encoded,
        Self::HeaderCase,
        Self::PlainCase,
        Self::LoweredName,
        Self::Word,
        Self::Dash,
        Self::Host,
        Self::Time,
        Self::Span,
        Self::PublicKey,
        Self::Version,
        Self::AccessList,
        Self::KeyAlias,
        Self::ArnForName,
        Self::ArnSuffix,
        Self::Principal,
        Self::Garbled,
        Self::Withheld,
        Self::Azure,
        Self::Google,
        Self::Respelled,
        Self::Operator,
        Self::Single,
        Self::Document,
        Self::CommaList,
        Self::TagShape,
        Self::ProviderTag,
        Self::NamedItem,
        Self::Sibling,
        Self::AnyOrder,
        Self::Duplicate,
        Self::HiddenSecret,
        Self::Instruction,
        Self::AnyPort,
    ];

    /// Returns why two sides of this class mean the same, for people.
    pub(super) const fn fold(self) -> &'static str {
        match self {
            Self::Precision => "one number, kept in 32 bits by the service",
            Self::Canonical => "one number or truth value, written in two ways",
            Self::Epoch | Self::Time => "one moment, written in two ways",
            Self::Blanks => "only blanks or line ends differ",
            Self::Pem => "one key or certificate: its line breaks say nothing",
            Self::Decimal => "one decimal number, written in two ways",
            Self::Network => "one network or address, in two spellings",
            Self::Protocol => "one protocol, by its name and by its number",
            Self::Url => "one address of the web, in two spellings",
            Self::Encoded => "the same text, once encoded",
            Self::HeaderCase => "case says nothing in the name of a header",
            Self::PlainCase => "case says nothing in an action, a window or a mail address",
            Self::LoweredName => "the service keeps names in lower case",
            Self::Word => "a word of a fixed vocabulary, taken in any case",
            Self::Dash => "a word of a fixed vocabulary, with dashes or underscores",
            Self::Host => "one host: case and a dot at the end say nothing",
            Self::Span => "one span of time, written in two ways",
            Self::PublicKey => "one public key: its comment is not kept",
            Self::Version => "a version that the declared one stands for",
            Self::AccessList => "one access list: everybody begins with `-@all`",
            Self::KeyAlias => "the key that the alias stands for",
            Self::ArnForName => "ARN, URL or identifier of the same name",
            Self::ArnSuffix => "the same ARN with what the service appends",
            Self::Principal => "one account or everybody, in two spellings",
            Self::Garbled => "letters that a template cannot carry",
            Self::Withheld => "the provider shows stars in its place",
            Self::Azure => "one place or identifier of Azure, in two spellings",
            Self::Google => "one name or time span of Google Cloud, in two spellings",
            Self::Respelled => "read under another spelling of its name",
            Self::Operator => "one operator, under its old and its new name",
            Self::Single => "a list of one is its item",
            Self::Document => "the same document, written as text in another way",
            Self::CommaList => "the same words, as a list and with commas between them",
            Self::TagShape => "the same tags, as a map and as pairs",
            Self::ProviderTag => "a tag of the provider's own",
            Self::NamedItem => "an item beside those that have names",
            Self::Sibling => "another declaration puts it there",
            Self::AnyOrder => "order means nothing: the list is a set",
            Self::Duplicate => "a set holds it once",
            Self::HiddenSecret => "a secret that is not given back",
            Self::Instruction => "only says how to carry out an operation",
            Self::AnyPort => "a rule for every protocol has no ports",
        }
    }

    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// Something that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A class of values.
    Class(Class),
    /// One word of the lists by which folds know where they hold.
    Word(&'static str),
    /// A line of the table.
    Fact(Fact),
}

/// What a comparison knows.
#[derive(Debug)]
pub struct Knowledge {
    hidden: u64,
    word: Option<&'static str>,
    table: Table,
}

#[derive(Debug)]
enum Table {
    Whole,
    Nothing,
    Lacking(Tree),
}

impl Knowledge {
    /// Everything.
    pub const WHOLE: Self = Self { hidden: 0, word: None, table: Table::Whole };
    /// Classes of values, and nothing about a single kind but its provider's schema.
    pub const CLASSES: Self = Self { hidden: 0, word: None, table: Table::Nothing };
    /// The provider's schema and nothing else.
    pub const SCHEMA: Self = Self { hidden: u64::MAX, word: None, table: Table::Nothing };

    /// Returns everything but one part.
    pub fn without(part: Part) -> Self {
        match part {
            Part::Class(class) => Self { hidden: class.bit(), ..Self::WHOLE },
            Part::Word(word) => Self { word: Some(word), ..Self::WHOLE },
            Part::Fact(fact) => Self { table: Table::Lacking(table::without(fact)), ..Self::WHOLE },
        }
    }

    /// Returns every line of the table.
    pub fn every_fact() -> impl Iterator<Item = Part> {
        table::facts().map(Part::Fact)
    }

    /// Returns the lines of the table about a kind.
    pub fn facts(kind: &str) -> impl Iterator<Item = Part> {
        table::facts().filter(move |fact| fact.kind == kind).map(Part::Fact)
    }

    /// Returns the words by which folds know where they hold.
    pub fn words() -> impl Iterator<Item = Part> {
        let lists: [&[&'static str]; 7] = [
            &scalar::HOSTS,
            &text::URLS,
            &list::KEYS,
            &list::ORDERED,
            &list::BAG_NAMES,
            &table::LOWERS_NAMES,
            &table::INSTRUCTIONS,
        ];
        lists.into_iter().flatten().copied().map(Part::Word)
    }

    pub(super) const fn has(&self, class: Class) -> bool {
        self.hidden & class.bit() == 0
    }

    /// Returns the names that keep quiet about what is not declared.
    pub fn unsaid() -> impl Iterator<Item = Part> {
        unsaid::names().chain(undeclared::MADE_UP).map(Part::Word)
    }

    /// Returns whether a name is known.
    pub(super) fn is_known(&self, name: &str) -> bool {
        self.word != Some(name)
    }

    /// Returns whether any word of a list is meant, of those that are known.
    pub(super) fn lists(&self, words: &'static [&'static str], is: impl Fn(&'static str) -> bool) -> bool {
        self.find(words, is).is_some()
    }

    /// Returns the first word of a list that is meant, of those that are known.
    pub(super) fn find(
        &self,
        words: &'static [&'static str],
        is: impl Fn(&'static str) -> bool,
    ) -> Option<&'static str> {
        words.iter().copied().find(|word| is(word) && self.word != Some(*word))
    }

    pub(super) fn table(&self, kind: &str) -> &Tree {
        match &self.table {
            Table::Whole => table::of(kind),
            Table::Nothing => table::nothing(),
            Table::Lacking(tree) => tree,
        }
    }
}
