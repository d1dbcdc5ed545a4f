"""HTML: the frame around every page and the pieces inside. Everything from outside goes through `esc`."""

from html import escape as esc
from urllib.parse import quote

FRAME = """<!DOCTYPE html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Kettle &amp; Twine</title>
<link rel="stylesheet" href="/static/shop.css">
<script src="/static/shop.js" defer></script>
</head>
<body>
<header>
<a href="/"><img src="/static/logo.png" alt="Kettle &amp; Twine"></a>
<form action="/search"><input name="q" value="{query}" list="suggestions" placeholder="Search">
<datalist id="suggestions"></datalist></form>
<nav><a href="/cart">Cart</a> <a href="/account">{account}</a> <a href="/contact">Contact</a>
<a href="/lang/de">de</a> <a href="/lang/en">en</a></nav>
</header>
<nav class="categories">{categories}</nav>
<h1>{title}</h1>
{body}
<footer>Kettle &amp; Twine, since 2014. <a href="/imprint">Imprint</a></footer>
</body>
</html>
"""


def page(request, title, *pieces):
    customer = request.visit.customer
    links = (f'<a href="/category/{c["slug"]}">{esc(c["name"])}</a>' for c in request.shop.catalogue.categories)
    return FRAME.format(
        lang=esc(request.visit.lang),
        title=esc(title),
        query=esc(request.query.get("q", "")),
        account=esc(customer["name"]) if customer else "Log in",
        categories=" ".join(links),
        body="\n".join(pieces),
    )


def message(request, title, text):
    return page(request, title, f'<p class="note">{esc(text)}</p>')


def money(cents):
    return f"{cents // 100}.{cents % 100:02} €"


def tiles(products):
    return '<ul class="tiles">' + "".join(map(tile, products)) + "</ul>"


def tile(product):
    return (
        f'<li><a href="/product/{product["slug"]}">{esc(product["name"])}</a><br>'
        f'<span class="price">{money(product["price_cents"])}</span></li>'
    )


def table(heads, rows):
    """Cells are text; an integer is an amount in cents; a tuple is (address, text)."""
    head = "".join(f"<th>{esc(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def cell(value):
    if isinstance(value, int):
        return f'<td class="number">{money(value)}</td>'
    if isinstance(value, tuple):
        return f'<td><a href="{esc(value[0])}">{esc(value[1])}</a></td>'
    return f"<td>{esc(value)}</td>"


def form(request, action, button, *fields, files=False):
    session = request.visit.session
    csrf = f'<input type="hidden" name="csrf" value="{session["csrf"]}">' if session else ""
    kind = ' enctype="multipart/form-data"' if files else ""
    return f'<form method="post" action="{action}"{kind}>{csrf}{"".join(fields)}<button>{esc(button)}</button></form>'


def field(name, label, kind="text", value=""):
    return f'<label>{esc(label)} <input type="{kind}" name="{name}" value="{esc(str(value))}"></label>'


def hidden(name, value):
    return f'<input type="hidden" name="{name}" value="{esc(str(value))}">'


def product_path(product):
    return "/product/" + quote(product["slug"])
