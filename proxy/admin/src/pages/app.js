// Fetches the page again every two seconds and puts its main part in place; sends flips as JSON.
"use strict";

(() => {
  const PERIOD_MS = 2000;
  const PATIENCE_MS = 10000;
  const notice = document.getElementById("notice");

  document.documentElement.classList.add("script");

  const isInUse = () => {
    const selection = document.getSelection();
    return Boolean(
      document.querySelector("main form :focus, main details[open]") || (selection && !selection.isCollapsed),
    );
  };

  const refresh = async () => {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(`the proxy answered ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [fresh, shown] = [page.querySelector("main"), document.querySelector("main")];
    if (fresh && shown && !isInUse()) shown.replaceWith(fresh);
  };

  const keepFresh = async () => {
    if (!document.hidden && !isInUse()) {
      try {
        await refresh();
        document.documentElement.classList.remove("lost");
      } catch {
        document.documentElement.classList.add("lost");
      }
    }
    setTimeout(keepFresh, PERIOD_MS);
  };

  const flip = async (form) => {
    const percent = form.elements.percent.value;
    const request = { route: form.dataset.flip, stage: form.elements.stage.value };
    if (percent !== "") request.percent = Number(percent);
    const answer = await fetch("/api/flip", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
    });
    const result = await answer.json();
    if (!answer.ok) throw new Error(result.detail);
    notice.textContent = `${result.route}: ${result.from} → ${result.to}`;
    document.activeElement.blur();
    await refresh();
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.flip) return;
    event.preventDefault();
    flip(form).catch((error) => {
      notice.textContent = `Not flipped: ${error.message}`;
    });
  });

  setTimeout(keepFresh, PERIOD_MS);
})();
