// Kettle & Twine. Fills in prices for larger quantities and the search box's completions.
(function () {
  "use strict";

  function money(cents) {
    return (cents / 100).toFixed(2).replace(".", ",") + " €";
  }

  function showPrice(form) {
    var quantity = form.elements.quantity.value || "1";
    var url = "/api/products/" + form.elements.product_id.value + "/price?quantity=" + quantity + "&country=DE";
    fetch(url)
      .then(function (answer) { return answer.json(); })
      .then(function (price) {
        var place = document.getElementById("price");
        if (place && price.gross_cents !== undefined) place.textContent = money(price.gross_cents);
      });
  }

  function complete(input) {
    fetch("/api/search/suggest?q=" + encodeURIComponent(input.value))
      .then(function (answer) { return answer.json(); })
      .then(function (found) {
        var list = document.getElementById("suggestions");
        list.innerHTML = "";
        found.suggestions.forEach(function (name) {
          var option = document.createElement("option");
          option.value = name;
          list.appendChild(option);
        });
      });
  }

  document.addEventListener("input", function (event) {
    if (event.target.name === "quantity" && event.target.form.elements.product_id) showPrice(event.target.form);
    if (event.target.name === "q" && event.target.value.length > 1) complete(event.target);
  });
})();
