"""Tool calls as models write them: one form for each format, by the name that mlx-lm gives it (docs/tool-calls.md).

`harmony` is not here: in it calls and reasoning are messages of one syntax, which `mlxk2.domain.text.harmony` reads.
"""

from mlxk2.domain.text.calls.form import CallForm
from mlxk2.domain.text.calls.json_objects import JSON_TOOLS, KIMI_K2, LLAMA3, MISTRAL
from mlxk2.domain.text.calls.spelled import FUNCTION_GEMMA, GEMMA4, PYTHONIC
from mlxk2.domain.text.calls.tagged import GLM47, LONGCAT, MINICPM5, MINIMAX_M2, MUSE_SPARK, QWEN3_CODER

CALL_FORMS: dict[str, CallForm] = {
    "function_gemma": FUNCTION_GEMMA,
    "gemma4": GEMMA4,
    "glm47": GLM47,
    "json_tools": JSON_TOOLS,
    "kimi_k2": KIMI_K2,
    "laguna": GLM47,
    "llama3": LLAMA3,
    "longcat": LONGCAT,
    "minicpm5": MINICPM5,
    "minimax_m2": MINIMAX_M2,
    "mistral": MISTRAL,
    "muse_spark": MUSE_SPARK,
    "pythonic": PYTHONIC,
    "qwen3_coder": QWEN3_CODER,
}
