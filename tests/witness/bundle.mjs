// What a client does with an .mcpb file: unpack, validate, ask for the settings, start it; then another SDK calls a tool.
// Arguments: file, folder to unpack into, key, tool, arguments as JSON.
import { getMcpConfigForManifest, unpackExtension, validateManifest } from "@anthropic-ai/mcpb";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [mcpbPath, outputDir, key, tool, given] = process.argv.slice(2);
const isUnpacked = await unpackExtension({ mcpbPath, outputDir, silent: true });
const isValid = validateManifest(outputDir);
const manifest = JSON.parse(readFileSync(join(outputDir, "manifest.json"), "utf-8"));
const ask = (userConfig) =>
  getMcpConfigForManifest({ manifest, extensionPath: outputDir, systemDirs: {}, userConfig, pathSeparator: "/" });
const startsWithoutKey = (await ask({})) !== undefined;
const { command, args, env } = await ask({ api_key: key });
const client = new Client({ name: "witness", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: { PATH: process.env.PATH, ...env } }));
const { tools } = await client.listTools();
const result = await client.callTool({ name: tool, arguments: JSON.parse(given) });
await client.close();
console.log(JSON.stringify({ isUnpacked, isValid, startsWithoutKey, args, tools: tools.map((each) => each.name), result }));
