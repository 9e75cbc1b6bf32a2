"""The HTTP server: OpenAI's and Anthropic's ways to ask a model (docs/server.md).

`server` runs it, `app` joins the doors, `answering` is the one flow that all answers take. A door (`openai`,
`anthropic`, `operating`) translates between its API's words and the domain's, and does nothing else.
"""
