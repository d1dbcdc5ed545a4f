"""Every endpoint of the shop in one list: method, path, handler. GET implies HEAD."""

import account
import admin
import api
import api_customers
import relics
import static_files
import streams
import views

PAGES = [
    ("GET", "/", views.home),
    ("GET", "/category/{slug}", views.category),
    ("GET", "/product/{slug}", views.product),
    ("GET", "/search", views.search),
    ("GET", "/imprint", views.imprint),
    ("GET", "/lang/{code}", views.language),
    ("GET", "/cart", views.cart),
    ("POST", "/cart/add", views.cart_add),
    ("POST", "/cart/remove", views.cart_remove),
    ("GET", "/checkout", views.checkout),
    ("POST", "/checkout", views.checkout_post),
    ("GET", "/checkout/thanks/{id}", views.thanks),
    ("GET", "/login", account.login),
    ("POST", "/login", account.login_post),
    ("POST", "/logout", account.logout),
    ("GET", "/register", account.register),
    ("POST", "/register", account.register_post),
    ("GET", "/account", account.account),
    ("GET", "/account/orders", account.orders),
    ("GET", "/account/orders/{id}", account.order),
    ("GET", "/contact", views.contact),
    ("POST", "/contact", views.contact_post),
    ("GET", "/admin", admin.home),
    ("GET", "/admin/orders", admin.orders),
    ("GET", "/admin/products", admin.products),
    ("POST", "/admin/products/{id}/picture", admin.picture),
    ("POST", "/admin/import", admin.import_csv),
    ("GET", "/reports/{year}/{month}", admin.report),
    ("GET", "/static/{path*}", static_files.static),
    ("GET", "/favicon.ico", static_files.favicon),
    ("GET", "/robots.txt", views.robots),
    ("GET", "/sitemap.xml", views.sitemap),
    ("GET", "/up", views.up),
]

API = [
    ("GET", "/api/products", api.products),
    ("GET", "/api/products/{id}", api.product),
    ("GET", "/api/products/{id}/price", api.price),
    ("GET", "/api/products/{id}/stock", api.stock),
    ("GET", "/api/products/{id}/related", api.related),
    ("GET", "/api/products/{id}/reviews", api.reviews),
    ("POST", "/api/products/{id}/reviews", api.review_post),
    ("GET", "/api/categories", api.categories),
    ("GET", "/api/categories/{slug}", api.category),
    ("GET", "/api/search", api.search),
    ("GET", "/api/search/suggest", api.suggest),
    ("GET", "/api/recommendations", api.recommendations),
    ("GET", "/api/shipping/quote", api.quote),
    ("GET", "/api/tax-rates", api.tax_rates),
    ("GET", "/api/currencies", api.currencies),
    ("GET", "/api/stores", api.stores),
    ("GET", "/api/stats", api.stats),
    ("GET", "/api/version", api.version),
    ("POST", "/api/auth/login", api_customers.login),
    ("GET", "/api/cart", api_customers.cart),
    ("POST", "/api/cart/items", api_customers.cart_add),
    ("PUT", "/api/cart/items/{id}", api_customers.cart_put),
    ("DELETE", "/api/cart/items/{id}", api_customers.cart_delete),
    ("GET", "/api/orders", api_customers.orders),
    ("POST", "/api/orders", api_customers.order_post),
    ("GET", "/api/orders/{id}", api_customers.order),
    ("GET", "/api/orders/{id}/invoice", api_customers.invoice),
    ("POST", "/api/orders/{id}/cancel", api_customers.cancel),
    ("GET", "/api/customers/me", api_customers.me),
    ("PATCH", "/api/customers/me", api_customers.me_patch),
    ("GET", "/api/customers/me/addresses", api_customers.addresses),
    ("POST", "/api/customers/me/addresses", api_customers.address_post),
    ("GET", "/api/wishlist", api_customers.wishlist),
    ("PUT", "/api/wishlist/{id}", api_customers.wishlist_put),
    ("DELETE", "/api/wishlist/{id}", api_customers.wishlist_delete),
    ("POST", "/api/coupons/check", api_customers.coupon_check),
    ("POST", "/api/newsletter", api_customers.newsletter),
    ("POST", "/api/uploads", api_customers.upload),
    ("GET", "/api/events", streams.events),
    ("GET", "/api/exports/orders.csv", streams.orders_csv),
]

RELICS = [
    ("GET", "/api/v1/products", relics.v1_products),
    ("GET", "/api/v1/products/{id}", relics.v1_product),
    ("GET", "/api/v1/orders/{id}", relics.v1_order),
    ("POST", "/ws/stock", relics.ws_stock),
    ("GET", "/api/coupons", relics.coupons),
    ("GET", "/api/gift-cards/{code}", relics.gift_card),
    ("GET", "/api/stats/daily/{date}", relics.daily_stats),
    ("GET", "/api/affiliates/{code}/clicks", relics.affiliate_clicks),
    ("GET", "/export/products.xml", relics.products_xml),
    ("GET", "/export/google-feed.xml", relics.google_feed),
    ("GET", "/reports/{year}/{month}/tax", admin.tax_report),
    ("GET", "/guestbook", views.guestbook),
    ("POST", "/guestbook", views.guestbook_post),
    ("GET", "/wap", views.wap),
    ("GET", "/print/{slug}", views.print_view),
]

ROUTES = PAGES + API + RELICS
