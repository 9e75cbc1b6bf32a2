"""The text of an answer: read as it streams in (reasoning, tool calls, stop strings), and held to a form beforehand."""
