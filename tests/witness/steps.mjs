// Lists, calls, follows progress and cancels with the TypeScript SDK. Arguments: address, key, way (v1, v1-sse, v2, v2-legacy, mcp-remote or supergateway).
import { fileURLToPath } from "node:url";
import { clientOf, useAll } from "./using.mjs";

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

const using = await clientOf(way, `witness-${way}`);
await using.client.connect(await transports[using.isSecond ? "v2" : way]());
console.log(JSON.stringify(await useAll(using, address, key)));
process.exit(0);
