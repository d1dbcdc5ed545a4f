//! One scrape of `/metrics` (Prometheus text format 0.0.4).

use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    series: Vec<(String, Labels, f64)>,
}

impl Metrics {
    /// # Panics
    /// The text is not in the format, or a series stands twice.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series: Vec<_> = lines.map(|line| parse_line(line).unwrap_or_else(|| panic!("{line}"))).collect();
        let mut seen = std::collections::BTreeSet::new();
        for (name, labels, _) in &series {
            assert!(seen.insert((name, labels)), "twice: {name} {labels:?}");
        }
        Self { series }
    }

    /// The value of the one series with exactly these labels.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Labels =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let is_it = |(known, its, _): &&(String, Labels, f64)| known == name && *its == labels;
        self.series.iter().find(is_it).map(|(_, _, value)| *value)
    }

    /// The sum of all series that have these labels, whatever others they have.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.with(name, labels).iter().sum()
    }

    /// How many series have these labels, whatever others they have.
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.with(name, labels).len()
    }

    fn with(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let has =
            |its: &Labels| labels.iter().all(|(key, value)| its.get(*key).is_some_and(|its| its == value));
        let these = self.series.iter().filter(|(known, its, _)| known == name && has(its));
        these.map(|(_, _, value)| *value).collect()
    }

    /// Calls by route, side, method and class.
    pub fn calls(&self, route: &str, side: &str, method: &str, code: &str) -> Option<f64> {
        let labels = [("route", route), ("side", side), ("method", method), ("code", code)];
        self.get("starve_requests_total", &labels)
    }

    /// All calls of a route that a side answered.
    pub fn calls_of(&self, route: &str, side: &str) -> f64 {
        self.sum("starve_requests_total", &[("route", route), ("side", side)])
    }
}

fn parse_line(line: &str) -> Option<(String, Labels, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().ok()? };
    let Some((name, rest)) = series.split_once('{') else {
        return Some((series.to_owned(), Labels::new(), value));
    };
    Some((name.to_owned(), parse_labels(rest.strip_suffix('}')?)?, value))
}

fn parse_labels(mut text: &str) -> Option<Labels> {
    let mut labels = Labels::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once("=\"")?;
        let (value, rest) = parse_value(rest)?;
        labels.insert(key.to_owned(), value);
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

/// A value up to its closing quote, and what follows.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_all_their_labels_and_summed_by_some() {
        let metrics = Metrics::parse(
            "# HELP a b\na{route=\"GET /x\",side=\"legacy\"} 2\na{route=\"GET /x\",side=\"function\"} 3\nb 1.5\n\
             c{route=\"say \\\"hi\\\", {id}\"} 4\n",
        );
        assert_eq!(metrics.get("a", &[("side", "legacy"), ("route", "GET /x")]), Some(2.0));
        assert_eq!(metrics.get("a", &[("route", "GET /x")]), None);
        assert_eq!(metrics.sum("a", &[("route", "GET /x")]), 5.0);
        assert_eq!(metrics.get("b", &[]), Some(1.5));
        assert_eq!(metrics.get("c", &[("route", "say \"hi\", {id}")]), Some(4.0));
    }
}
