//! All endpoints of all sources in one table, asked for calls that no configured route matched.

use std::collections::HashSet;

use starve_routing::{Entry, Match, Methods, Pattern, Predicates, Request, RouteTable, Segment};

use super::collector::shape;
use crate::asked::Asked;

/// Finds the endpoint of a call by the precedence of [`RouteTable`]. Every endpoint is in it once, whichever source
/// named it, and an endpoint that a configured route takes is not.
#[derive(Clone, Debug)]
pub struct Inventory {
    table: RouteTable<usize>,
    endpoints: Vec<Pattern>,
}

impl Default for Inventory {
    fn default() -> Self {
        Self::build([], &[])
    }
}

impl Inventory {
    /// `listed`: the pattern of each endpoint and its further spellings; of endpoints that take the same calls the
    /// first one stays. `configured`: the patterns of the route table that is asked first; what is one of them is
    /// counted there.
    pub fn build(listed: impl IntoIterator<Item = (Pattern, Vec<Pattern>)>, configured: &[&Pattern]) -> Self {
        let mut taken: HashSet<String> =
            configured.iter().flat_map(|pattern| shapes(pattern)).map(|(_, shape)| shape).collect();
        let mut endpoints = Vec::new();
        let mut entries = Vec::new();
        for (pattern, also) in listed {
            let place = endpoints.len();
            let mut is_in = false;
            for (index, pattern) in std::iter::once(&pattern).chain(&also).enumerate() {
                let methods: Vec<_> =
                    shapes(pattern).into_iter().filter(|(_, shape)| taken.insert(shape.clone())).collect();
                // Where the endpoint itself is known, so are its other spellings.
                if index == 0 && methods.is_empty() {
                    break;
                }
                if let Some(pattern) = narrowed(pattern, &methods) {
                    is_in = true;
                    entries.push(Entry { pattern, when: Predicates::default(), value: place });
                }
            }
            if is_in {
                endpoints.push(pattern);
            }
        }
        let table = loop {
            match RouteTable::build(entries.clone()) {
                Ok(table) => break table,
                // Shapes differ, so there are none; should there be one, its endpoint gives way.
                Err(conflicts) => {
                    let beaten: HashSet<_> = conflicts.iter().map(|conflict| conflict.second).collect();
                    let mut index = 0;
                    entries.retain(|_| {
                        index += 1;
                        !beaten.contains(&(index - 1))
                    });
                }
            }
        };
        Self { table, endpoints }
    }

    /// The endpoint of a call, by its place among [`Inventory::endpoints`].
    pub fn find(&self, request: &(impl Request + ?Sized)) -> Option<usize> {
        self.table.find(request).map(|found: Match<'_, usize>| *found.value)
    }

    /// The endpoint that the calls of a template belong to, such as `/products/{int}` or `/files/{path}`.
    pub fn find_template(&self, method: &str, template: &str) -> Option<usize> {
        self.find(&Asked { method, host: None, path: &sample_path(template), query: None })
    }

    /// In the order in which they were listed.
    pub fn endpoints(&self) -> &[Pattern] {
        &self.endpoints
    }

    /// All that is asked for, further spellings too.
    pub(crate) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.table.entries().iter().map(|entry| &entry.pattern)
    }

    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Whether calls of a template, given by its [`sample_path`], may be calls of an endpoint all the same: it ends in a
    /// parameter, and the template lies below the path in front of that. Applications match slashes there that their description does not tell.
    pub fn is_below(endpoint: &Pattern, sample: &str) -> bool {
        let Some((Segment::Parameter(_), front)) = endpoint.segments().split_last() else { return false };
        let mut segments = sample.split('/').skip(1);
        let mut matches = |segment: &Segment| {
            segments.next().is_some_and(|text| match segment {
                Segment::Literal(literal) => literal == text,
                Segment::Parameter(parameter) => parameter.value(text).is_some(),
                Segment::Rest { .. } => true,
            })
        };
        // One segment is the parameter's own value, more than one is what it may hold besides.
        !front.is_empty() && front.iter().all(&mut matches) && segments.count() > 1
    }

    /// The endpoints that a listed pattern ended up as: itself, or those that were listed before it.
    pub fn find_pattern(&self, pattern: &Pattern) -> Vec<usize> {
        let host = pattern.host().map(|host| host.to_string().replacen('*', "any", 1));
        let path = sample_path(pattern.path_template());
        let methods = match pattern.methods() {
            Methods::Any => vec!["*".to_owned()],
            Methods::These(methods) => methods.clone(),
        };
        let find =
            |method: &String| self.find(&Asked { method, host: host.as_deref(), path: &path, query: None });
        let mut found: Vec<_> = methods.iter().filter_map(find).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn shapes(pattern: &Pattern) -> Vec<(String, String)> {
    let methods = match pattern.methods() {
        Methods::Any => vec!["*".to_owned()],
        Methods::These(methods) => methods.clone(),
    };
    methods.into_iter().map(|method| (method.clone(), shape(&method, pattern))).collect()
}

fn narrowed(pattern: &Pattern, methods: &[(String, String)]) -> Option<Pattern> {
    let names: Vec<_> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let host = pattern.host().map(|host| format!("//{host}")).unwrap_or_default();
    format!("{} {host}{}", names.join(","), pattern.path_template()).parse().ok()
}

/// A path that has the form of a template.
pub fn sample_path(template: &str) -> String {
    let mut path = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inner, tail)) = after.split_once('}') else { break };
        path.push_str(before);
        // `{int}`, or a name with a type: `{id:int}`.
        if inner.ends_with('*') {
            path.push_str("x/y");
            rest = tail;
            continue;
        }
        path.push_str(match inner.rsplit(':').next().unwrap_or(inner) {
            "int" => "1",
            "uuid" => "00000000-0000-4000-8000-000000000000",
            "hex" => "0123456789abcdef",
            "date" => "2026-01-31",
            "decimal" => "1.5",
            "rest" => "x/y",
            "path" => "x%2Fy",
            // What a slug takes.
            "value" | "id" | "locale" | "ulid" => "x-y",
            _ => "x~y",
        });
        rest = tail;
    }
    path.push_str(rest);
    path
}
