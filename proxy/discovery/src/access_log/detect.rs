//! Which format a log has, by how many of its first lines each of them reads.

use super::{Fields, Format, Line, Reader};

/// Lines that are looked at.
const LINES: usize = 100;

/// The format that reads most of the first lines, if it reads half of them. `text` may end within a line.
pub fn detect(text: &[u8], fields: &Fields) -> Option<Format> {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').take(LINES).collect();
    let candidates = [
        Format::Combined,
        Format::Json(fields.clone()),
        Format::CloudFront,
        Format::Iis,
        Format::Ltsv,
        Format::Alb,
    ];
    let mut best = None;
    for format in candidates {
        let (mut read, mut bad) = (0_usize, 0_usize);
        let mut reader = Reader::new(format.clone());
        for (place, line) in lines.iter().enumerate() {
            match reader.read(line) {
                // It may be cut.
                Line::Bad(_) if place + 1 == lines.len() => {}
                Line::Call(_) | Line::NoRequest => read += 1,
                Line::Bad(_) => bad += 1,
                Line::Nothing => {}
            }
        }
        if read > 0 && read >= bad && best.as_ref().is_none_or(|(most, _)| read > *most) {
            best = Some((read, format));
        }
    }
    best.map(|(_, format)| format)
}
