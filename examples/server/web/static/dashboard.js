// The latest events, as they come. Without it the page shows those of when it was loaded.
"use strict";
const table = document.getElementById("log"), pause = document.getElementById("pause");
if (table.dataset.live && pause) {
  const body = table.tBodies[0], most = 20;
  let source = null;
  const cell = (row, text, dir) => {
    const name = document.createElement("bdi");
    if (dir) name.dir = dir;
    name.textContent = text ?? ""; // as text: what is in it is never markup
    row.insertCell().append(name);
  };
  const show = (message) => {
    const e = JSON.parse(message.data), to = e.to ?? {};
    if (body.rows.length === 1 && body.rows[0].cells.length === 1) body.deleteRow(0);
    const row = body.insertRow(0);
    cell(row, e.at.slice(11, 19));
    cell(row, e.kind);
    cell(row, e.verification);
    cell(row, to.phone ?? to.email ?? to.push ?? to.chat, "ltr");
    cell(row, e.route);
    cell(row, e.state);
    cell(row, e.reason);
    while (body.rows.length > most) body.deleteRow(-1);
  };
  const follow = () => {
    source = new EventSource(table.dataset.live);
    source.onmessage = show;
  };
  pause.hidden = false;
  pause.addEventListener("click", () => {
    if (source) { source.close(); source = null; } else follow();
    pause.textContent = source ? "Pause" : "Go on";
  });
  follow();
}
