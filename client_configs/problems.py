"""What can stand in the way of an installation, each with a message that says what to do next.

InstallationProblem
├── InvalidConnection     an address, name or key that no client should be given
├── Unsupported           this client cannot do that at all
├── ClientNotFound        the client is not on this machine
├── SecretWouldBeShared   the key would end in a file that is shared
├── NameTaken             another server has our name
├── UnreadableFile        the file is not what the client could have read
├── UneditableFile        readable, but not in a form we can change without touching the rest
└── FileChanged           somebody wrote the file between plan and write
"""


class InstallationProblem(Exception):
    """Anything a person has to know before the installation can go on."""

    code = "installation_problem"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidConnection(InstallationProblem):
    code = "invalid_connection"


class Unsupported(InstallationProblem):
    code = "unsupported"


class ClientNotFound(InstallationProblem):
    code = "client_not_found"


class SecretWouldBeShared(InstallationProblem):
    code = "secret_would_be_shared"


class NameTaken(InstallationProblem):
    code = "name_taken"


class UnreadableFile(InstallationProblem):
    """The text cannot be read; `line` counts from 1."""

    code = "unreadable_file"

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message)
        self.line = line


class UneditableFile(InstallationProblem):
    code = "uneditable_file"


class FileChanged(InstallationProblem):
    code = "file_changed"
