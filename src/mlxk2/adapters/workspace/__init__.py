"""The `Workspace` port on the file system."""

from mlxk2.adapters.workspace.folder import FolderWorkspace

__all__ = ["FolderWorkspace"]
