"""The one stylesheet and the icon. The gateway serves both, at addresses that no storage area can have."""

STYLE_ADDRESS = "/.well-known/teapot/style.css"
ICON_ADDRESS = "/.well-known/teapot/icon.svg"

ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><style>@media (prefers-color-scheme:dark){*{stroke:#f0a868}}</style>
<g fill="none" stroke="#a34a12" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"><path d="M9 15h13v4a8 8 0 0 1-3 7h-7a8 8 0
0 1-3-7zM9 17 4 14M22 16h3a3 3 0 0 1 0 6h-3M11 15a5 5 0 0 1 9 0M15.500 9V8"/></g></svg>
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #23201d; --quiet: #655d55; --line: #e6e0d8; --accent: #a34a12; --hover: #f6efe7;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #191715; --card: #211e1b; --ink: #ece7e1; --quiet: #aaa197; --line: #37322d; --accent: #f0a868; --hover: #2a2622; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main, header, footer { max-width: 64rem; margin: 0 auto; padding: 0 1.25rem; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .2em; }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
header { padding-top: 1.25rem; }
nav ol { display: flex; flex-wrap: wrap; gap: .1rem .5rem; margin: 0; padding: 0; list-style: none; color: var(--quiet); }
nav li { overflow-wrap: anywhere; }
nav li + li::before { content: "/"; padding-right: .5rem; color: var(--quiet); }
nav a { display: inline-block; min-height: 1.5rem; }
h1 { margin: .25rem 0 1rem; font-size: 1.6rem; font-weight: 600; line-height: 1.25; overflow-wrap: anywhere; }
.note { margin: 0 0 1rem; padding: .6rem .9rem; border-left: 3px solid var(--accent); background: var(--card); }
table { width: 100%; border-collapse: separate; border-spacing: 0; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); }
th, td { padding: .45rem .9rem; text-align: left; vertical-align: baseline; }
th { border-bottom: 1px solid var(--line); font-weight: 600; font-size: .875rem; white-space: nowrap; }
th a { display: inline-block; min-height: 1.5rem; color: var(--quiet); text-decoration: none; }
th a:hover { text-decoration: underline; }
th[aria-sort] a { color: var(--ink); }
th[aria-sort="ascending"] a::after { content: " \\2191"; }
th[aria-sort="descending"] a::after { content: " \\2193"; }
td { border-top: 1px solid var(--line); }
tbody tr:first-child td { border-top: 0; }
tbody tr:hover { background: var(--hover); }
th:first-child, td:first-child { width: 100%; }
td:first-child { overflow-wrap: anywhere; }
td:first-child a { display: inline-block; min-height: 1.5rem; text-decoration: none; }
td:first-child a:hover { text-decoration: underline; }
td + td { white-space: nowrap; color: var(--quiet); font-variant-numeric: tabular-nums; }
th:nth-child(2), td:nth-child(2) { text-align: right; }
.collection a { font-weight: 600; }
.areas { display: grid; gap: .75rem; padding: 0; list-style: none; }
.areas a { display: block; padding: .9rem 1.1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card);
  font-weight: 600; text-decoration: none; overflow-wrap: anywhere; }
.areas a:hover { background: var(--hover); text-decoration: underline; }
footer { padding-top: .9rem; padding-bottom: 2rem; color: var(--quiet); font-size: .875rem; }
@media (max-width: 40rem) {
  main, header, footer { padding-left: .9rem; padding-right: .9rem; }
  table, tbody { display: block; }
  thead { display: block; border-bottom: 1px solid var(--line); }
  thead tr { display: flex; }
  th, th:first-child { border: 0; padding: .4rem 0 .4rem .9rem; width: auto; }
  tbody tr { display: grid; grid-template-columns: 1fr auto; border-top: 1px solid var(--line); padding: .45rem .9rem; }
  tbody tr:first-child { border-top: 0; }
  td, td:first-child { border: 0; padding: 0; width: auto; }
  td:first-child { grid-column: 1 / -1; }
  td:nth-child(2) { text-align: left; }
  .collection td:first-child { grid-column: 1; }
  .collection td:nth-child(2) { display: none; }
  td + td { font-size: .875rem; }
}
"""
