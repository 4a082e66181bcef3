"use strict";
for (const figure of document.querySelectorAll(".example")) {
  const stage = figure.querySelector(".stage");
  const slider = stage.querySelector("input");
  const say = () => {
    stage.style.setProperty("--cut", slider.value + "%");
    slider.setAttribute("aria-valuetext", slider.value + " % from the left shows " + figure.dataset.left);
  };
  slider.addEventListener("input", say);
  say();
  const under = stage.querySelector(".under");
  const sources = { 1: under.src, 2: figure.querySelector(".stock").src };
  for (const radio of figure.querySelectorAll(".choice input")) {
    radio.addEventListener("change", () => {
      under.src = sources[radio.value];
      figure.querySelector(".right-title").textContent = radio.dataset.title;
      figure.querySelector(".right-facts").textContent = radio.dataset.facts;
    });
  }
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const table = head.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
    const rows = [...table.tBodies[0].rows].sort((first, second) => {
      const [a, b] = [key(first), key(second)];
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
      return up ? order : -order;
    });
    table.tBodies[0].append(...rows);
  });
}
