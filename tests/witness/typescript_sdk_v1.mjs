// Lists and calls one tool with the TypeScript SDK, first generation. Arguments: address, key, transport (http or sse), tool, arguments as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [address, key, transportName, tool, argumentsText] = process.argv.slice(2);
const headers = { "x-api-key": key };
const transport =
  transportName === "sse"
    ? new SSEClientTransport(new URL(address), {
        requestInit: { headers },
        eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
      })
    : new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers } });
const client = new Client({ name: "witness-v1", version: "1.0.0" });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(argumentsText) });
console.log(JSON.stringify({ tools: tools.map((entry) => entry.name), result }));
await client.close();
process.exit(0);
