"use strict";
// What headings and flags mean, where they stand; faces, and how they were changed.
(() => {
  const { make } = page;

  // --- explanations where they stand ---------------------------------------------------------------
  const tip = make("div", { className: "tip", id: "tip", role: "tooltip", hidden: true });
  document.body.append(tip);
  page.tip = (text, x, y) => {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const wide = Math.min(tip.offsetWidth, innerWidth - 16);
    tip.style.left = `${Math.max(8, Math.min(x, scrollX + innerWidth - wide - 12))}px`;
    tip.style.top = `${y}px`;
  };
  for (const help of document.querySelectorAll("a.help")) {
    const what = document.getElementById(help.getAttribute("href").slice(1))?.nextElementSibling?.textContent ?? "";
    const over = () => {
      const box = help.getBoundingClientRect();
      page.tip(what, box.left + scrollX, box.bottom + scrollY + 6);
      help.setAttribute("aria-describedby", "tip");
    };
    const out = () => { page.tip(""); help.removeAttribute("aria-describedby"); };
    help.addEventListener("mouseenter", over);
    help.addEventListener("focus", over);
    help.addEventListener("mouseleave", out);
    help.addEventListener("blur", out);
  }
  for (const flag of document.querySelectorAll(".flag")) {
    const meaning = flag.querySelector(".meaning");
    if (!meaning) continue;
    const button = make("button", { type: "button", className: "flagged" }, "?");
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", `what "${flag.firstChild.textContent}" means`);
    button.addEventListener("click", () => button.setAttribute("aria-expanded", String(flag.classList.toggle("open"))));
    meaning.before(" ", button);
  }

  // --- faces ---------------------------------------------------------------------------------------
  const faces = [...document.querySelectorAll(".face")];
  const attacks = [...new Set(faces.map((face) => face.dataset.attack))];
  const choose = (attack) => faces.forEach((face) => { face.hidden = face.dataset.attack !== attack; });
  if (attacks.length > 1) {
    const select = make("select", { id: "face-attack" }, ...attacks.map((name) => new Option(name, name)));
    select.addEventListener("change", () => choose(select.value));
    document.querySelector(".faces").before(make("label", { className: "choice" }, "method", select));
    choose(attacks[0]);
  }
  const pixels = (image) => {
    const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return [canvas, context, context.getImageData(0, 0, canvas.width, canvas.height)];
  };
  const difference = async (face) => {
    const [before, after] = face.querySelectorAll("img");
    await Promise.all([before.decode(), after.decode()]);
    const [canvas, context, first] = pixels(after);
    const second = pixels(before)[2];
    for (let k = 0; k < first.data.length; k += 1) {
      if (k % 4 !== 3) first.data[k] = 127.5 + 20 * (first.data[k] - second.data[k]);
    }
    context.putImageData(first, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "change, 20 times amplified");
    face.querySelector(".pictures").append(make("div", {}, canvas, make("span", {}, "change × 20")));
  };
  for (const face of faces) difference(face);
})();
