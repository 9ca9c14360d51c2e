#!/usr/bin/env python3
"""Looks at the pages of aftune-inspect --html in a real browser.

usage: check_page.py CHROMIUM BIN-DIR FIXTURE [--screenshots FOLDER]     the pictures in docs/ are made by the last
At 360 and 1600 px, light and dark: nothing is wider than the window, nothing is fetched, the console is silent, no
script runs, text has contrast, and headings, landmarks and tables are what assistive technology needs. Pages damaged on
purpose show that each of these can fail.
"""
import base64
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser, Page  # noqa: E402
import make_verdicts  # noqa: E402

# Each is an expression whose value is a list of complaints.
OVERFLOW = """(() => {
  const wide = document.documentElement.scrollWidth > innerWidth ? ['the page is ' + document.documentElement.scrollWidth] : [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('.scroll, .symbols')) continue;
    const box = e.getBoundingClientRect();
    if (box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5))
      wide.push(e.tagName + '.' + (e.getAttribute('class') || '') + ' spans ' + box.left + ' to ' + box.right);
  }
  return wide;
})()"""
CONTRAST = """(() => {
  const rgb = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const clear = c => c.length == 4 && c[3] == 0;
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || e.closest('title') || !e.getClientRects().length) continue;
    let back = e;
    while (back && clear(rgb(getComputedStyle(back).backgroundColor))) back = back.parentElement;
    const under = light(rgb(getComputedStyle(back || document.documentElement).backgroundColor));
    const style = getComputedStyle(e);
    const over = light(rgb(e.closest('svg') ? style.fill : style.color));
    const ratio = (Math.max(over, under) + 0.05) / (Math.min(over, under) + 0.05);
    if (ratio < 4.5) bad.push(walk.currentNode.data.slice(0, 30) + ': contrast ' + ratio.toFixed(2));
  }
  return bad;
})()"""
STRUCTURE = """(() => {
  const bad = [], all = s => [...document.querySelectorAll(s)];
  for (const s of ['header', 'main', 'footer', 'h1', 'title']) {
    const n = all(s).filter(e => !e.closest('svg')).length;
    if (n != 1) bad.push(n + ' of ' + s);
  }
  if (!document.documentElement.lang) bad.push('no language');
  for (const e of all('section'))
    if (!document.getElementById(e.getAttribute('aria-labelledby'))) bad.push('a section without a heading');
  for (const e of all('th')) if (!e.getAttribute('scope')) bad.push('a table header without scope');
  for (const e of all('svg'))
    if (!e.hasAttribute('aria-hidden') && !(e.getAttribute('role') == 'img' && e.getAttribute('aria-label')))
      bad.push('a figure without a name');
  const ids = all('[id]').map(e => e.id);
  if (new Set(ids).size != ids.length) bad.push('an id twice');
  for (const e of all('use'))
    if (!document.getElementById(e.getAttribute('href').slice(1))) bad.push('a mark without a shape');
  if (all('script, img, iframe, link, object, embed, a[href]').length) bad.push('an element from outside');
  const tiny = all('.tick').filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 9);
  if (tiny.length) bad.push(tiny.length + ' labels too small to read');
  return bad;
})()"""


def complaints_of(browser, path, width, dark):
    page = Page(browser, path, width, dark)
    found = page.evaluate(OVERFLOW) + page.evaluate(CONTRAST) + page.evaluate(STRUCTURE)
    found += ["asks for " + url for url in page.requests()] + ["console: " + text for text in page.complaints()]
    page.close()
    return found


# What a page may not be: each damage, one text put in another's place, must be seen.
DAMAGE = {
    "too wide": ("</main>", '<div style="width:3000px">x</div></main>'),
    "no landmark": ("<main>", "<div>"),
    "pale text": ("--ink: #1b1f27", "--ink: #d8d8d8"),
    "an image from outside": ("</main>", '<img src="http://evil.example/x" alt=""></main>'),
    "a script": ("</main>", "<script>console.log(1)</script></main>"),
    "a table header without scope": ('<th scope="col">', "<th>"),
}


def check_damage(browser, path, scratch):
    text = open(path, encoding="utf-8").read()
    for name, (old, new) in DAMAGE.items():
        assert old in text, name
        damaged = os.path.join(scratch, "damaged.html")
        with open(damaged, "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))
        if not complaints_of(browser, damaged, 360, False):
            sys.exit(f"a page with {name} passes")


def write_pages(tools, fixture, scratch):
    """The pages, by name: a real run with its curves, and verdicts that are made up."""
    work = os.path.join(scratch, "work")
    shutil.copytree(os.path.join(fixture, "full"), work)

    def tool(*command):
        env = {**os.environ, "PATH": tools + ":" + os.environ["PATH"], "SOURCE_DATE_EPOCH": "1700000000"}
        seen = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True)
        if seen.returncode:
            sys.exit(f"exit {seen.returncode}: {' '.join(command)}\n{seen.stderr}")
        return seen.stdout

    def page(name, *more):
        tool("aftune-inspect", "--verdict", name + ".json", "--html", name + ".html", *more)
        return os.path.join(work, name + ".html")

    tool("aftune-train", "--model", "model", "--init", "--data", "rows.jsonl", "--out", "new", "--trace", "new.aft",
         "--steps", "24", "--batch-size", "2", "--seq-len", "48", "--lr", "4e-3", "--seed", "7", "--steps-per-block", "2",
         "--snapshot-interval", "1", "--eval-data", "rows.jsonl", "--eval-every", "4", "--quiet", "--threads", "2",
         "--run-id", "00112233445566778899aabbccddeeff")
    tool("aftune-commit", "--trace", "new.aft", "--key", "acme.key")
    verdict = tool("aftune-verify", "--trace", "new.aft", "--pubkey", "acme.vkey", "--challenge-seed", "11" * 32, "--cells",
                   "24", "--tampered", "0.1", "--data", "rows.jsonl", "--model", "model", "--json", "--quiet")
    with open(os.path.join(work, "accepted.json"), "w") as file:
        file.write(verdict)
    subprocess.run([sys.executable, make_verdicts.__file__, work], check=True)
    pages = {"accepted": page("accepted", "--trace", "new.aft")}
    for name in ("rejected", "large", "early", "hostile"):
        pages[name] = page(name)
    return pages


def main():
    chromium, tools, fixture = sys.argv[1:4]
    shots = sys.argv[5] if len(sys.argv) > 5 else None
    with tempfile.TemporaryDirectory() as scratch, Browser(chromium) as browser:
        pages = write_pages(tools, fixture, scratch)
        count = 0
        for name, path in pages.items():
            if os.path.getsize(path) > 2 << 20:
                sys.exit(f"{name}: {os.path.getsize(path)} bytes")
            for width in (360, 1600):
                for dark in (False, True):
                    found = complaints_of(browser, path, width, dark)
                    if found:
                        sys.exit(f"{name} at {width} px{', dark' if dark else ''}: " + "; ".join(found[:10]))
                    count += 1
                    if shots:
                        page = Page(browser, path, width, dark)
                        with open(os.path.join(shots, f"{name}-{width}{'-dark' if dark else ''}.png"), "wb") as file:
                            file.write(base64.b64decode(page.screenshot()))
                        page.close()
        check_damage(browser, pages["accepted"], scratch)
    print(f"{count} views hold, {len(DAMAGE)} damages are seen")


if __name__ == "__main__":
    main()
