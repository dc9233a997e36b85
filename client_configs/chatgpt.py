"""ChatGPT: connects from OpenAI's network, signs in by OAuth, and takes no header."""

from client_configs.client import Client
from client_configs.connection import Connection, Transport


class ChatGpt(Client):
    id = "chatgpt"
    display_name = "ChatGPT"
    transports = (Transport.STREAMABLE_HTTP,)
    connects_from_the_internet = True
    takes_block = False
    limits = ("No API key: it takes OAuth, or a server that needs no key.", "Needs a public https address.")

    def instructions(self, connection: Connection) -> str:
        return f"Settings → Connectors (Apps) → Advanced → Developer mode → Create, URL {connection.http_url}, then sign in when asked."
