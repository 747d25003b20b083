"""The house rules of the source tree, read from its imports."""

import ast
from pathlib import Path

import dualseg

SOURCE = Path(dualseg.__file__).parent
LAYERS = [
    {"core", "config", "recipes"},
    {"models", "losses", "metrics", "data"},
    {"checkpoints", "inference", "visual"},
    {"evaluation"},
    {"training", "export"},
    {"cli"},
]
LAYER = {part: number for number, parts in enumerate(LAYERS) for part in parts}


def imports():
    """(importing part, imported part, file) for every import inside the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        inside = path.relative_to(SOURCE)
        part = inside.parts[0].removesuffix(".py")
        if part in ("__init__", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.startswith("dualseg."):
                    yield part, name.split(".")[1], inside


def test_every_part_has_a_layer():
    parts = {
        p.name.removesuffix(".py")
        for p in SOURCE.iterdir()
        if not p.name.startswith(("_", "py.typed"))
    }
    assert parts <= set(LAYER)


def test_imports_point_downward():
    upward = [(str(f), to) for part, to, f in imports() if LAYER[to] > LAYER[part]]
    assert upward == []


def test_siblings_on_the_first_layer_do_not_know_each_other():
    mixed = [
        (str(f), to) for part, to, f in imports() if LAYER[part] == LAYER[to] == 1 and part != to
    ]
    assert mixed == []


def test_no_two_parts_import_each_other():
    edges = {(part, to) for part, to, _ in imports() if part != to}
    assert {(a, b) for a, b in edges if (b, a) in edges} == set()


def test_help_needs_no_torch():
    import subprocess
    import sys

    code = "import sys, dualseg.cli.main; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
