// Lists, calls, follows progress and cancels with the TypeScript SDK. Arguments: address, key, way (v1, v1-sse, v2, v2-legacy, mcp-remote or supergateway).
import { fileURLToPath } from "node:url";
import { setTimeout } from "node:timers/promises";

const [address, key, way] = process.argv.slice(2);
const headers = { "x-api-key": key };

const bridge = async (command, ...args) => {
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const script = fileURLToPath(new URL(`./node_modules/${command}`, import.meta.url));
  return new StdioClientTransport({ command: process.execPath, args: [script, ...args], env: process.env, stderr: "ignore" });
};

const transports = {
  v1: async () => {
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers } });
  },
  "v1-sse": async () => {
    const { SSEClientTransport } = await import("@modelcontextprotocol/sdk/client/sse.js");
    const eventSourceInit = { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) };
    return new SSEClientTransport(new URL(address), { requestInit: { headers }, eventSourceInit });
  },
  v2: async () => {
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
    return new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers } });
  },
  "mcp-remote": () => bridge("mcp-remote/dist/proxy.js", address, "--transport", "http-only", "--allow-http", "--header", `x-api-key:${key}`),
  supergateway: () => bridge("supergateway/dist/index.js", "--streamableHttp", address, "--header", `x-api-key: ${key}`, "--logLevel", "none"),
};

const isSecond = way.startsWith("v2");
const { Client } = await import(isSecond ? "@modelcontextprotocol/client" : "@modelcontextprotocol/sdk/client/index.js");
const options = isSecond ? { versionNegotiation: { mode: way === "v2" ? "auto" : "legacy" } } : {};
const client = new Client({ name: `witness-${way}`, version: "1.0.0" }, options);
await client.connect(await transports[isSecond ? "v2" : way]());

const call = (name, given) => (isSecond ? client.callTool({ name, arguments: {} }, given) : client.callTool({ name, arguments: {} }, undefined, given));
const { tools } = await client.listTools();
const { content } = await call("quick_answer", {});
const progress = [];
await call("three_steps", { onprogress: (told) => progress.push(told.progress) });
const leaving = new AbortController();
const slow = call("slow_wait", { signal: leaving.signal }).catch(() => undefined);
await setTimeout(1000);
leaving.abort("no longer wanted");
await slow;
await setTimeout(300);
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), text: content[0].text, progress }));
process.exit(0);
