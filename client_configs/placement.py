"""Client and server on the same machine, or only nearly: containers and WSL have a loopback of their own."""

from client_configs.client import Client, Scope
from client_configs.connection import Connection, Transport
from client_configs.locations import Machine, Platform, Side


def has_other_loopback(client: Client, machine: Machine) -> bool:
    """A program of Windows beside a server in WSL."""
    return machine.platform is Platform.WSL and client.side is Side.DESKTOP


def reaching_transport(client: Client, connection: Connection, machine: Machine, scope: Scope = Scope.USER) -> Transport | None:
    """The transport that is sure to reach the server from where the client runs; None leaves the choice to the client's own order.

    The bridge runs where the server does, and there loopback means the same.
    """
    if not connection.is_loopback or not has_other_loopback(client, machine) or connection.executable is None:
        return None
    return Transport.STDIO if Transport.STDIO in client.transports_in(scope, connection) else None


def placement_notes(client: Client, connection: Connection, machine: Machine, transport: Transport | None) -> tuple[str, ...]:
    """What a person should know of the way between the two."""
    if connection.is_loopback and has_other_loopback(client, machine) and transport is Transport.STDIO:
        return (
            f"{client.display_name} runs in Windows, Headwater in WSL, and their loopbacks differ: the entry starts Headwater's bridge in "
            "WSL.",
        )
    return ()


def container_note(client: Client, connection: Connection) -> str:
    """For a server in a container and a client outside it, which cannot be written to from inside."""
    text = f"Headwater runs in a container: on the client's machine, paste what `headwater config {client.id}` prints."
    return f"{text} {outside_note(connection)}" if connection.is_loopback else text


def outside_note(connection: Connection) -> str:
    """For clients outside the container whose loopback the address is in."""
    return (
        f"{connection.http_url} leads nowhere from outside the container: publish the port, and set HEADWATER_PUBLIC_URL to the address "
        "that clients use."
    )
