"""Answers held to a form while they are made: tool calls to their schemas, and other structures after reasoning."""
