"""Owns the page that plays matrices over epochs: its HTML, style and script, all in one file."""

import json
from collections.abc import Mapping
from typing import Any


def page(data: Mapping[str, Any]) -> str:
    """The page with `data` in it: {epochs, frame_ms, films: [{title, scale, front, end, range, colours, frames}]}."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")  # no </script> within
    return HEAD + DATA.replace("DATA", text) + BODY.replace("SCRIPT", SCRIPT)


HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Similarity over training</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 1.5em; color: #222; }
#controls { display: flex; gap: .8em; align-items: center; margin-bottom: 1em; position: sticky; top: 0; background: #fff; }
#epoch { flex: 1; max-width: 40em; }
#films { display: flex; flex-wrap: wrap; gap: 2em; }
table { border-collapse: collapse; }
td { width: 18px; height: 18px; padding: 0; }
td.trouble { background-image: repeating-linear-gradient(45deg, #888 0 1px, transparent 1px 5px); }
th { font-weight: normal; font-size: 11px; padding: 0 4px; text-align: right; white-space: nowrap; }
thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; padding: 4px 0; }
h2 { font-size: 15px; margin: 0 0 .3em; }
p { max-width: 44em; margin: .4em 0; color: #555; }
.legend span { display: inline-block; width: 120px; height: 10px; vertical-align: middle; margin: 0 .4em; }
</style>
</head>
"""

DATA = """<body>
<script type="application/json" id="data">DATA</script>
"""

BODY = """<div id="controls">
<button id="play" type="button">Play</button>
<input id="epoch" type="range" min="0" value="0" step="1" aria-label="epoch">
<output id="label"></output>
</div>
<div id="films"></div>
<script>
SCRIPT
</script>
</body>
</html>
"""

SCRIPT = """"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const play = document.getElementById("play");
const slider = document.getElementById("epoch");
const label = document.getElementById("label");
const shown = [];
let timer = null;

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text || "";
  return element;
}

function legend(film) {
  const line = make("p", film.range[0].toPrecision(3));
  const bar = make("span");
  bar.style.background = "linear-gradient(to right, " + film.colours.join(", ") + ")";
  const more = film.scale === "distance" ? " (less is nearer)" : " (more is nearer)";
  line.className = "legend";
  line.append(bar, film.range[1].toPrecision(3) + more);
  return line;
}

function grid(film) {
  const table = make("table");
  const head = make("thead");
  const top = make("tr");
  const body = make("tbody");
  top.append(make("th"), ...film.end.map(function (name) { return make("th", name); }));
  head.append(top);
  const cells = film.front.map(function (name) {
    const row = make("tr");
    const line = film.end.map(function () { return make("td"); });
    row.append(make("th", name), ...line);
    body.append(row);
    return line;
  });
  table.append(head, body);
  return { table: table, cells: cells };
}

function colour(film, value) {
  if (value === null) { return "#ffffff"; }
  const [low, high] = film.range;
  const share = high > low ? (value - low) / (high - low) : 0;
  return film.colours[Math.round(Math.min(1, Math.max(0, share)) * (film.colours.length - 1))];
}

function paint(film, cells, said, epoch) {
  const frame = film.frames[epoch];
  said.textContent = frame ? frame.said : "not compared at this epoch";
  cells.forEach(function (line, i) {
    line.forEach(function (cell, j) {
      const value = frame ? frame.values[i][j] : null;
      const trouble = frame ? frame.troubles[i][j] : "";
      cell.style.backgroundColor = colour(film, value);
      cell.className = trouble ? "trouble" : "";
      cell.title = film.front[i] + " \\u00d7 " + film.end[j] + ": " + (value === null ? "\\u2013" : value.toPrecision(4)) +
        (trouble ? " (" + trouble + ")" : "");
    });
  });
}

function show(index) {
  slider.value = String(index);
  label.textContent = "epoch " + data.epochs[index];
  shown.forEach(function (one) { paint(one.film, one.cells, one.said, data.epochs[index]); });
}

function stop() {
  clearInterval(timer);
  timer = null;
  play.textContent = "Play";
}

function step() {
  show((Number(slider.value) + 1) % data.epochs.length);
}

data.films.forEach(function (film) {
  const panel = make("section");
  const made = grid(film);
  const said = make("p");
  panel.append(make("h2", film.title), legend(film), made.table, said);
  document.getElementById("films").append(panel);
  shown.push({ film: film, cells: made.cells, said: said });
});
slider.max = String(data.epochs.length - 1);
slider.addEventListener("input", function () { stop(); show(Number(slider.value)); });
play.addEventListener("click", function () {
  if (timer !== null) { stop(); return; }
  timer = setInterval(step, data.frame_ms);
  play.textContent = "Pause";
});
show(0);
"""
