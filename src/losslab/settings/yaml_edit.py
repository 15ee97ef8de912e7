"""One mapping of a YAML text replaced, and every other character left as its author wrote it."""

from collections.abc import Mapping

import yaml
from yaml.nodes import CollectionNode, MappingNode, Node

from losslab.settings.plain_yaml import read_yaml


def put(text: str, section: str, key: str, mapping: Mapping[str, int]) -> str:
    """The text of a YAML document with `mapping` as the value of `section.key`.

    Raises:
        ValueError: it is written in a way in which that would change something else, such as with aliases.
    """
    wanted = read_yaml(text)
    wanted[section] = {**wanted[section], key: dict(mapping)}
    edited = _edited(text, section, key, mapping)
    if edited is None or read_yaml(edited) != wanted:
        raise ValueError(f"{section}.{key} cannot be put there; write it yourself: {_flow(key, mapping)}")
    return edited


def _edited(text: str, section: str, key: str, mapping: Mapping[str, int]) -> str | None:
    """The text with the mapping in it, after what the section has if the key is new; none if the section is none."""
    root = yaml.compose(text, yaml.SafeLoader)
    head, outer = _child(root, section)
    if head is None or not isinstance(outer, MappingNode) or not outer.value:
        return None
    newline = "\r\n" if "\r\n" in text else "\n"
    first, last = outer.value[0][0], outer.value[-1][1]
    step = first.start_mark.column - head.start_mark.column
    indent = " " * first.start_mark.column
    if outer.flow_style:
        written = _flow(key, mapping)
    else:
        lines = (f"{indent}{' ' * step}{name}: {number}" for name, number in mapping.items())
        written = newline.join([f"{key}:", *lines])
    found, value = _child(outer, key)
    if found is not None and value is not None:
        return text[: found.start_mark.index] + written + text[_end(value) :]
    place = _end(last)
    if outer.flow_style:
        return f"{text[:place]}, {written}{text[place:]}"
    line = text.find("\n", place)
    before = text[: line + 1] if line >= 0 else text + newline
    return f"{before}{indent}{written}{newline}{text[len(before) :]}"


def _flow(key: str, mapping: Mapping[str, int]) -> str:
    return f"{key}: {{{', '.join(f'{name}: {number}' for name, number in mapping.items())}}}"


def _child(node: Node | None, key: str) -> tuple[Node | None, Node | None]:
    """The nodes of a key and of its value; nothing where there is no such key."""
    entries = node.value if isinstance(node, MappingNode) else []
    return next(((name, value) for name, value in entries if name.value == key), (None, None))


def _end(node: Node) -> int:
    """Where the text of a node ends: in block style, before the comments and blank lines that follow."""
    if isinstance(node, CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)
