// What both witnesses of long calls do with the TypeScript SDK, whichever way they reach the server.
import { setTimeout } from "node:timers/promises";

// `era`: v2 and v2-legacy are the second SDK, everything else is the first.
export const clientOf = async (era, name) => {
  const isSecond = era.startsWith("v2");
  const { Client } = await import(isSecond ? "@modelcontextprotocol/client" : "@modelcontextprotocol/sdk/client/index.js");
  const options = isSecond ? { versionNegotiation: { mode: era === "v2" ? "auto" : "legacy" } } : {};
  const client = new Client({ name, version: "1.0.0" }, options);
  const call = (tool, given) => (isSecond ? client.callTool({ name: tool, arguments: {} }, given) : client.callTool({ name: tool, arguments: {} }, undefined, given));
  return { client, call, isSecond };
};

// The newest run of the tool that takes a minute, as the server has it.
const newestRun = async (address, key) => {
  const answer = await fetch(new URL("/api/v1/runs?limit=50", address), { headers: { "x-api-key": key } });
  return (await answer.json()).runs.find((run) => run.flow_name === "slow_wait");
};

// Lists, calls, follows progress and cancels; what was seen.
export const useAll = async ({ client, call }, address, key) => {
  const { tools } = await client.listTools();
  const { content } = await call("quick_answer", {});
  const progress = [];
  await call("three_steps", { onprogress: (told) => progress.push(told.progress) });
  const before = await newestRun(address, key);
  const leaving = new AbortController();
  const slow = call("slow_wait", { signal: leaving.signal }).catch(() => undefined);
  let run;
  while ((run = await newestRun(address, key))?.id === before?.id) await setTimeout(50);
  leaving.abort("no longer wanted");
  await slow;
  // Stays until the server knows: what is still under way would end with this process.
  while ((run = await newestRun(address, key)).state === "running") await setTimeout(50);
  return { tools: tools.map((tool) => tool.name), text: content[0].text, progress };
};
