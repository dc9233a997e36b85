"""claude.ai, its mobile programs and Cowork: connectors, reached from Anthropic's network."""

from client_configs.client import Client
from client_configs.connection import Connection, Transport


class ClaudeAi(Client):
    id = "claude-ai"
    display_name = "claude.ai"
    transports = (Transport.STREAMABLE_HTTP,)
    connects_from_the_internet = True
    takes_block = False
    limits = (
        "No API key in most plans: it takes OAuth, or a server that needs no key.",
        "Needs a public https address, without redirects.",
    )

    def instructions(self, connection: Connection) -> str:
        return f"Settings → Connectors → Add custom connector, URL {connection.http_url}, then sign in when asked."
