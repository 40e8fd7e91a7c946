// Keeps <main> as the server says it is now, without losing the place of whoever reads it. Everything works without it.
"use strict";

(() => {
  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const address = document.body.dataset.stream;
  let source = null;
  let last = null;

  // Only what differs is changed: the focus, a selection and a screen reader's place stay where they are.
  function same(old, fresh) {
    return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.id || "") === (fresh.id || "");
  }

  function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    children(old, fresh);
  }

  function children(old, fresh) {
    const wanted = [...fresh.childNodes];
    for (let at = 0; at < wanted.length; at++) {
      // Where fewer are wanted, what is there may be too much; where more are, it may be wanted after this one.
      while (old.childNodes.length > wanted.length && !same(old.childNodes[at], wanted[at])) old.childNodes[at].remove();
      const there = old.childNodes[at];
      if (!there) old.append(wanted[at]);
      else if (same(there, wanted[at])) morph(there, wanted[at]);
      else if (old.childNodes.length < wanted.length) there.before(wanted[at]);
      else there.replaceWith(wanted[at]);
    }
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  }

  function show(html) {
    const parsed = new DOMParser().parseFromString(`<main>${html}</main>`, "text/html");
    children(main, parsed.querySelector("main"));
    last = Date.now();
  }

  const state = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  live.replaceChildren(state, " ", button);

  function tell(text) {
    if (state.textContent !== text) state.textContent = text;
  }

  function open() {
    button.textContent = "Pause";
    source = new EventSource(address);
    source.addEventListener("open", () => tell("This page is live."));
    source.addEventListener("page", (event) => show(event.data));
    source.addEventListener("said", (event) => { said.textContent = event.data; });
    source.addEventListener("over", (event) => {
      close();
      main.querySelectorAll(".act").forEach((one) => one.remove());
      tell(event.data);
      said.textContent = event.data;
      button.textContent = "Sign in again";
      button.onclick = () => location.reload();
    });
    source.addEventListener("error", () => {
      const since = last ? ` It is as it was at ${new Date(last).toLocaleTimeString()}.` : "";
      tell(`The connection is lost; it is tried again.${since}`);
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        setTimeout(() => { if (!source && button.textContent === "Pause") open(); }, 5000);
      }
    });
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  button.onclick = () => {
    if (button.textContent === "Pause") {
      close();
      button.textContent = "Go on";
      tell("This page stands still.");
    } else {
      open();
    }
  };
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => { if (event.persisted && button.textContent === "Pause") open(); });
  open();
})();
