"""Names and places of the Hugging Face cache (hub-docs `local-cache.md`, and the shared store of huggingface_hub 1.32).

```
<root>/.locks/<folder>/<etag>.lock          held (flock) during a download, left behind afterwards
<root>/.locks/<folder>/<commit>.commit.lock held (flock) by mlxk2 while it installs that commit
<root>/.locks/.mlxk2-trash/<hex>/<folder>   a deletion under way; anything here is rubbish
<root>/blobs/<xx>/<xet hash>                store shared by all models, with <xet hash>.refs and .lock
<root>/models--org--name/{blobs,refs,snapshots,trees,.no_exist}
```
"""

import re

MODEL_FOLDER = re.compile(r"models--[^/\x00]+")
WORKSHOP = ".tmp"
"""Ends the name of the folder where a pull of ours makes files; before it stands the commit."""
COMMIT = re.compile(r"[0-9a-f]{40}")
PARTIAL = re.compile(r"(?P<etag>.+?)(?:\.[0-9a-f]{8})?\.incomplete")
PARTIAL_LINK = re.compile(r"\.(?P<etag>.+)\.[0-9a-f]{8}\.shared")
"""A link into the shared store that huggingface_hub has made and not named yet."""
OWN_PARTIAL = "6d6c786b"
"""The number in the names of our partial files ("mlxk"); huggingface_hub draws a new one for every attempt."""
ETAG = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
XET_HASH = re.compile(r"[0-9a-f]{64}")
XET_PREFIX = re.compile(r"[0-9a-f]{2}")

LOCKS = ".locks"
TRASH = ".mlxk2-trash"
BLOBS = "blobs"
REFS = "refs"
SNAPSHOTS = "snapshots"
TREES = "trees"
NO_EXIST = ".no_exist"

SHARED_STORE_MARKER = ".huggingface-shared-blobs"
SHARED_STORE_VERSION = b"1\n"

TREE_FORMAT_VERSION = 1

CACHEDIR_TAG = "CACHEDIR.TAG"
CACHEDIR_TAG_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by mlxk2.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n"
)
