"""Archives for tests, built in memory."""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyzipper

Members = Mapping[str, bytes] | Iterable[tuple[str, bytes]]


def pairs(members: Members) -> list[tuple[str, bytes]]:
    return list(members.items() if isinstance(members, Mapping) else members)


def zip_of(members: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in pairs(members):
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def aes_zip_of(members: Members, password: bytes = b"infected") -> bytes:
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(
        buffer, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(password)
        for name, data in pairs(members):
            archive.writestr(name, data)
    return buffer.getvalue()


def tar_of(members: Members, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in pairs(members):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def classic_zip_of(name: str, data: bytes, password: bytes = b"infected") -> bytes:
    """A stored member under the old cipher (APPNOTE 6.1), which no library here can write."""
    keys = [0x12345678, 0x23456789, 0x34567890]
    # The polynomial's table, from a library that has it only with inversions.
    table = [zlib.crc32(bytes([n])) ^ zlib.crc32(b"\0") for n in range(256)]

    def crc(register: int, byte: int) -> int:
        return (register >> 8) ^ table[(register ^ byte) & 0xFF]

    def update(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    def encrypt(plain: bytes) -> bytes:
        out = bytearray()
        for byte in plain:
            k = (keys[2] | 2) & 0xFFFF
            out.append(byte ^ ((k * (k ^ 1)) >> 8) & 0xFF)
            update(byte)
        return bytes(out)

    for byte in password:
        update(byte)
    digest = zlib.crc32(data)
    packed = encrypt(bytes(11) + bytes([digest >> 24]) + data)
    raw = name.encode()
    fields = struct.pack(
        "<HHHHHIIIHH", 20, 1, 0, 0, 33, digest, len(packed), len(data), len(raw), 0
    )
    local = b"PK\x03\x04" + fields + raw + packed
    central = (
        b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw
    )
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def sparse_tar(folder: Path, size: int) -> bytes:
    """A GNU tar of one file that is all hole."""
    hole = folder / "hole"
    with open(hole, "wb") as stream:
        stream.truncate(size)
    command = ["tar", "-C", str(folder), "-c", "-S", "-f", "-", "hole"]
    return subprocess.run(command, check=True, capture_output=True).stdout
