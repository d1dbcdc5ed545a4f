//! Text and HTML, line by line.

use crate::difference::{Findings, Kind};
use crate::shown::Shown;
use crate::verdict::Layer;

/// White space at the ends of lines and of the text does not count. What differs is said by line numbers, never
/// by content.
pub(crate) fn compare(legacy: &[u8], function: &[u8], findings: &mut Findings) {
    let [legacy, function] = [legacy, function].map(|text| lines(text).collect::<Vec<_>>());
    let differing =
        legacy.iter().zip(&function).enumerate().filter(|(_, (legacy, function))| legacy != function);
    let (mut first, mut count) = (None, 0);
    for (index, _) in differing {
        first.get_or_insert(index + 1);
        count += 1;
    }
    if count == 0 && legacy.len() == function.len() {
        return;
    }
    let kind = if legacy.len() == function.len() { Kind::Value } else { Kind::Size };
    let first = first.unwrap_or(legacy.len().min(function.len()) + 1);
    let shown = [&legacy, &function]
        .map(|lines| Shown::word(format!("{} lines, {count} differ, first at line {first}", lines.len())));
    findings.add(Layer::Body, "body:text", kind, shown, None);
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.trim_ascii_end().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end)
}
