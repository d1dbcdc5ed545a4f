use serde_json::json;

use crate::arguments::{Global, KillSwitch, OnOff};
use crate::client::Admin;
use crate::output::{Failure, print};

pub(crate) fn run(global: &Global, switch: &KillSwitch) -> Result<(), Failure> {
    let on = switch.state == OnOff::On;
    let order = json!({ "on": on, "route": switch.route });
    Admin::of(global)?.post("/api/kill-switch", &order)?.ok()?;
    let what = switch.route.as_deref().unwrap_or("all routes");
    let effect = if on { "the monolith answers, whatever the stage" } else { "the stages decide again" };
    print(&format!("{what}: {effect}\n"))
}
