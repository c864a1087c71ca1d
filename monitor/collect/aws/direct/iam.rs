//! IAM: one list of everything about a principal, by kind.

use super::service::IAM;
use super::shape::{json, tags, text};
use super::{Arg, Direct, call};

pub(super) const ROLE: Direct = Direct {
    list: &[call("GetAccountAuthorizationDetails", "RoleDetailList")
        .with(&[("Filter", Arg::Texts(&["Role"])), ("MaxItems", Arg::Int(1000))])
        .pages("Marker", "Marker")],
    named: &[call("GetRole", "Role").with(&[("RoleName", Arg::Name(0))])],
    gone: &["NoSuchEntity"],
    shape: &[
        text("RoleName", "RoleName"),
        text("Arn", "Arn"),
        text("RoleId", "RoleId"),
        text("Path", "Path"),
        json("AssumeRolePolicyDocument", "AssumeRolePolicyDocument"),
    ],
    ..Direct::new("AWS::IAM::Role", &IAM, &["RoleName"])
};

pub(super) const USER: Direct = Direct {
    list: &[call("GetAccountAuthorizationDetails", "UserDetailList")
        .with(&[("Filter", Arg::Texts(&["User"])), ("MaxItems", Arg::Int(1000))])
        .pages("Marker", "Marker")],
    gone: &["NoSuchEntity"],
    shape: &[text("UserName", "UserName"), text("Arn", "Arn"), text("Path", "Path"), tags("Tags")],
    ..Direct::new("AWS::IAM::User", &IAM, &["UserName"])
};
