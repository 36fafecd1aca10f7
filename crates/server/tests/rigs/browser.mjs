// A real browser on a leash: one JSON array of steps per line of stdin, one JSON line of results back.
// The browser and its cookies live as long as stdin, so a journey may pause for the test to act.
//
// Steps ({ "do": ... }):
//   goto {url} · fill {selector, value} · select {selector, value} · click {selector} · check {selector} · press {key}
//   expect {text} (waits until the page shows it) · expect_url {prefix}
//   url · title · text {selector?} · content · cookies · screenshot {path}
//   size {width, height} · scheme {scheme} · new_context (a browser without cookies)
//   problems (console errors, CSP reports) · axe (what axe-core finds serious or critical)
//   overflow (how far the page is wider than the window) · leaks {values} (where in the page or in any answer
//   of this context one of them stands) · requests (the URLs that this context has asked for)
//   answers (each answer of this context: url, status, headers, type) · intrude {elsewhere} (what an injected script
//   could do) · framed {url} (the heading that a frame of a stranger's page shows)
//   interactive (milliseconds from the click to the moment when the page can be used)
//   picture {name} (a screenshot into the folder DOORWARD_SCREENSHOTS, if it is set)
// A line of results: { ok: true, results: [...] } or { ok: false, failed_step, error, url, text }.
//
// Options: executable ("/usr/bin/chromium"), timeout_ms (15000), color_scheme ("light").

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { nextLine, options, say } from "./rig.mjs";

const { executable = "/usr/bin/chromium", timeout_ms = 15_000, color_scheme = "light" } = options;

const home = await mkdtemp(join(tmpdir(), "doorward-browser-"));
const browser = await chromium.launch({
  executablePath: executable,
  headless: true,
  // Chromium keeps caches and crash dumps in its home whatever the profile: none of it may stay behind.
  env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

let page;
let problems = [];
let requests = [];
let answers = [];

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pictures = process.env.DOORWARD_SCREENSHOTS;

async function newContext() {
  await page?.context().close();
  // Certificates of tests come from an authority of their own.
  const context = await browser.newContext({
    colorScheme: color_scheme, locale: "en-GB", reducedMotion: "reduce", ignoreHTTPSErrors: true,
  });
  context.setDefaultTimeout(timeout_ms);
  page = await context.newPage();
  [problems, requests, answers] = [[], [], []];
  page.on("console", (message) => isProblem(message) && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  page.on("response", (response) => answers.push(whole(response)));
}

// A page that says "not found" is itself no problem, but whatever it failed to load is.
function isProblem(message) {
  const isThePage = message.location().url === page.url() && message.text().startsWith("Failed to load resource");
  return message.type() === "error" && !isThePage;
}

// What came over the wire: head and body; a redirect has no body.
async function whole(response) {
  const head = JSON.stringify(await response.allHeaders().catch(() => ({})));
  const body = await response.text().catch(() => "");
  const [status, headers] = [response.status(), await response.allHeaders().catch(() => ({}))];
  const type = response.request().resourceType();
  return { url: response.url(), text: `${head}\n${body}`, status, headers, type };
}

async function leaks(values) {
  const seen = [...(await Promise.all(answers)), { url: "the page itself", text: await page.content() }];
  const found = (value) => seen.filter(({ text }) => text.includes(value)).map(({ url }) => `${value} in ${url}`);
  return values.flatMap(found);
}

// The policy of the pages forbids scripts from elsewhere; the debugger's own are not subject to it.
async function audit() {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return bad.map(({ id, help, nodes }) => ({ id, help, where: nodes.slice(0, 5).map((node) => node.html.slice(0, 160)) }));
}

// What a page that was injected into could do: run a script, read the session, load or send something elsewhere.
async function intrude(elsewhere) {
  return page.evaluate(async (elsewhere) => {
    const add = (tag, set) => document.body.append(Object.assign(document.createElement(tag), set));
    add("script", { textContent: "globalThis.intruder = 1" });
    const loads = (tag) => new Promise((done) => add(tag, { src: elsewhere, onload: () => done(true), onerror: () => done(false) }));
    const [script, image] = [await loads("script"), await loads("img")];
    const sent = await fetch(elsewhere, { mode: "no-cors" }).then(() => true, () => false);
    const based = add("base", { href: elsewhere }) ?? new URL("x", document.baseURI).origin !== location.origin;
    return { inline: "intruder" in globalThis, script, image, sent, based, cookies: document.cookie };
  }, elsewhere);
}

// Whether the page at a URL shows itself in a frame of somebody else's page.
async function framed(url) {
  const stranger = await page.context().newPage();
  await stranger.setContent(`<iframe src="${url}"></iframe>`);
  await stranger.waitForLoadState("networkidle");
  const text = await stranger.frames().at(1).evaluate(() => document.querySelector("h1")?.textContent ?? "").catch(() => "");
  await stranger.close();
  return text;
}

// Runs in the page: what a screen reader says of where the focus is, about.
function focused() {
  const element = document.activeElement;
  const label = document.getElementById(element.getAttribute("aria-labelledby"));
  return element.ariaLabel ?? (label ?? element).textContent.trim();
}

async function picture(name) {
  if (!pictures) return;
  await page.evaluate(() => globalThis.scrollTo(0, 0));
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

async function run(step) {
  switch (step.do) {
    case "goto": {
      const response = await page.goto(step.url);
      return response?.status() ?? null;
    }
    case "fill": return page.fill(step.selector, step.value);
    case "select": return page.selectOption(step.selector, step.value);
    case "click": return page.click(step.selector);
    case "check": return page.check(step.selector);
    case "press": return page.keyboard.press(step.key);
    case "value": return page.inputValue(step.selector);
    case "focused": return page.evaluate(focused);
    case "sees": return page.locator(step.selector).first().isVisible();
    case "expect": return page.getByText(step.text).first().waitFor();
    case "expect_url": return page.waitForURL((url) => String(url).startsWith(step.prefix));
    case "url": return page.url();
    case "title": return page.title();
    case "text": return page.innerText(step.selector ?? "body");
    case "content": return page.content();
    case "cookies": return page.context().cookies();
    case "screenshot": return page.screenshot({ path: step.path, fullPage: true }).then(() => step.path);
    case "size": return page.setViewportSize({ width: step.width, height: step.height });
    case "scheme": return page.emulateMedia({ colorScheme: step.scheme });
    case "axe": return audit();
    case "overflow":
      return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    case "interactive":
      return page.evaluate(() => performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd);
    case "leaks": return leaks(step.values);
    case "requests": return requests;
    case "answers":
      return (await Promise.all(answers)).map(({ url, status, headers, type }) => ({ url, status, headers, type }));
    case "intrude": return intrude(step.elsewhere);
    case "framed": return framed(step.url);
    case "picture": return picture(step.name);
    case "new_context": return newContext();
    case "problems": return problems;
    default: throw new Error(`there is no step "${step.do}"`);
  }
}

async function play(steps) {
  const results = [];
  for (const [index, step] of steps.entries()) {
    try {
      results.push((await run(step)) ?? null);
    } catch (error) {
      const text = await page.innerText("body").catch(() => "");
      return { ok: false, failed_step: index, step, error: String(error), url: page.url(), text };
    }
  }
  return { ok: true, results };
}

await newContext();
say({ ready: true, version: browser.version() });
for (let line = await nextLine(); line !== null; line = await nextLine()) {
  say(await play(JSON.parse(line)));
}
await browser.close();
await rm(home, { recursive: true, force: true });
process.exit(0);
