/** Style sheet of the pages: one column of text, wider figures, a light and a dark scheme. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --text: #23211e; --muted: #68635b; --line: #e2ddd4;
  --accent: #1c6290; --warm: #b2501f; --bar: #c9c2b6;
  --serif: 'Iowan Old Style', Charter, 'Bitstream Charter', 'Palatino Linotype', Palatino, 'Noto Serif', 'DejaVu Serif', Georgia, serif;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', Helvetica, Arial, sans-serif;
  --text-width: 42rem; --wide: 68rem;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #171614; --card: #1f1e1b; --text: #e6e1d8; --muted: #a19a8d; --line: #35322d;
    --accent: #79b4dc; --warm: #e58e5e; --bar: #514c44;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--page); color: var(--text); font: 1.0625rem/1.6 var(--serif); }
main, header, footer, nav { max-width: var(--wide); margin-inline: auto; padding-inline: 1.25rem; }
p, dl, ul, pre, h1, h2, h3 { max-width: var(--text-width); }
h1, h2, h3 { font-weight: 600; line-height: 1.2; text-wrap: balance; }
h1 { font-size: clamp(2rem, 6vw, 3rem); letter-spacing: -0.015em; margin: 4rem 0 1.25rem; }
h2 { font-size: 1.75rem; letter-spacing: -0.01em; margin: 5rem 0 1rem; }
h3 { font-size: 1.25rem; margin: 3rem 0 0.5rem; }
p { margin: 0 0 1rem; text-wrap: pretty; hanging-punctuation: first; }
a { color: var(--accent); text-underline-offset: 0.15em; }
.lead { font-size: 1.25rem; line-height: 1.55; }
.note, small, figcaption, caption { color: var(--muted); font-family: var(--sans); font-size: 0.8125rem; line-height: 1.5; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
img, svg { max-width: 100%; }
.coarse { image-rendering: pixelated; }
figure { margin: 0; }
figcaption { padding-top: 0.5rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip:not(:focus) { position: absolute; left: -100vw; }
nav { font-family: var(--sans); font-size: 0.875rem; margin-top: 2.5rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; list-style: none; margin: 0; padding: 1rem 0; max-width: none; border-block: 1px solid var(--line); }
nav a { color: inherit; text-decoration: none; }
nav a:hover { text-decoration: underline; }

table { border-collapse: collapse; font-family: var(--sans); font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 0.45rem 1.25rem 0.45rem 0; border-bottom: 1px solid var(--line); font-weight: 400; }
thead th { color: var(--muted); vertical-align: bottom; }
tbody th { font-weight: 600; }
.number { text-align: right; }
th small { display: block; font-weight: 400; }
.scroll { overflow-x: auto; margin-block: 1.5rem; }
caption { text-align: left; padding-bottom: 0.5rem; }

.comparison { width: 100%; max-width: var(--text-width); margin-top: 2.5rem; }
.comparison th:first-child { width: 34%; }
.comparison td { vertical-align: middle; white-space: nowrap; }
.comparison .bar { display: inline-block; height: 0.7rem; width: calc(var(--share) * (100% - 4rem)); background: var(--bar); border-radius: 1px; vertical-align: -0.05rem; }
.comparison .value { padding-left: 0.5rem; }
.comparison .own .bar { background: var(--accent); }
.comparison .own { font-weight: 600; }

.sheet { position: relative; display: grid; grid-template: repeat(var(--rows), 1fr) / repeat(var(--columns), 1fr); background: var(--line); }
.sheet img { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.cell { position: relative; border: 1px solid var(--gap, var(--card)); }
.cell:hover, .cell:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; z-index: 2; }
.cell:hover::after, .cell:focus-visible::after {
  content: attr(data-tip); position: absolute; z-index: 3; left: 0; top: calc(100% + 4px); width: max-content; max-width: 15rem;
  padding: 0.3rem 0.55rem; border-radius: 3px; background: var(--text); color: var(--page); font: 0.75rem/1.35 var(--sans); pointer-events: none;
}
.pair > :last-child .cell:hover::after { left: auto; right: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.25rem, 1fr)); gap: 1.25rem 1rem; margin-block: 1.5rem; --gap: var(--page); }
.tile figcaption { padding-top: 0.3rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 2rem; margin-block: 1.5rem; }
.chart { max-width: 44rem; margin-block: 1.5rem; }
.chart svg, .charts svg { width: 100%; height: auto; font-family: var(--sans); }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 10rem), 1fr)); gap: 1.5rem; margin-block: 1.5rem; align-items: start; }
.panels.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
.panels :is(img, svg) { display: block; width: 100%; height: auto; }
.over { position: relative; }
.over .square { position: absolute; background: var(--shade); border: 1px solid #fff; }
.over .here { position: absolute; outline: 2px solid #fff; box-shadow: 0 0 0 3px #000; pointer-events: none; }
.over[data-occlusion-map] { cursor: crosshair; touch-action: none; }
.occlusion output { display: block; min-height: 2.5em; font-family: var(--sans); font-size: 0.875rem; }
.single { max-width: 38rem; margin-block: 1.5rem; }
.single > svg { display: block; width: 100%; height: auto; font-family: var(--sans); }
.key { display: flex; flex-wrap: wrap; gap: 0 0.8rem; }
.key i { display: inline-block; width: 0.7em; height: 0.7em; margin-right: 0.35em; border-radius: 1px; }
.filters { max-width: 40rem; margin-block: 1.5rem; --gap: var(--page); }
.filters .cell { border-width: 3px; }

.layer { margin-top: 3.5rem; }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1.5rem; margin-top: 1.25rem; }
.map { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 0.9rem; }
.map figcaption { padding: 0 0 0.6rem; color: var(--text); min-height: 2.1rem; }
.map figcaption strong { margin-right: 0.4rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0.75rem; }
NINE
.explorer { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10.5rem), 1fr)); gap: 0.75rem; margin-top: 1.25rem; align-items: start; }
.open-map { background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
.open-map[open] { grid-column: 1 / -1; }
.open-map > summary { display: flex; flex-wrap: wrap; gap: 0.4rem; padding: 0.6rem; cursor: pointer; list-style: none; font-family: var(--sans); font-size: 0.875rem; }
.open-map > summary::-webkit-details-marker { display: none; }
.open-map > summary:hover { background: color-mix(in srgb, var(--accent) 8%, transparent); }
.open-map > summary > img { border-radius: 2px; width: calc(50% - 0.2rem); max-width: 4.5rem; height: auto; aspect-ratio: 1; }
.open-map > summary > span { flex: 1 1 8rem; min-width: 0; }
.open-map > summary small { display: block; }
.open-map[open] > summary > img { display: none; }
.open-map[open] > summary::after { content: 'close'; color: var(--accent); }
.open-map .map { border: 0; padding: 0 0.9rem 0.9rem; background: none; max-width: 44rem; }
.open-map .map figcaption { display: none; }
.open-map .pair small { display: block; padding-top: 0.4rem; }
.switch { position: sticky; top: 0; z-index: 5; display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; margin: 1.5rem 0; padding: 0.6rem 0; border: 0; border-block: 1px solid var(--line); background: var(--page); font-family: var(--sans); font-size: 0.875rem; }
.switch legend { float: left; width: 100%; padding: 0; color: var(--muted); font-size: 0.8125rem; }
.switch label { cursor: pointer; }
body:has(.switch input[value=deconvnet]:checked) .way:not([data-way=deconvnet]),
body:has(.switch input[value=gradient]:checked) .way:not([data-way=gradient]),
body:has(.switch input[value=guided]:checked) .way:not([data-way=guided]) { display: none; }
.modes th, .modes td { vertical-align: middle; padding: 0.35rem 0.75rem 0.35rem 0; border: 0; }
.modes tbody th { min-width: 6.5rem; }
.modes img { display: block; min-width: 6rem; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: 1.25rem 1rem; margin-block: 1rem; }
.mistakes figcaption { padding-top: 0.3rem; }
dt { font-weight: 600; margin-top: 1rem; }
dd { margin: 0.15rem 0 0; }
pre { overflow-x: auto; padding: 0.8rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 4px; font-size: 0.875rem; }
.credits { padding-left: 1.1rem; font-family: var(--sans); font-size: 0.875rem; }
.credits li { margin-bottom: 0.3rem; }
footer { margin-block: 5rem 3rem; }
@media (max-width: 30rem) {
  body { font-size: 1rem; }
  h1 { margin-top: 2.5rem; }
  h2 { margin-top: 3.5rem; }
  .lead { font-size: 1.125rem; }
  .comparison small { display: none; }
  .comparison th:first-child { width: 28%; }
  #layers :is(th, td):nth-child(2) { display: none; }
  .map { padding: 0.6rem; }
  .explorer { grid-template-columns: 1fr 1fr; }
  .switch small { display: none; }
  .pair { gap: 0.5rem; }
  .tiles, .mistakes { grid-template-columns: repeat(auto-fill, minmax(5.5rem, 1fr)); gap: 1rem 0.75rem; }
}
@media print { .map { break-inside: avoid; } nav { display: none; } }
`.replace(
  'NINE',
  // Pointing at one of nine pictures marks the corresponding one on the other sheet.
  `${Array.from({ length: 9 }, (_, i) => {
    const nth = `.cell:nth-of-type(${i + 1})`;
    return `.pair:has(${nth}:hover, ${nth}:focus-visible) ${nth}`;
  }).join(',\n')} { outline: 2px solid var(--accent); outline-offset: -2px; z-index: 1; }`,
);
