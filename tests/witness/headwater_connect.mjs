// Lists, calls, follows progress and cancels through `headwater connect` on stdio. Arguments: era (v1, v2 or v2-legacy), key, the command.
import { clientOf, useAll } from "./using.mjs";

const [era, key, command, ...args] = process.argv.slice(2);
const using = await clientOf(era, `witness-connect-${era}`);
const { StdioClientTransport } = await import(using.isSecond ? "@modelcontextprotocol/client/stdio" : "@modelcontextprotocol/sdk/client/stdio.js");
const transport = new StdioClientTransport({ command, args, env: { ...process.env, HEADWATER_API_KEY: key }, stderr: "inherit" });
await using.client.connect(transport);
const seen = await useAll(using, args.at(-1), key);
const pid = transport.pid;
await using.client.close();
console.log(JSON.stringify({ ...seen, pid }));
process.exit(0);
