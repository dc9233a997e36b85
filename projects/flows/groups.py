"""Expands group nodes, which are flows inside a node, before anything else looks at the document.

The group's own fields overwrite those they stand for, and edges at the group become edges at the nodes inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from projects.engine.graph import Group
from projects.flows.handles import EdgeEnds, read_edge

# What the node inside says about itself stays, whatever the group's copy of the field says.
_KEPT_INSIDE = ("show", "advanced", "display_name")


@dataclass(slots=True)
class NodeEntry:
    """A node of the document or of a group in it."""

    id: str
    raw: Mapping[str, Any]
    parent_id: str | None = None
    is_frozen: bool = False  # because the group around it is


@dataclass(slots=True)
class _GroupNode:
    id: str
    display_name: str
    template: Mapping[str, Any]
    outputs: list[Mapping[str, Any]]
    inner_ids: list[str]
    last_id: str | None  # the inner node without successors


@dataclass(slots=True)
class Expanded:
    """Everything of the document: groups stay in `nodes` (nothing runs for them), what is inside follows at the end."""

    nodes: list[NodeEntry] = field(default_factory=list)
    edges: list[EdgeEnds] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    lost: list[tuple[EdgeEnds, str]] = field(default_factory=list)  # edges at a group that lead nowhere inside, with the reason


def node_of(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """`data.node`, or nothing."""
    data = raw.get("data")
    node = data.get("node") if isinstance(data, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def is_group(raw: Mapping[str, Any]) -> bool:
    return isinstance(node_of(raw).get("flow"), Mapping)


def expand(nodes: list[Mapping[str, Any]], edges: list[Mapping[str, Any]]) -> Expanded:
    """The document without groups. Nodes must have ids (`document.parse_document` sees to it)."""
    expanded = Expanded()
    groups: dict[str, _GroupNode] = {}
    level = [NodeEntry(str(raw["id"]), raw) for raw in nodes]
    raw_edges = list(edges)
    while level:
        inner: list[NodeEntry] = []
        for entry in level:
            expanded.nodes.append(entry)
            if is_group(entry.raw):
                children, inner_edges = _open(entry, groups)
                inner += children
                raw_edges += inner_edges
        level = inner
    for raw in raw_edges:
        ends = read_edge(raw)
        reason = _settle(ends, groups) if groups else None
        if reason is None:
            expanded.edges.append(ends)
        else:
            expanded.lost.append((ends, reason))
    expanded.groups = {group.id: _described(group, groups) for group in groups.values()}
    return expanded


def inner_flow(raw: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Nodes (those with an id) and edges inside a group node."""
    flow = node_of(raw).get("flow")
    data = flow.get("data", flow) if isinstance(flow, Mapping) else None
    if not isinstance(data, Mapping):
        return [], []
    nodes, edges = data.get("nodes"), data.get("edges")
    return (
        [item for item in nodes if isinstance(item, Mapping) and item.get("id")] if isinstance(nodes, list) else [],
        [item for item in edges if isinstance(item, Mapping)] if isinstance(edges, list) else [],
    )


def _open(entry: NodeEntry, groups: dict[str, _GroupNode]) -> tuple[list[NodeEntry], list[Mapping[str, Any]]]:
    node = node_of(entry.raw)
    inner_nodes, inner_edges = inner_flow(entry.raw)
    template = node.get("template")
    template = template if isinstance(template, Mapping) else {}
    changes: dict[str, dict[str, Mapping[str, Any]]] = {}
    for outer in template.values():
        if isinstance(outer, Mapping) and (proxy := _proxy(outer)) is not None:
            changes.setdefault(proxy[0], {})[proxy[1]] = outer
    is_frozen = entry.is_frozen or node.get("frozen") is True
    children = [NodeEntry(str(raw["id"]), _changed(raw, changes.get(str(raw["id"]), {})), entry.id, is_frozen) for raw in inner_nodes]
    sources = {read_edge(edge).source for edge in inner_edges}
    ends = [
        child.id
        for child in children
        if child.id not in sources and node_of(child.raw).get("template") and child.raw.get("type") != "noteNode"
    ]
    outputs = node.get("outputs")
    groups[entry.id] = _GroupNode(
        id=entry.id,
        display_name=name if isinstance(name := node.get("display_name"), str) and name else entry.id,
        template=template,
        outputs=[item for item in outputs if isinstance(item, Mapping)] if isinstance(outputs, list) else [],
        inner_ids=sorted((child.id for child in children), key=len, reverse=True),
        last_id=ends[-1] if ends else None,
    )
    return children, inner_edges


def _proxy(item: Mapping[str, Any], key: str = "field") -> tuple[str, str] | None:
    proxy = item.get("proxy")
    if isinstance(proxy, Mapping) and isinstance(proxy.get("id"), str) and isinstance(proxy.get(key), str):
        return proxy["id"], proxy[key]
    return None


def _changed(raw: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The inner node with the group's values in it; the document itself is left as it is."""
    if not changes:
        return raw
    node = dict(node_of(raw))
    template = node.get("template")
    template = dict(template) if isinstance(template, Mapping) else {}
    for name, outer in changes.items():
        inside = template.get(name)
        inside = inside if isinstance(inside, Mapping) else {}
        merged = {**inside, **outer, **{key: inside[key] for key in _KEPT_INSIDE if key in inside}}
        # The proxy of a group in a group still has to lead further in.
        merged.pop("proxy", None)
        if "proxy" in inside:
            merged["proxy"] = inside["proxy"]
        template[name] = merged
    node["template"] = template
    return {**raw, "data": {**raw.get("data", {}), "node": node}}


def _settle(ends: EdgeEnds, groups: Mapping[str, _GroupNode]) -> str | None:
    """Move the ends of an edge into the groups they are at; the reason when that is impossible."""
    for _ in groups:
        if (group := groups.get(ends.target)) is None:
            break
        inside = ends.proxy or _inside(group, ends.field)
        ends.proxy = None
        if inside is None:
            return f"The group {group.id} has no field {ends.field!r} that stands for one inside."
        ends.target, ends.field = inside
    for _ in groups:
        if (group := groups.get(ends.source)) is None:
            break
        source = _source_inside(group, ends.output)
        if source is None:
            return f"The group {group.id} has no output {ends.output!r}, and nothing inside it ends the flow."
        ends.source, ends.output = source
    return None


def _inside(group: _GroupNode, name: str | None) -> tuple[str, str] | None:
    item = group.template.get(name) if name is not None else None
    return _proxy(item) if isinstance(item, Mapping) else None


def _source_inside(group: _GroupNode, name: str | None) -> tuple[str, str | None] | None:
    if name is not None:
        for output in group.outputs:
            if output.get("name") == name and (found := _proxy(output, "name")) is not None:
                return found
        for id in group.inner_ids:
            if name.startswith(f"{id}_"):
                return id, name[len(id) + 1 :]
    return (group.last_id, name) if group.last_id is not None else None


def _described(group: _GroupNode, groups: Mapping[str, _GroupNode]) -> Group:
    fields: dict[str, tuple[str, str]] = {}
    for name in group.template:
        inside = _inside(group, name)
        for _ in groups:
            if inside is None or (deeper := groups.get(inside[0])) is None:
                break
            inside = _inside(deeper, inside[1])
        if inside is not None:
            fields[name] = inside
    return Group(group.id, group.display_name, fields)
