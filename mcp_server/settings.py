"""Every setting, and the only reader of the environment.

A setting is taken from the command line, else the environment, else the file given with `--env-file`, else its default. Its name is
`HEADWATER_` and the field's name in capitals; Langflow's name for it is read too. What cannot be read stops the start.
"""

import difflib
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AliasChoices, AliasGenerator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mcp_server.authority import is_loopback, parse_authority
from mcp_server.settings_problem import SettingsProblem as SettingsProblem
from projects.custom_code.policy import CustomCode
from projects.models.providers import KEY_NAMES
from projects.outgoing.addresses import AllowedAddresses

PREFIX = "HEADWATER_"
LANGFLOW_PREFIX = "LANGFLOW_"
DATABASE_FILE = "headwater.db"
SECRET_KEY_FILE = "secret_key"
FOR_CLIENTS = frozenset({PREFIX + "API_KEY"})
"""What clients and `headwater connect` read; a person who exported it can start a server all the same."""


# Langflow's names for what is a setting here too.
LANGFLOW_NAMES: Mapping[str, str] = {
    "host": "HOST",
    "port": "PORT",
    "workers": "WORKERS",
    "public_url": "MCP_BASE_URL",
    "cors_origins": "CORS_ORIGINS",
    "data_dir": "CONFIG_DIR",
    "database_url": "DATABASE_URL",
    "superuser": "SUPERUSER",
    "superuser_password": "SUPERUSER_PASSWORD",
    "secret_key": "SECRET_KEY",
    "auto_login": "AUTO_LOGIN",
    "anonymous_access": "SKIP_AUTH_AUTO_LOGIN",
    "access_token_expire_seconds": "ACCESS_TOKEN_EXPIRE_SECONDS",
    "refresh_token_expire_seconds": "REFRESH_TOKEN_EXPIRE_SECONDS",
    "cookie_secure": "ACCESS_SECURE",
    "logins_per_minute": "RATE_LIMIT_PER_MINUTE",
    "mcp_servers_locked": "MCP_SERVERS_LOCKED",
    "public_builds_per_minute": "PUBLIC_FLOW_RATE_LIMIT_PER_MINUTE",
    "log_buffer_lines": "LOG_RETRIEVER_BUFFER_SIZE",
    "enable_signup": "ENABLE_SIGNUP",
    "new_user_is_active": "NEW_USER_IS_ACTIVE",
    "first_project_name": "DEFAULT_FOLDER_NAME",
    "max_upload_megabytes": "MAX_FILE_SIZE_UPLOAD",
    "variables_to_get_from_environment": "VARIABLES_TO_GET_FROM_ENVIRONMENT",
    "store_environment_variables": "STORE_ENVIRONMENT_VARIABLES",
    "log_level": "LOG_LEVEL",
    "max_vertex_builds_to_keep": "MAX_VERTEX_BUILDS_TO_KEEP",
    "max_vertex_builds_per_vertex": "MAX_VERTEX_BUILDS_PER_VERTEX",
    "max_transactions_to_keep": "MAX_TRANSACTIONS_TO_KEEP",
}

_NO = frozenset({"0", "f", "false", "n", "no", "off"})

_YES = frozenset({"1", "t", "true", "y", "yes", "on"})

# Langflow's settings that can ask for more protection than there is here, with the values that ask for what is done anyway. Any other
# value stops the start: nobody would keep the rule it asks for. Those that would only open something are left unread, and it is said.
_KEPT: Mapping[str, frozenset[str]] = {
    "ALGORITHM": frozenset({"hs256"}),
    "API_KEY_SOURCE": frozenset({"db"}),
    "ACCESS_SAME_SITE": frozenset({"lax", "none"}),
    "REFRESH_SAME_SITE": frozenset({"lax", "none"}),
    "ACCESS_HTTPONLY": _NO | _YES,
    "REFRESH_HTTPONLY": _NO | _YES,
    "CORS_ALLOW_CREDENTIALS": _YES,
    "MCP_SERVER_ENABLED": _YES,
    "MCP_SSE_ENABLED": _YES,
    "REMOVE_API_KEYS": _NO,
    "TWEAKS_POLICY": frozenset({"permissive"}),
}


def default_data_dir() -> Path:
    """Where this platform keeps a program's data for one person."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "headwater"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "headwater"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "headwater"


def _split(value: Any, separator: str = ",") -> Any:
    return [part.strip() for part in value.split(separator) if part.strip()] if isinstance(value, str) else value


def _none_if_empty(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Names = Annotated[list[str], NoDecode, BeforeValidator(lambda value: _split(value))]
"""A list, written with commas between its items."""

Lines = Annotated[list[str], NoDecode, BeforeValidator(lambda value: _split(value, ";"))]
"""A list whose items may hold commas, written with semicolons between them."""

Maybe = BeforeValidator(_none_if_empty)


# Names that whole families of programs read.
USUAL_NAMES: Mapping[str, str] = {"openai_base_url": "OPENAI_BASE_URL", "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT"}


def _aliases(field: str) -> AliasChoices:
    langflow, usual = LANGFLOW_NAMES.get(field), USUAL_NAMES.get(field)
    others = [LANGFLOW_PREFIX + langflow] if langflow is not None else []
    return AliasChoices(PREFIX + field.upper(), *others, *([usual] if usual is not None else []))


class Settings(BaseSettings):
    """All settings, in the order of README's table."""

    model_config = SettingsConfigDict(
        alias_generator=AliasGenerator(validation_alias=_aliases), populate_by_name=True, case_sensitive=True, extra="ignore", frozen=True
    )
    _environment: dict[str, str] = PrivateAttr(default_factory=dict)
    _read_from: Path | None = PrivateAttr(None)

    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback makes the server reachable by others.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on; 0 takes a free one. When it is in use the start stops.")
    workers: int = Field(1, ge=1, description="Number of processes that serve; more than 1 need PostgreSQL.")
    peers: Names = Field(
        [],
        description="Addresses, with commas between, of the other servers on the same PostgreSQL database and secret key, for example "
        "http://10.0.0.2:7860; builds and older MCP sessions are reached through any of them.",
    )
    public_url: Annotated[str | None, Maybe] = Field(
        None, description="Address by which others reach this server, for example https://tools.example.org; default: from host and port."
    )
    allowed_hosts: Names = Field([], description="Further names, with commas between, that requests may carry in their Host header.")
    cors_origins: Names = Field([], description="Web origins, with commas between, whose pages may call this server from a browser.")
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder of the database, secret key and files; default: the user's data folder, ~/.local/share/headwater on Linux.",
    )
    database_url: Annotated[str | None, Maybe] = Field(
        None, description="sqlite:///… or postgresql://…; default: headwater.db in the data folder."
    )
    database_pool_size: int = Field(5, ge=1, description="Database connections kept open for reading and for changes.")
    superuser: str = Field("admin", min_length=1, description="Name of the first user, made on the first start.")
    superuser_password: SecretStr | None = Field(
        None, description="Password of the first user; default: one is made up and printed once on the first start."
    )
    secret_key: Annotated[SecretStr | None, Maybe] = Field(
        None, description="Signs sessions and encrypts stored secrets; default: made on the first start and kept in the data folder."
    )
    older_secret_keys: Names = Field(
        [], repr=False, description="Former secret keys, with commas between, still read until `headwater key rotate-secret` was run."
    )
    auto_login: bool = Field(False, description="Hand a session of the first superuser to whoever asks /auto_login. Loopback only.")
    anonymous_access: bool = Field(
        False, description="Treat requests without credentials as the first superuser's; needs auto_login. Loopback only."
    )
    access_token_expire_seconds: int = Field(3600, ge=1, description="Seconds a login's access token is good.")
    refresh_token_expire_seconds: int = Field(604_800, ge=1, description="Seconds a login can be renewed.")
    cookie_secure: bool = Field(False, description="Send login cookies over https only; always so when public_url is https.")
    logins_per_minute: int = Field(5, ge=1, description="Log-ins a minute that one address may try.")
    public_builds_per_minute: int = Field(
        20, ge=1, description="How often one visitor may run one public flow in a minute; one address five times as often."
    )
    bad_keys_per_minute: int = Field(20, ge=1, description="API keys that are not good which one address may send in a minute.")
    guest_requests_per_minute: int = Field(
        60, ge=1, description="MCP requests a minute that one address may send to projects that want no credential (auth_type none)."
    )
    guest_requests_per_minute_per_project: int = Field(
        600, ge=1, description="MCP requests a minute without a credential that one such project answers in all."
    )
    enable_signup: bool = Field(False, description="Let anybody make an account over the API; otherwise only superusers can.")
    new_user_is_active: bool = Field(
        False, description="Accounts made over the API are active at once; otherwise a superuser activates them."
    )
    first_project_name: str = Field("Starter Project", min_length=1, description="Name of the project that each user begins with.")
    max_running_runs: int = Field(256, ge=1, description="Runs at once; further ones are refused with 503 until one ends.")
    background_runs: int = Field(
        64, ge=0, description="Runs in the background at once in one process, further ones wait for their turn; 0: this one runs none."
    )
    max_queued_runs: int = Field(
        10_000, ge=0, description="Runs in the background that wait for their turn; further ones are refused with 503."
    )
    max_run_attempts: int = Field(
        3, ge=1, description="How often a run in the background is begun, or gone on with, when its process ends in the middle of it."
    )
    max_run_seconds: float = Field(
        3600, ge=0, description="Seconds that one attempt of a run may take, waiting for a person not counted; 0: no limit."
    )
    drain_seconds: float = Field(10, ge=0, description="Seconds that runs and answers have to end after SIGTERM.")
    max_steps_per_run: int = Field(
        10_000, ge=1, description="Steps of one run: components built and tools called, in its loops and the flows it runs too."
    )
    max_flow_depth: int = Field(8, ge=1, description="How deep flows may run each other, the outermost one counted.")
    max_vertex_builds_to_keep: int = Field(3_000, ge=1, description="Records of built components kept for each flow; the oldest go first.")
    max_vertex_builds_per_vertex: int = Field(50, ge=1, description="Records of built components kept for each component of a flow.")
    max_transactions_to_keep: int = Field(3_000, ge=1, description="Records of what went in and out of components, kept for each flow.")
    run_results_hours: float = Field(
        24, ge=0, description="Hours that the outputs of a run in the background stay readable with their types after its end."
    )
    task_after_seconds: float = Field(
        5, gt=0, description="Seconds after which a call of an MCP tool becomes a task, for clients that know tasks."
    )
    answer_after_seconds: float = Field(
        50, ge=0, description="Seconds after which a call of an MCP tool is told its run's id, for clients without tasks; 0: it waits on."
    )
    heartbeat_seconds: float = Field(
        15, ge=0, description="Seconds of silence after which a client that follows a call's progress gets a sign of life; 0: none."
    )
    question_seconds: float = Field(
        600, gt=0, description="Seconds that the person at an MCP client has to answer a question on the call that brought it."
    )
    max_upload_megabytes: int = Field(1024, ge=1, description="Largest file that can be uploaded, in megabytes.")
    max_files_megabytes_per_user: int = Field(10_240, ge=1, description="What the files of one user may take in all, in megabytes.")
    max_json_megabytes: int = Field(16, ge=1, le=256, description="Largest JSON body of a request, in megabytes.")
    variables_to_get_from_environment: Names = Field(
        default_factory=lambda: list(KEY_NAMES),
        description="Names, with commas between, of environment variables that flows may read when no stored "
        "variable has the name; default: the keys of model providers, such as OPENAI_API_KEY.",
    )
    default_model: Annotated[str | None, Maybe] = Field(
        None,
        description="The model of nodes that name none, as provider:name, for example openai:gpt-4o-mini; default: see `headwater models`.",
    )
    default_embedding_model: Annotated[str | None, Maybe] = Field(
        None, description="The embedding model of nodes that name none, as provider:name, for example openai:text-embedding-3-small."
    )
    openai_base_url: Annotated[str | None, Maybe] = Field(
        None, description="Address of a server that speaks OpenAI's API and takes the place of OpenAI; OPENAI_BASE_URL is read too."
    )
    voice_realtime_url: Annotated[str | None, Maybe] = Field(
        None,
        description="WebSocket address of the realtime model that voice conversations speak with; default: OpenAI's, or /realtime beside "
        "the address of its replacement.",
    )
    voice_realtime_protocol: Literal["ga", "beta"] = Field(
        "ga", description="What that server speaks: ga, as OpenAI does, or beta, as OpenAI once did and some compatible servers still do."
    )
    voice_realtime_model: Annotated[str | None, Maybe] = Field(
        None, description="The model that talks; default: gpt-realtime-2.1-mini, with beta gpt-4o-mini-realtime-preview."
    )
    voice_transcription_model: Annotated[str | None, Maybe] = Field(
        None,
        description="The model that writes down what people say; default: gpt-transcribe, with beta whisper-1 beside a model that talks, "
        "else gpt-4o-transcribe.",
    )
    elevenlabs_url: str = Field("https://api.elevenlabs.io", description="Address of ElevenLabs, which can speak in voice conversations.")
    max_voice_conversations: int = Field(32, ge=0, description="Voice conversations at once in one process; 0: there is no voice.")
    voice_idle_seconds: float = Field(
        300, gt=0, description="Seconds without a word from either side after which a voice conversation ends."
    )
    voice_slow_seconds: float = Field(
        15, gt=0, description="Seconds that the client of a voice conversation may take to read one message; then it is closed."
    )
    max_voice_seconds: float = Field(3600, gt=0, description="Seconds that one voice conversation may last.")
    ollama_base_url: Annotated[str | None, Maybe] = Field(
        "http://127.0.0.1:11434", description="Address of Ollama; empty: it is not looked for."
    )
    model_timeout_seconds: float = Field(
        120, gt=0, description="Seconds that a model may take to answer, or when it streams, between two pieces."
    )
    model_retries: int = Field(2, ge=0, le=10, description="How often a call of a model is tried again when the provider is busy or fails.")
    allowed_addresses: Names = Field(
        [],
        description="Hosts, host:port or networks such as 10.1.0.0/16, with commas between, that flows may call though not public.",
    )
    allowed_mcp_commands: Lines = Field(
        [],
        description="Whole command lines, with semicolons between, of MCP servers that flows may start; by default none.",
    )
    custom_code: CustomCode = Field(
        CustomCode.OFF,
        description="Whether components that flows bring as code run: off; sandboxed, in processes under bubblewrap; or trusted, in this "
        "process, each text after somebody trusted it.",
    )
    custom_code_seconds: float = Field(
        60, gt=0, description="Seconds that one sandboxed component may take; what it waits for of the server does not count."
    )
    custom_code_megabytes: int = Field(1024, ge=256, description="Megabytes of memory that the sandbox of one run may use.")
    run_deprecated_routes: bool = Field(
        False, description="Let the old addresses /process and /predict run flows, and /task show a run; otherwise all three are 400."
    )
    mcp_servers_locked: bool = Field(False, description="Let only superusers change the lists of MCP servers that flows may name.")
    max_resource_megabytes: int = Field(
        10, ge=1, description="Largest file, in megabytes, that an MCP client reads as a resource; larger ones are downloaded over REST."
    )
    calls_per_minute_per_key: int = Field(
        60_000, ge=0, description="Calls of flows a minute that one credential may make, over MCP and REST together; 0: no limit."
    )
    calls_per_minute_per_tool: int = Field(0, ge=0, description="Calls a minute that one credential may make of any one flow; 0: no limit.")
    max_running_calls_per_key: int = Field(
        128, ge=0, description="Calls of flows that one credential may have going on at once; 0: no limit."
    )
    max_answer_megabytes: int = Field(50, ge=1, description="Largest answer, unpacked and in megabytes, that one call of a flow may bring.")
    allowed_databases: Names = Field(
        [],
        repr=False,
        description="Database addresses, with commas between, that the SQL component may read: sqlite:////path or postgresql://reader:password@host/name.",
    )
    store_environment_variables: bool = Field(
        False,
        description="At each start and login, keep the listed environment variables as credentials of users who have none of the name.",
    )
    access_log: bool = Field(False, description="Log a line for each request, with keys in addresses taken out.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lambda value: str(value).lower())] = Field(
        "info", description="Least level that is logged: debug, info, warning or error."
    )
    log_buffer_lines: int = Field(
        0, ge=0, le=1_000_000, description="Newest log lines kept in memory, which superusers read under /logs; 0 keeps none."
    )
    metrics: Literal["off", "private", "public"] = Field(
        "private",
        description="Prometheus metrics under /metrics, for superusers and on loopback this machine (private), or for all (public).",
    )
    otlp_endpoint: Annotated[str | None, Maybe] = Field(
        None, description="Base address of an OpenTelemetry collector (OTLP over HTTP) that gets traces of runs. Needs the extra otel."
    )
    log_format: Literal["text", "json"] = Field("text", description="Shape of log lines: text or json, always one line each.")

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.workers > 1 and not self.resolved_database_url.startswith("postgres"):
            raise ValueError(
                "workers: more than 1 process needs PostgreSQL, by which they tell each other what happens; SQLite has no such way and "
                "one writer. Set HEADWATER_DATABASE_URL to a postgresql:// address, or HEADWATER_WORKERS to 1"
            )
        if self.peers and not self.resolved_database_url.startswith("postgres"):
            raise ValueError(
                "peers: several servers need one PostgreSQL database, and a SQLite file has one server. Set HEADWATER_DATABASE_URL to a "
                "postgresql:// address, or leave HEADWATER_PEERS out"
            )
        for peer in self.peers:
            parts = urlsplit(peer)
            if parts.scheme not in ("http", "https") or parse_authority(parts.netloc) is None or peer != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"peers: {peer!r} is not a scheme, a host and a port, such as http://10.0.0.2:7860")
        if self.superuser_password is not None and not self.superuser_password.get_secret_value():
            raise ValueError("superuser_password: it is empty; set a password or leave the setting out to have one made up")
        if self.anonymous_access and not self.auto_login:
            raise ValueError("anonymous_access: it needs automatic login as well; set HEADWATER_AUTO_LOGIN=true or drop it")
        open_doors = [
            name
            for name, is_open in (
                ("HEADWATER_AUTO_LOGIN=true", self.auto_login),
                ("HEADWATER_ANONYMOUS_ACCESS=true", self.anonymous_access),
            )
            if is_open
        ]
        if open_doors and not self.is_local:
            raise ValueError(
                f"host: {self.host} is reachable by others, and {' and '.join(open_doors)} would let them in without credentials; "
                "drop that or listen on 127.0.0.1"
            )
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
                raise ValueError(f"public_url: {self.public_url!r} is not an address such as https://tools.example.org")
            if open_doors and not is_loopback(parts.hostname or ""):
                raise ValueError(f"public_url: {self.public_url} is for others, and {' and '.join(open_doors)} would let them in")
        for name, address in (("openai_base_url", self.openai_base_url), ("ollama_base_url", self.ollama_base_url)):
            if address is not None and (urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname):
                raise ValueError(f"{name}: {address!r} is not an address such as http://127.0.0.1:8000/v1")
        for name, address, schemes in (
            ("voice_realtime_url", self.voice_realtime_url, ("ws", "wss")),
            ("elevenlabs_url", self.elevenlabs_url, ("http", "https")),
        ):
            if address is not None and (urlsplit(address).scheme not in schemes or not urlsplit(address).hostname):
                raise ValueError(f"{name}: {address!r} is not an address that begins with {' or '.join(f'{each}://' for each in schemes)}")
        try:
            AllowedAddresses.parse(self.allowed_addresses)
        except ValueError as error:
            raise ValueError(f"allowed_addresses: {error}") from None
        for line in self.allowed_mcp_commands:
            try:
                shlex.split(line)
            except ValueError as error:
                raise ValueError(f"allowed_mcp_commands: {line!r} is no command line: {error}") from None
        if "*" in self.cors_origins:
            raise ValueError("cors_origins: name the origins; * would let every web page call this server")
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host.lower())

    @property
    def has_known_address(self) -> bool:
        """Whether clients know the server by an address that OAuth tokens can be made out to."""
        return self.public_url is not None or self.is_local

    @property
    def base_url(self) -> str:
        """The address people and clients are told, without a slash at its end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, f"[{self.host}]" if ":" in self.host else self.host)
        return f"http://{host}:{self.port}"

    @property
    def public_prefix(self) -> str:
        """The path of the public address, "/tools" for example; empty when there is none."""
        return urlsplit(self.public_url or "").path.rstrip("/")

    @property
    def is_public_url_https(self) -> bool:
        return self.public_url is not None and self.public_url.startswith("https://")

    @property
    def resolved_database_url(self) -> str:
        return self.database_url or f"sqlite:///{(self.data_dir / DATABASE_FILE).absolute()}"

    @property
    def env_file(self) -> Path | None:
        """The file that --env-file named."""
        return self._read_from

    @property
    def environment_for_flows(self) -> Mapping[str, str]:
        """What flows may read of the environment: only what was listed."""
        return self._environment


def load_settings(given: Mapping[str, Any] | None = None, *, env_file: Path | None = None) -> tuple[Settings, list[str]]:
    """The settings, and a line for each of Langflow's that means nothing here. Raises SettingsProblem.

    `given` is what the command line said; its None values count as not said.
    """
    names = dict.fromkeys(os.environ, "the environment")
    if env_file is not None:
        if not env_file.is_file():
            raise SettingsProblem(f"The settings file {env_file} is missing or cannot be read.")
        in_file = dotenv_values(env_file)
        names |= {name: str(env_file) for name in in_file if name not in names}
        values = {**{name: value for name, value in in_file.items() if value is not None}, **os.environ}
    else:
        values = dict(os.environ)
    remarks = _check_names(names, values)
    said = {name: value for name, value in (given or {}).items() if value is not None}
    try:
        settings = Settings(_env_file=env_file, **said)
    except ValidationError as error:
        raise SettingsProblem(_explain(error)) from None
    # The settings file may also hold variables that flows read.
    settings._environment = {name: values[name] for name in settings.variables_to_get_from_environment if name in values}
    settings._read_from = env_file
    return settings, remarks


def _check_names(names: Mapping[str, str], values: Mapping[str, str]) -> list[str]:
    known = {PREFIX + field.upper(): field for field in Settings.model_fields}
    aliases = {LANGFLOW_PREFIX + name for name in LANGFLOW_NAMES.values()}
    remarks = []
    for name, place in names.items():
        if name.upper().startswith(PREFIX) and name not in known and name not in FOR_CLIENTS:
            raise SettingsProblem(f"{name} in {place} is not a setting.{_nearest(name.upper(), known)} README lists them all.")
        if name.startswith(LANGFLOW_PREFIX) and name not in aliases:
            allowed = _KEPT.get(name.removeprefix(LANGFLOW_PREFIX))
            value = values.get(name, "").strip()
            if allowed is not None and value.lower() not in allowed:
                raise SettingsProblem(
                    f"{name} in {place} asks for {value!r}, a rule that Headwater does not have. Remove it, or see README."
                )
            if allowed is None:
                remarks.append(f"{name} means nothing to Headwater and is not read.")
    return remarks


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]}?" if found else ""


def _explain(error: ValidationError) -> str:
    """The first problem in one line, with the setting's name and, unless it is a secret, the value."""
    problem = error.errors(include_url=False, include_context=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return message if message.endswith(".") else f"{message}."
    name = str(problem["loc"][0])
    field = name.removeprefix(PREFIX).removeprefix(LANGFLOW_PREFIX).lower()
    if not name.startswith((PREFIX, LANGFLOW_PREFIX)):
        name = PREFIX + name.upper()
    is_secret = "password" in field or "secret" in field or "database" in field
    shown = "" if is_secret else f" {str(problem['input'])[:100]!r}"
    if problem["type"].startswith("bool"):
        return f"{name} cannot be read:{shown} is neither true nor false."
    return f"{name} cannot be read:{shown or ' its value is refused'}. {message}."
