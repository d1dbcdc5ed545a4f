//! Turns a core module with embedded interface types into a component: `componentize IN.wasm OUT.wasm`.

use anyhow::{Context as _, Result, bail};
use wit_component::ComponentEncoder;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else { bail!("usage: componentize IN.wasm OUT.wasm") };
    let module = std::fs::read(from).with_context(|| format!("read {from}"))?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    std::fs::write(to, component).with_context(|| format!("write {to}"))
}
