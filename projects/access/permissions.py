"""What a caller may do beyond using what they own. Pure questions; the use case asks, so both faces get the same answer."""

from projects.access.caller import Caller, Credential
from projects.errors import NotPermitted


def require_superuser(caller: Caller) -> None:
    """Raise NotPermitted unless the caller is a superuser."""
    if not caller.is_superuser:
        raise NotPermitted("Only a superuser may do this.")


def require_person(caller: Caller) -> None:
    """Raise NotPermitted for an API key: a leaked key must not become a login."""
    if caller.via is Credential.API_KEY:
        raise NotPermitted("An API key may not do this: log in with the password.")
