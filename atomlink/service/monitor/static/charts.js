// Curves with error bars, histograms, images and numbers, drawn by uPlot or on a canvas; text goes in as text only.
"use strict";

const Charts = (() => {
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const HEIGHT = 190;

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // 1.41 MHz instead of 1410000 Hz: the prefix that suits the largest value, for units that take one.
  const PREFIXES = [["G", 1e9], ["M", 1e6], ["k", 1e3], ["", 1], ["m", 1e-3], ["µ", 1e-6], ["n", 1e-9]];
  const SCALED = ["s", "Hz", "V", "W", "K", "m"];
  const scaled = (unit, values) => {
    const most = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
    if (!SCALED.includes(unit) || most === 0) return { unit, factor: 1 };
    const [prefix, size] = PREFIXES.find(([, size]) => most >= size) || PREFIXES[PREFIXES.length - 1];
    return { unit: prefix + unit, factor: 1 / size };
  };

  // Bars from y - error to y + error, under the points.
  const bars = (errors) => (u) => {
    const context = u.ctx;
    context.save();
    context.strokeStyle = colour("--blue");
    context.lineWidth = devicePixelRatio;
    context.beginPath();
    u.data[0].forEach((x, k) => {
      const y = u.data[1][k], error = errors[k];
      if (y === null || !error) return;
      const at = u.valToPos(x, "x", true);
      context.moveTo(at, u.valToPos(y - error, "y", true));
      context.lineTo(at, u.valToPos(y + error, "y", true));
    });
    context.stroke();
    context.restore();
  };

  // A band of what may be, and a line in it.
  const band = (low, high, line) => (u) => {
    const context = u.ctx, { left, top, width, height } = u.bbox;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    if (low !== null) {
      const from = u.valToPos(high, "y", true), to = u.valToPos(low, "y", true);
      context.fillStyle = colour("--good-back");
      context.fillRect(left, from, width, to - from);
    }
    context.strokeStyle = colour("--good");
    context.beginPath();
    context.moveTo(left, u.valToPos(line, "y", true));
    context.lineTo(left + width, u.valToPos(line, "y", true));
    context.stroke();
    context.restore();
  };

  // As many decimals as tell two ticks apart.
  const ticks = (u, splits) => {
    const step = splits.length > 1 ? Math.abs(splits[1] - splits[0]) : 1;
    const decimals = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
    return splits.map((v) => v.toFixed(decimals));
  };

  // Local time of 24 hours, with the day where the axis has several.
  const times = (_u, splits) => {
    const span = splits[splits.length - 1] - splits[0], two = (n) => String(n).padStart(2, "0");
    return splits.map((value) => {
      const at = new Date(value * 1000);
      const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`, clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
      return span > 5 * 86400 ? day : span > 43200 ? `${day}\n${clock}` : span > 300 ? clock : `${clock}:${two(at.getSeconds())}`;
    });
  };

  const axis = (label, size) => ({
    label, size, labelSize: 18, labelFont: "12px system-ui", font: "11px system-ui", stroke: colour("--soft"),
    grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 },
  });

  const range = (values) => {
    const known = values.filter(Number.isFinite);
    if (!known.length) return [0, 1];
    const low = Math.min(...known), high = Math.max(...known);
    const room = (high - low) * 0.08 || Math.abs(high) * 0.02 || 1;
    return [low - room, high + room];
  };

  const plot = (into, { x, y, error, fit, xLabel, yLabel, time, stepped, under, within }) => {
    const reach = y.flatMap((v, k) => (v === null ? [] : [v - ((error && error[k]) || 0), v + ((error && error[k]) || 0)]));
    const series = [{}, {
      stroke: colour("--blue"), width: stepped ? 1.5 : 0, paths: stepped ? uPlot.paths.stepped({ align: 1 }) : () => null,
      points: stepped ? { show: false } : { show: true, size: 6, fill: colour("--blue") },
    }];
    const data = [x, y];
    if (fit && fit.length === x.length) {
      data.push(fit);
      series.push({ stroke: colour("--bad"), width: 1.5, points: { show: false } });
    }
    return new uPlot({
      width: Math.max(220, into.clientWidth), height: HEIGHT, series, cursor: { drag: { x: false, y: false } },
      // One point in time alone has a day on either side.
      scales: { x: { time: Boolean(time), ...(time && x[0] === x[x.length - 1] && { range: [x[0] - 86400, x[0] + 86400] }) },
                y: { range: () => range([...reach, ...(fit || []), ...(within || [])]) } },
      axes: [time ? { ...axis(xLabel, 44), values: times } : axis(xLabel, 32), { ...axis(yLabel, 66), values: ticks }],
      hooks: { drawClear: under ? [under] : [], draw: error ? [bars(error)] : [] },
    }, data, into);
  };

  const image = (into, rows) => {
    // The experiment's image has the first axis to the right, as in ARTIQ's applet.
    const width = rows.length, height = Math.max(0, ...rows.map((row) => row.length));
    const canvas = element("canvas", "image");
    canvas.width = width; canvas.height = height;
    const values = rows.flat().filter(Number.isFinite);
    const low = Math.min(...values), high = Math.max(...values), context = canvas.getContext("2d");
    rows.forEach((row, i) => row.forEach((value, k) => {
      if (value === null) return;
      const share = high > low ? (value - low) / (high - low) : 1;
      context.fillStyle = `hsl(210 55% ${Math.round(12 + 78 * share)}%)`;
      context.fillRect(i, k, 1, 1);
    }));
    into.append(canvas, element("p", "", values.length ? `from ${low.toPrecision(3)} to ${high.toPrecision(3)}` : "empty"));
  };

  return { element, scaled, plot, image, band };
})();
