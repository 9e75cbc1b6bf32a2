"""Who may do what: tokens, and the answers that the Hub gives to those who may not."""

from dataclasses import dataclass

from starlette.requests import Request

from .answer import Refusal
from .repository import Model


@dataclass(frozen=True)
class Token:
    user: str
    write: bool
    gated_access: frozenset[str]
    organizations: tuple[str, ...] | None
    """None: a member of every organization."""

    def belongs_to(self, namespace: str | None) -> bool:
        return self.organizations is None or namespace == self.user or namespace in self.organizations


class Access:
    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}

    def token(self, request: Request) -> Token | None:
        header = request.headers.get("authorization")
        if header is None:
            return None
        token = self.tokens.get(header.removeprefix("Bearer "))
        if token is None:
            raise Refusal(401, None, "Invalid credentials in Authorization header")
        return token

    def user(self, request: Request) -> Token:
        token = self.token(request)
        if token is None:
            raise Refusal(401, None, "Invalid username or password.")
        return token

    def may_see(self, token: Token | None, model: Model) -> bool:
        return not model.private or (token is not None and token.belongs_to(model.namespace))

    def check_read(self, request: Request, model: Model | None) -> Model:
        """The model, if it exists for this client: the Hub does not say whether a private one exists."""
        token = self.token(request)
        if model is not None and self.may_see(token, model):
            return model
        if token is None:
            raise Refusal(401, "RepoNotFound", "Invalid username or password.")
        raise Refusal(404, "RepoNotFound", "Repository not found")

    def check_content(self, request: Request, model: Model | None) -> Model:
        """The model, if the client may also read its files."""
        model = self.check_read(request, model)
        token = self.token(request)
        if not model.gated or (token is not None and model.id in token.gated_access):
            return model
        if token is None:
            raise Refusal(
                401,
                "GatedRepo",
                f"Access to model {model.id} is restricted. You must have access to it and be authenticated to access"
                " it. Please log in.",
            )
        raise Refusal(
            403,
            "GatedRepo",
            f"Access to model {model.id} is restricted and you are not in the authorized list."
            f" Visit https://huggingface.co/{model.id} to ask for access.",
        )

    def check_write(self, request: Request, model: Model | None) -> Model:
        model = self.check_read(request, model)
        token = self.user(request)
        if not (token.write and token.belongs_to(model.namespace)):
            raise Refusal(403, None, "You have read access but not the required permissions for this operation")
        return model
