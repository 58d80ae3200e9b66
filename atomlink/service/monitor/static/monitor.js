// What changes by itself: the running experiment every second, the beliefs twice a minute. All of it is only read.
"use strict";

(() => {
  const lab = encodeURIComponent(document.body.dataset.lab);
  const { element, scaled, plot, image, band } = Charts;

  const fetched = async (what) => {
    const answer = await fetch(`/monitor/${what}?lab=${lab}`, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
    return answer.json();
  };

  // Show only where something has changed: a chart that is drawn anew every second cannot be read.
  const shown = new Map();
  const changed = (name, found) => {
    const text = JSON.stringify(found);
    if (shown.get(name) === text) return false;
    shown.set(name, text);
    return true;
  };

  const chart = (into, title, remark) => {
    const box = element("div", "chart");
    box.append(element("h3", "", title), element("p", "", remark));
    into.append(box);
    return box;
  };

  // "share against t_wait (s)": what y is, what x is, and its unit.
  const labels = (title) => {
    const said = /^(?:\S+ )*?\S*: (.+) against (.+)$/.exec(title) || /^(?:.*: )?(.+) against (.+)$/.exec(title);
    return said ? { y: said[1], x: said[2] } : { y: "", x: "" };
  };

  const drawLive = (into, one) => {
    const box = chart(into, one.name, one.title);
    if (one.kind === "number") { box.append(element("p", "number", String(one.value))); return; }
    if (one.kind === "image") { if (Array.isArray(one.img)) image(box, one.img); return; }
    let { x, y } = one;
    if (!Array.isArray(y)) return;
    if (!Array.isArray(x)) x = y.map((_, k) => k);
    if (one.kind === "hist") { y = [...y, y[y.length - 1]]; }
    if (!x.every(Number.isFinite)) return;
    const order = x.map((_, k) => k).sort((a, b) => x[a] - x[b]);
    const by = (values) => Array.isArray(values) && values.length === x.length ? order.map((k) => values[k]) : null;
    const { x: xLabel, y: yLabel } = labels(one.title);
    const unit = /\((\w+)\)$/.exec(xLabel), size = scaled(unit ? unit[1] : "", x);
    plot(box, {
      x: by(x).map((value) => value * size.factor), y: by(y), error: one.kind === "hist" ? null : by(one.error), fit: by(one.fit),
      xLabel: unit ? xLabel.replace(/\(\w+\)$/, `(${size.unit})`) : xLabel || (one.kind === "hist" ? "value" : "x"),
      yLabel: yLabel || (one.kind === "hist" ? "number" : "y"), stepped: one.kind === "hist",
    });
  };

  const live = async () => {
    const found = await fetched("live"), into = document.getElementById("live");
    const { at, ...lasting } = found;
    if (!changed("live", lasting)) return;
    into.replaceChildren();
    if (found.hidden || !found.class) {
      into.append(element("p", "empty", found.hidden ? "live data are not shown without a token" : "nothing runs"));
      return;
    }
    const began = new Date(found.began * 1000).toLocaleTimeString();
    into.append(element("p", "about", `run ${found.rid}, ${found.class}, since ${began}`));
    found.plots.forEach((one) => drawLive(into, one));
    if (!found.plots.length) into.append(element("p", "empty", "it shows no plot (yet)"));
    if (found.others.length) {
      into.append(element("p", "others", found.others.map(([key, value]) => `${key} = ${value}`).join("   ")));
    }
  };

  const beliefs = async () => {
    const { charts } = await fetched("charts"), into = document.getElementById("beliefs");
    if (!changed("beliefs", charts) || !charts.length) return;
    into.replaceChildren();
    for (const one of charts) {
      const size = scaled(one.unit, [...one.y, one.now]), by = (value) => value * size.factor;
      const allowed = one.tolerance === null ? null : by(one.tolerance), now = by(one.now);
      const unit = size.unit ? ` ${size.unit}` : "";
      const may = allowed === null ? "" : `, may depart by ${allowed.toPrecision(2)}${unit}`;
      const box = chart(into, one.name.replace(/^param\./, ""), `${one.meaning}: ${now.toPrecision(6)}${unit}${may}`);
      plot(box, {
        x: one.t, y: one.y.map(by), error: one.error.map((value) => (value === null ? 0 : by(value))), time: true,
        xLabel: "", yLabel: size.unit || "value", under: band(allowed && now - allowed, allowed && now + allowed, now),
        within: [now],
      });
    }
  };

  const again = (task, everyMs) => {
    const turn = async () => {
      if (!document.hidden) await task().catch((error) => console.warn(String(error)));
      setTimeout(turn, everyMs);
    };
    turn();
  };

  const give = async (token) => {
    const answer = await fetch("/monitor/token", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }),
    });
    if (answer.ok) { location.reload(); return; }
    const problem = await answer.json();
    const input = document.getElementById("token");
    if (input) { input.value = ""; input.placeholder = "not taken"; input.title = `${problem.detail}: ${problem.remedy}`; }
  };

  const redraw = () => { shown.clear(); live().catch(() => {}); beliefs().catch(() => {}); };
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 300); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.getElementById("in")?.addEventListener("submit", (event) => {
    event.preventDefault();
    give(document.getElementById("token").value.trim());
  });
  document.getElementById("out")?.addEventListener("click", () => give(""));
  if (document.getElementById("live")) { again(live, 1000); again(beliefs, 30000); }
})();
