"""Keys and certificates for tests, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_HERE = "DNS:localhost,IP:127.0.0.1"


def make(folder: Path) -> None:
    """Write two authorities, `ca` and `other`, and certificates signed by `ca`.

    The files are NAME.key and NAME.crt of `ca`, `other`, of a `server` and a `client`
    of this machine, of a server named `elsewhere.example`, and of a server whose
    certificate has `expired`.
    """
    for name in ("ca", "other"):
        _openssl(
            folder,
            *("req", "-x509", *_NEW_KEY, "-keyout", f"{name}.key"),
            *("-out", f"{name}.crt", "-days", "2", "-subj", f"/CN={name}"),
        )
    _signed(folder, "server", _HERE, days=2)
    _signed(folder, "client", _HERE, days=2)
    _signed(folder, "elsewhere", "DNS:elsewhere.example", days=2)
    _signed(folder, "expired", _HERE, days=0)


def read(folder: Path) -> dict[str, str]:
    """Return the PEM text of each file, keyed by its name."""
    return {file.name: file.read_text() for file in folder.iterdir()}


def _signed(folder: Path, name: str, names: str, days: int) -> None:
    (folder / "names").write_text(f"subjectAltName={names}")
    _openssl(
        folder,
        *("req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr"),
        *("-subj", f"/CN={name}"),
    )
    _openssl(
        folder,
        *("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt"),
        *("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-days", str(days), "-extfile", "names"),
    )


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
