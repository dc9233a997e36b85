"""Why a start stops, apart from the settings themselves, which take a while to import."""


class SettingsProblem(Exception):
    """Why the start stops, in one line for a person."""
