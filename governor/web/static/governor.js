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

// What was typed into a form whose session had ended, or that no page of ours answered (the server was being started anew), waits in this tab until the same
// person is back on the same page; never passwords and files.
const WORDS = "governor.words";
const forms = [...document.querySelectorAll("form[method=post]")];
const who = document.querySelector(".who strong")?.textContent ?? "";
const place = location.pathname + location.search;
const typed = (form) => [...form.elements].filter((one) => one.name && !["hidden", "password", "file", "submit"].includes(one.type));
const ticked = (one) => ["checkbox", "radio"].includes(one.type) ? "checked" : "value";
const keep = (form, button) => sessionStorage.setItem(WORDS, JSON.stringify({
  who, place, file: Boolean(button?.matches("[data-file]")), form: forms.indexOf(form), action: form.action, fields: typed(form).map((one) => [one.name, one[ticked(one)]]),
}));
const cameBack = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
const UNSENT = "What you had typed is back. Nothing was sent yet.";
const UNANSWERED = "What you had typed is back: it was sent, and no answer came. See whether it was done before you send it again.";
const bring = (words) => {
  const form = forms[words.form];
  if (!(words.unsent || words.unanswered) || words.who !== who || words.place !== place || form?.action !== words.action) return false;
  const fields = typed(form);
  if (!words.fields.length || String(fields.map((one) => one.name)) !== String(words.fields.map(([name]) => name))) return false;
  fields.forEach((one, at) => { one[ticked(one)] = words.fields[at][1]; });
  for (let part = form.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  const said = Object.assign(document.createElement("div"), { className: "notice", textContent: words.unsent ? UNSENT : UNANSWERED });
  said.setAttribute("role", "status");
  form.prepend(said);
  said.scrollIntoView({ block: "center" });
  return true;
};
try {
  const words = JSON.parse(sessionStorage.getItem(WORDS) ?? "null");
  if (who && words) { // the page that answers has them forgotten; one come back to instead has them wait for theirs
    sessionStorage.removeItem(WORDS);
    words.unanswered ||= cameBack && !words.file; // a file leaves the page as it is: whoever comes back had it
    if (!bring(words) && words.unanswered && words.who === who && words.fields.length) sessionStorage.setItem(WORDS, JSON.stringify(words));
  }
  else if (words && location.search.includes("unsent=true")) sessionStorage.setItem(WORDS, JSON.stringify({ ...words, unsent: true }));
} catch { /* a browser that keeps nothing */ }

// A form is sent once.
for (const form of forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    if (who) { try { keep(form, event.submitter); } catch { /* a browser that keeps nothing */ } }
    setTimeout(() => { delete form.dataset.sent; sessionStorage.removeItem(WORDS); }, 8000); // still here: the answer was a file
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
