// Lists and calls one tool through the mcp-remote bridge on stdio. Arguments: address, key, tool, arguments as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { fileURLToPath } from "node:url";

const [address, key, tool, argumentsText] = process.argv.slice(2);
const bridge = fileURLToPath(new URL("./node_modules/mcp-remote/dist/proxy.js", import.meta.url));
const transport = new StdioClientTransport({
  command: process.execPath,
  args: [bridge, address, "--transport", "http-only", "--allow-http", "--header", "x-api-key:${WITNESS_KEY}"],
  env: { ...process.env, WITNESS_KEY: key },
  stderr: "inherit",
});
const client = new Client({ name: "witness-remote", version: "1.0.0" });
await client.connect(transport);
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(argumentsText) });
console.log(JSON.stringify({ tools: tools.map((entry) => entry.name), result }));
await client.close();
process.exit(0);
