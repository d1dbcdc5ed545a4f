//! An explanation as lines for people.

use std::fmt;

use super::{Candidate, Explanation, Outcome, Reason};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.method)?;
        if let Some(host) = &self.host {
            write!(f, "//{host}")?;
        }
        f.write_str(&self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        writeln!(f)?;
        let width =
            self.candidates.iter().map(|candidate| candidate.label().chars().count()).max().unwrap_or(0);
        for candidate in &self.candidates {
            let mark = if matches!(candidate.outcome, Outcome::Won { .. }) { '>' } else { ' ' };
            writeln!(f, "{mark} {:width$}  {}", candidate.label(), self.outcome(candidate))?;
        }
        if self.winner.is_none() {
            writeln!(f, "no route matches: the default upstream answers")?;
        }
        Ok(())
    }
}

impl Explanation {
    fn outcome(&self, candidate: &Candidate) -> String {
        match &candidate.outcome {
            Outcome::Won { params } if params.is_empty() => "wins".to_owned(),
            Outcome::Won { params } => {
                let params: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("wins with {}", params.join(", "))
            }
            Outcome::Shadowed { by } => match self.candidates.iter().find(|other| other.index == *by) {
                Some(winner) => format!("matches, but `{}` is more specific", winner.label()),
                None => "matches, but another route is more specific".to_owned(),
            },
            Outcome::Rejected { reasons } => {
                let reasons: Vec<_> = reasons.iter().map(Reason::to_string).collect();
                reasons.join("; ")
            }
        }
    }
}

impl Candidate {
    fn label(&self) -> String {
        match self.when.as_str() {
            "" => self.pattern.clone(),
            when => format!("{} [{when}]", self.pattern),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(near) => near.fmt(f),
            Self::Host { expected } => write!(f, "host is not {expected}"),
            Self::Method { listed } => write!(f, "method is not {}", listed.join(" or ")),
            Self::HeaderMissing { name } => write!(f, "header {name} is missing"),
            Self::HeaderOther { name, expected } => write!(f, "header {name} is not `{expected}`"),
            Self::QueryMissing { name } => write!(f, "query parameter {name} is missing"),
            Self::QueryOther { name, expected } => write!(f, "query parameter {name} is not `{expected}`"),
        }
    }
}
