//! Turns `catalogue.json` into a table of ready-made JSON texts, so that a call parses nothing: every call
//! starts in a fresh instance and would have to parse the whole catalogue anew.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

/// What a product shows, in this order; `weight_g` and `vat_class` are for the shop alone.
const SHOWN: [&str; 10] =
    ["id", "slug", "name", "description", "category", "price_cents", "currency", "tags", "stock", "rating"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=catalogue.json");
    let catalogue: Value = serde_json::from_str(include_str!("catalogue.json"))?;
    let products = catalogue["products"].as_array().ok_or("catalogue.json has no list of products")?;
    let mut rows = products.iter().map(row).collect::<Result<Vec<_>, _>>()?;
    rows.sort_by_key(|(id, _)| *id);

    let mut table = String::from("&[\n");
    for (id, json) in rows {
        writeln!(table, "    ({id}, {json:?}),")?;
    }
    table.push(']');
    let folder = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("products.rs"), table)?;
    Ok(())
}

/// The product's id and its JSON object without the closing brace: `updated_at` is still to come.
fn row(product: &Value) -> Result<(i64, String), Box<dyn Error>> {
    let id = product["id"].as_i64().ok_or_else(|| format!("not a product: {product}"))?;
    let mut shown = Map::new();
    for key in SHOWN {
        let value = product.get(key).ok_or_else(|| format!("product {id} has no {key}"))?;
        shown.insert(key.to_owned(), value.clone());
    }
    let mut json = Value::Object(shown).to_string();
    json.pop();
    Ok((id, json))
}
