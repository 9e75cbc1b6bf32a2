"""The loopback Hub as tests see it: put models in, break it, look at what was asked of it."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from . import faults
from .access import Token
from .content import Blob, OnDisk, blob_of
from .exchange import Front
from .log import Port, Request, RequestLog
from .repository import File, Gated, Model
from .routes import api, cas, cdn
from .server import Server, open_port, origin
from .state import State
from .storing import is_large
from .xet_client import XetClient

Content = bytes | Path


class LoopbackHub:
    """A Hugging Face Hub on this machine, from `with` to the end of the block."""

    def __init__(self, port: int = 0, *, page_size: int = 1000) -> None:
        # The last port is the Hub's own way to its Xet store: what goes on there is neither logged nor broken.
        api_port, cdn_port, cas_port, own_port = open_port(port), open_port(), open_port(), open_port()
        self._folder = tempfile.TemporaryDirectory(prefix="loopback-hub-")
        self._state = State(
            endpoint=origin(api_port),
            cdn=origin(cdn_port, "localhost"),  # another host, as on the real Hub: not every client looks at the port
            cas=origin(cas_port),
            folder=Path(self._folder.name),
            page_size=page_size,
        )
        self._log = RequestLog()
        self._rules = faults.FaultRules()
        self._xet = XetClient(origin(own_port), self._state.folder)
        own_store = cas(self._state, origin(own_port))
        self._server = Server(
            {
                api_port: Front(api(self._state, self._xet), "api", self._log, self._rules),
                cdn_port: Front(cdn(self._state), "cdn", self._log, self._rules),
                cas_port: Front(cas(self._state, self._state.cdn), "cas", self._log, self._rules),
                own_port: Front(own_store, "cas", RequestLog(), faults.FaultRules()),
            }
        )

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()
        self._folder.cleanup()

    @property
    def endpoint(self) -> str:
        return self._state.endpoint

    @property
    def cdn(self) -> str:
        """Where the content of LFS files comes from."""
        return self._state.cdn

    def add_model(
        self,
        name: str,
        files: Mapping[str, Content],
        *,
        private: bool = False,
        gated: Gated = False,
        tags: tuple[str, ...] = (),
        downloads: int = 0,
        likes: int = 0,
        pipeline_tag: str | None = None,
        library_name: str | None = None,
        parameters: Mapping[str, int] | None = None,
        last_modified: datetime | None = None,
        lfs: tuple[str, ...] | None = None,
        xet: bool = False,
    ) -> str:
        """A new model with one commit on main, whose id is returned.

        Files from disk are served from where they are. `lfs` names the files kept in LFS; by default those are decided
        on as the Hub does it, by their names and sizes. With `xet` they are put into the Xet store as well.
        """
        model = Model(
            name,
            private=private,
            gated=gated,
            uses_xet=xet,
            tags=tags,
            downloads=downloads,
            likes=likes,
            pipeline_tag=pipeline_tag,
            library_name=library_name,
            parameters=parameters,
        )
        commit = model.commit("refs/heads/main", self._store(files, lfs, xet=xet), "initial commit", last_modified)
        self._state.models[name] = model
        return commit.oid

    def change(
        self, name: str, files: Mapping[str, Content | None], branch: str = "main", *, title: str = "change"
    ) -> str:
        """A new commit, in which the named files have this content or, if None, are gone."""
        model = self.model(name)
        reference = f"refs/heads/{branch}"
        kept = {path: file for path, file in model.commits[model.refs[reference]].files.items() if path not in files}
        new = {path: content for path, content in files.items() if content is not None}
        return model.commit(reference, kept | self._store(new, None, xet=model.uses_xet), title).oid

    def tag(self, name: str, tag: str, commit: str | None = None) -> None:
        model = self.model(name)
        model.refs[f"refs/tags/{tag}"] = commit or model.head.oid

    def branch(self, name: str, branch: str, commit: str | None = None) -> None:
        model = self.model(name)
        model.refs[f"refs/heads/{branch}"] = commit or model.head.oid

    def add_token(
        self,
        token: str,
        *,
        user: str,
        write: bool = False,
        gated_access: tuple[str, ...] = (),
        organizations: tuple[str, ...] | None = None,
    ) -> None:
        """A token of a user. By default the user belongs to every organization, and so sees every private model."""
        self._state.access.tokens[token] = Token(user, write, frozenset(gated_access), organizations)

    def model(self, name: str) -> Model:
        return self._state.models[name]

    def head(self, name: str, revision: str = "main") -> str:
        commit = self.model(name).find(revision)
        assert commit is not None, f"{name} has no revision {revision}"
        return commit.oid

    def files(self, name: str, revision: str = "main") -> dict[str, bytes]:
        files = self.model(name).commits[self.head(name, revision)].files
        return {path: file.blob.read() for path, file in files.items()}

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in order."""
        return self._server.call(self._log.copy)

    def forget_requests(self) -> None:
        self._server.call(self._log.clear)

    def bytes_sent(self, path_contains: str = "") -> int:
        """How many bytes of the content of files left for clients."""
        return sum(
            request.bytes_sent for request in self.requests if request.is_for_content and path_contains in request.path
        )

    def break_(
        self,
        path_contains: str,
        fault: faults.Fault,
        *,
        times: int | None = 1,
        skip: int = 0,
        method: str | None = None,
        port: Port | None = None,
    ) -> None:
        """Let a fault hit the next `times` requests (None: all) of this kind, after `skip` that go well.

        Faults of the body hit only answers that have one: neither HEAD requests nor the redirect to an LFS file.
        """
        if isinstance(fault, faults.CutEvery):
            times = None
        self._rules.add(faults.Rule(path_contains, fault, times, skip, method, port))

    def heal(self) -> None:
        self._rules.clear()

    def _store(self, files: Mapping[str, Content], lfs: tuple[str, ...] | None, *, xet: bool) -> dict[str, File]:
        stored = {}
        for path, content in files.items():
            blob = blob_of(content)
            is_lfs = is_large(path, blob.size) if lfs is None else path in lfs
            if is_lfs:
                self._state.objects[blob.sha256] = blob
            stored[path] = File(blob, is_lfs)
        large = {path: file for path, file in stored.items() if file.is_lfs}
        if xet and large:
            hashes = self._xet.upload([self._on_disk(file.blob) for file in large.values()])
            stored |= {
                path: replace(file, xet_hash=name) for (path, file), name in zip(large.items(), hashes, strict=True)
            }
        return stored

    def _on_disk(self, blob: Blob) -> Path:
        if isinstance(blob.body, OnDisk):
            return blob.body.path
        path = self._state.folder / blob.sha256
        path.write_bytes(blob.read())
        return path
