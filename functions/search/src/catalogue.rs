//! The catalogue, and what is found in it. Knows nothing of HTTP.

use serde::{Deserialize, Serialize};

use crate::query::is_space;

/// The products of the shop, in the order of their ids.
pub(crate) struct Catalogue(Vec<Product>);

struct Product {
    row: Row,
    name: String,
    description: String,
}

#[derive(Deserialize)]
struct Row {
    id: u32,
    slug: String,
    name: String,
    description: String,
    category: String,
    tags: Vec<String>,
    price_cents: u64,
}

/// A product as a list shows it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Item<'a> {
    pub(crate) id: u32,
    slug: &'a str,
    name: &'a str,
    price_cents: u64,
}

impl Catalogue {
    pub(crate) fn read() -> Result<Self, serde_json::Error> {
        let rows: Vec<Row> = serde_json::from_str(include_str!("../products.json"))?;
        let with_keys = |row: Row| Product {
            name: row.name.to_lowercase(),
            description: row.description.to_lowercase(),
            row,
        };
        Ok(Self(rows.into_iter().map(with_keys).collect()))
    }

    /// Products in which every word is found; those with all words in the name come first.
    pub(crate) fn search(&self, query: &str) -> Vec<Item<'_>> {
        let query = query.to_lowercase();
        let words: Vec<_> = query.split(is_space).filter(|word| !word.is_empty()).collect();
        let found = self.0.iter().filter(|product| words.iter().all(|word| product.has(word)));
        let (mut named, others): (Vec<_>, Vec<_>) =
            found.partition(|product| words.iter().all(|word| product.name.contains(word)));
        named.extend(others);
        named.into_iter().map(Product::item).collect()
    }
}

impl Product {
    fn has(&self, word: &str) -> bool {
        self.name.contains(word)
            || self.description.contains(word)
            || self.row.tags.iter().any(|tag| tag.contains(word))
            || self.row.category == word
    }

    fn item(&self) -> Item<'_> {
        let Row { id, slug, name, price_cents, .. } = &self.row;
        Item { id: *id, slug, name, price_cents: *price_cents }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(query: &str) -> Vec<u32> {
        Catalogue::read().unwrap().search(query).iter().map(|item| item.id).collect()
    }

    #[test]
    fn no_words_find_everything_in_the_order_of_ids() {
        let all = ids("  ");
        assert_eq!(all.len(), 120);
        assert!(all.is_sorted());
    }

    #[test]
    fn products_named_so_come_before_those_that_are_only_described_so() {
        let catalogue = Catalogue::read().unwrap();
        let found = catalogue.search("TEA");
        let named = found.iter().take_while(|item| item.name.to_lowercase().contains("tea")).count();
        assert!((1..found.len()).contains(&named), "{found:?}");
        assert!(found[named..].iter().all(|item| !item.name.to_lowercase().contains("tea")));
    }

    #[test]
    fn every_word_must_be_found() {
        assert_eq!(ids("saucepan enamel 16"), [1]);
        assert!(ids("saucepan unheard-of").is_empty());
    }
}
