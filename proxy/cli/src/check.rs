use serde::Serialize;
use starve_engine::ConfigFile;

use crate::arguments::{Check, Format, Global};
use crate::output::{Failure, is_colour, print, print_json};

#[derive(Serialize)]
struct Outcome<'a> {
    ok: bool,
    file: String,
    routes: usize,
    functions: usize,
    errors: &'a [starve_config::Problem],
    warnings: &'a [starve_config::Problem],
}

pub(crate) fn run(global: &Global, check: &Check) -> Result<(), Failure> {
    let file = ConfigFile::new(&global.config);
    let name = global.config.display().to_string();
    match (file.check(), check.format) {
        (Ok(read), Format::Text) => {
            let (routes, functions) = (read.plan.routes.len(), read.plan.functions.len());
            if !read.warnings.is_empty() {
                print(&(read.warnings.render(is_colour(&std::io::stdout())) + "\n\n"))?;
            }
            print(&format!("{name}: ok, {} and {}\n", count(routes, "route"), count(functions, "function")))
        }
        (Ok(read), Format::Json) => print_json(&Outcome {
            ok: true,
            file: name,
            routes: read.plan.routes.len(),
            functions: read.plan.functions.len(),
            errors: &[],
            warnings: &read.warnings.problems(),
        }),
        (Err(error), Format::Text) => Err(Failure::config(&error)),
        (Err(error), Format::Json) => {
            let errors = error.problems();
            print_json(&Outcome {
                ok: false,
                file: name,
                routes: 0,
                functions: 0,
                errors: &errors,
                warnings: &[],
            })?;
            Err(Failure::config_told())
        }
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
