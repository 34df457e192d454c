// A form with data-passkey asks the person's device first and sends its answer along; without a device's answer nothing is sent.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const listed = (credentials) => (credentials || []).map((one) => ({ ...one, id: bytes(one.id) }));

async function answerOf(options) {
  const asked = { ...options, challenge: bytes(options.challenge) };
  if (options.user) { // a registration
    asked.user = { ...options.user, id: bytes(options.user.id) };
    asked.excludeCredentials = listed(options.excludeCredentials);
    return navigator.credentials.create({ publicKey: asked });
  }
  asked.allowCredentials = listed(options.allowCredentials);
  return navigator.credentials.get({ publicKey: asked });
}

function sent(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response, clientExtensionResults: {} });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const says = form.querySelector("[data-passkey-says]");
  // Enter on the box would press the first button that is not disabled: it would approve.
  form.elements["by-passkey"]?.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  form.addEventListener("submit", async (event) => {
    const wish = form.elements["by-passkey"];
    if (form.dataset.plain || form.elements.assertion.value || (wish && !wish.checked)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const button = event.submitter;
    const fields = new URLSearchParams(new FormData(form));
    if (button?.name) fields.set(button.name, button.value);
    says.textContent = "Asking your device \u2026";
    try {
      const answer = await fetch(form.dataset.passkey, { method: "POST", body: fields, headers: { accept: "application/json" } });
      if (answer.redirected || (wish && !answer.ok)) { // the session ended, or nothing may be decided so: the page says which, with what was typed
        form.dataset.plain = "yes";
        form.requestSubmit(button);
        return;
      }
      const asked = await answer.json();
      if (!answer.ok) throw new Error(`${asked.detail}. ${asked.hint || "Reload the page."}`);
      form.elements.assertion.value = sent(await answerOf(asked));
    } catch (error) {
      says.textContent = `Nothing was sent: ${error.message}`;
      return;
    }
    says.textContent = "";
    form.requestSubmit(button);
  }, true);
}
