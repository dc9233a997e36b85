// A real authorization server on a free port: node oidc_provider.mjs RESOURCE SCOPE. Prints its address, then serves until it is stopped.
import { createServer } from "node:http";

import Provider from "oidc-provider";

const [resource, scope] = process.argv.slice(2);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "witness",
        client_secret: "a-secret-for-the-witness",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
      },
    ],
    scopes: [scope],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: (ctx, indicator) => ({ scope, audience: indicator, accessTokenFormat: "jwt" }),
      },
    },
  });
  server.on("request", provider.callback());
  console.log(JSON.stringify({ issuer }));
});
