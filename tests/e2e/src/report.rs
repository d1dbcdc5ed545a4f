//! What `starve report --format json` says.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct Report(pub Value);

impl Report {
    /// The row of a configured route.
    #[track_caller]
    pub fn route(&self, id: &str) -> &Value {
        let rows = self.0["routes"].as_array().expect("routes");
        rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no route {id} in {}", self.0))
    }

    /// Calls of a configured route that were answered by the monolith, the function, nobody.
    #[track_caller]
    pub fn calls(&self, id: &str) -> (u64, u64, u64) {
        let row = self.route(id);
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number in {row}"));
        (
            number(&row["legacy"]["calls"]),
            number(&row["function_side"]["calls"]),
            number(&row["calls_nobody"]),
        )
    }

    /// Calls of a discovered endpoint.
    pub fn discovered(&self, method: &str, template: &str) -> u64 {
        let rows = self.0["discovered"].as_array().expect("discovered");
        let row = rows.iter().find(|row| row["method"] == method && row["template"] == template);
        row.and_then(|row| row["calls"].as_u64()).unwrap_or(0)
    }
}
