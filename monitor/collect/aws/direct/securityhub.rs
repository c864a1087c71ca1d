//! Security Hub: whether an account uses it in a region.

use super::service::SECURITY_HUB;
use super::shape::{flag, tag_map, text};
use super::{Arg, Call, Direct, call, part};

/// What the service calls an account that has not subscribed to it. A missing permission has another name.
const NOT_SUBSCRIBED: &[&str] = &["InvalidAccessException"];

const HUB_CALL: Call = call("GET /accounts", "").none(NOT_SUBSCRIBED).action("securityhub:DescribeHub");

pub(super) const HUB: Direct = Direct {
    list: &[HUB_CALL],
    // An account has one in a region, so that none other needs to be asked for.
    named: &[HUB_CALL],
    shape: &[
        text("ARN", "HubArn"),
        flag("AutoEnableControls", "AutoEnableControls"),
        text("ControlFindingGenerator", "ControlFindingGenerator"),
        text("SubscribedAt", "SubscribedAt"),
    ],
    parts: &[part(
        call("GET /tags/{ResourceArn}", "")
            .with(&[("ResourceArn", Arg::Of("HubArn"))])
            .action("securityhub:ListTagsForResource"),
        &[tag_map("Tags")],
    )],
    ..Direct::new("AWS::SecurityHub::Hub", &SECURITY_HUB, &["HubArn"])
};
