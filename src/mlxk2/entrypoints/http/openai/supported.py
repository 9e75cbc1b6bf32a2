"""Which values a type allows at a place of a body: for the sentence that says so to whoever sent another one."""

from collections.abc import Iterator

from msgspec import inspect

from mlxk2.entrypoints.http.openai.paths import Path


def supported_values(wanted: object, path: Path) -> list[str]:
    """The literal texts that may stand there; none where the type names no texts."""
    values = (value for node in _nodes(inspect.type_info(wanted), path) for value in _literals(node))
    return list(dict.fromkeys(map(str, values)))


def _nodes(node: inspect.Type, path: Path) -> Iterator[inspect.Type]:
    """What the path leads to, in all branches."""
    if isinstance(node, inspect.Metadata):
        yield from _nodes(node.type, path)
    elif isinstance(node, inspect.UnionType):
        for branch in node.types:
            yield from _nodes(branch, path)
    elif not path:
        yield node
    elif isinstance(node, inspect.ListType):
        yield from _nodes(node.item_type, path[1:])
    elif isinstance(node, inspect.StructType):
        yield from _of_struct(node, path)


def _of_struct(node: inspect.StructType, path: Path) -> Iterator[inspect.Type]:
    if path == (node.tag_field,):
        yield inspect.LiteralType((node.tag,))
    for field in node.fields:
        if field.encode_name == path[0]:
            yield from _nodes(field.type, path[1:])


def _literals(node: inspect.Type) -> tuple[object, ...]:
    return tuple(node.values) if isinstance(node, inspect.LiteralType) else ()
