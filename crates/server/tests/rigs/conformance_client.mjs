// What the conformance suite starts as "the client": it hands the scenario to the test that waits for it
// (the first argument is where), and ends when Doorward has played it.

const [control, url] = process.argv.slice(2);
const { MCP_CONFORMANCE_SCENARIO, MCP_CONFORMANCE_PROTOCOL_VERSION, MCP_CONFORMANCE_CONTEXT } = process.env;

const answer = await fetch(control, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({
    name: MCP_CONFORMANCE_SCENARIO,
    revision: MCP_CONFORMANCE_PROTOCOL_VERSION,
    url,
    context: JSON.parse(MCP_CONFORMANCE_CONTEXT ?? "{}"),
  }),
});
console.log(await answer.text());
process.exitCode = answer.ok ? 0 : 1;
