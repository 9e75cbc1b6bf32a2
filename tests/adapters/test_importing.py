"""The faster import of mlx-lm changes nothing but time."""

import json
import os
import subprocess
import sys
from typing import Any


def in_a_fresh_process(code: str) -> Any:
    env = {**os.environ, "PYTHONHASHSEED": "0"}  # sets print in the same order every time
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


STRUCTURE = (
    "import json, transformers.utils.import_utils as utils, transformers\n"
    "structure = utils.create_import_structure_from_path(transformers.__path__[0] + '/models/qwen3')\n"
    "bound = utils.create_import_structure_from_path.cache_info().maxsize\n"
    "print(json.dumps([sorted(map(repr, structure.items())), bound]))"
)
FASTER = (
    "import gc, sys\nfrom mlxk2.adapters.mlx.importing import _ScanMemo, faster_imports\n"
    "with faster_imports():\n    import mlx_lm.utils\n"
    "assert gc.isenabled() and _ScanMemo not in sys.meta_path, 'the import left something behind'\n"
)


def test_transformers_finds_the_same_modules_with_a_larger_cache() -> None:
    plain, bound = in_a_fresh_process(STRUCTURE)
    faster, no_bound = in_a_fresh_process(FASTER + STRUCTURE)
    assert faster == plain
    assert (bound is not None, no_bound) == (True, None)


def test_a_transformers_of_another_make_imports_as_before() -> None:
    code = (
        "import json, sys, types\nfrom mlxk2.adapters.mlx import importing\n"
        "importing._SCAN = 'no_such_function'\n"
        "with importing.faster_imports():\n    import transformers.utils.import_utils as utils\n"
        "print(json.dumps(utils.create_import_structure_from_path.cache_info().maxsize))"
    )
    assert in_a_fresh_process(code) is not None
