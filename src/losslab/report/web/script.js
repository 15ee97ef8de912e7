"use strict";

/* Tables: a click on a heading sorts by it; the second click the other way round. What has no value stays last. */
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const numeric = head.dataset.kind === "number";
      const before = head.getAttribute("aria-sort");
      const order = before ? (before === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => {
        const cell = row.cells[column];
        const text = cell.dataset.sort ?? cell.textContent.trim();
        return numeric ? (text === "" ? null : Number(text)) : text;
      };
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (numeric ? x - y : x.localeCompare(y));
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
    });
  });
}

/* Every second diagonal of what is unknown. */
const STRIPE = [225, 225, 225];

/* The image browser. An atlas is an image with a tile per test image; of masks, bit k of a pixel says class k. */
class Browser {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.stage = root.querySelector(".stage");
    this.film = root.querySelector(".film");
    this.controls = Object.fromEntries([...root.querySelectorAll("select, button[name]")].map((c) => [c.name, c]));
    this.scratch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    [this.scratch.canvas.width, this.scratch.canvas.height] = data.tile;
    this.atlases = new Map();
    this.current = null;

    option(this.controls.class, "all classes", "");
    data.classes.forEach((c, index) => option(this.controls.class, c.name, String(index)));
    const seeds = [...new Set(data.losses.flatMap((loss) => loss.seeds.map((s) => s.seed)))].sort((a, b) => a - b);
    seeds.forEach((seed) => option(this.controls.seed, seed, seed));
    this.controls.seed.closest("label").hidden = seeds.length < 2;
    this.controls.differ.closest("label").hidden = data.losses.length < 2;

    for (const name of ["class", "differ", "order", "seed"]) this.controls[name].addEventListener("change", () => this.select());
    this.controls.view.addEventListener("change", () => this.show());
    this.controls.previous.addEventListener("click", () => this.step(-1));
    this.controls.next.addEventListener("click", () => this.step(1));
    window.addEventListener("resize", () => this.showFilm());
    root.hidden = false;
    this.select();
  }

  /* The runs of the chosen seed: a loss that diverged with it is not among them. */
  runs() {
    const seed = Number(this.controls.seed.value);
    return this.data.losses.flatMap((loss) => loss.seeds.filter((s) => s.seed === seed).map((s) => ({ ...s, name: loss.name, colour: loss.colour })));
  }

  /* Filter and order the images; stay at the present one if it is still among them. */
  select() {
    const { class: wanted, differ, order } = this.controls;
    const runs = this.runs();
    const known = this.data.ids.map((_, i) => runs.map((run) => run.dice[i]).filter((d) => d !== null));
    const spread = known.map((d) => (d.length ? Math.max(...d) - Math.min(...d) : 0));
    const mean = known.map((d) => (d.length ? d.reduce((a, b) => a + b) / d.length : null));
    const by = {
      stored: (a, b) => a - b,
      differ: (a, b) => spread[b] - spread[a] || a - b,
      worst: (a, b) => (mean[a] ?? 2000) - (mean[b] ?? 2000) || a - b,
      best: (a, b) => (mean[b] ?? -1) - (mean[a] ?? -1) || a - b,
    }[order.value];
    this.spread = spread;
    this.shown = this.data.ids
      .map((_, i) => i)
      .filter((i) => (wanted.value === "" || this.data.present[i].includes(Number(wanted.value))) && spread[i] >= Number(differ.value))
      .sort(by);
    if (!this.shown.includes(this.current)) this.current = this.shown[0] ?? null;
    this.show();
  }

  step(by) {
    this.pick(this.shown[Math.min(this.shown.length - 1, Math.max(0, this.shown.indexOf(this.current) + by))]);
  }

  pick(index) {
    if (index === undefined || index === this.current) return;
    this.current = index;
    this.show();
  }

  async show() {
    const image = this.current;
    const place = this.shown.indexOf(image);
    this.controls.previous.disabled = place <= 0;
    this.controls.next.disabled = place < 0 || place === this.shown.length - 1;
    const position = this.root.querySelector(".position");
    if (image === null) {
      position.textContent = "No image passes the filters.";
      this.stage.replaceChildren();
      this.film.replaceChildren();
      this.root.querySelector(".key").replaceChildren();
      return;
    }
    const names = this.data.present[image].map((c) => this.data.classes[c].name).join(", ") || "no object";
    const { ids, total } = this.data;
    const of = ids.length < total ? `${this.shown.length} (${ids.length} of ${total} test images are in this page)` : this.shown.length;
    position.textContent = `Image ${ids[image]}: ${names}. ${place + 1} of ${of}.`;
    this.showFilm();

    const runs = this.runs();
    const wanted = [this.data.photographs, ...this.data.truth, ...this.data.unknown, ...runs.flatMap((run) => run.masks)];
    await Promise.all(wanted.map((uri) => this.atlas(uri)));
    if (image !== this.current) return;
    const photograph = this.pixels(this.data.photographs, image);
    const truth = this.codes(this.data.truth, image);
    const unknown = this.codes(this.data.unknown, image);
    const view = this.controls.view.value;
    const cells = [this.cell("input", photograph), this.cell("truth", this.painted(view, photograph, truth, truth, unknown))];
    for (const run of runs) {
      const painted = this.painted(view, photograph, truth, this.codes(run.masks, image), view === "outcome" ? unknown : []);
      cells.push(this.cell(run.name, painted, run.dice[image], run.colour));
    }
    this.stage.replaceChildren(...cells);
    this.showKey(view);
    this.root.dataset.image = ids[image];
  }

  cell(name, pixels, dice, colour) {
    const figure = element("figure", "cell");
    const canvas = element("canvas");
    [canvas.width, canvas.height] = this.data.tile;
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    const score = dice === undefined ? "" : dice === null ? "nothing there" : (dice / 1000).toFixed(2);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", score ? `${name}, ${this.data.metric} ${score}` : name);
    const caption = element("figcaption");
    caption.append(element("span", "", name), element("span", "soft", score));
    if (typeof dice === "number") {
      const meter = element("div", "meter");
      meter.style.setProperty("--dice", dice / 10);
      meter.style.setProperty("--colour", colour);
      meter.append(element("i"));
      caption.append(meter);
    }
    figure.append(canvas, caption);
    return figure;
  }

  /* RGBA of one image: photograph (pixels), truth and prediction (codes per eight classes), of the chosen class or all;
     hatched where one of these is unknown and nothing else is to be seen. */
  painted(view, photograph, truth, predicted, unknown) {
    const chosen = this.controls.class.value;
    const classes = chosen === "" ? this.data.classes.map((_, c) => c) : [Number(chosen)];
    const wanted = truth.map((_, group) => classes.reduce((bits, c) => (c >> 3 === group ? bits | (1 << (c & 7)) : bits), 0));
    const out = new ImageData(...this.data.tile);
    const [width] = this.data.tile;
    const colours = this.data.classes.map((c) => [1, 3, 5].map((k) => parseInt(c.colour.slice(k, k + 2), 16)));
    const [right, missed, wrong] = this.data.outcomes.map(([, rgb]) => rgb);
    for (let p = 0; p < out.data.length / 4; p++) {
      const rgb = photograph.data.subarray(4 * p, 4 * p + 3);
      const isUnknown = unknown.some((codes, g) => codes[p] & wanted[g]);
      const striped = isUnknown && ((p % width) + Math.floor(p / width)) % 4 < 2;
      let colour;
      if (view === "outcome") {
        let [r, m, f] = [0, 0, 0];
        wanted.forEach((bits, g) => {
          const known = unknown.length ? bits & ~unknown[g][p] : bits;
          r |= truth[g][p] & predicted[g][p] & known;
          m |= truth[g][p] & ~predicted[g][p] & known;
          f |= ~truth[g][p] & predicted[g][p] & known;
        });
        const grey = (0.35 * (rgb[0] + rgb[1] + rgb[2])) / 3 + 90;
        colour = f ? wrong : m ? missed : r ? right : striped ? STRIPE : [grey, grey, grey];
      } else {
        colour = striped ? STRIPE : view === "mask" ? [24, 28, 34] : [...rgb];
        for (const c of classes) {
          const [group, bit] = [c >> 3, 1 << (c & 7)];
          const is = (q) => predicted[group][q] & bit;
          if (!is(p)) continue;
          const x = p % width;
          const inner = x > 0 && x < width - 1 && is(p - 1) && is(p + 1) && is(p - width) && is(p + width);
          const strength = view === "mask" ? 0.85 : inner ? 0.55 : 1;
          colour = colour.map((v, k) => v + strength * (colours[c][k] - v));
        }
      }
      out.data.set([...colour, 255], 4 * p);
    }
    return out;
  }

  showKey(view) {
    const entries =
      view === "outcome"
        ? this.data.outcomes.map(([name, rgb]) => [name, `rgb(${rgb})`])
        : this.data.classes.map((c) => [c.name, c.colour]);
    const chosen = this.controls.class.value;
    const one = view !== "outcome" && chosen !== "";
    const striped = this.data.unknown.length ? [["unknown", `rgb(${STRIPE})`]] : [];
    this.root.querySelector(".key").replaceChildren(
      ...[...(one ? [entries[Number(chosen)]] : entries), ...striped].map(([name, colour]) => {
        const entry = element("span");
        const swatch = element("span", "swatch");
        swatch.style.setProperty("--colour", colour);
        entry.append(swatch, name);
        return entry;
      })
    );
  }

  /* Thumbnails around the present image, as many as there is room for. */
  async showFilm() {
    if (this.current === null) return;
    await this.atlas(this.data.photographs);
    const room = Math.max(1, Math.floor(this.film.clientWidth / 53));
    const place = this.shown.indexOf(this.current);
    const first = Math.max(0, Math.min(place - (room >> 1), this.shown.length - room));
    const focused = this.film.contains(document.activeElement);
    this.film.replaceChildren(
      ...this.shown.slice(first, first + room).map((index) => {
        const button = element("button");
        button.type = "button";
        button.dataset.index = index;
        button.setAttribute("aria-label", `Image ${this.data.ids[index]}`);
        if (index === this.current) button.setAttribute("aria-current", "true");
        const canvas = element("canvas");
        [canvas.width, canvas.height] = this.data.tile;
        canvas.getContext("2d").drawImage(this.atlases.get(this.data.photographs).image, ...this.tile(index), 0, 0, ...this.data.tile);
        button.append(canvas);
        button.addEventListener("click", () => this.pick(index));
        return button;
      })
    );
    if (focused) this.film.querySelector("[aria-current]").focus();
  }

  tile(index) {
    const [width, height] = this.data.tile;
    return [(index % this.data.columns) * width, Math.floor(index / this.data.columns) * height, width, height];
  }

  async atlas(uri) {
    if (!this.atlases.has(uri)) {
      const image = new Image();
      image.src = uri;
      this.atlases.set(uri, { image, ready: image.decode() });
    }
    await this.atlases.get(uri).ready;
  }

  pixels(uri, index) {
    this.scratch.drawImage(this.atlases.get(uri).image, ...this.tile(index), 0, 0, ...this.data.tile);
    return this.scratch.getImageData(0, 0, ...this.data.tile);
  }

  /* For every eight classes a byte per pixel. */
  codes(uris, index) {
    return uris.map((uri) => this.pixels(uri, index).data.filter((_, k) => k % 4 === 0));
  }
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== "") made.textContent = text;
  return made;
}

function option(select, text, value) {
  select.append(new Option(text, value));
}

const browsers = [...document.querySelectorAll(".browser")].map(
  (root) => new Browser(root, JSON.parse(document.getElementById(root.dataset.source).textContent))
);

/* Arrow keys step through the browser that has the focus, or else through the one in view. */
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
  const focus = document.activeElement;
  if (focus && focus.matches("select, input, .scroll, pre")) return;
  const holds = browsers.find((b) => b.root.contains(focus));
  const seen = browsers.find((b) => {
    const box = b.stage.getBoundingClientRect();
    return box.bottom > 0 && box.top < window.innerHeight;
  });
  const browser = holds ?? (event.key.startsWith("Arrow") ? seen : undefined);
  if (!browser) return;
  event.preventDefault();
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  browser.step(steps[event.key]);
});

/* On paper everything is open. */
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
