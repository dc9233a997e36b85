"""What the routes tell about the process they run in. Filled once at start by `mcp_server`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInformation:
    """Facts of one process. `public_url` is the address people use, without a slash at its end; empty when none was set."""

    version: str
    package: str = "Headwater"
    public_url: str = ""
    auto_login: bool = False
    cookie_secure: bool = False
    logins_per_minute: int = 5
    max_upload_megabytes: int = 100
    default_project_name: str = "Starter Project"
