// Small comforts only: every page reads and decides without this file.
"use strict";

// Copy buttons beside digests and secrets.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}

// A page that shows running work renews that part alone: where the reader is, what is open and what was typed stay. When the work is over the page is loaded
// again, unless somebody has typed.
const live = document.querySelector("[data-reload-seconds]");
if (live) {
  let touched = false;
  document.addEventListener("input", () => { touched = true; });
  const renew = async () => {
    if (document.hidden) return;
    const part = document.querySelector("[data-live]");
    if (!part) { if (!touched) location.reload(); return; }
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
      if (next) part.replaceWith(document.adoptNode(next));
      else if (!touched) location.reload();
    } catch { /* the next turn asks again */ }
  };
  setInterval(renew, Number(live.dataset.reloadSeconds) * 1000);
}

// A refused form is answered at the address it was sent to; the address bar names the page it stands on.
if (document.querySelector("[data-refused]")) history.replaceState(null, "", document.querySelector("input[name=page]").value);

// A form is sent once.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 8000);
  });
}

// Filters with one select apply themselves.
for (const select of document.querySelectorAll("select[data-apply]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// One key answers: the buttons of a pair say which. Not while somebody writes, nor with a modifier.
const pairForm = document.querySelector("form[data-review]");
if (pairForm) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const button = pairForm.querySelector(`button[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
    if (button && !button.matches(":disabled")) { event.preventDefault(); button.click(); }
  });
}
