//! What a visitor can know of the shop beforehand: products, categories and customers, from the shop's own seed.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::random::{Random, Zipf};

/// The password of every seeded customer.
pub(crate) const PASSWORD: &str = "autumn-rain";
pub(crate) const STAFF: &str = "admin@example.com";

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::load);

#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) categories: Vec<Category>,
    pub(crate) products: Vec<Product>,
    pub(crate) customers: Vec<Customer>,
    popularity: Zipf,
    by_popularity: Vec<usize>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Category {
    pub(crate) slug: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u32,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) price_cents: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Customer {
    pub(crate) email: String,
    pub(crate) country: String,
}

#[derive(Deserialize)]
struct CatalogueFile {
    categories: Vec<Category>,
    products: Vec<Product>,
}

impl Catalogue {
    pub(crate) fn shared() -> &'static Self {
        &CATALOGUE
    }

    #[expect(clippy::expect_used, reason = "the files are part of the program, and the tests read them")]
    fn load() -> Self {
        let file: CatalogueFile =
            serde_json::from_str(include_str!("../../../legacy-monolith/seed/catalogue.json"))
                .expect("the catalogue is valid");
        let customers = serde_json::from_str(include_str!("../../../legacy-monolith/seed/customers.json"))
            .expect("the customers are valid");
        let mut by_popularity: Vec<usize> = (0..file.products.len()).collect();
        // Whatever the seed of a run: what sells well is a fact of the shop.
        Random::of_stream(2014, 0).shuffle(&mut by_popularity);
        Self {
            popularity: Zipf::new(file.products.len()),
            by_popularity,
            categories: file.categories,
            products: file.products,
            customers,
        }
    }

    /// A product by popularity: a few are wanted by nearly all, most by hardly anybody.
    pub(crate) fn popular(&self, random: &mut Random) -> &Product {
        &self.products[self.by_popularity[self.popularity.rank(random)]]
    }
}
