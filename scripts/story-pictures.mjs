#!/usr/bin/env node
// Makes the pictures of the stories for the docs: of each story one, in light and dark, wide and narrow. Wants a folder
// that the tests have filled (docs/ui.md); draws with the Chromium of the rigs.

import { readFile, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const { chromium } = createRequire(join(root, "crates/server/tests/rigs/rig.mjs"))("playwright-core");
const folder = process.argv[2];
if (!folder) {
  console.error("usage: scripts/story-pictures.mjs FOLDER");
  process.exit(2);
}

// Where on a long page the story happens, in pixels of the screenshots: wide, narrow.
const from = { "story-s9": [760, 1180], "story-s10": [760, 1180] };

const picture = async (name, width, height, top) => {
  const png = await readFile(join(folder, `${name}.png`), "base64");
  const image = `<img style="margin-top:-${top}px" width="${width}" src="data:image/png;base64,${png}">`;
  return `<div style="width:${width}px;height:${height}px">${image}</div>`;
};
const row = async (story, scheme) => {
  const [wide, narrow] = from[story] ?? [0, 0];
  const left = await picture(`${story}-${scheme}-1440`, 800, 500, (wide * 800) / 1440);
  return `<section>${left}${await picture(`${story}-${scheme}-400`, 222, 500, (narrow * 222) / 400)}</section>`;
};

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1058, height: 600 } });
const stories = (await readdir(folder)).filter((name) => /^story-.*-light-1440\.png$/.test(name));
for (const story of stories.map((name) => name.replace("-light-1440.png", ""))) {
  await page.setContent(`<style>
    body { margin: 12px; background: #cfcac3; }
    section { display: flex; gap: 12px; width: 1034px; }
    section + section { margin-top: 12px; }
    div { overflow: hidden; border-radius: 6px; }
    img { display: block; }
  </style>${await row(story, "light")}${await row(story, "dark")}`);
  await page.screenshot({ path: join(root, "docs/images", `${story}.png`), fullPage: true });
}
await browser.close();
