// Lists, calls, follows progress and cancels through `headwater connect` on stdio. Arguments: era (v1, v2 or v2-legacy), key, the command.
import { setTimeout } from "node:timers/promises";

const [era, key, command, ...args] = process.argv.slice(2);
const isSecond = era.startsWith("v2");
const { Client } = await import(isSecond ? "@modelcontextprotocol/client" : "@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = await import(isSecond ? "@modelcontextprotocol/client/stdio" : "@modelcontextprotocol/sdk/client/stdio.js");
const options = isSecond ? { versionNegotiation: { mode: era === "v2" ? "auto" : "legacy" } } : {};
const transport = new StdioClientTransport({ command, args, env: { ...process.env, HEADWATER_API_KEY: key }, stderr: "inherit" });
const client = new Client({ name: `witness-connect-${era}`, version: "1.0.0" }, options);
await client.connect(transport);

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
const pid = transport.pid;
await client.close();
console.log(JSON.stringify({ tools: tools.map((tool) => tool.name), text: content[0].text, progress, pid }));
process.exit(0);
