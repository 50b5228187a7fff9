"""Who makes the request that is served: set at the entrance of every door, read where it matters."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from services.gateway.access.allowance import Allowance
from services.gateway.access.key import Scope
from services.runtime.errors import PermissionDenied

# Owner of what was made while there were no keys: all may read it, admins change it.
NOBODY = ""


@dataclass(frozen=True)
class Principal:
    """`owner`: of the voices that the request makes. `allowance` is shared by all requests of a key."""

    key_id: str
    owner: str
    scopes: frozenset[Scope]
    allowance: Allowance = field(default_factory=Allowance, compare=False)

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    @property
    def owners(self) -> Collection[str] | None:
        """Whose voices it may read; None for all."""
        return None if self.is_admin else {NOBODY, self.owner}

    def may_read(self, owner: str) -> bool:
        return self.owners is None or owner in self.owners

    def may_change(self, owner: str) -> bool:
        return self.is_admin or (owner == self.owner and owner != NOBODY)

    def require(self, scope: Scope) -> None:
        """Raises PermissionDenied."""
        if scope not in self.scopes and not self.is_admin:
            raise PermissionDenied(f"This key lacks the scope '{scope}'.")


# Of the key in the environment.
ADMIN = Principal("environment", "admin", frozenset(Scope))
# Where there are no keys, and in the gateway's own work.
EVERYBODY = Principal("", NOBODY, frozenset(Scope))
# Whoever brings no key to doors that want one.
GUEST = Principal("", NOBODY, frozenset())

_current: ContextVar[Principal] = ContextVar("voxline_principal")


def current() -> Principal:
    """Raises LookupError in a request whose door has asked nobody: our bug."""
    return _current.get()


@contextmanager
def entered(principal: Principal) -> Iterator[None]:
    """Sets it for this task. No reset: an async generator may be closed from another context."""
    _current.set(principal)
    yield
