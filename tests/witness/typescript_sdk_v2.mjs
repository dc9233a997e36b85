// Lists and calls one tool with the TypeScript SDK, second generation. Arguments: address, key, mode (auto or legacy), tool, arguments as JSON.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [address, key, mode, tool, argumentsText] = process.argv.slice(2);
const transport = new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers: { "x-api-key": key } } });
const client = new Client({ name: "witness-v2", version: "1.0.0" }, { versionNegotiation: { mode } });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(argumentsText) });
console.log(JSON.stringify({ tools: tools.map((entry) => entry.name), result }));
await client.close();
process.exit(0);
