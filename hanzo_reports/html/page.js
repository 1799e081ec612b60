(() => {
  const root = document.documentElement, tip = document.getElementById("tip"), themeButton = document.getElementById("theme");
  const ranges = [...document.getElementsByName("range")];
  const loadTheme = () => { try { return localStorage.getItem("hz-theme"); } catch { return null; } };
  const saveTheme = (name) => { try { localStorage.setItem("hz-theme", name); } catch { /* storage is off: the choice lasts as long as the page */ } };
  const readHash = () => { try { return decodeURIComponent(location.hash); } catch { return location.hash; } };
  const selectRange = () => {
    const range = ranges.find((input) => "#" + input.value === readHash());
    if (range) range.checked = true;
  };
  ranges.forEach((input) => input.addEventListener("change", () => history.replaceState(null, "", "#" + input.value)));
  addEventListener("hashchange", selectRange);
  selectRange();
  if (loadTheme()) root.dataset.theme = loadTheme();
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    saveTheme(root.dataset.theme);
  });
  addEventListener("pointermove", (event) => {
    const bucket = event.target.closest ? event.target.closest(".tip") : null;
    tip.hidden = !bucket;
    if (!bucket) return;
    const lines = bucket.getAttribute("aria-label").split(" · ");
    tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(8, event.clientY - box.height - 14) + "px";
  });
})();
