//! Who comes, and what they do. The first visits go once through every kind of visitor, so that even a short run
//! calls everything; after that the weights decide. Each visit is decided by the seed and its number alone.

mod app;
mod browser;
mod partner;
mod robots;
mod staff;

use serde_json::Value;

use crate::{catalogue::Product, random::Random, visitor::Visitor};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    WindowShopper,
    Buyer,
    NewCustomer,
    AppBrowser,
    AppBuyer,
    OtherOrigin,
    Partner,
    Nightly,
    Crawler,
    Scanner,
    Monitor,
    Listener,
    Staff,
    Uploader,
}

/// How often each kind comes.
const WEIGHTS: [(u32, Kind); 14] = [
    (26, Kind::WindowShopper),
    (12, Kind::Buyer),
    (3, Kind::NewCustomer),
    (20, Kind::AppBrowser),
    (8, Kind::AppBuyer),
    (4, Kind::OtherOrigin),
    (8, Kind::Partner),
    (1, Kind::Nightly),
    (6, Kind::Crawler),
    (3, Kind::Scanner),
    (6, Kind::Monitor),
    (2, Kind::Listener),
    (2, Kind::Staff),
    (1, Kind::Uploader),
];

const WORDS: [&str; 11] =
    ["tea", "wood", "enamel", "käse", "coffee gift", "knife", "lamp", "notebook", "seeds", "zzz", "wool"];

/// One visit from beginning to end, or to the first failure or the run's end.
pub(crate) async fn visit(visitor: &mut Visitor, seed: u64) {
    let _ = match kind_of(visitor.number, seed, &mut visitor.random) {
        Kind::WindowShopper => browser::window_shopper(visitor).await,
        Kind::Buyer => browser::buyer(visitor).await,
        Kind::NewCustomer => browser::new_customer(visitor).await,
        Kind::AppBrowser => app::browses(visitor).await,
        Kind::AppBuyer => app::buys(visitor).await,
        Kind::OtherOrigin => app::other_origin(visitor).await,
        Kind::Partner => partner::by_day(visitor).await,
        Kind::Nightly => partner::by_night(visitor).await,
        Kind::Crawler => robots::crawler(visitor).await,
        Kind::Scanner => robots::scanner(visitor).await,
        Kind::Monitor => robots::monitor(visitor).await,
        Kind::Listener => app::listens(visitor).await,
        Kind::Staff => staff::works(visitor).await,
        Kind::Uploader => partner::uploads(visitor).await,
    };
}

fn kind_of(number: u64, seed: u64, random: &mut Random) -> Kind {
    let mut each_once = WEIGHTS.map(|(_, kind)| kind);
    Random::of_stream(seed, u64::MAX).shuffle(&mut each_once);
    let opening = usize::try_from(number).ok().and_then(|number| each_once.get(number));
    opening.copied().unwrap_or_else(|| random.weighted(&WEIGHTS))
}

fn popular(visitor: &mut Visitor) -> &'static Product {
    visitor.shop.popular(&mut visitor.random)
}

/// Mostly one, seldom a dozen.
fn quantity(random: &mut Random) -> u32 {
    random.weighted(&[(50, 1), (20, 2), (15, 3), (5, 4), (4, 5), (3, 6), (2, 10), (1, 12)])
}

fn country(random: &mut Random) -> &'static str {
    random.weighted(&[
        (70, "DE"),
        (8, "AT"),
        (6, "FR"),
        (5, "NL"),
        (4, "CH"),
        (3, "DK"),
        (2, "SE"),
        (2, "PL"),
    ])
}

/// A word somebody would type into the search box.
fn wanted(random: &mut Random) -> &'static str {
    WORDS[random.below(WORDS.len())]
}

fn parsed(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_visits_are_one_of_each_kind_in_an_order_of_the_seed() {
        let opening = |seed| -> Vec<Kind> {
            (0..14).map(|number| kind_of(number, seed, &mut Random::of_stream(seed, number))).collect()
        };
        for (_, kind) in WEIGHTS {
            assert!(opening(7).contains(&kind), "{kind:?}");
        }
        assert_eq!(opening(7), opening(7));
        assert_ne!(opening(7), opening(8));
    }
}
