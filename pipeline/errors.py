"""Errors that commands report without a traceback."""


class UserError(Exception):
    """Invalid user input: the message says what is wrong, where, and what to do. Commands exit with code 2."""


class RunFailed(Exception):
    """A run failed for an understood reason that is not the user's mistake. Commands exit with code 1."""
