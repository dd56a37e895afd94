// Everything here is a help; without it the page works the same.
"use strict";
const $ = (id) => document.getElementById(id);
const live = $("live");
const say = (text) => { if (live && live.textContent !== text) live.textContent = text; };

// An error is heard and seen first.
const summary = $("summary");
if (summary) summary.focus();

// The seconds before a resend are seen each, and heard at the end only. The
// button keeps its focus meanwhile: it is not disabled, it says how long.
const resend = $("resend");
if (resend && +resend.dataset.wait > 0) {
  const until = performance.now() + resend.dataset.wait * 1000;
  const text = $("resend-wait"), number = text.querySelector("bdi");
  resend.setAttribute("aria-disabled", "true");
  const waiting = (e) => { e.preventDefault(); say(text.textContent); };
  resend.form.addEventListener("submit", waiting);
  const tick = setInterval(() => {
    const left = Math.ceil((until - performance.now()) / 1000);
    if (left > 0) { number.textContent = left; return; }
    clearInterval(tick);
    resend.form.removeEventListener("submit", waiting);
    resend.removeAttribute("aria-disabled");
    resend.removeAttribute("aria-describedby");
    text.remove();
    say(resend.dataset.now);
  }, 1000);
}

// A second click does nothing; the server would take it for the same, too.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (e) => {
    if (e.defaultPrevented) return;
    if (form.dataset.sent) return e.preventDefault();
    form.dataset.sent = "1";
    for (const b of form.querySelectorAll("button")) b.setAttribute("aria-disabled", "true");
  });
}
addEventListener("pageshow", (e) => { // back, from the browser's cache
  if (e.persisted) location.reload();
});

// One minute before the end, and at the end: nothing moves, nothing is lost.
if (live && +live.dataset.life > 0) {
  const ms = live.dataset.life * 1000;
  if (ms > 60000) setTimeout(() => say(live.dataset.soon), ms - 60000);
  setTimeout(() => say(live.dataset.over), ms);
}

// What the network says of the text.
if (live && +live.dataset.life > 0) {
  let wait = 2000;
  const ask = async () => {
    try {
      const r = await fetch("/verify/status", { headers: { Accept: "application/json" } });
      if (!r.ok) return;
      const { state, next } = await r.json();
      if (state === "delivered") return say(live.dataset.delivered);
      if (state === "failed") return say(live.dataset.failed);
      if (next === "restart" || next === "done") return;
    } catch { /* offline: ask again */ }
    wait = Math.min(wait * 1.5, 10000);
    setTimeout(ask, wait);
  };
  setTimeout(ask, wait);
}

// WebOTP: Chrome on Android reads the text's last line and offers the code.
const code = $("code");
if (code && "OTPCredential" in window) {
  const stop = new AbortController();
  code.form.addEventListener("submit", () => stop.abort());
  navigator.credentials.get({ otp: { transport: ["sms"] }, signal: stop.signal })
    .then((c) => { if (c && !code.value) { code.value = c.code; code.form.requestSubmit(); } }, () => {});
}
