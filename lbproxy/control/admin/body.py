"""The JSON that a request of the admin interface brings."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from lbproxy.control.admin.web import Refusal, Request

Body = TypeVar("Body", bound=BaseModel)


def read(request: Request, kind: type[Body]) -> Body:
    """Its body. Raises Refusal, with a line for each thing that is wrong with it."""
    try:
        return kind.model_validate_json(request.body)
    except ValidationError as error:
        lines = (f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}\n" for one in error.errors())
        raise Refusal(400, "".join(lines)) from None
