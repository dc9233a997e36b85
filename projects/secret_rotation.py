"""Everything that is kept encrypted, written anew under the current secret key."""

from projects.unit_of_work import change_catalogue
from storage.database import Database
from storage.encryption import SecretBox
from storage.secret_rotation import renew_all


async def encrypt_anew(database: Database, box: SecretBox) -> int:
    """How many values were written anew, all in one transaction; those that no key of the box opens stay as they are."""
    return await change_catalogue(database, lambda session: renew_all(session, box))
