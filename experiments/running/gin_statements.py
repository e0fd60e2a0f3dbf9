"""Reads gin files one statement at a time, so that they set parameters and do nothing else.

gin's own reader also imports modules (`import`, `from __gin__ import dynamic_registration`) and binds whatever any library
has registered with it. A configuration that comes from somebody else must not be able to do either.
"""

import contextlib
import os
import tokenize
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import IO

import gin
from gin import config_parser, utils

SUFFIX = ".gin"
_PARSE_ERRORS = (tokenize.TokenError, RecursionError, StopIteration)


class GinReader:
    """Applies the statements of gin files and bindings to gin's configuration.

    Args:
      allowed: What gin may set and refer to, as `gin.external_configurable` returned it.
      open_file: Opens a gin file by its path.
      includes: Whether files may include others, which end in `.gin`.
    """

    def __init__(self, allowed: Collection[Callable], open_file: Callable[[str], IO[str]], includes: bool):
        self._allowed, self._open_file, self._includes = allowed, open_file, includes
        self._open: list[str] = []  # the file that is being read, and those that include it

    def read_file(self, path: str) -> None:
        """Applies the statements of a file, and those of the files that it includes.

        Raises:
          ValueError: A statement is not allowed, names something unknown, or cannot be parsed; a file includes itself.
          OSError: There is no such file.
          SyntaxError: The file is not in gin's language.
        """
        with self._open_file(path) as file:
            real = os.path.realpath(file.name)
            if real in self._open:
                raise ValueError(f"the gin file {path} should not include itself, directly or through other files.")
            self._open.append(real)
            self._read(file, path)
            self._open.pop()

    def read_bindings(self, bindings: Sequence[str]) -> None:
        """Applies bindings, each of which is one or several statements; errors as in `read_file`."""
        self._read("\n".join(bindings), "the bindings")

    def _read(self, text: str | IO[str], name: str) -> None:
        with _parse_errors_named(name):
            parser = config_parser.ConfigParser(text, _OnlyAllowed(self.require))
            while statement := parser.parse_statement():
                with utils.try_with_location(statement.location):
                    self._apply(statement)

    def _apply(self, statement) -> None:
        if isinstance(statement, config_parser.ImportStatement):
            raise ValueError(
                f"`{statement.format()}` is not allowed: a configuration sets parameters and imports nothing."
            )
        if isinstance(statement, config_parser.IncludeStatement):
            self._include(statement.filename)
        elif isinstance(statement, config_parser.BlockDeclaration):
            self.require(statement.selector)
        elif statement.arg_name:
            self.require(statement.selector)
            gin.bind_parameter((statement.scope, statement.selector, statement.arg_name), statement.value)
        else:
            name = f"{statement.scope}/{statement.selector}" if statement.scope else statement.selector
            gin.bind_parameter((name, "gin.macro", "value"), statement.value)

    def _include(self, path: str) -> None:
        if not self._includes:
            raise ValueError(f"`include {path!r}` is not allowed: the configuration of a run is one file.")
        if not path.endswith(SUFFIX):
            raise ValueError(f"`include` should name a file that ends in {SUFFIX}. Found {path!r}.")
        self.read_file(path)

    def require(self, selector: str, kind: str = "") -> None:
        """Checks that a name is one that gin may set or refer to.

        Args:
          selector: The name, without a scope.
          kind: "reference" for what stands behind an `@`.

        Raises:
          ValueError: It is not, or it is unknown.
        """
        found = None
        with contextlib.suppress(ValueError, KeyError):  # as gin says of an unknown name
            found = gin.get_configurable(selector)
        if found not in self._allowed:
            quoted = f"reference '@{selector}'" if kind else f"'{selector}'"
            raise ValueError(f"No configurable matching {quoted}.")


class _OnlyAllowed(gin.config.ParserDelegate):
    """Makes references as gin does, but only to what is allowed."""

    def __init__(self, require: Callable[[str, str], None]):
        super().__init__()
        self._require = require

    def configurable_reference(self, scoped_selector: str, evaluate: bool) -> gin.config.ConfigurableReference:
        self._require(scoped_selector.rpartition("/")[2], "reference")
        return super().configurable_reference(scoped_selector, evaluate)


def require_statements(text: str, name: str) -> None:
    """Checks that a text is in gin's language and sets something; the names in it may be unknown. Nothing is applied.

    Args:
      text: The text.
      name: What an error calls it.

    Raises:
      ValueError: It is not, or sets nothing.
      TypeError: A dictionary in it has a key that Python cannot hash.
    """
    try:
        with _parse_errors_named(name):
            parser, sets_something = config_parser.ConfigParser(text, _AnyName()), False
            while statement := parser.parse_statement():  # a loop over the parser would end at its StopIteration
                sets_something |= isinstance(statement, config_parser.BindingStatement)
    except SyntaxError as error:
        raise ValueError(f"{name} is not in gin's language: {error.msg}") from error
    if not sets_something:
        raise ValueError(f"{name} sets no parameter.")


class _AnyName(config_parser.ParserDelegate):
    """Makes nothing of references."""

    def configurable_reference(self, scoped_selector: str, evaluate: bool) -> None:
        del scoped_selector, evaluate

    def macro(self, macro_name: str) -> None:
        del macro_name


@contextlib.contextmanager
def _parse_errors_named(name: str) -> Iterator[None]:
    """Turns what Python's tokenizer raises of a broken text into an error that names the text."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text ({error}).") from error
    except _PARSE_ERRORS as error:
        raise ValueError(f"{name} ends within a statement or is nested too deeply ({error}).") from error
