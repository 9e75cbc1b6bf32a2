"""Runs hf_xet in a process of its own: reads what to do from standard input, writes what came of it to standard output.

hf_xet opens a log in the user's cache when it is imported, wherever HF_HOME points at that moment; a process of its own
can be pointed elsewhere.
"""

import json
import sys

import hf_xet


def main() -> None:
    task = json.load(sys.stdin)
    access = {"endpoint": task["endpoint"], "token": task["token"], "token_expiry_unix_secs": task["expiry"]}
    session = hf_xet.XetSession()
    uploads = []
    if "uploads" in task:
        with session.new_upload_commit(**access) as commit:
            uploads = [commit.start_upload_file(path) for path in task["uploads"]]
    if "downloads" in task:
        with session.new_file_download_group(**access) as group:
            for file in task["downloads"]:
                group.start_download_file(hf_xet.XetFileInfo(file["hash"], file["size"]), file["path"])
    json.dump([upload.result().xet_info.hash for upload in uploads], sys.stdout)


if __name__ == "__main__":
    main()
