"""The two kinds of failure a user can meet without a traceback."""


class UserError(Exception):
    """The user's input is wrong (exit 2); the message says what, where, and what to do."""


class RunFailed(Exception):
    """The input was right but the run cannot go on, or missed its limits (exit 1)."""
