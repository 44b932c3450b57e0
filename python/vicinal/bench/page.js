// Draws the figures of the page, and dims all but one contender when its name is chosen.
(() => {
  const specs = JSON.parse(document.getElementById("figure-specs").textContent);
  // The expressions of the figures are interpreted: nothing on this page may compile text to code.
  const options = {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
  };
  const views = new Map();

  const draw = async ([name, spec]) => {
    const place = document.getElementById(name);
    try {
      const { view } = await window.vegaEmbed(place, spec, options);
      views.set(place, view);
    } catch (error) {
      const note = document.createElement("p");
      note.className = "problem";
      note.textContent = `This figure could not be drawn: ${error.message}`;
      place.replaceChildren(note);
      console.error(error);
    }
  };

  const choose = (button) => {
    const section = button.closest("section");
    const chosen = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.contender;
    for (const other of section.querySelectorAll(".chip")) {
      other.setAttribute("aria-pressed", String(other === button && chosen !== null));
    }
    for (const [place, view] of views) {
      if (section.contains(place)) view.signal("chosen", chosen).runAsync();
    }
  };

  // On paper the figures get the size of a page, so that their letters stay as large as the text.
  const paper = { wide: 690, half: 335, curves: 300, highest: 760 };
  const fit = (printing) => {
    for (const [place, view] of views) {
      const { height } = specs[place.id];
      const kind = place.closest("figure").className;
      const most = place.id.startsWith("recall-") ? paper.curves : paper.highest;
      view.width(printing ? paper[kind] : place.clientWidth);
      view.height(printing ? Math.min(height, most) : height).run();
    }
  };
  window.addEventListener("beforeprint", () => fit(true));
  window.addEventListener("afterprint", () => fit(false));

  for (const button of document.querySelectorAll(".chip")) {
    button.addEventListener("click", () => choose(button));
  }
  Promise.all(Object.entries(specs).map(draw)).then(() => {
    document.documentElement.dataset.drawn = String(views.size);
  });
})();
