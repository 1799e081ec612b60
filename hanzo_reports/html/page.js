(() => {
  const root = document.documentElement, tip = document.getElementById("tip"), theme = document.getElementById("theme");
  const ranges = [...document.getElementsByName("range")];
  const kept = (value) => { try { return value ? localStorage.setItem("hz-theme", value) : localStorage.getItem("hz-theme"); } catch { return null; } };
  const follow = () => { const named = ranges.find((range) => "#" + range.value === decodeURIComponent(location.hash)); if (named) named.checked = true; };
  ranges.forEach((range) => range.addEventListener("change", () => history.replaceState(null, "", "#" + range.value)));
  addEventListener("hashchange", follow);
  follow();
  if (kept()) root.dataset.theme = kept();
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    kept(root.dataset.theme = dark ? "light" : "dark");
  });
  addEventListener("pointermove", (event) => {
    const mark = event.target.closest ? event.target.closest(".tip") : null;
    tip.hidden = !mark;
    if (!mark) return;
    tip.replaceChildren(...mark.getAttribute("aria-label").split(" · ").map((line) => Object.assign(document.createElement("div"), { textContent: line })));
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(event.clientX + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(8, event.clientY - box.height - 14) + "px";
  });
})();
