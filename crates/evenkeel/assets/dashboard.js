// Live updates of the dashboard. The server renders; this puts the changed parts in place, draws
// the plot, and says so when news stop coming.
"use strict";

(() => {
  // The server sends a tick per second; this long without one means the figures are old.
  const SILENCE_MS = 5000;
  const RECONNECT_MS = 2000;
  // Beyond this many drills the dots would run into each other.
  const DOTS_MAX = 60;

  let lastTick = Date.now();
  let lastTime = "";
  let source = null;
  let plot = null;
  let history = null;

  const byId = (id) => document.getElementById(id);

  function takeTitle() {
    const headline = document.querySelector("#verdict [data-title]");
    if (headline) document.title = headline.dataset.title;
  }

  function swapFragments(html) {
    htmx.swap(document.body, html, { swapStyle: "none" });
    takeTitle();
  }

  function noteTick(time) {
    lastTick = Date.now();
    lastTime = time;
    document.body.dataset.ticks = String(Number(document.body.dataset.ticks || 0) + 1);
    setStale(false);
  }

  function setStale(stale) {
    if (document.body.classList.contains("stale") === stale) return;
    document.body.classList.toggle("stale", stale);
    byId("lost-since").textContent = lastTime ? lastTime.slice(11, 19) + " UTC" : "when this page was loaded";
    byId("lost").hidden = !stale;
    if (stale) document.title = "No news – Evenkeel";
    else takeTitle();
  }

  function connect() {
    source = new EventSource("/events");
    source.addEventListener("fragments", (event) => swapFragments(event.data));
    source.addEventListener("plot", (event) => takeHistory(JSON.parse(event.data)));
    source.addEventListener("tick", (event) => noteTick(event.data));
    source.addEventListener("error", () => {
      // A browser gives up for good after an answer that is not a stream.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
    });
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // Results that are not ok get a cross in the colour of their result; one that has no duration
  // stands at the foot of the plot.
  function drawResults(u) {
    const results = history.results;
    const ctx = u.ctx;
    ctx.save();
    const ratio = devicePixelRatio;
    for (let i = 0; i < results.length; i += 1) {
      if (results[i] === "ok") continue;
      const x = u.valToPos(u.data[0][i], "x", true);
      const seconds = u.data[1][i];
      const y = seconds === null ? u.bbox.top + u.bbox.height - 8 * ratio : u.valToPos(seconds, "y", true);
      const arm = 5 * ratio;
      ctx.strokeStyle = colour(results[i] === "failed" ? "--bad" : "--warn");
      ctx.lineWidth = 2.5 * ratio;
      ctx.beginPath();
      ctx.moveTo(x - arm, y - arm);
      ctx.lineTo(x + arm, y + arm);
      ctx.moveTo(x + arm, y - arm);
      ctx.lineTo(x - arm, y + arm);
      ctx.stroke();
    }
    ctx.restore();
  }

  function clock(seconds, withSeconds) {
    const text = new Date(seconds * 1000).toISOString();
    return text.slice(11, withSeconds ? 19 : 16);
  }

  // The drill under the pointer, in the plot's heading.
  function readOut(u) {
    const readout = byId("rto-readout");
    const i = u.cursor.idx;
    if (i === null || i === undefined) {
      readout.textContent = "seconds, each drill";
      return;
    }
    const seconds = u.data[1][i];
    const took = seconds === null ? "not finished" : seconds.toFixed(2) + " s";
    readout.textContent = clock(u.data[0][i], true) + " · " + took + " · " + history.results[i];
  }

  function spanOfTime(u) {
    const times = u.data[0];
    const [first, last] = [times[0], times[times.length - 1]];
    const room = Math.max(30, (last - first) * 0.04);
    return [first - room, last + room];
  }

  function plotOptions(box) {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px " + getComputedStyle(document.body).fontFamily };
    return {
      width: box.clientWidth,
      height: Math.max(box.clientHeight, 176),
      legend: { show: false },
      cursor: { y: false, points: { size: 9 } },
      scales: {
        // Room on both sides, and a sensible span around a single drill.
        x: { range: spanOfTime },
        y: { range: (u, min, max) => [0, max > 0 ? max * 1.2 : 1] },
      },
      axes: [
        { ...axis, space: 64, size: 28, values: (u, ticks, axisIndex, space, step) => ticks.map((t) => clock(t, step < 60)) },
        { ...axis, size: 44, values: (u, ticks) => ticks.map((t) => t + " s") },
      ],
      series: [
        {},
        { stroke: colour("--ok"), width: 2, spanGaps: true, points: { show: history.times.length <= DOTS_MAX, size: 6, fill: colour("--ok") } },
      ],
      hooks: { draw: [drawResults], setCursor: [readOut] },
    };
  }

  function takeHistory(next) {
    history = next;
    draw();
  }

  function draw() {
    const box = byId("rto-plot");
    if (!history || !box) return;
    const card = box.closest(".plot");
    card.classList.toggle("drawn", history.times.length > 0);
    if (plot) {
      plot.destroy();
      plot = null;
    }
    if (history.times.length === 0) return;
    const times = history.times.map((time) => Date.parse(time) / 1000);
    plot = new uPlot(plotOptions(box), [times, history.rto_seconds], box);
    box.dataset.points = String(times.length);
  }

  let resizing = 0;
  function redrawSoon() {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(draw);
  }

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target && event.detail.target.id === "detail") {
      event.detail.target.focus({ preventScroll: true });
      event.detail.target.scrollIntoView({ block: "start" });
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    byId("detail").replaceChildren();
  });
  addEventListener("resize", redrawSoon);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawSoon);
  setInterval(() => {
    if (Date.now() - lastTick > SILENCE_MS) setStale(true);
  }, 1000);
  connect();
})();
