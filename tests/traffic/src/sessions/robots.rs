//! Programs nobody invited, and the monitor somebody did.

use super::popular;
use crate::{call::Call, visitor::Visitor};

const CRAWLERS: [&str; 3] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
];

const HOLES: [&str; 8] = [
    "/wp-login.php",
    "/xmlrpc.php",
    "/.env",
    "/.git/config",
    "/phpmyadmin/index.php",
    "/wp-content/plugins/revslider/readme.txt",
    "/cgi-bin/luci",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
];

pub(super) async fn crawler(visitor: &mut Visitor) -> Option<()> {
    let agent = *visitor.random.pick(&CRAWLERS);
    visitor.always("user-agent", agent);
    visitor.always("accept-encoding", "gzip");
    visitor
        .call(
            Call::new("GET /robots.txt", "/robots.txt").text("text/plain; charset=utf-8", "Disallow: /cart"),
        )
        .await?;
    visitor.call(Call::new("GET /sitemap.xml", "/sitemap.xml").text("application/xml", "</urlset>")).await?;
    let category = &visitor.random.pick(&visitor.shop.categories).slug;
    visitor.call(Call::new("GET /category/{slug}", format!("/category/{category}")).page("tiles")).await?;
    for _ in 0..visitor.random.between(2, 6) {
        let product = &visitor.random.pick(&visitor.shop.products).slug;
        let path = format!("/product/{product}");
        if visitor.random.percent(30) {
            visitor
                .call(Call::new("HEAD /product/{slug}", path).content_type("text/html; charset=utf-8"))
                .await?;
        } else {
            visitor.call(Call::new("GET /product/{slug}", path).page("Goes with it")).await?;
        }
    }
    let gone = Call::new("GET /product/{slug}", "/product/blue-teapot-2015").status(404);
    visitor.call(gone.page("There is no such product")).await?;
    Some(())
}

/// Looks for holes; all it may ever see is 404.
pub(super) async fn scanner(visitor: &mut Visitor) -> Option<()> {
    visitor.always("user-agent", "Mozilla/5.0 zgrab/0.x");
    for _ in 0..visitor.random.between(3, 8) {
        let path = *visitor.random.pick(&HOLES);
        visitor.call(Call::new("GET (scan)", path).status(404).page("Not found")).await?;
    }
    let login = Call::new("POST (scan)", "/wp-login.php").form(&[("log", "admin"), ("pwd", "admin")]);
    visitor.call(login.status(404).page("Not found")).await?;
    Some(())
}

pub(super) async fn monitor(visitor: &mut Visitor) -> Option<()> {
    visitor.always("user-agent", "UptimeMonitor/2.1");
    for _ in 0..3 {
        visitor.call(Call::new("GET /up", "/up").text("text/plain; charset=utf-8", "ok")).await?;
    }
    visitor.call(Call::new("HEAD /", "/").content_type("text/html; charset=utf-8")).await?;
    let id = popular(visitor).id;
    let head = Call::new("HEAD /api/products/{id}", format!("/api/products/{id}"));
    visitor.call(head.content_type("application/json; charset=utf-8")).await?;
    visitor.call(Call::new("GET /api/version", "/api/version").json([("/api", 2.into())])).await?;
    Some(())
}
