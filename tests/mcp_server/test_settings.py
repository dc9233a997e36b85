"""Settings: where they come from, and what stops the start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_server.settings import LANGFLOW_NAMES, Settings, SettingsProblem, load_settings


@pytest.fixture(autouse=True)
def no_settings_of_the_person_who_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import os

    for name in list(os.environ):
        if name.startswith(("HEADWATER_", "LANGFLOW_")):
            monkeypatch.delenv(name)
    yield


def refused(given: dict[str, object] | None = None, *, env_file: Path | None = None) -> str:
    with pytest.raises(SettingsProblem) as problem:
        load_settings(given, env_file=env_file)
    message = str(problem.value)
    assert "\n" not in message
    return message


def test_without_settings_nothing_is_open() -> None:
    settings, remarks = load_settings()
    assert settings.is_local and not settings.auto_login and not settings.anonymous_access and settings.cors_origins == []
    assert remarks == []


def test_the_command_line_beats_the_environment_and_the_environment_beats_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("HEADWATER_PORT=1001\nHEADWATER_SUPERUSER=from-file\nHEADWATER_LOG_FORMAT=json\n")
    monkeypatch.setenv("HEADWATER_PORT", "1002")
    monkeypatch.setenv("HEADWATER_SUPERUSER", "from-environment")
    settings, _ = load_settings({"port": 1003, "host": None}, env_file=file)
    assert (settings.port, settings.superuser, settings.log_format) == (1003, "from-environment", "json")


def test_langflows_names_are_read_and_ours_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGFLOW_PORT", "7001")
    monkeypatch.setenv("LANGFLOW_SUPERUSER", "theirs")
    monkeypatch.setenv("HEADWATER_SUPERUSER", "ours")
    settings, remarks = load_settings()
    assert (settings.port, settings.superuser, remarks) == (7001, "ours", [])


def test_every_setting_with_a_name_of_langflows_is_read_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(LANGFLOW_NAMES) <= set(Settings.model_fields)
    monkeypatch.setenv("LANGFLOW_CONFIG_DIR", "/somewhere")
    monkeypatch.setenv("LANGFLOW_SKIP_AUTH_AUTO_LOGIN", "true")
    monkeypatch.setenv("LANGFLOW_AUTO_LOGIN", "True")
    settings, _ = load_settings()
    assert settings.data_dir == Path("/somewhere") and settings.anonymous_access and settings.auto_login


def test_an_unknown_name_of_ours_stops_the_start_and_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_AUTOLOGIN", "false")
    assert "HEADWATER_AUTO_LOGIN" in refused()


def test_an_unknown_name_in_the_file_stops_the_start_and_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("HEADWATER_SUPERUSER_PASSWROD=x\n")
    message = refused(env_file=file)
    assert str(file) in message and "HEADWATER_SUPERUSER_PASSWORD" in message


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    assert "missing" in refused(env_file=tmp_path / "none.env")


@pytest.mark.parametrize("name", ["AUTO_LOGIN", "ANONYMOUS_ACCESS", "COOKIE_SECURE"])
def test_a_security_setting_that_cannot_be_read_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"HEADWATER_{name}", "maybe")
    message = refused()
    assert f"HEADWATER_{name}" in message and "'maybe'" in message


def test_an_empty_value_is_not_taken_for_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_AUTO_LOGIN", "")
    assert "HEADWATER_AUTO_LOGIN" in refused()


def test_a_secret_is_never_part_of_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_SUPERUSER_PASSWORD", "")
    assert "empty" in refused()
    monkeypatch.setenv("HEADWATER_SUPERUSER_PASSWORD", "marker-of-a-secret")
    monkeypatch.setenv("HEADWATER_AUTO_LOGIN", "perhaps")
    assert "marker-of-a-secret" not in refused()
    assert "marker-of-a-secret" not in repr(load_settings({"auto_login": False})[0])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "tools.example.org"])
@pytest.mark.parametrize("opened", [{"auto_login": True}, {"auto_login": True, "anonymous_access": True}])
def test_automatic_login_and_anonymous_access_refuse_a_host_that_others_reach(host: str, opened: dict[str, bool]) -> None:
    assert host in refused({"host": host, **opened})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_automatic_login_is_possible_on_loopback(host: str) -> None:
    assert load_settings({"host": host, "auto_login": True})[0].auto_login


def test_automatic_login_refuses_a_public_address() -> None:
    assert "https://tools.example.org" in refused({"auto_login": True, "public_url": "https://tools.example.org"})


def test_anonymous_access_alone_is_refused() -> None:
    assert "HEADWATER_AUTO_LOGIN" in refused({"anonymous_access": True})


def test_several_workers_without_postgresql_are_refused_with_the_reason() -> None:
    assert "PostgreSQL" in refused({"workers": 2})


def test_peers_without_postgresql_are_refused_with_the_reason() -> None:
    assert "PostgreSQL" in refused({"peers": "http://10.0.0.2:7860"})


@pytest.mark.parametrize("address", ["10.0.0.2:7860", "ftp://10.0.0.2", "http://10.0.0.2:7860/tools", "http://me@10.0.0.2", "http://"])
def test_a_peer_that_is_no_address_is_refused_by_name(address: str) -> None:
    assert repr(address) in refused({"peers": f"http://10.0.0.2:7860,{address}", "database_url": "postgresql://localhost/x"})


def test_every_origin_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGFLOW_CORS_ORIGINS", "*")
    assert "cors_origins" in refused()


@pytest.mark.parametrize(
    ("name", "value"), [("TWEAKS_POLICY", "off"), ("REMOVE_API_KEYS", "true"), ("ALGORITHM", "RS256"), ("MCP_SERVER_ENABLED", "false")]
)
def test_a_rule_of_langflows_that_nobody_would_keep_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"LANGFLOW_{name}", value)
    assert f"LANGFLOW_{name}" in refused()


def test_a_setting_of_langflows_without_meaning_here_is_named_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGFLOW_CACHE_TYPE", "redis")
    monkeypatch.setenv("LANGFLOW_TWEAKS_POLICY", "permissive")
    _, remarks = load_settings()
    assert len(remarks) == 1 and "LANGFLOW_CACHE_TYPE" in remarks[0]


def test_flows_may_read_only_the_variables_that_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPEN_ONE", "yes")
    monkeypatch.setenv("CLOSED_ONE", "no")
    monkeypatch.setenv("HEADWATER_VARIABLES_TO_GET_FROM_ENVIRONMENT", "OPEN_ONE, MISSING_ONE")
    assert load_settings()[0].environment_for_flows == {"OPEN_ONE": "yes"}


def test_a_variable_for_flows_may_stand_in_the_settings_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.env"
    file.write_text("SERVICE_KEY=abc\nHEADWATER_VARIABLES_TO_GET_FROM_ENVIRONMENT=SERVICE_KEY\n")
    monkeypatch.delenv("SERVICE_KEY", raising=False)
    assert load_settings(env_file=file)[0].environment_for_flows == {"SERVICE_KEY": "abc"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"host": "0.0.0.0", "port": 80}, "http://127.0.0.1:80"),
        ({"host": "::1"}, "http://[::1]:7860"),
        ({"public_url": "https://tools.example.org/"}, "https://tools.example.org"),
    ],
)
def test_the_address_people_are_told_is_one_they_can_open(given: dict[str, object], expected: str) -> None:
    assert load_settings(given)[0].base_url == expected


@pytest.mark.parametrize("address", ["tools.example.org", "ftp://tools.example.org", "https://user:secret@tools.example.org"])
def test_a_public_url_that_is_no_plain_address_is_refused(address: str) -> None:
    assert "public_url" in refused({"public_url": address})


def test_allowed_addresses_are_a_list_and_a_wrong_one_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_ALLOWED_ADDRESSES", "ollama.internal:11434, 10.1.0.0/16")
    assert load_settings()[0].allowed_addresses == ["ollama.internal:11434", "10.1.0.0/16"]
    monkeypatch.setenv("HEADWATER_ALLOWED_ADDRESSES", "http://ollama.internal")
    with pytest.raises(SettingsProblem, match=r"allowed_addresses: 'http://ollama\.internal' is no address to allow"):
        load_settings()
