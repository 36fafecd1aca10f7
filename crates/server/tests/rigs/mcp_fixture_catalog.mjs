// What the fixture of `mcp_fixture.mjs` offers: the names are the conformance suite's, the code is ours.
//
// A tool is { description, schema, run(context) }. It asks its client by `context.ask(key, method, params)`,
// which is a request on the call's stream in the legacy era and an `input_required` result in the modern one,
// so each tool exists once for both.

import { createHmac, timingSafeEqual } from "node:crypto";

const IMAGE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const AUDIO = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
const SECRET = "the fixture's own";

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const text = (words) => ({ type: "text", text: words });
const said = (words) => ({ content: [text(words)] });
const embedded = (uri, mimeType, words) => ({ type: "resource", resource: { uri, mimeType, text: words } });
const form = (message, properties, required = Object.keys(properties)) => ({
  message,
  requestedSchema: { type: "object", properties, ...(required.length > 0 ? { required } : {}) },
});
const sampling = (words, maxTokens = 100) => ({
  messages: [{ role: "user", content: text(words) }],
  maxTokens,
});

/** A state that its receiver can only bring back as it is. */
function sign(state) {
  const body = Buffer.from(JSON.stringify(state)).toString("base64url");
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("base64url")}`;
}

/** What was signed; undefined when it was changed. */
function signed(state) {
  const [body, mark] = String(state).split(".");
  const right = createHmac("sha256", SECRET).update(body).digest();
  const given = Buffer.from(mark ?? "", "base64url");
  if (String(state).split(".").length !== 2 || given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
  return JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
}

/** Ends a modern request with questions. */
export class InputRequired {
  constructor(inputRequests, requestState) {
    this.result = {
      resultType: "input_required",
      inputRequests,
      ...(requestState === undefined ? {} : { requestState }),
    };
  }
}

/** Ends a request with a JSON-RPC error. */
export class Refusal {
  constructor(code, message, data) {
    Object.assign(this, { code, message, data });
  }
}

const stateOf = (context) => {
  if (context.params.requestState === undefined) return undefined;
  const state = signed(context.params.requestState);
  if (state === undefined) throw new Refusal(-32602, "requestState was changed");
  return state;
};

/** All questions at once, with a state where the wire has one. */
async function askAll(context, questions, state) {
  if (!context.modern) {
    const answers = await Promise.all(Object.entries(questions).map(([key, q]) => context.ask(key, q.method, q.params)));
    return Object.fromEntries(Object.keys(questions).map((key, at) => [key, answers[at]]));
  }
  const answers = context.params.inputResponses ?? {};
  const brought = stateOf(context);
  const whole = Object.keys(questions).every((key) => isAnswer(questions[key].method, answers[key]));
  if (whole && (state === undefined || brought !== undefined)) return answers;
  throw new InputRequired(questions, state === undefined ? undefined : sign(state));
}

/** Whether a client's answer has the shape that its question asks for. */
export function isAnswer(method, answer) {
  if (answer === null || typeof answer !== "object") return false;
  if (method === "elicitation/create") return ["accept", "decline", "cancel"].includes(answer.action);
  if (method === "sampling/createMessage") return answer.content !== undefined;
  return Array.isArray(answer.roots);
}

const enums = {
  untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
  titledSingle: {
    type: "string",
    oneOf: ["First", "Second", "Third"].map((word, at) => ({ const: `value${at + 1}`, title: `${word} Option` })),
  },
  legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
  untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
  titledMulti: {
    type: "array",
    items: { anyOf: ["First", "Second", "Third"].map((word, at) => ({ const: `value${at + 1}`, title: `${word} Choice` })) },
  },
};

const schema2020 = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

const object = (properties = {}, required = []) => ({
  type: "object",
  properties,
  ...(required.length > 0 ? { required } : {}),
});
const words = { type: "string" };

export const tools = {
  test_simple_text: { run: () => said("This is a simple text response for testing.") },
  test_image_content: { run: () => ({ content: [{ type: "image", data: IMAGE, mimeType: "image/png" }] }) },
  test_audio_content: { run: () => ({ content: [{ type: "audio", data: AUDIO, mimeType: "audio/wav" }] }) },
  test_embedded_resource: {
    run: () => ({ content: [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")] }),
  },
  test_multiple_content_types: {
    run: () => ({
      content: [
        text("Multiple content types test:"),
        { type: "image", data: IMAGE, mimeType: "image/png" },
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
      ],
    }),
  },
  test_error_handling: {
    run: () => ({ ...said("This tool intentionally returns an error for testing"), isError: true }),
  },
  test_tool_with_logging: {
    run: async (context) => {
      for (const line of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
        context.log("info", line);
        await pause(50);
      }
      return said("Logging test completed");
    },
  },
  test_logging_tool: {
    run: (context) => {
      for (const level of ["debug", "info", "error"]) context.log(level, `a line of ${level}`);
      return said("Logged");
    },
  },
  test_tool_with_progress: {
    run: async (context) => {
      for (const progress of [0, 50, 100]) {
        context.progress(progress, 100);
        await pause(50);
      }
      return said("Progress test completed");
    },
  },
  test_reconnection: {
    run: async (context) => {
      context.closeStream();
      await pause(100);
      return said("Reconnection test completed");
    },
  },
  test_sampling: {
    schema: object({ prompt: words }, ["prompt"]),
    run: async (context) => {
      const answer = await context.ask("sampled", "sampling/createMessage", sampling(context.args.prompt ?? "Hello"));
      return said(`LLM response: ${answer.content?.text}`);
    },
  },
  test_elicitation: {
    schema: object({ message: words }, ["message"]),
    run: async (context) => {
      const properties = {
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" },
      };
      const answer = await context.ask("user", "elicitation/create", form(context.args.message ?? "Who are you?", properties));
      return said(`User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
    },
  },
  test_elicitation_sep1034_defaults: {
    run: async (context) => {
      const properties = {
        name: { type: "string", default: "John Doe" },
        age: { type: "integer", default: 30 },
        score: { type: "number", default: 95.5 },
        status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
        verified: { type: "boolean", default: true },
      };
      const answer = await context.ask("defaults", "elicitation/create", form("All have defaults", properties, []));
      return said(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
    },
  },
  test_elicitation_sep1330_enums: {
    run: async (context) => {
      const answer = await context.ask("enums", "elicitation/create", form("Choose", enums, []));
      return said(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
    },
  },
  test_streaming_elicitation: {
    run: async (context) => {
      context.progress(1, 2);
      const answer = await context.ask("name", "elicitation/create", form("What is your name?", { name: words }));
      return said(`Hello, ${answer.content?.name}`);
    },
  },
  test_list_roots: {
    run: async (context) => {
      const answer = await context.ask("roots", "roots/list", {});
      return said(`Roots: ${JSON.stringify(answer.roots)}`);
    },
  },
  test_missing_capability: {
    run: async (context) => {
      const answer = await context.ask("needed", "sampling/createMessage", sampling("Anything"));
      return said(`Sampled: ${answer.content?.text}`);
    },
  },
  test_trigger_tool_change: { run: (context) => (context.changed("tools"), said("The tools have changed")) },
  test_trigger_prompt_change: { run: (context) => (context.changed("prompts"), said("The prompts have changed")) },
  test_update_resource: {
    schema: object({ uri: words }, ["uri"]),
    run: (context) => (context.updated(context.args.uri), said("The resource has changed")),
  },
  json_schema_2020_12_tool: {
    description: "Tool with JSON Schema 2020-12 features",
    schema: schema2020,
    run: (context) => said(`Hello, ${context.args.name ?? "world"}`),
  },
  test_header_tool: {
    schema: object({ region: { type: "string", "x-mcp-header": "Region" } }, ["region"]),
    run: (context) => said(`Region: ${context.args.region}`),
  },
  test_url_elicitation: {
    run: async (context) => {
      const url = "https://fixture.example/open";
      const params = { mode: "url", url, message: "Open this", ...(context.modern ? {} : { elicitationId: "fixture-1" }) };
      const answer = await context.ask("open", "elicitation/create", params);
      return said(`URL: ${answer.action}`);
    },
  },
  test_input_required_result_elicitation: {
    run: async (context) => {
      const params = form("What is your name?", { name: words });
      const { user_name } = await askAll(context, { user_name: { method: "elicitation/create", params } });
      return said(`Hello, ${user_name.content?.name}!`);
    },
  },
  test_input_required_result_sampling: {
    run: async (context) => {
      const question = { method: "sampling/createMessage", params: sampling("What is the capital of France?") };
      const { capital_question } = await askAll(context, { capital_question: question });
      return said(capital_question.content?.text ?? "nothing");
    },
  },
  test_input_required_result_list_roots: {
    run: async (context) => {
      const { client_roots } = await askAll(context, { client_roots: { method: "roots/list", params: {} } });
      return said(client_roots.roots.map((root) => root.uri).join(" "));
    },
  },
  test_input_required_result_request_state: {
    run: async (context) => {
      const params = form("Please confirm", { ok: { type: "boolean" } });
      await askAll(context, { confirm: { method: "elicitation/create", params } }, { step: 1 });
      return said("state-ok");
    },
  },
  test_input_required_result_tampered_state: {
    run: async (context) => {
      const params = form("Please confirm", { ok: { type: "boolean" } });
      await askAll(context, { confirm: { method: "elicitation/create", params } }, { step: 1 });
      return said("state-ok");
    },
  },
  test_input_required_result_multiple_inputs: {
    run: async (context) => {
      const questions = {
        user_name: { method: "elicitation/create", params: form("What is your name?", { name: words }) },
        greeting: { method: "sampling/createMessage", params: sampling("Generate a greeting", 50) },
        client_roots: { method: "roots/list", params: {} },
      };
      const all = await askAll(context, questions, { step: 1 });
      return said(`${all.greeting.content?.text} ${all.user_name.content?.name} ${all.client_roots.roots.length}`);
    },
  },
  test_input_required_result_multi_round: {
    run: async (context) => {
      const first = form("Step 1: What is your name?", { name: words });
      const second = form("Step 2: What is your favorite color?", { color: words });
      if (!context.modern) {
        const { content } = await context.ask("step1", "elicitation/create", first);
        const answer = await context.ask("step2", "elicitation/create", second);
        return said(`${content?.name} likes ${answer.content?.color}`);
      }
      const state = stateOf(context);
      const answers = context.params.inputResponses ?? {};
      if (state?.step === 2 && isAnswer("elicitation/create", answers.step2)) {
        return said(`${state.name} likes ${answers.step2.content?.color}`);
      }
      if (state?.step === 1 && isAnswer("elicitation/create", answers.step1)) {
        const next = sign({ step: 2, name: answers.step1.content?.name });
        throw new InputRequired({ step2: { method: "elicitation/create", params: second } }, next);
      }
      throw new InputRequired({ step1: { method: "elicitation/create", params: first } }, sign({ step: 1 }));
    },
  },
  test_input_required_result_capabilities: {
    run: async (context) => {
      const questions = {};
      if (context.capabilities.sampling) questions.sampled = { method: "sampling/createMessage", params: sampling("Hello") };
      if (context.capabilities.elicitation) {
        questions.asked = { method: "elicitation/create", params: form("Hello?", { name: words }) };
      }
      const answers = await askAll(context, questions);
      return said(Object.keys(answers).join(" "));
    },
  },
  test_request_state_only: {
    run: (context) => {
      const state = stateOf(context);
      if (!context.modern || state?.tries >= 2) return said("Served after being told to come back");
      const requestState = sign({ tries: (state?.tries ?? 0) + 1 });
      throw Object.assign(new InputRequired({}, requestState), { result: { resultType: "input_required", requestState } });
    },
  },
};

/** A tool as `tools/list` shows it. */
export function described([name, tool]) {
  return {
    name,
    description: tool.description ?? `The fixture's ${name.replaceAll("_", " ")}`,
    inputSchema: tool.schema ?? object(),
  };
}

export const resources = [
  { uri: "test://static-text", name: "static-text", description: "A static text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", description: "A static image", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "watched-resource", description: "It changes", mimeType: "text/plain" },
];

export const resourceTemplates = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "A template with one variable",
    mimeType: "application/json",
  },
];

/** `resources/read`. */
export function read(uri) {
  const content = (mimeType, more) => ({ contents: [{ uri, mimeType, ...more }] });
  if (uri === "test://static-text") return content("text/plain", { text: "This is the content of the static text resource." });
  if (uri === "test://static-binary") return content("image/png", { blob: IMAGE });
  if (uri === "test://watched-resource") return content("text/plain", { text: "Watched" });
  const [, id] = /^test:\/\/template\/([^/]+)\/data$/.exec(uri) ?? [];
  if (id === undefined) return undefined;
  return content("application/json", { text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) });
}

const user = (content) => ({ role: "user", content });
const argument = (name) => ({ name, description: `The ${name}`, required: true });

export const prompts = {
  test_simple_prompt: { run: () => ({ messages: [user(text("This is a simple prompt for testing."))] }) },
  test_prompt_with_arguments: {
    arguments: [argument("arg1"), argument("arg2")],
    run: ({ args }) => ({ messages: [user(text(`Prompt with arguments: arg1='${args.arg1}', arg2='${args.arg2}'`))] }),
  },
  test_prompt_with_embedded_resource: {
    arguments: [argument("resourceUri")],
    run: ({ args }) => ({
      messages: [
        user(embedded(args.resourceUri, "text/plain", "Embedded resource content for testing.")),
        user(text("Please process the embedded resource above.")),
      ],
    }),
  },
  test_prompt_with_image: {
    run: () => ({
      messages: [user({ type: "image", data: IMAGE, mimeType: "image/png" }), user(text("Please analyze the image above."))],
    }),
  },
  test_input_required_result_prompt: {
    run: async (context) => {
      const params = form("What context should the prompt use?", { context: words });
      const { user_context } = await askAll(context, { user_context: { method: "elicitation/create", params } });
      return { messages: [user(text(`Context: ${user_context.content?.context}`))] };
    },
  },
};

/** A prompt as `prompts/list` shows it. */
export function announced([name, prompt]) {
  return {
    name,
    description: `The fixture's ${name.replaceAll("_", " ")}`,
    ...(prompt.arguments ? { arguments: prompt.arguments } : {}),
  };
}
