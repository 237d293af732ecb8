"""Spellings of places that are not what a careless reader takes them for.

`{in}` is a folder that is allowed, with a file `a.txt`, links, a FIFO and more (`garden` makes it), `{out}`
a folder beside it with a file `secret.txt`, `{host}` an http server on loopback.
"""

from __future__ import annotations

import os
from pathlib import Path

SECRET = "planted-7f3a-secret"

# Each is refused, with the settings as they are: only `{in}` is allowed.
REFUSED = [
    "",
    "a.txt",
    "./a.txt",
    "../out/secret.txt",
    "~/a.txt",
    "{in}/../out/secret.txt",
    "{in}/sub/../../out/secret.txt",
    "{in}/%2e%2e/out/secret.txt",
    "{in}/..%2fout/secret.txt",
    "{in}/%252e%252e/out/secret.txt",
    "{out}/secret.txt",
    "//{out}/secret.txt",
    "file://{out}/secret.txt",
    "FILE://{out}/secret.txt",
    "local://{out}/secret.txt",
    "file://localhost{in}/a.txt",
    "file:{in}/a.txt",
    "file://{in}/../out/secret.txt",
    "/x://../{out}/secret.txt",
    "x://{out}/secret.txt",
    "x://..{out}/secret.txt",
    "filecache::file://{in}/a.txt",
    "simplecache::{out}/secret.txt",
    "zip://a.txt::{in}/a.zip",
    "zip::{in}/a.zip",
    "tar://a::file://{in}/a.tar",
    "reference::{in}/a.json",
    "reference://a",
    "github://owner:repo@main/a",
    "gitlab://x/a",
    "git://{in}/a.txt",
    "memory://bucket/a",
    "data:text/plain,x",
    "data://text/plain,x",
    "dir://{in}",
    "blockcache://{in}/a.txt",
    "jupyter://127.0.0.1/a",
    "smb://127.0.0.1/share/a",
    "unix:///var/run/docker.sock",
    "http://{host}/secret.txt",
    "http://127.0.0.1/a",
    "http://localhost/a",
    "http://2130706433/a",
    "http://0x7f000001/a",
    "http://0x7f.1/a",
    "http://017700000001/a",
    "http://127.1/a",
    "http://127.0.0.1./a",
    "http://[::1]/a",
    "http://[::ffff:127.0.0.1]/a",
    "http://[::ffff:7f00:1]/a",
    "http://[64:ff9b::7f00:1]/a",
    "http://[fe80::1%25eth0]/a",
    "http://[/a",
    "http://169.254.169.254/latest/meta-data",
    "http://0/a",
    "http://0.0.0.0/a",
    "http://user@{host}/a",
    "http://user:password@{host}/a",
    "https://allowed.example@127.0.0.1/a",
    "https://allowed.example\\@127.0.0.1/a",
    "https://allowed.example#@127.0.0.1/a",
    "https://①②⑦.⓪.⓪.①/a",
    "https:///a",
    "https:a",
    "https://allowed.example:0/a",
    "https://allowed.example:99999/a",
    "https://other.example/a",
    "ftp://other.example/a",
    "sftp://other.example/etc/passwd",
    "s3://other-bucket/a",
    "s3a://other-bucket/a",
    "S3://other-bucket/a",
    "s3://",
    "s3:///a",
    "s3://{in}",
    "s3://user:key@other-bucket/a",
    "gs://other-bucket/a",
    "abfs://container@account.dfs.core.windows.net/a",
    "{in}/link-to-secret",
    "{in}/link-to-out/secret.txt",
    "{in}/link-inside",
    "{in}/fifo",
    "/dev/zero",
    "/dev/fd/0",
    "/proc/self/environ",
    "/proc/self/root/etc/passwd",
    "/etc/passwd",
    "{in}/a.txt\0",
    "{out}/secret.txt\0{in}/a.txt",
    "{in}/a.txt\n",
    "{in}/\x1b[2Ja.txt",
    " {in}/a.txt",
    "{in}/" + "a" * 5_000,
    "/" * 5_000,
    "s3://other-bucket/" + "a" * 5_000,
]  # fmt: skip

# Each is taken, as this path below `{in}`.
TAKEN = {
    "{in}/a.txt": "a.txt",
    "file://{in}/a.txt": "a.txt",
    "local://{in}/a.txt": "a.txt",
    "//{in}//a.txt": "a.txt",
    "{in}/./a.txt": "a.txt",
    "{in}/sub/a::b.txt": "sub/a::b.txt",
    "{in}/sub/100%.txt": "sub/100%.txt",
    "{in}/sub/x:y.txt": "sub/x:y.txt",
}


def garden(folder: Path) -> dict[str, str]:
    """Make the two folders below `folder`; return what stands for their names."""
    inside, outside = folder / "in", folder / "out"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text(f"{SECRET}\n{SECRET}\n")
    for name in set(TAKEN.values()):
        (inside / name).write_text(name)
    (inside / "link-to-secret").symlink_to(outside / "secret.txt")
    (inside / "link-to-out").symlink_to(outside)
    (inside / "link-inside").symlink_to(inside / "a.txt")
    os.mkfifo(inside / "fifo")
    return {"{in}": str(inside), "{out}": str(outside), "{host}": "127.0.0.1:1"}


def spelled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text
