// Writes one server into every client's file under HOME, as add-mcp does. Arguments: name, server as JSON, folder of a project (or nothing).
import { getAgentTypes, upsertServer } from "add-mcp";

const [name, server, cwd] = process.argv.slice(2);
const written = {};
for (const agent of getAgentTypes()) {
  const done = upsertServer(agent, name, JSON.parse(server), cwd ? { local: true, cwd } : {});
  if (done.success) written[agent] = done.path;
}
console.log(JSON.stringify(written));
