"""YAML that means the same to every reader. DVC reads version 1.2 of YAML, PyYAML 1.1: what they read differently, and
keys given twice, are refused."""

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

TWO_MEANINGS = (
    (re.compile(r"(?i)yes|no|on|off"), 'true, false, or "{}" for a text'),
    (re.compile(r"[-+]?0(o[0-7]+|[0-9_]*[0-9_])"), 'a number without the 0 before it, or "{}" for a text'),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), '"{}" for a text, or one number'),
    (
        re.compile(r"(?=.*_)(?=[-+.0-9])[-+]?(0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+|[0-9._]+([eE][-+]?[0-9_]+)?)"),
        'a number without _, or "{}" for a text',
    ),
    (
        re.compile(r"[-+]\.[0-9]+([eE][-+]?[0-9]+)?|\.[0-9]+[eE][-+]?[0-9]+"),
        'a number with a 0 before the point, or "{}" for a text',
    ),
)
"""Plain scalars of which YAML 1.1 and 1.2 make different things, and what to write in their place."""
NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
"""A number such as 1e-3, which 1.1 takes for a text."""


def read_yaml(text: str) -> Any:
    """The content of a YAML document.

    Raises:
        ValueError: a key is given twice, or a value means one thing in YAML 1.1 and another in 1.2.
        yaml.YAMLError: it is not YAML.
        RecursionError: it is nested without end.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """PyYAML's, which makes nothing but plain values."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))


def _check(root: Node) -> None:
    seen: set[int] = set()  # an alias is its anchor's node again
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, ScalarNode) and node.style is None:
            for pattern, instead in TWO_MEANINGS:
                if pattern.fullmatch(node.value):
                    means = "means different things to different readers of YAML"
                    raise ValueError(f"{_line(node)}: {node.value} {means}; write {instead.format(node.value)}")
        elif isinstance(node, SequenceNode):
            waiting += node.value
        elif isinstance(node, MappingNode):
            keys: set[tuple[str, str]] = set()
            for key, value in node.value:
                if isinstance(key, ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                    if (key.tag, key.value) in keys:
                        raise ValueError(f"{_line(key)}: the key {key.value} is given twice; remove one")
                    keys.add((key.tag, key.value))
                waiting += (key, value)


def _line(node: Node) -> str:
    return f"line {node.start_mark.line + 1}"
