"""API keys over the API: when they end."""

import pytest

from tests.application import Application


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2099-01-01T12:00:00", "2099-01-01T12:00:00+00:00"),
        ("2099-01-01T12:00:00+02:00", "2099-01-01T10:00:00+00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
    ],
)
async def test_an_end_without_a_zone_is_utc(application: Application, sent: str, kept: str) -> None:
    answer = await application.http.post("/api/v1/api_key/", json={"name": "k", "expires_at": sent})
    assert (answer.status_code, answer.json()["expires_at"]) == (200, kept)


@pytest.mark.parametrize("sent", ["9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", "2020-01-01T00:00:00", "soon"])
async def test_an_end_that_is_over_or_no_moment_in_utc_is_422(application: Application, sent: str) -> None:
    answer = await application.http.post("/api/v1/api_key/", json={"expires_at": sent})
    assert answer.status_code == 422
    assert "expires_at" in str(answer.json()["detail"])
